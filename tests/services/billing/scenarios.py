"""Lives of a customer: what may happen at the fake Stripe, how the news of it arrives, and what
should come of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random

from flask import Flask
from hypothesis import strategies as st

from app.errors import Conflict
from app.extensions import transaction
from app.models import FREE, BillingAccount
from app.services.billing import inbox, plans, subscriptions
from app.services.billing.checkout import open_checkout
from dev.stripe.customers import Customers
from dev.stripe.errors import FakeStripeError
from dev.stripe.state import FakeStripe
from dev.stripe.subscriptions import Subscriptions
from tests.actors import A_KEY, STAFF
from tests.billing import METERED, SITE, BillingEnv, open_billing_env
from tests.conftest import AccountMaker
from tests.services.billing.faults import (
    LEASE,
    MOMENTS,
    Calendar,
    Document,
    forget_everybody,
    killed_at,
    receive,
    unhandled,
)
from tests.services.billing.oracle import (
    BUSINESS,
    BUSINESS_YEAR,
    LADDER,
    NOTHING,
    PRICES,
    TEAM,
    TEAM_YEAR,
    expected,
    going_of,
)

GRACE = timedelta(days=7)
LISTENED_TO = frozenset(
    {"checkout.session.completed", "customer.deleted", "invoice.paid", "invoice.payment_failed"}
    | {
        f"customer.subscription.{what}"
        for what in ("created", "deleted", "paused", "resumed", "updated")
    }
)

CHANGES: Mapping[str, Callable[[Subscriptions, str], object]] = {
    "change to TEAM": partial(Subscriptions.change_prices, price_ids=[TEAM]),
    "change to BUSINESS": partial(Subscriptions.change_prices, price_ids=[BUSINESS]),
    "change to BUSINESS by the year": partial(
        Subscriptions.change_prices, price_ids=[BUSINESS_YEAR]
    ),
    "change to TEAM and a meter": partial(Subscriptions.change_prices, price_ids=[TEAM, METERED]),
    "cancel": Subscriptions.cancel,
    "cancel at the end": partial(Subscriptions.cancel, at_period_end=True),
    "keep": Subscriptions.keep,
    "end the period": Subscriptions.end_period,
    "retry": Subscriptions.retry_payment,
    "give up, unpaid": partial(Subscriptions.give_up, how="unpaid"),
    "give up, cancel": partial(Subscriptions.give_up, how="canceled"),
    "pause": Subscriptions.pause,
    "resume": Subscriptions.resume,
    "expire": Subscriptions.expire,
}
PURCHASES: Mapping[str, Callable[[Subscriptions, str], object]] = {
    "buy TEAM": partial(Subscriptions.create, price_ids=[TEAM]),
    "buy BUSINESS": partial(Subscriptions.create, price_ids=[BUSINESS]),
    "buy TEAM by the year": partial(Subscriptions.create, price_ids=[TEAM_YEAR]),
    "buy images": partial(Subscriptions.create, price_ids=[METERED]),
    "try TEAM": partial(Subscriptions.create, price_ids=[TEAM], trial_days=14),
    "buy BUSINESS without money": partial(
        Subscriptions.create, price_ids=[BUSINESS], card="declines"
    ),
}
BY_CUSTOMER: Mapping[str, Callable[[Customers, str], object]] = {
    "card works": partial(Customers.set_card, card="works"),
    "card declines": partial(Customers.set_card, card="declines"),
    "leave": Customers.delete,
}


@dataclass
class Life:
    """A customer's, and after ``begin`` another one's."""

    billing_env: BillingEnv
    calendar: Calendar
    make_account: AccountMaker
    last_event: str | None = None
    customer_id: str = ""
    granted: str = FREE
    overdue_since: datetime | None = None
    revision: int = 0
    on_the_way: list[Document] = field(default_factory=list)
    arrived: list[Document] = field(default_factory=list)

    @property
    def stripe(self) -> FakeStripe:
        return self.billing_env.stripe

    def begin(self) -> None:
        forget_everybody()
        self.calendar.now = Calendar.now
        self._join()

    def neighbour(self) -> "Life":
        """One at the same time, in the same environment."""
        other = Life(self.billing_env, self.calendar, self.make_account)
        other._join()
        return other

    def _join(self) -> None:
        self.who = self.make_account(plan="FREE")
        self.customer_id = self.stripe.customers.create(self.who.email)["id"]
        self.granted, self.overdue_since, self.revision, self.arrived = FREE, None, 0, []
        self._hear()
        self.on_the_way = []
        with transaction(self.who.org_id) as session:
            session.add(BillingAccount(customer_id=self.customer_id, customers=1, revision=0))

    def step(self, name: str, number: int) -> bool:
        """Whether it was something that happened at the fake Stripe, and was not refused there."""
        try:
            if name in CHANGES:
                chosen = self._one_of_the_subscriptions(number)
                CHANGES[name](self.stripe.subscriptions, chosen)
            elif name in PURCHASES:
                PURCHASES[name](self.stripe.subscriptions, self.customer_id)
            elif name in BY_CUSTOMER:
                BY_CUSTOMER[name](self.stripe.customers, self.customer_id)
            else:
                BEHIND_THE_SCENES[name](self, Random(number))
                return False
        except FakeStripeError:
            return False
        return True

    def subscribe(self, price_id: str) -> str:
        """The new subscription's id."""
        return str(self.stripe.subscriptions.create(self.customer_id, [price_id])["id"])

    @property
    def plan(self) -> str:
        """What a request is on now."""
        return self.billing_env.plan(self.who)

    def catch_up(self) -> None:
        """All news arrives and is handled."""
        self.arrive()
        inbox.work(self.billing_env.provider)

    def arrive(self) -> None:
        self.deliver(Random(0), everything=True)

    def end(self) -> None:
        """All news has arrived, some of it twice, and the inbox is empty."""
        self.deliver(Random(len(self.arrived)), everything=True)
        in_time = self.calendar.now + 3 * LEASE
        while unhandled():
            assert self.calendar.now < in_time, "waits for ever"
            inbox.work(self.billing_env.provider)
            self._look()
            self.calendar.now += LEASE
        self.check()

    def check(self) -> None:
        """Lightwell says what Stripe says."""
        kept, organization = (
            self.billing_env.billing(self.who),
            self.billing_env.organization(self.who),
        )
        known = {name: getattr(kept, name) for name in NOTHING} | {"metered": organization.metered}
        said = expected(self.stripe, self.customer_id)
        assert known in said, f"{known} is none of {said}"
        is_gone = self.stripe.customers.find(self.customer_id).get("deleted")
        assert kept.customer_id == (None if is_gone else self.customer_id)
        paid = known["plan_code"] or FREE
        if (
            known["status"] == "past_due"
            and self.overdue_since
            and self.overdue_since + GRACE <= self.calendar.now
        ):
            paid = FREE
        assert self.plan == max(paid, self.granted, key=LADDER.index)

    def _one_of_the_subscriptions(self, number: int) -> str:
        going = going_of(self.stripe, self.customer_id)
        return str(going[number % len(going)]["id"]) if going else "none"

    def _hear(self) -> None:
        news = self.stripe.journal.events(after=self.last_event)
        self.last_event = news[-1]["id"] if news else self.last_event
        self.on_the_way += [one for one in news if one["type"] in LISTENED_TO]

    def _look(self) -> None:
        """Whenever something was applied, it must have been the truth; the grace period counts from
        then."""
        kept = self.billing_env.billing(self.who)
        if kept.revision == self.revision:
            return
        self.revision = kept.revision
        overdue = expected(self.stripe, self.customer_id)[0]["status"] in ("past_due", "unpaid")
        self.overdue_since = (self.overdue_since or self.calendar.now) if overdue else None
        self.check()

    # Steps that do not happen at the fake Stripe, though the last one leads there

    def deliver(self, random: Random, *, everything: bool = False) -> None:
        """Some of what is on the way, in any order, and some of what has arrived already."""
        self._hear()
        random.shuffle(self.on_the_way)
        arriving = len(self.on_the_way) if everything else random.randint(0, len(self.on_the_way))
        now, self.on_the_way = self.on_the_way[:arriving], self.on_the_way[arriving:]
        self.arrived += now
        receive(self.billing_env, *now, *random.sample(self.arrived, min(2, len(self.arrived))))

    def work(self, random: Random) -> None:
        self.deliver(random)
        inbox.work(self.billing_env.provider)
        self._look()

    def die(self, random: Random) -> None:
        self.deliver(random)
        with killed_at(random.randrange(MOMENTS)):
            inbox.work(self.billing_env.provider)
        self._look()

    def wait(self, random: Random) -> None:
        self.calendar.advance(hours=random.choice((1, 30, 24 * 4, 24 * 7)))

    def lapse(self, _: Random) -> None:
        """What the worker does each minute."""
        plans.lapse_due(SITE, self.calendar.now)

    def ask(self, _: Random) -> None:
        subscriptions.synchronise_due(self.billing_env.provider)
        self._look()

    def grant(self, random: Random) -> None:
        self.granted = random.choice((FREE, "TEAM", "BUSINESS"))
        with transaction(self.who.org_id) as session:
            plans.grant(session, self.granted, STAFF, self.calendar.now)

    def check_out(self, _: Random) -> None:
        """As somebody does who has left, too: Lightwell makes a new customer of them."""
        with suppress(Conflict):
            page = open_checkout(
                self.billing_env.provider,
                self.who.org_id,
                A_KEY,
                "BUSINESS",
                "month",
                "http://localhost/",
            ).rpartition("/")[2]
            self.customer_id = self.billing_env.billing(self.who).customer_id or ""
            self._look()
            finish = (
                self.stripe.checkout.complete
                if page.startswith("cs_")
                else self.stripe.portal.confirm
            )
            finish(page)


