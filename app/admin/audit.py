"""``/admin/audit``: the staff's log, as pages and as a CSV file, and whether it is whole."""

from collections.abc import Iterator
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from app.admin.frame import admin_page
from app.extensions import transaction
from app.models import StaffEntry
from app.services import staff_log
from app.services.accounts.activity import words_of
from app.services.staff import log_views
from app.services.staff.duties import Duty
from app.services.staff.log_views import HIGHEST, Filter
from app.services.staff_log import Verdict
from app.web.changes import as_text, changes_of
from app.web.csv_answer import csv_answer
from app.web.requirements import Staff, requires

blueprint = Blueprint("audit", __name__)
COLUMNS = (
    "Number", "Time", "Who", "User", "Action", "Organization", "Subject", "Reason", "Before",
    "After", "Address", "Hash",
)  # fmt: skip
ZONE = "UTC"


@blueprint.get("/audit")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    return _page(None)


@blueprint.get("/audit/check")
@requires(Staff(Duty.LOOK))
def check() -> Response:
    with transaction() as session:
        verdict = staff_log.verify(session)
    return _page(verdict)


@blueprint.get("/audit.csv")
@requires(Staff(Duty.LOOK))
def download() -> Response:
    return csv_answer("staff-log.csv", COLUMNS, _rows(log_views.all_entries(_wanted())))


@blueprint.get("/audit/<int:number>")
@requires(Staff(Duty.LOOK))
def entry(number: int) -> Response:
    with transaction() as session:
        found = log_views.find(session, number)
    return admin_page(
        "admin/audit/entry.html", entry=found, words=words_of(found.action), changes=_changes(found)
    )


def _page(verdict: Verdict | None) -> Response:
    wanted, before = _wanted(), request.args.get("before", "")[:10]
    number = min(int(before), HIGHEST) if before.isascii() and before.isdigit() else None
    with transaction() as session:
        found = log_views.page(session, wanted, number)
        people, actions = log_views.people(session), log_views.actions(session)
    query = wanted.as_query
    following = found.next and urlencode({**query, "before": found.next})
    return admin_page(
        "admin/audit/show.html",
        entries=found.entries,
        older=following and f"/admin/audit?{following}",
        newest=f"/admin/audit?{urlencode(query)}" if number is not None else None,
        csv=f"/admin/audit.csv?{urlencode(query)}",
        wanted=wanted,
        is_filtered=bool(query),
        people=people,
        actions=actions,
        words_of=words_of,
        changes=_changes,
        verdict=verdict,
    )


def _wanted() -> Filter:
    return Filter.read(request.args)


def _changes(entry: StaffEntry) -> Iterator[tuple[str, str, str]]:
    return changes_of(entry, ZONE)


def _rows(entries: Iterator[StaffEntry]) -> Iterator[tuple[object, ...]]:
    for one in entries:
        yield (
            one.number,
            one.created_at.isoformat(timespec="seconds"),
            one.email,
            one.user_id,
            one.action,
            one.org_id or "",
            one.subject or "",
            one.reason,
            as_text(one.before),
            as_text(one.after),
            one.address or "",
            one.hash,
        )
