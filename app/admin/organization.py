"""``/admin/organizations/<org_id>``: one organization, a page for each of what it has and did.

All of it is only looked at; what staff do to organizations is elsewhere.
"""

from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request

from app.admin.frame import admin_page
from app.extensions import transaction
from app.models import Mode, new_id
from app.services.accounts import activity, key_management, members
from app.services.accounts.key_management import MOST_KEYS
from app.services.staff import organization, organization_changes, organization_lists
from app.services.staff.cursor import MAX_LENGTH
from app.services.staff.duties import Duty
from app.services.staff.organization_lists import plain
from app.services.usage import days as usage_days
from app.services.usage import refusals
from app.web import charts
from app.web.changes import changes_of
from app.web.context import container, now
from app.web.requirements import Staff, requires

blueprint = Blueprint("organization", __name__, url_prefix="/organizations/<org_id>")
LOGGED = timedelta(days=30)
"""How long requests are kept in their log."""
MOST_CONSUMERS = 100
MOST_PAGES = 1000
STRIPE = "https://dashboard.stripe.com"
TEST_KEYS = ("sk_test", "rk_test")
TABS = {
    "": "Overview",
    "/members": "Members",
    "/keys": "Keys",
    "/usage": "Usage",
    "/ledger": "Ledger",
    "/requests": "Requests",
    "/images": "Images",
    "/exports": "Exports",
    "/stripe": "Stripe",
    "/audit": "Audit",
}
"""The end of each page's path → its name."""


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def show(org_id: str) -> Response:
    return overview(org_id)


def overview(org_id: str, **values: Any) -> Response:
    """The first page. ``values`` tell of a form that was refused."""
    head = organization.find(org_id, now())
    return _page(
        "",
        head,
        belongings=organization.belongings_of(org_id, now()),
        limits=head.limits(now()),
        **values,
    )


@blueprint.get("/members")
@requires(Staff(Duty.LOOK))
def show_members(org_id: str) -> Response:
    head, search = organization.find(org_id, now()), request.args.get("q", "")
    search = search[: members.SEARCH_LENGTH].replace("\0", "")
    number = request.args.get("page", "")
    page = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 1
    page = max(page, 1)
    with transaction(org_id) as session:
        people, count = members.search(session, search, page)
        invitations = organization_lists.invitations(session)
    is_last = page * members.PAGE_SIZE >= count
    return _page(
        "/members",
        head,
        people=people,
        count=count,
        search=search,
        invitations=invitations,
        older=None if is_last else _query(q=search, page=page + 1),
        newest=_query(q=search, page=page - 1) if page > 1 else None,
    )


@blueprint.get("/keys")
@requires(Staff(Duty.LOOK))
def show_keys(org_id: str) -> Response:
    head, before = organization.find(org_id, now()), plain(request.args.get("before", ""))
    with transaction() as session:
        found = key_management.all_of(session, org_id, now(), before)
    keys = found[:MOST_KEYS]
    last = keys[-1].key.id if len(found) > MOST_KEYS else None
    return _page("/keys", head, keys=keys, **_pager(last))


@blueprint.get("/usage")
@requires(Staff(Duty.LOOK))
def show_usage(org_id: str) -> Response:
    head, mode, days = organization.find(org_id, now()), _mode(), charts.chosen_days()
    first, today = charts.window(days)
    with transaction(org_id) as session:
        chart = usage_days.by_surface(session, mode, first, today)
        consumers = usage_days.consumers(session, mode, first, today, MOST_CONSUMERS)
        refused = refusals.totals(session, mode, first, today)
        months = organization_lists.months(session)
    periods = [(f"{one} days", _query(days=one, mode=mode), one == days) for one in charts.PERIODS]
    return _page(
        "/usage",
        head,
        mode=mode,
        days=days,
        chart=chart,
        bars=charts.bars(chart),
        periods=periods,
        modes=[(one.capitalize(), _query(days=days, mode=one), one == mode) for one in Mode],
        consumers=consumers,
        refused=refused,
        months=months,
    )


@blueprint.get("/ledger")
@requires(Staff(Duty.LOOK))
def show_ledger(org_id: str) -> Response:
    head = organization.find(org_id, now())
    with transaction(org_id) as session:
        found = organization_lists.ledger(session, plain(request.args.get("before", "")))
        names = organization_lists.key_names(session, [one.actor_id for one in found.rows])
    return _page("/ledger", head, entries=found.rows, names=names, **_pager(found.next))


