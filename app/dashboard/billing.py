"""``/dashboard/<slug>/billing``: the plan, how to change it, and what was paid."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request, url_for

from app.dashboard.frame import page_of
from app.errors import AppError, BadRequest, Conflict, NotConfigured, Overloaded
from app.extensions import transaction
from app.services.accounts.permissions import Action
from app.services.accounts.plan_limits import limits_of
from app.services.billing import checkout as provider_pages
from app.services.billing import offers, standing
from app.services.billing.checkout import without_calls
from app.services.billing.prices import Prices
from app.services.billing.provider import Provider
from app.services.billing.provider_cache import ProviderCache
from app.services.billing.standing import Standing
from app.web import links
from app.web.context import container, now, principal, require_provider
from app.web.pages import STOP_POLLING, page
from app.web.requirements import Member, requires

blueprint = Blueprint("billing", __name__, url_prefix="/dashboard/<slug>/billing")

REFUSALS = (BadRequest, Conflict, NotConfigured, Overloaded)
"""What the page itself says, beside the plans."""
LONGEST_CODE = 32
NOT_SOLD = Prices((), ())
QUICK_SECONDS = 10
"""For so long after the return from the provider the page looks every second, then every three."""
PATIENCE_SECONDS = 60


@blueprint.get("")
@requires(Member())
def show(**_path: str) -> Response:
    return _page()


@blueprint.post("/checkout")
@requires(Member(action=Action.MANAGE_BILLING, recent=True))
def checkout(slug: str) -> Response:
    """Lead to the provider's page that sells the plan, or confirms the change to it."""

    def open_page() -> str:
        plan, interval = _wanted()
        back = url_for("dashboard.billing.arrive", slug=slug, plan=plan, interval=interval)
        who, back = principal(), links.absolute(back)
        return provider_pages.open_checkout(
            require_provider(), who.org_id, who.actor, plan, interval, back
        )

    return _lead_to(open_page)


@blueprint.post("/portal")
@requires(Member(action=Action.MANAGE_BILLING, recent=True, while_suspended=True))
def portal(slug: str) -> Response:
    """Lead to the provider's page for card, invoices and cancellation."""

    def open_page() -> str:
        back = links.absolute(url_for("dashboard.billing.show", slug=slug))
        who = principal()
        return provider_pages.open_portal(require_provider(), who.org_id, who.actor, back)

    return _lead_to(open_page)


@blueprint.get("/return")
@requires(Member(action=Action.MANAGE_BILLING))
def arrive(slug: str) -> Response:
    """Where Checkout leads back to: wait until the provider has told us of the payment. htmx
    fetches only what changes; without script the whole page is loaded again."""
    with transaction(principal().org_id) as session:
        place = standing.read(session)
        plans = standing.plans_beside(session, principal().allowance.plan)
    plan = request.args.get("plan", "")[:LONGEST_CODE]
    interval = request.args.get("interval", "")[:LONGEST_CODE]
    moment = int(now().timestamp())
    since = request.args.get("since", moment, type=int)
    state = _arrival(place, plan, interval, moment - since)
    here = partial(url_for, "dashboard.billing.arrive", slug=slug, plan=plan, interval=interval)
    bought = next((one for one in plans if one.code == plan), None)
    values: dict[str, Any] = {
        "state": state,
        "plan": bought,
        "limits": bought and limits_of(bought, place.organization, now()),
        "pause": 1 if moment - since < QUICK_SECONDS else 3,
        "again": here(since=since),
        "afresh": here(),
        "slug": slug,
    }
    if "HX-Request" not in request.headers:
        return page_of("dashboard/billing/return.html", **values)
    fragment = page("dashboard/billing/arrival.html", **values)
    if state != "waiting":
        fragment.status = STOP_POLLING
    if state == "done":
        fragment.headers["HX-Refresh"] = "true"  # what stands around shows the new limits too
    return fragment


def _arrival(place: Standing, plan: str, interval: str, waited: int) -> str:
    """``cancelled``, ``done``, ``waiting``, or ``late`` after too many seconds."""
    if request.args.get("checkout") == "cancelled":
        return "cancelled"
    if place.pays_for(plan, interval):
        return "done"
    return "waiting" if 0 <= waited < PATIENCE_SECONDS else "late"


def _wanted() -> tuple[str, str]:
    """The plan and the interval of the form. Raises BadRequest."""
    plan, interval = request.form.get("plan", ""), request.form.get("interval", "")
    if not plan.isprintable() or not 0 < len(plan) <= LONGEST_CODE:
        raise BadRequest("Choose one of the plans.")
    if interval not in offers.INTERVALS:
        raise BadRequest("Choose whether you pay by the month or by the year.")
    return plan.upper(), interval


def _lead_to(open_page: Callable[[], str]) -> Response:
    """A page that leads to the provider's. It is no redirect, because browsers apply
    ``form-action`` to those of forms too."""
    try:
        with container().outbound_calls.admitted(principal().org_id):
            url = open_page()
    except REFUSALS as refusal:
        return _page(refusal)
    return page("dashboard/billing/leave.html", url=url)


def _page(refusal: AppError | None = None) -> Response:
    who, provider = principal(), container().provider
    with transaction(who.org_id) as session:
        place = standing.read(session)
        plans = standing.plans_beside(session, who.allowance.plan)
    may_change = who.may(Action.MANAGE_BILLING)
    paid = place.account.interval if place.account else None
    interval = _shown_interval(paid)
    prices = provider.prices if provider else NOT_SOLD
    shows_years = offers.YEAR in (interval, paid)
    yearly = _cache(provider).yearly_prices() if provider and shows_years else {}
    answer = page_of(
        "dashboard/billing/show.html",
        offers=offers.offers(plans, who.allowance.plan, place, prices, interval, yearly, now()),
        interval=interval,
        by_year=any(prices.lines(plan, offers.YEAR) for plan in prices.plans()),
        place=place,
        paid_price=offers.paid_price(plans, place, yearly),
        granted=place.organization.granted_at(now()),
        may_change=may_change,
        is_configured=provider is not None,
        contact=container().settings.contact_email,
        invoices=_cache(provider).invoices(place) if provider and may_change else [],
        refusal=without_calls(refusal.message) if refusal else "",
        came_back=request.args.get("portal") == "done",
    )
    answer.status_code = refusal.status if refusal else HTTPStatus.OK
    return answer


def _cache(provider: Provider) -> ProviderCache:
    org_id, limiter = principal().org_id, container().outbound_calls
    return ProviderCache(provider, container().redis, lambda: limiter.admitted(org_id))


def _shown_interval(paid: str | None) -> str:
    """The interval whose prices are shown: that of the link or the form, else the paid one."""
    asked = request.form.get("interval") or request.args.get("interval")
    return next((one for one in (asked, paid) if one in offers.INTERVALS), offers.MONTH)
