"""``/admin/announcements``: banners for customers, and maintenance."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, request, url_for
from sqlalchemy import or_, select
from werkzeug.wrappers import Response as BaseResponse

from app.admin.acting import Act, acting
from app.admin.frame import admin_page
from app.errors import AppError, BadRequest, Conflict, NotFound
from app.extensions import transaction
from app.models import Announcement, AnnouncementKind, Organization, Plan
from app.services import announcements
from app.services.announcements import Wanted
from app.services.staff.duties import Duty
from app.tenancy import TenantSession
from app.web import announcing
from app.web.context import now
from app.web.page_forms import problems_of, refused
from app.web.requirements import Staff, requires
from app.web.sessions import person

blueprint = Blueprint("announcements", __name__, url_prefix="/announcements")

MINUTE = "%Y-%m-%dT%H:%M"
"""As browsers send moments; they are in UTC here."""
MAX_FIELD = 2000
MAX_ID = 64
EVERYBODY, ONE, PLAN = "everybody", "organization", "plan:"
"""For whom: all, one organization, or ``plan:`` with a code."""
FIELDS = ("text", "audience", "organization", "starts", "ends", "reason")


@blueprint.get("")
@requires(Staff(Duty.ANNOUNCE))
def index() -> Response:
    moment = now()
    before = _clean(request.args.get("before", ""))[:MAX_ID]
    with transaction() as session:
        there = announcements.not_ended(session, moment)
        past = announcements.ended(session, moment, before)
        names = _names(session, [*there, *past.found])
    return admin_page(
        "admin/announcements/index.html",
        running=[one for one in there if announcements.holds(one, moment)],
        coming=[one for one in there if not announcements.holds(one, moment)],
        past=past,
        names=names,
        is_first=not before,
        asked=request.args.get("confirm", ""),
    )


@blueprint.get("/new")
@requires(Staff(Duty.ANNOUNCE))
def ask_new() -> Response:
    return _form("new", _as_fields(_clean(request.args.get("instead_of", ""))[:MAX_ID]))


@blueprint.get("/maintenance")
@requires(Staff(Duty.ANNOUNCE))
def ask_maintenance() -> Response:
    return _form("maintenance", {})


@blueprint.post("/new")
@requires(Staff(Duty.ANNOUNCE))
def make() -> BaseResponse:
    """Announce something; what ``instead_of`` names ends, as a change of it."""
    former = _field("instead_of", MAX_ID)
    try:
        wanted = _wanted(AnnouncementKind.BANNER)
        with acting("announcement.made", org_id=wanted.org_id) as act:
            if former:
                act.before = _state(announcements.end(act.session, former, act.now))
            _make(act, wanted)
    except (BadRequest, Conflict, NotFound) as refusal:
        return _form("new", _typed() | {"instead_of": former}, refusal)
    return _done("The announcement was changed." if former else "It is announced.")


@blueprint.post("/maintenance")
@requires(Staff(Duty.ANNOUNCE))
def begin_maintenance() -> BaseResponse:
    try:
        wanted = _wanted(AnnouncementKind.MAINTENANCE)
        with acting("maintenance.begun") as act:
            _make(act, wanted)
    except (BadRequest, Conflict) as refusal:
        return _form("maintenance", _typed(), refusal)
    return _done("Maintenance is planned." if wanted.starts_at else "Maintenance has begun.")


@blueprint.post("/<announcement_id>/end")
@requires(Staff(Duty.ANNOUNCE))
def end(announcement_id: str) -> BaseResponse:
    with transaction() as session:
        found = announcements.get(session, announcement_id)
    is_banner = found.kind == AnnouncementKind.BANNER
    action = "announcement.ended" if is_banner else "maintenance.ended"
    with acting(action, org_id=found.org_id, subject=found.id) as act:
        act.before = _state(found)
        act.after = _state(announcements.end(act.session, found.id, act.now))
    return _done("The announcement has ended." if is_banner else _what_of_writes())


def _make(act: Act, wanted: Wanted) -> None:
    made = announcements.make(act.session, wanted, person().user_id, act.now)
    act.subject, act.after = made.id, _state(made)


def _what_of_writes() -> str:
    announcing.board().forget()
    if announcing.maintenance():
        return "It has ended. Another maintenance goes on, so writes are still refused."
    return "Writes are taken again."


def _done(sentence: str) -> BaseResponse:
    announcing.board().forget()
    flash(sentence)
    return redirect(url_for("admin.announcements.index"), 303)


def _state(announcement: Announcement) -> dict[str, Any]:
    return {
        "text": announcement.text,
        "plan": announcement.plan_code,
        "organization": announcement.org_id,
        "starts": announcement.starts_at,
        "ends": announcement.ends_at,
    }


# ── the forms ─────────────────────────────────────────────────────────────────────────────────────


def _wanted(kind: AnnouncementKind) -> Wanted:
    """What the form asks for. Raises BadRequest, whose problems name the fields."""
    problems: list[str] = []
    audience = _field("audience", MAX_ID) or EVERYBODY
    with transaction() as session:
        plans = _plans(session)
        org_id = _organization(session) if audience == ONE else None
    plan = audience.removeprefix(PLAN) if audience.startswith(PLAN) else None
    if audience == ONE and org_id is None:
        problems.append("organization: no organization has this id or slug")
    if audience not in (EVERYBODY, ONE) and plan not in plans:
        problems.append("audience: choose whom it is for")
    starts_at, ends_at = (_moment(name, problems) for name in ("starts", "ends"))
    if problems:
        raise BadRequest.of_fields(problems, "Several fields are not valid.")
    text = " ".join(_field("text", MAX_FIELD).split())
    return Wanted(kind, text, plan, org_id, starts_at, ends_at)


def _organization(session: TenantSession) -> str | None:
    typed = _field("organization", MAX_ID)
    named = or_(Organization.id == typed, Organization.slug == typed)
    return session.scalar(select(Organization.id).where(named).limit(1))


def _moment(name: str, problems: list[str]) -> datetime | None:
    """The moment in a field, or None if it is empty."""
    typed = _field(name, MAX_ID)
    if not typed:
        return None
    try:
        return datetime.strptime(typed, MINUTE).replace(tzinfo=UTC)
    except ValueError:
        problems.append(f"{name}: write a day and a time, such as 2026-11-24T16:05")
        return None


def _field(name: str, most: int) -> str:
    return _clean(request.form.get(name, ""))[:most].strip()


def _clean(text: str) -> str:
    return text.replace("\0", "")


def _typed() -> dict[str, str]:
    return {name: _field(name, MAX_FIELD) for name in FIELDS}


def _as_fields(announcement_id: str) -> dict[str, str]:
    """What the form holds at first: what it changes, if that is there."""
    if not announcement_id:
        return {}
    with transaction() as session:
        one = announcements.get(session, announcement_id)
    for_one = ONE if one.org_id else EVERYBODY
    return {
        "text": one.text,
        "audience": f"{PLAN}{one.plan_code}" if one.plan_code else for_one,
        "organization": one.org_id or "",
        "starts": f"{one.starts_at:{MINUTE}}" if one.starts_at > now() else "",
        "ends": f"{one.ends_at:{MINUTE}}" if one.ends_at else "",
        "instead_of": one.id,
    }


def _form(name: str, values: dict[str, str], refusal: AppError | None = None) -> Response:
    with transaction() as session:
        plans = _plans(session)
    audiences = [(EVERYBODY, "All organizations"), (ONE, "One organization")]
    audiences += [(f"{PLAN}{code}", f"{code.capitalize()} plan") for code in plans]
    answer = admin_page(
        f"admin/announcements/{name}.html",
        values=values,
        audiences=audiences,
        problems=problems_of(refusal),
        most=announcements.TEXT_CHARACTERS,
    )
    return refused(answer, refusal)


def _plans(session: TenantSession) -> list[str]:
    return list(session.scalars(select(Plan.code).order_by(Plan.code).limit(MAX_FIELD)))


def _names(session: TenantSession, found: list[Announcement]) -> dict[str, str]:
    """The names of the organizations that the announcements are for, by id."""
    ids = {one.org_id for one in found if one.org_id}
    rows = session.execute(
        select(Organization.id, Organization.name).where(Organization.id.in_(ids))
    )
    return {row.id: row.name for row in rows}
