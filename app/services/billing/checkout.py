"""Pages where a customer buys a plan, changes it, and manages card and invoices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from sqlalchemy import select, update

from app.adapters.payments.interface import ChangeRefused, CustomerGone, Subscription
from app.errors import BadRequest, Conflict, DependencyDown
from app.extensions import transaction
from app.models import Actor, BillingAccount, Organization, Plan
from app.services import audit
from app.services.accounts import members
from app.services.accounts.principal import BY_PORTAL
from app.services.billing import plans, subscriptions
from app.services.billing.prices import UnknownPrice
from app.services.billing.provider import Provider
from app.services.billing.subscriptions import SubscriptionState
from app.tenancy import TenantSession, insert_if_absent

BY_CHECKOUT = "POST /billing/checkout buys a plan."


@dataclass(frozen=True)
class PlanPurchase:
    """The plan that a customer wants to buy. ``plan_ranks`` holds the codes of all plans, the
    lowest first."""

    org_id: str
    plan: str
    interval: str
    return_url: str
    plan_ranks: Sequence[str]


def open_checkout(
    provider: Provider, org_id: str, actor: Actor, plan: str, interval: str, return_url: str
) -> str:
    """Open a page that sells ``plan`` for an ``interval`` of ``month`` or ``year``, and return its
    URL.

    A customer without a subscription gets a checkout; a customer with one confirms the change to
    the other plan. The page leads back to ``return_url`` with ``?checkout=done`` or
    ``?checkout=cancelled``. ``actor`` is recorded in the audit. Raises BadRequest, Conflict,
    DependencyDown.
    """
    with transaction(org_id) as session:
        wanted = PlanPurchase(org_id, plan.upper(), interval, return_url, plans.plan_ranks(session))
        _check_for_sale(session, provider, wanted)
        _check_organization(session, wanted, provider.clock())
    for _ in range(2):
        customer_id = _ensure_customer(provider, org_id, actor)
        try:
            url = _open_page(provider, customer_id, wanted)
        except CustomerGone:
            subscriptions.synchronise(provider, customer_id, actor)
        else:
            with transaction(org_id) as session:
                subscriptions.schedule_check(session, provider.clock())
            return url
    raise DependencyDown(
        "The payment provider has no customer for this workspace. Repeat the request shortly."
    )


def open_portal(provider: Provider, org_id: str, actor: Actor, return_url: str) -> str:
    """Open the page where a customer manages subscription, card and invoices, and return its URL.
    Raises Conflict, DependencyDown."""
    with transaction(org_id) as session:
        customer_id = session.scalar(select(BillingAccount.customer_id))
    if customer_id is not None:
        try:
            return provider.payments.portal(customer_id, _with(return_url, portal="done"))
        except CustomerGone:
            subscriptions.synchronise(provider, customer_id, actor)
    raise Conflict(f"There is nothing to look after yet. {BY_CHECKOUT}")


def without_calls(message: str) -> str:
    """A refusal without the API's call that helps: pages have buttons for it."""
    for call in (BY_PORTAL, BY_CHECKOUT):
        message = message.removesuffix(call).rstrip(" ")
    return f"{message[:-1]}." if message.endswith(":") else message


