"""The inbox under fire: threads that do the same at one time, processes that die, a provider that
fails."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count, pairwise
from threading import Barrier, Event

import pytest
from flask import Flask
from rq import Queue

from app import jobs
from app.adapters.payments.interface import Event as News
from app.adapters.payments.interface import Payments, Subscription
from app.adapters.payments.stripe import StripePayments
from app.adapters.queue import DEFAULT
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import AuditEntry
from app.services.billing import inbox
from app.services.billing.provider import Provider
from tests.billing import BillingEnv
from tests.conftest import PATIENCE_SECONDS, AccountMaker
from tests.databases import on_both_databases
from tests.services.billing.faults import (
    LEASE,
    MOMENTS,
    Broken,
    Killed,
    alarms,
    killed_at,
    receive,
    unhandled,
)
from tests.services.billing.oracle import BUSINESS, TEAM, TEAM_YEAR
from tests.services.billing.scenarios import LISTENED_TO, Life, life_of

DOWN = DependencyDown("It does not answer.")
pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def life(app: Flask, make_account: AccountMaker) -> Iterator[Life]:
    with life_of(app, make_account) as life:
        yield life


@dataclass
class Pausing(StripePayments):
    """Payments whose first answers are kept back until ``pause`` returns, and so grow old."""

    payments: Payments
    pause: Callable[[], object]
    answers: int
    asked: Iterator[int] = field(default_factory=count)

    def subscriptions_of(self, customer_id: str) -> Sequence[Subscription]:
        answer = self.payments.subscriptions_of(customer_id)
        if next(self.asked) < self.answers:
            self.pause()
        return answer


def in_threads(app: Flask, number: int, work: Callable[[], object]) -> None:
    def worker(_: int) -> None:
        with app.app_context():
            work()

    with ThreadPoolExecutor(number) as threads:
        list(threads.map(worker, range(number)))


def ticking(life: Life) -> Provider:
    """Moments that differ tell in which order audit entries were written."""
    milliseconds = count()
    return replace(
        life.billing_env.provider,
        clock=lambda: life.calendar.now + timedelta(milliseconds=next(milliseconds)),
    )


def changes(entries: Sequence[AuditEntry], name: str) -> list[tuple[object, object]]:
    return [(entry.before[name], entry.after[name]) for entry in entries if name in entry.after]


# Many at one time


@on_both_databases
def test_an_answer_that_grew_old_is_asked_for_again(app: Flask, life: Life) -> None:
    """One that asks first and applies last."""
    one = life.subscribe(TEAM)
    life.arrive()
    is_read, may_go_on = Event(), Event()

    def pause() -> None:
        is_read.set()
        assert may_go_on.wait(PATIENCE_SECONDS)

    provider = ticking(life)
    slow = Pausing(provider.payments, pause, 1)

    def handle() -> None:
        with app.app_context():
            inbox.handle(replace(provider, payments=slow), life.customer_id)

    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(handle)
        assert is_read.wait(PATIENCE_SECONDS)
        life.stripe.subscriptions.change_prices(one, [BUSINESS])
        life.arrive()
        inbox.handle(provider, life.customer_id)
        assert life.plan == "BUSINESS"
        may_go_on.set()
        late.result(PATIENCE_SECONDS)
    assert next(slow.asked) == 2
    life.check()
    assert changes(life.billing_env.audit(life.who), "plan") == [("FREE", "BUSINESS")]
    assert unhandled() == []


@on_both_databases
def test_of_many_with_the_same_old_answer_one_applies_it(app: Flask, life: Life) -> None:
    """It is newer than what was there; the others see what has changed since."""
    one = life.subscribe(TEAM)
    life.arrive()

    def change() -> None:
        life.stripe.subscriptions.change_prices(one, [BUSINESS])

    together = Barrier(4, change, PATIENCE_SECONDS)
    provider = ticking(life)
    provider = replace(provider, payments=Pausing(provider.payments, together.wait, 4))
    in_threads(app, 4, lambda: inbox.handle(provider, life.customer_id))
    life.check()
    assert changes(life.billing_env.audit(life.who), "plan") == [
        ("FREE", "TEAM"),
        ("TEAM", "BUSINESS"),
    ]


@on_both_databases
def test_whoever_handles_while_stripe_changes_the_last_state_stays(app: Flask, life: Life) -> None:
    """Every entry of the audit begins where the one before it ended, and none tells the same
    twice."""
    one = life.subscribe(TEAM)
    life.arrive()
    provider = ticking(life)

    def change_and_handle() -> None:
        for price_id in (BUSINESS, TEAM, TEAM_YEAR, BUSINESS):
            life.stripe.subscriptions.change_prices(one, [price_id])
            news = [
                told
                for told in life.stripe.journal.events()
                if told["type"] == "customer.subscription.updated"
            ]
            receive(life.billing_env, *news[-2:])
            inbox.handle(provider, life.customer_id)

    in_threads(app, 3, change_and_handle)
    life.calendar.advance(minutes=2)
    life.end()
    told = changes(life.billing_env.audit(life.who), "paidPlan")
    assert all(before != after for before, after in told)
    assert [before for before, _ in told] == [None, *(after for _, after in told[:-1])]


def test_news_that_changes_nothing_leaves_no_trace_in_the_audit(life: Life) -> None:
    life.subscribe(TEAM)
    life.catch_up()
    life.stripe.customers.set_card(life.customer_id, "works")
    life.stripe.subscriptions.update_metadata(
        life.stripe.journal.all("subscription", life.customer_id)[0]["id"], {"note": "x"}
    )
    assert life.stripe.journal.events()[-1]["type"] == "customer.subscription.updated"
    life.catch_up()
    assert len(life.billing_env.audit(life.who)) == 1


def test_nine_kinds_of_news_and_disputes_are_acted_on(life: Life) -> None:
    wanted, now = LISTENED_TO | {"charge.dispute.created"}, life.calendar.now
    with transaction() as session:
        acted_on = {
            kind
            for kind in wanted | {"customer.created", "invoice.created", "charge.succeeded"}
            if inbox.receive(session, News(f"evt_{kind}", kind, now, life.customer_id), now)
        }
    assert acted_on == wanted
    assert len(LISTENED_TO) == 9


# Processes that die


def test_what_a_dead_worker_left_is_done_once_and_whole(life: Life) -> None:
    """Wherever it died: state, audit and the events' end are written together or not at all."""
    one = life.subscribe(BUSINESS)
    life.catch_up()
    seen = set()
    for moment in range(MOMENTS):
        before, entries = life.plan, len(life.billing_env.audit(life.who))
        life.stripe.subscriptions.change_prices(one, [TEAM if before == "BUSINESS" else BUSINESS])
        life.arrive()
        with killed_at(moment):
            inbox.work(life.billing_env.provider)
        is_done = not unhandled()
        seen.add(is_done)
        assert (life.plan != before) is is_done
        assert len(life.billing_env.audit(life.who)) == entries + is_done
        life.calendar.advance(seconds=61)
        inbox.work(life.billing_env.provider)
        assert (life.plan != before, len(life.billing_env.audit(life.who)), unhandled()) == (
            True,
            entries + 1,
            [],
        )
    assert seen == {True, False}


