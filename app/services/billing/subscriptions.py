"""Synchronises an organization's plan with the payment provider.

The provider's events may arrive in any order, repeatedly or never. So their content is not used:
each event only makes Lightwell ask for the customer's current subscriptions. Parallel requests
can't overwrite a newer answer with an older one: an answer is applied only if no other was applied
since it was asked for (``BillingAccount.revision``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import or_, select, update

from app.adapters.payments.interface import CustomerGone, Subscription
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import Actor, ActorKind, BillingAccount, Organization
from app.services import audit
from app.services.billing import letters, plans
from app.services.billing.prices import SETTING, Prices, UnknownPrice
from app.services.billing.provider import Provider
from app.tenancy import TenantSession, unscoped

log = structlog.get_logger()

CHECK = Actor(ActorKind.SYSTEM, "check")

RANKS = {"incomplete": 1, "paused": 2, "unpaid": 3, "past_due": 4, "trialing": 5, "active": 5}
"""Stripe's states of a subscription that has not ended. Of several subscriptions the one with the
highest rank counts."""
PAYING = frozenset({"past_due", "trialing", "active"})
"""States in which the plan holds; in ``past_due`` for the grace period."""
OVERDUE = frozenset({"past_due", "unpaid"})
MAX_ATTEMPTS = 10
PERIOD_END_MARGIN = timedelta(hours=2)
"""How long after the end of a period the next one must have begun: Stripe keeps the invoice open
for an hour before it charges."""
MIN_CHECK_INTERVAL = timedelta(hours=6)
UNPAID_CHECK_INTERVAL = timedelta(days=1)
"""How often an unpaid subscription is checked, because it may be paid at any time."""
EXPECTED_CHANGE_DELAY = timedelta(hours=1)
CHECK_BATCH_SIZE = 20


@dataclass(frozen=True)
class SubscriptionState:
    """The combined state of a customer's subscriptions. ``plan`` is the code of the plan that is
    paid for, None for no plan."""

    subscription_id: str | None = None
    status: str | None = None
    plan: str | None = None
    interval: str | None = None
    period_end: datetime | None = None
    cancel_at: datetime | None = None
    metered: bool = False

    @property
    def is_running(self) -> bool:
        """Whether there is a subscription that continues or can be resumed."""
        return self.status not in (None, "incomplete")

    @property
    def is_paying(self) -> bool:
        return self.status in PAYING

    @property
    def is_overdue(self) -> bool:
        return self.status in OVERDUE


@dataclass(frozen=True)
class Account:
    """A billing account as it is before the provider is asked. ``plan_ranks`` holds the codes of
    all plans, the lowest first."""

    org_id: str
    revision: int
    plan_ranks: Sequence[str]


@dataclass(frozen=True)
class Snapshot:
    """The provider's answer about an account's customer. ``state`` is None if the customer was
    deleted."""

    account: Account
    state: SubscriptionState | None


def subscription_state(
    prices: Prices, plan_ranks: Sequence[str], subscriptions: Sequence[Subscription]
) -> SubscriptionState:
    """The combined state of subscriptions: the best state counts, then the highest plan, then the
    newest.

    Raises UnknownPrice if a subscription in a paying state has an unknown price or plan.
    """
    paid = {one.id: prices.of(one) for one in subscriptions if one.status in PAYING}
    if missing := {known.plan for known in paid.values()} - set(plan_ranks):
        raise UnknownPrice(f"{SETTING} names plans that do not exist: {', '.join(missing)}")
    if len(paid) > 1:
        log.error("billing.several_subscriptions", subscriptions=sorted(paid))

    def order(one: Subscription) -> tuple[int, int, datetime, str]:
        height = plan_ranks.index(paid[one.id].plan) if one.id in paid else 0
        return RANKS[one.status], height, one.created_at, one.id

    found = max((one for one in subscriptions if one.status in RANKS), key=order, default=None)
    if found is None:
        return SubscriptionState()
    known = paid.get(found.id)
    return SubscriptionState(
        subscription_id=found.id,
        status=found.status,
        plan=known.plan if known else None,
        interval=known.interval if known else None,
        period_end=max((item.period_end for item in found.items), default=None),
        cancel_at=found.cancel_at,
        metered=known is not None and prices.is_metered(found),
    )


def synchronise(provider: Provider, customer_id: str, actor: Actor) -> bool:
    """Ask the provider for a customer's subscriptions and apply them. Returns False if it is no
    customer of ours.

    Raises DependencyDown, UnknownPrice; then nothing has changed.
    """
    for snapshot in snapshots(provider, customer_id):
        with transaction(snapshot.account.org_id) as session:
            if apply(session, snapshot, provider, actor):
                return True
    return False


def snapshots(provider: Provider, customer_id: str) -> Iterator[Snapshot]:
    """Yield snapshots of a customer, a new one each time the last could not be applied. Yields none
    if it is no customer of ours.

    Raises UnknownPrice and DependencyDown, also after ``MAX_ATTEMPTS`` snapshots.
    """
    for _ in range(MAX_ATTEMPTS):
        account = find_account(customer_id)
        if account is None:
            return
        try:
            subscriptions = provider.payments.subscriptions_of(customer_id)
            found: SubscriptionState | None = subscription_state(
                provider.prices, account.plan_ranks, subscriptions
            )
        except CustomerGone:
            found = None
        yield Snapshot(account, found)
    raise DependencyDown(
        "The subscription changes faster than it can be read. Repeat the request shortly."
    )


def find_account(customer_id: str) -> Account | None:
    with transaction() as session, unscoped(session, "whose customer it is"):
        wanted = select(BillingAccount.org_id, BillingAccount.revision).where(
            BillingAccount.customer_id == customer_id
        )
        row = session.execute(wanted).one_or_none()
        return Account(*row, plan_ranks=plans.plan_ranks(session)) if row else None


def apply(
    session: TenantSession,
    snapshot: Snapshot,
    provider: Provider,
    actor: Actor,
    event_id: str | None = None,
) -> str | None:
    """Apply the snapshot of a customer of the session's organization. Returns the outcome, or None
    if another snapshot was applied since the provider was asked."""
    revision = snapshot.account.revision
    unchanged = update(BillingAccount).where(BillingAccount.revision == revision)
    if not session.change(unchanged.values(revision=revision + 1)):
        return None
    now = provider.clock()
    row = session.scalars(select(BillingAccount)).one()
    organization = session.get_one(Organization, row.org_id, with_for_update=True)
    before = state(row, organization)
    if snapshot.state is None:
        row.customer_id = None
    _apply_state(row, organization, snapshot.state or SubscriptionState(), provider.grace, now)
    plans.update_plan(session, organization, row.plan_code, now)
    after = state(row, organization)
    audit.record(session, actor, "subscription.changed", before, after, now, event_id)
    letters.tell_owners(session, organization, before, after, provider.site, now)
    return "applied" if before != after else "nothing new"


def _apply_state(
    row: BillingAccount,
    organization: Organization,
    found: SubscriptionState,
    grace: timedelta,
    now: datetime,
) -> None:
    row.subscription_id, row.status = found.subscription_id, found.status
    row.plan_code, row.interval = found.plan, found.interval
    row.period_end, row.cancel_at = found.period_end, found.cancel_at
    row.overdue_since = (row.overdue_since or now) if found.is_overdue else None
    row.check_at = _next_check(found, now)
    organization.metered = found.metered
    organization.plan_lapses_at = row.overdue_since + grace if row.overdue_since else None
    if found.status == "unpaid" and organization.plan_lapses_at:
        organization.plan_lapses_at = min(organization.plan_lapses_at, now)


def _next_check(found: SubscriptionState, now: datetime) -> datetime | None:
    """When the provider must or may have changed something by itself. If no event arrives,
    Lightwell asks then."""
    if found.subscription_id is None:
        return None
    if found.is_overdue or not found.is_paying:
        return now + UNPAID_CHECK_INTERVAL
    ends = [moment for moment in (found.period_end, found.cancel_at) if moment]
    return max(min(ends) + PERIOD_END_MARGIN, now + MIN_CHECK_INTERVAL) if ends else None


def schedule_check(session: TenantSession, now: datetime) -> None:
    """Schedule a check soon, because the session's customer is about to change something and the
    event may be lost."""
    soon = or_(
        BillingAccount.check_at.is_(None), BillingAccount.check_at > now + EXPECTED_CHANGE_DELAY
    )
    session.change(update(BillingAccount).where(soon).values(check_at=now + EXPECTED_CHANGE_DELAY))


def state(row: BillingAccount, organization: Organization) -> dict[str, Any]:
    """The values of a subscription for the audit."""
    return plans.state(organization) | {
        "customer": row.customer_id,
        "subscription": row.subscription_id,
        "status": row.status,
        "paidPlan": row.plan_code,
        "interval": row.interval,
        "periodEnd": row.period_end,
        "cancelAt": row.cancel_at,
    }


def synchronise_due(provider: Provider) -> None:
    """Synchronise customers whose check is due because an expected event did not arrive, at most
    ``CHECK_BATCH_SIZE`` at a time."""
    now = provider.clock()
    with transaction() as session, unscoped(session, "news that did not come"):
        due = select(BillingAccount).where(
            BillingAccount.check_at <= now, BillingAccount.customer_id.is_not(None)
        )
        rows = session.scalars(due.order_by(BillingAccount.check_at).limit(CHECK_BATCH_SIZE)).all()
        customers = [row.customer_id for row in rows if row.customer_id]
        for row in rows:
            row.check_at = now + MIN_CHECK_INTERVAL
    for customer_id in customers:
        try:
            synchronise(provider, customer_id, CHECK)
        except UnknownPrice as error:
            log.error("billing.unknown_price", customer=customer_id, error=str(error))
        except DependencyDown:
            return
