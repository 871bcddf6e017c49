"""``/admin/abuse``: who is refused how often, and from where."""

from dataclasses import dataclass
from ipaddress import ip_network

from flask import Blueprint, Response, request
from redis.exceptions import RedisError
from sqlalchemy import select

from app.admin.frame import admin_page
from app.extensions import transaction
from app.models import Organization
from app.services.blocks import text_of
from app.services.staff.duties import Duty
from app.web import abuse_counts, blocks, limits
from app.web.abuse_counts import Counted, Period, Series
from app.web.context import container, now
from app.web.limits import SERVER, Room
from app.web.requirements import Staff, requires

blueprint = Blueprint("abuse", __name__)


@dataclass(frozen=True)
class Table:
    """A list of the page. ``of`` is what stands in its rows, ``unit`` what was counted."""

    series: Series
    title: str
    hint: str
    of: str
    unit: str


TABLES = (
    Table(
        Series.REFUSED_ORGANIZATIONS,
        "Refused requests",
        "With a key or by a member, whatever the reason.",
        "Organization",
        "Refused",
    ),
    Table(
        Series.UNKNOWN_ADDRESSES,
        "Unknown keys and wrong passwords",
        "Requests that were answered with 401, and passwords that were not the account's.",
        "Address",
        "Tries",
    ),
    Table(
        Series.LIMITED_ADDRESSES,
        "Over a rate limit",
        "Requests that were answered with 429.",
        "Address",
        "Refused",
    ),
    Table(
        Series.HOSTILE_ORGANIZATIONS,
        "Hostile files, by organization",
        "Refused as unreadable, as too large or because they took too long.",
        "Organization",
        "Files",
    ),
    Table(
        Series.HOSTILE_ADDRESSES,
        "Hostile files, by address",
        "Also those that visitors tried without an account.",
        "Address",
        "Files",
    ),
)


@dataclass(frozen=True)
class Row:
    """``name`` is the id of an organization or a network, ``text`` how it is shown; ``rooms`` is
    how much is used of its limits of registrations."""

    name: str
    text: str
    times: int
    is_blocked: bool = False
    rooms: tuple[Room, ...] = ()


@blueprint.get("/abuse")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    period = Period.DAY if request.args.get("period") == Period.DAY else Period.HOUR
    try:
        counted = abuse_counts.top(container().redis, period, now())
        rooms = limits.registrations_of([one.name for one in counted[Series.REGISTRATIONS]])
    except RedisError:
        return admin_page("admin/abuse/show.html", period=period, is_down=True)
    names = _names([one.name for series in Series for one in counted[series]])
    return admin_page(
        "admin/abuse/show.html",
        period=period,
        tables=[(table, _rows(counted[table.series], names)) for table in TABLES],
        registrations=_rows(counted[Series.REGISTRATIONS], names, rooms),
        server=rooms[SERVER],
        is_down=False,
    )


def _rows(
    counted: list[Counted], names: dict[str, str], rooms: dict[str, list[Room]] | None = None
) -> list[Row]:
    rows = []
    for name, times in counted:
        if name.startswith("org_"):
            rows.append(Row(name, names.get(name, "An organization that is gone"), times))
        else:
            used = tuple((rooms or {}).get(name, ()))
            held = blocks.known().hold(ip_network(name).network_address)
            rows.append(Row(name, text_of(name), times, held, used))
    return rows


def _names(ids: list[str]) -> dict[str, str]:
    """The names of those that are organizations."""
    wanted = select(Organization.id, Organization.name).where(Organization.id.in_(ids))
    with transaction() as session:
        return {row.id: row.name for row in session.execute(wanted)}