def test_what_somebody_works_on_is_left_alone_for_the_length_of_the_lease(life: Life) -> None:
    life.subscribe(TEAM)
    life.arrive()
    with killed_at(5):
        inbox.work(life.billing_env.provider)
    life.calendar.now += LEASE - timedelta(seconds=1)
    inbox.work(life.billing_env.provider)
    assert life.plan == "FREE"
    life.calendar.advance(seconds=1)
    inbox.work(life.billing_env.provider)
    assert life.plan == "TEAM"


def test_what_was_stored_and_never_enqueued_is_found(
    app: Flask, billing_env: BillingEnv, make_account: AccountMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = make_account(plan="FREE")
    billing_env.stripe.subscriptions.create(billing_env.customer(account), [TEAM])
    queue = Queue(DEFAULT, connection=app.extensions["lightwell"].redis)
    queue.empty()

    def die(_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "enqueue", die)
        created = next(
            one for one in billing_env.new_events if one["type"] == "customer.subscription.created"
        )
        with pytest.raises(Killed):
            billing_env.deliver([created])
    assert queue.job_ids == []
    jobs.resume_billing(app)
    assert [job_id.startswith("billing-") for job_id in queue.job_ids] == [True]
    billing_env.work()
    assert billing_env.plan(account) == "TEAM"
    queue.empty()
    jobs.resume_billing(app)
    assert queue.job_ids == []


# A provider that fails


def test_a_provider_that_is_down_is_asked_later_and_later(life: Life) -> None:
    life.subscribe(TEAM)
    life.arrive()
    broken = Broken(life.billing_env.provider.payments, {life.customer_id: DOWN})
    provider = replace(life.billing_env.provider, payments=broken)
    pauses: list[timedelta] = []
    for attempt in range(1, 13):
        inbox.work(provider)
        inbox.work(provider)
        waiting = unhandled()
        assert {(event.attempts, event.outcome) for event in waiting} == {
            (attempt, "It does not answer.")
        }
        (due,) = {event.next_attempt_at for event in waiting}
        assert due
        pauses.append(due - life.calendar.now)
        life.calendar.now = due
    assert len(broken.asked) == 12
    assert pauses[0] == timedelta(seconds=30)
    assert all(later == min(2 * earlier, timedelta(hours=1)) for earlier, later in pairwise(pauses))
    assert life.plan == "FREE"
    inbox.work(life.billing_env.provider)
    assert (life.plan, unhandled()) == ("TEAM", [])


def test_a_provider_that_is_down_is_not_asked_for_the_next_customer(life: Life) -> None:
    """What waits behind the first is due as it was, and found when the provider is back."""
    other = life.neighbour()
    for one in (life, other):
        one.subscribe(TEAM)
        one.arrive()
        life.calendar.advance(seconds=1)
    broken = Broken(
        life.billing_env.provider.payments,
        dict.fromkeys([one.customer_id for one in (life, other)], DOWN),
    )
    inbox.work(replace(life.billing_env.provider, payments=broken))
    assert broken.asked == [life.customer_id]
    inbox.work(life.billing_env.provider)
    assert (life.plan, other.plan) == ("FREE", "TEAM")
    life.calendar.advance(seconds=30)
    inbox.work(life.billing_env.provider)
    assert (life.plan, unhandled()) == ("TEAM", [])


def test_what_somebody_else_has_done_meanwhile_is_not_put_off(life: Life) -> None:
    life.subscribe(TEAM)
    life.arrive()

    def overtaken() -> None:
        inbox.handle(life.billing_env.provider, life.customer_id)
        raise DOWN

    inbox.work(
        replace(
            life.billing_env.provider,
            payments=Pausing(life.billing_env.provider.payments, overtaken, 1),
        )
    )
    life.calendar.advance(hours=1)
    with transaction() as session:
        assert not inbox.has_due(session, life.calendar.now)
    assert (life.plan, unhandled()) == ("TEAM", [])


def test_a_defect_with_one_customer_keeps_no_other_waiting(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    other = life.neighbour()
    for one in (life, other):
        one.subscribe(TEAM)
        one.arrive()
        life.calendar.advance(seconds=1)
    broken = Broken(
        life.billing_env.provider.payments, {life.customer_id: ZeroDivisionError("a defect")}
    )
    inbox.work(replace(life.billing_env.provider, payments=broken))
    assert [(log["event"], log["subject"]) for log in alarms(caplog)] == [
        ("billing.defect", life.customer_id)
    ]
    assert (life.plan, other.plan) == ("FREE", "TEAM")
    assert {event.outcome for event in unhandled()} == {"ZeroDivisionError('a defect')"}
    life.calendar.advance(seconds=30)
    inbox.work(life.billing_env.provider)
    assert (life.plan, unhandled()) == ("TEAM", [])
