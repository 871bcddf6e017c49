"""Compares all organizations with the payment provider."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.adapters.payments.interface import Subscription
from app.extensions import transaction
from app.models import Actor, ActorKind, BillingAccount, Organization
from app.services.billing import plans, subscriptions
from app.services.billing.prices import UnknownPrice
from app.services.billing.provider import Provider
from app.tenancy import unscoped

ACTOR = Actor(ActorKind.SYSTEM, "reconcile")
BATCH_SIZE = 1000


@dataclass(frozen=True)
class BillingDifference:
    """A difference from the provider's data. ``org_id`` is None for a customer of the provider that
    no organization has."""

    org_id: str | None
    customer_id: str | None
    problem: str


def differences(provider: Provider) -> Iterator[BillingDifference]:
    """All differences, those of organizations first. Reads all subscriptions and all organizations.
    Raises DependencyDown."""
    by_customer: dict[str, list[Subscription]] = defaultdict(list)
    for subscription in provider.payments.subscriptions():
        by_customer[subscription.customer_id].append(subscription)
    now = provider.clock()
    with transaction() as session, unscoped(session, "reconcile"):
        plan_ranks = plans.plan_ranks(session)
        rows = session.execute(
            select(Organization, BillingAccount, Organization.plan_code_at(now))
            .outerjoin(BillingAccount, BillingAccount.org_id == Organization.id)
            .order_by(Organization.id),
            execution_options={"yield_per": BATCH_SIZE},
        )
        for organization, account, in_force in rows:
            customer_id = account.customer_id if account else None
            found = by_customer.pop(customer_id, []) if customer_id else []
            if problem := _problem(
                provider, plan_ranks, organization, account, in_force, found, now
            ):
                yield BillingDifference(organization.id, customer_id, problem)
    for customer_id, found in by_customer.items():
        if known := _paid_plans(provider, found):
            yield BillingDifference(
                None, customer_id, f"pays for {known}, and is no workspace's customer"
            )


def repair(provider: Provider, difference: BillingDifference) -> bool:
    """Apply the provider's data. Returns False if that is not possible. Raises DependencyDown."""
    if difference.org_id is None:
        return False
    if difference.customer_id is not None:
        try:
            return subscriptions.synchronise(provider, difference.customer_id, ACTOR)
        except UnknownPrice:
            return False
    with transaction(difference.org_id) as session:
        plans.repair(session, ACTOR, provider.clock())
    return True


def _problem(
    provider: Provider,
    plan_ranks: Sequence[str],
    organization: Organization,
    account: BillingAccount | None,
    in_force: str,
    found: Sequence[Subscription],
    now: datetime,
) -> str | None:
    try:
        there = subscriptions.subscription_state(provider.prices, plan_ranks, found)
    except UnknownPrice as error:
        return str(error)
    here = _applied_state(account, organization)
    wanted = vars(there) | {"overdue": there.is_overdue}
    said = [
        f"{name} is {here[name]}, should be {wanted[name]}"
        for name in wanted
        if here[name] != wanted[name]
    ]
    due = plans.entitled_plan(plan_ranks, organization, there.plan, now)
    if in_force != due and not said:
        said.append(f"plan in force is {in_force}, should be {due}")
    return "; ".join(said) or None


def _applied_state(
    account: BillingAccount | None, organization: Organization
) -> Mapping[str, object]:
    """The state that was applied last, named as the fields of SubscriptionState."""
    return {
        "subscription_id": account and account.subscription_id,
        "status": account and account.status,
        "plan": account and account.plan_code,
        "interval": account and account.interval,
        "period_end": account and account.period_end,
        "cancel_at": account and account.cancel_at,
        "metered": organization.metered,
        "overdue": organization.plan_lapses_at is not None,
    }


def _paid_plans(provider: Provider, found: Sequence[Subscription]) -> str:
    """The plans that these subscriptions pay for. The provider's account may sell other things
    too."""
    known = []
    for subscription in found:
        if subscription.status in subscriptions.PAYING:
            with suppress(UnknownPrice):
                known.append(provider.prices.of(subscription).plan)
    return ", ".join(known)