@blueprint.get("/requests")
@requires(Staff(Duty.LOOK))
def show_requests(org_id: str) -> Response:
    head, before = organization.find(org_id, now()), plain(request.args.get("before", ""))
    errors, code = request.args.get("errors") == "1", plain(request.args.get("code", "")).strip()
    with transaction(org_id) as session:
        found = organization_lists.requests(session, before, errors=errors, code=code)
        codes = organization_lists.codes(session, now() - LOGGED)
        names = organization_lists.key_names(session, [one.key_id for one in found.rows])
    codes = sorted({*codes, code} - {""})
    kept = {"errors": "1" if errors else "", "code": code}
    return _page(
        "/requests",
        head,
        entries=found.rows,
        errors=errors,
        code=code,
        codes=[("", "Every answer"), *((one, one) for one in codes)],
        names=names,
        **_pager(found.next, **kept),
    )


@blueprint.get("/images")
@requires(Staff(Duty.LOOK))
def show_images(org_id: str) -> Response:
    head, mode = organization.find(org_id, now()), _mode()
    with transaction(org_id, mode) as session:
        found = organization_lists.images(session, request.args.get("before", "")[:MAX_LENGTH])
    return _page("/images", head, images=found.rows, **_in_mode(mode, found.next))


@blueprint.get("/exports")
@requires(Staff(Duty.LOOK))
def show_exports(org_id: str) -> Response:
    head, mode = organization.find(org_id, now()), _mode()
    with transaction(org_id, mode) as session:
        found = organization_lists.exports(session, request.args.get("before", "")[:MAX_LENGTH])
        data_exports = organization_lists.data_exports(session)
    return _page(
        "/exports",
        head,
        exports=found.rows,
        data_exports=data_exports,
        **_in_mode(mode, found.next),
    )


@blueprint.get("/stripe")
@requires(Staff(Duty.LOOK))
def show_stripe(org_id: str) -> Response:
    head = organization.find(org_id, now())
    with transaction(org_id) as session:
        account, events = organization_lists.billing(session)
    is_test = container().settings.stripe_secret_key.startswith(TEST_KEYS)
    return _page(
        "/stripe",
        head,
        account=account,
        events=events,
        most_events=organization_lists.MOST_EVENTS,
        provider=f"{STRIPE}/test" if is_test else STRIPE,
    )


@blueprint.get("/audit")
@requires(Staff(Duty.LOOK))
def show_audit(org_id: str) -> Response:
    head = organization.find(org_id, now())
    zone, before = head.organization.time_zone, plain(request.args.get("before", ""))
    by_staff = plain(request.args.get("staff", ""))
    with transaction(org_id) as session:
        found = activity.page(session, activity.Filter(), ZoneInfo(zone), before)
        staff = organization_lists.staff_entries(session, by_staff)
    return _page(
        "/audit",
        head,
        entries=found.entries,
        staff_entries=staff.rows,
        staff_older=staff.next and _query(staff=staff.next, before=before),
        staff_newest=_query(before=before) if by_staff else None,
        zone=zone,
        changes=partial(changes_of, zone=zone),
        words_of=activity.words_of,
        **_pager(found.next, staff=by_staff),
    )


def _page(tab: str, head: organization.Head, **values: Any) -> Response:
    """A page of the organization. Its template is named like its path."""
    home = f"/admin/organizations/{head.organization.id}"
    return admin_page(
        f"admin/organizations/{tab.removeprefix('/') or 'overview'}.html",
        head=head,
        organization=head.organization,
        plan=head.plan,
        counters=head.counters,
        owners=head.owners,
        home=home,
        here=f"{home}{tab}",
        tab=TABS[tab],
        now=now(),
        reach=organization_changes.reach_of(head.organization.id, now()),
        once=new_id("form", now()),
        tabs=[(name, f"{home}{end}", end == tab) for end, name in TABS.items()],
        **values,
    )


def _mode() -> Mode:
    return Mode.TEST if request.args.get("mode") == Mode.TEST else Mode.LIVE


def _in_mode(mode: Mode, older: str | None) -> dict[str, Any]:
    """The links of a page whose rows belong to a mode."""
    modes = [(one.capitalize(), _query(mode=one), one == mode) for one in Mode]
    return {"mode": mode, "modes": modes, **_pager(older, mode=mode)}


def _pager(older: str | None, **kept: str) -> dict[str, str | None]:
    """The links to the next page, and back to the first one."""
    return {
        "older": older and _query(**kept, before=older),
        "newest": _query(**kept) if request.args.get("before") else None,
    }


def _query(**values: object) -> str:
    return f"?{urlencode({name: value for name, value in values.items() if value})}"