def _with(url: str, **arrival: str) -> str:
    """A return URL that tells how the customer comes back."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(arrival)}"


def _open_page(provider: Provider, customer_id: str, wanted: PlanPurchase) -> str:
    """Open the page that fits the customer's current subscription. Raises CustomerGone."""
    found = provider.payments.subscriptions_of(customer_id)
    current = _current_state(provider, wanted, found)
    lines = provider.prices.lines(wanted.plan, wanted.interval)
    done, cancelled = (
        _with(wanted.return_url, checkout=outcome) for outcome in ("done", "cancelled")
    )
    if not current.is_running:
        return provider.payments.checkout(wanted.org_id, customer_id, lines, done, cancelled)
    if current.is_overdue:
        raise Conflict(f"The last payment failed. Pay it before changing the plan: {BY_PORTAL}")
    if not current.is_paying:
        raise Conflict(
            f"The subscription is {current.status}. Take it up again before changing the plan: "
            f"{BY_PORTAL}"
        )
    if (current.plan, current.interval) == (wanted.plan, wanted.interval):
        raise Conflict(
            f"The {wanted.plan} plan is paid by the {wanted.interval} already. The portal changes "
            f"or cancels it: {BY_PORTAL}"
        )
    subscription = next(one for one in found if one.id == current.subscription_id)
    if len(subscription.items) != 1 or len(lines) != 1:
        raise Conflict(
            "This subscription has several prices and can't be changed. Cancel it first: "
            f"{BY_PORTAL}"
        )
    try:
        return provider.payments.change(subscription, lines, done, cancelled)
    except ChangeRefused:
        raise Conflict(
            f"Plans can't be changed here while they run. Cancel this one first: {BY_PORTAL}"
        ) from None


def _check_for_sale(session: TenantSession, provider: Provider, wanted: PlanPurchase) -> None:
    code, on_sale = wanted.plan, provider.prices.plans()
    plan = session.get(Plan, code)
    if plan is not None and plan.price_cents is None:
        raise _not_for_sale(f"{code} is sold by contract: write to us.")
    if plan is not None and plan.price_cents == 0:
        raise _not_for_sale(
            f"{code} costs nothing: cancel the subscription to return to it. {BY_PORTAL}"
        )
    if plan is None or code not in on_sale:
        raise _not_for_sale(f"There is no plan {code} for sale. Plans: {', '.join(on_sale)}.")
    if not provider.prices.lines(code, wanted.interval):
        raise BadRequest(
            f"The {code} plan is not sold by the {wanted.interval}.", errors=["interval: not sold"]
        )


def _not_for_sale(reason: str) -> BadRequest:
    return BadRequest(reason, errors=["plan: not for sale"])


def _check_organization(session: TenantSession, wanted: PlanPurchase, now: datetime) -> None:
    """An organization does not pay for a plan that it was granted, nor while it is being
    deleted."""
    organization = session.get_one(Organization, session.org_id)
    if organization.delete_at:
        raise Conflict("This organization is being deleted. Take that back before you buy a plan.")
    granted, plan_ranks = organization.granted_at(now), wanted.plan_ranks
    if granted and plan_ranks.index(granted) >= plan_ranks.index(wanted.plan):
        raise Conflict(
            f"The workspace is on the {granted} plan already, without paying for it here."
        )


def _ensure_customer(provider: Provider, org_id: str, actor: Actor) -> str:
    """The organization's customer at the provider, which is created if there is none."""
    with transaction(org_id) as session:
        insert_if_absent(session, BillingAccount, customers=0, revision=0)
        account = session.scalars(select(BillingAccount)).one()
        organization = session.get_one(Organization, org_id)
        owner = next(iter(members.owners_of(session)), None)
    if account.customer_id:
        return account.customer_id
    number = account.customers + 1
    email = owner.email if owner else ""
    made = provider.payments.create_customer(org_id, number, organization.name, email)
    with transaction(org_id) as session:
        unclaimed = update(BillingAccount).where(BillingAccount.customers == account.customers)
        if session.change(unclaimed.values(customer_id=made, customers=number)):
            audit.record(
                session, actor, "customer.created", {}, {"customer": made}, provider.clock()
            )
        return session.scalars(select(BillingAccount.customer_id)).one() or made


def _current_state(
    provider: Provider, wanted: PlanPurchase, found: Sequence[Subscription]
) -> SubscriptionState:
    try:
        return subscriptions.subscription_state(provider.prices, wanted.plan_ranks, found)
    except UnknownPrice:
        raise Conflict(
            "The subscription pays a price of its own. Write to us to change it."
        ) from None
