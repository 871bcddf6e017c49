"""``/admin/organizations``: all organizations, as a list and as a CSV file."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from app.admin.frame import admin_page
from app.extensions import transaction
from app.services.staff import organizations
from app.services.staff.cursor import MAX_LENGTH
from app.services.staff.duties import Duty
from app.services.staff.organization_filter import Sort, State, Wanted
from app.services.staff.organizations import Row
from app.tenancy import unscoped
from app.web.context import now
from app.web.csv_answer import csv_answer
from app.web.requirements import Staff, requires

blueprint = Blueprint("organizations", __name__)
HOME = "/admin/organizations"
SORTS = {
    Sort.NEWEST: "Newest first",
    Sort.NAME: "Name",
    Sort.USAGE: "Images this month",
    Sort.STORAGE: "Storage",
    Sort.SEEN: "Last seen",
}
STATES = {
    State.ACTIVE: "Active",
    State.SUSPENDED: "Suspended",
    State.DELETING: "Being deleted",
    State.OVERDUE: "Payment overdue",
    State.UNCONFIRMED: "Unconfirmed",
    State.DELETED: "Deleted",
}
HEADS = (
    ("Name", "", Sort.NAME),
    ("Plan", "minor", None),
    ("Images this month", "right minor", Sort.USAGE),
    ("Storage", "right minor", Sort.STORAGE),
    ("Last seen", "minor", Sort.SEEN),
    ("State", "", None),
    ("Created", "minor", Sort.NEWEST),
)
"""The columns of the page: text, class, and what a link in the head sorts by."""
COLUMNS = (
    "Id", "Name", "Plan", "Images this month", "Storage in bytes", "Last seen", "State", "Flag",
    "Created",
)  # fmt: skip


@blueprint.get("/organizations")
@requires(Staff(Duty.LOOK))
def index() -> Response:
    wanted = Wanted.read(request.args)
    cursor = request.args.get("after", "")[: MAX_LENGTH + 1]
    with transaction() as session, unscoped(session, "the list of organizations"):
        found = organizations.page_of(session, wanted, now(), wanted.place(cursor))
        plans = organizations.plan_codes(session)
    return admin_page(
        "admin/organizations/index.html",
        rows=found.rows,
        wanted=wanted,
        text=request.args.get("q", "").replace("\0", "")[:MAX_LENGTH],
        plans=[("", "Every plan"), *((code, code.capitalize()) for code in plans)],
        states=[("", "All but deleted"), *STATES.items()],
        sorts=list(SORTS.items()),
        columns=[_head(wanted, *head) for head in HEADS],
        older=found.next and _query(after=found.next),
        first=_query() if cursor else None,
        csv=f"{HOME}.csv{_query()}",
    )


@blueprint.get("/organizations.csv")
@requires(Staff(Duty.LOOK))
def download() -> Response:
    rows = organizations.all_rows(Wanted.read(request.args), now())
    return csv_answer("organizations.csv", COLUMNS, map(_cells, rows))


def _cells(row: Row) -> tuple[object, ...]:
    own = row.organization
    return (
        own.id,
        own.name,
        row.plan,
        row.used,
        row.stored,
        _moment(own.last_seen_at),
        ", ".join(row.states),
        own.flag or "",
        _moment(own.created_at),
    )


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def _query(**values: str) -> str:
    """The query that the page was asked with, and ``values``."""
    kept = {
        name: value[:MAX_LENGTH]
        for name in ("q", "plan", "state", "flagged", "sort")
        if (value := request.args.get(name))
    }
    return f"?{urlencode(kept | values)}"


def _head(wanted: Wanted, text: str, classes: str, sort: Sort | None) -> dict[str, Any]:
    head: dict[str, Any] = {"text": text, "class": classes or None}
    if sort is None:
        return head
    direction = "ascending" if sort is Sort.NAME else "descending"
    is_this = wanted.sort is sort
    return head | {"href": _query(sort=sort), "sort": direction if is_this else None}
