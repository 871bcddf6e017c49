"""``/admin/audit``: what staff did, and whether the log of it is whole."""

import json
from functools import partial
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from app.admin.frame import admin_page
from app.errors import NotFound
from app.extensions import transaction
from app.models import StaffEntry
from app.services import staff_log
from app.services.accounts.activity import words_of
from app.services.staff import log_pages
from app.services.staff.duties import Duty
from app.services.staff.log_pages import HIGHEST, Filter
from app.web.changes import changes_of
from app.web.csv_answer import csv_answer
from app.web.requirements import Staff, requires

blueprint = Blueprint("audit", __name__, url_prefix="/audit")
COLUMNS = (
    "Number", "Time", "Who", "User", "Action", "Organization", "Subject", "Reason", "Before",
    "After", "Address", "Hash",
)  # fmt: skip


@blueprint.get("")
@requires(Staff(Duty.LOOK))
def show() -> Response:
    wanted, before = Filter.read(request.args), _number(request.args.get("before", ""))
    with transaction() as session:
        found = log_pages.page_of(session, wanted, before)
        people, actions = log_pages.people(session), log_pages.actions(session)
    return _page("admin/audit/index.html", wanted, found, before, people=people, actions=actions)


@blueprint.get("/check")
@requires(Staff(Duty.LOOK))
def check() -> Response:
    """Reads all of the log."""
    with transaction() as session:
        checked = staff_log.verify(session)
    return admin_page("admin/audit/check.html", checked=checked)


@blueprint.get("/<number>")
@requires(Staff(Duty.LOOK))
def show_one(number: str) -> Response:
    wanted = _number(number)
    with transaction() as session:
        entry = session.get(StaffEntry, wanted) if wanted is not None else None
    if entry is None:
        raise NotFound(f"There is no entry {number} in the log.")
    return admin_page("admin/audit/show.html", entry=entry, **_helpers())


@blueprint.get("/staff-log.csv")
@requires(Staff(Duty.LOOK))
def download() -> Response:
    entries = log_pages.all_entries(Filter.read(request.args))
    return csv_answer("staff-log.csv", COLUMNS, map(_cells, entries))


def _page(
    template: str, wanted: Filter, found: log_pages.Page, before: int | None, **values: object
) -> Response:
    query = wanted.as_query
    return admin_page(
        template,
        wanted=wanted,
        entries=found.entries,
        is_filtered=bool(query),
        older=found.next and f"?{urlencode({**query, 'before': found.next})}",
        newest=f"?{urlencode(query)}" if before is not None else None,
        csv=f"/admin/audit/staff-log.csv?{urlencode(query)}",
        **_helpers(),
        **values,
    )


def _helpers() -> dict[str, object]:
    return {"words_of": words_of, "changes": partial(changes_of, zone="UTC")}


def _number(text: str) -> int | None:
    """An entry's number; None for any other text."""
    is_number = text.isascii() and text.isdigit() and len(text) < 11
    return min(int(text), HIGHEST) if is_number else None


def _cells(entry: StaffEntry) -> tuple[object, ...]:
    return (
        entry.number,
        entry.created_at.isoformat(timespec="seconds"),
        entry.email,
        entry.user_id,
        entry.action,
        entry.org_id or "",
        entry.subject or "",
        entry.reason,
        json.dumps(entry.before, ensure_ascii=False),
        json.dumps(entry.after, ensure_ascii=False),
        entry.address or "",
        entry.hash,
    )