BEHIND_THE_SCENES: Mapping[str, Callable[[Life, Random], None]] = {
    "deliver": Life.deliver,
    "work": Life.work,
    "die": Life.die,
    "wait": Life.wait,
    "lapse": Life.lapse,
    "ask": Life.ask,
    "grant": Life.grant,
    "check out": Life.check_out,
}
OFTEN = (
    "end the period",
    "card declines",
    "card works",
    "change to BUSINESS",
    *("work",) * 5,
    *("die", "wait") * 3,
)
NUMBERS = st.integers(0, 10_000)
"""What a step leaves open: which subscription, which events in which order, how long."""
STEPS = st.tuples(
    st.tuples(st.sampled_from(sorted(PURCHASES)), NUMBERS),
    st.lists(
        st.tuples(
            st.sampled_from([*CHANGES, *PURCHASES, *BY_CUSTOMER, *BEHIND_THE_SCENES, *OFTEN]),
            NUMBERS,
        ),
        min_size=8,
        max_size=14,
    ),
).map(lambda parts: [parts[0], *parts[1]])
"""A purchase, and what comes after it: for ``Life.step``."""


@contextmanager
def life_of(app: Flask, make_account: AccountMaker) -> Iterator[Life]:
    """One that has just begun, in an environment of its own."""
    calendar = Calendar()
    with open_billing_env(app, calendar, prices=PRICES) as billing_env:
        life = Life(billing_env, calendar, make_account)
        life.begin()
        yield life
        forget_everybody()
