"""What the list of organizations is narrowed to and sorted by."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.models import Organization, folded
from app.services.staff.cursor import Place, decode

MAX_CODE = 32
MAX_TEXT = 255


class Sort(StrEnum):
    NEWEST = "newest"
    NAME = "name"
    USAGE = "usage"
    STORAGE = "storage"
    SEEN = "seen"


class State(StrEnum):
    """How it is with an organization. It may be in several states at once."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"
    OVERDUE = "overdue"
    UNCONFIRMED = "unconfirmed"
    DELETED = "deleted"


KINDS: dict[Sort, type[datetime] | type[str] | type[int]] = {
    Sort.NEWEST: str,
    Sort.NAME: str,
    Sort.USAGE: int,
    Sort.STORAGE: int,
    Sort.SEEN: datetime,
}
"""What the values are that a list is sorted by."""


@dataclass(frozen=True)
class Wanted:
    """Which organizations are wanted, and in which order. ``text`` is the folded beginning of a
    name. Deleted ones are wanted only if ``state`` says so."""

    plan: str = ""
    state: State | None = None
    flagged: bool = False
    text: str = ""
    sort: Sort = Sort.NEWEST

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Wanted":
        """From the query of a page. What can't be read is left out."""
        state, sort = values.get("state", ""), values.get("sort", "")
        return cls(
            plan=values.get("plan", "")[:MAX_CODE].replace("\0", ""),
            state=State(state) if state in list(State) else None,
            flagged=values.get("flagged") == "1",
            text=folded(values.get("q", "")[:MAX_TEXT].replace("\0", "")),
            sort=Sort(sort) if sort in list(Sort) else Sort.NEWEST,
        )

    @property
    def narrows(self) -> bool:
        return bool(self.plan or self.state or self.flagged or self.text)

    def place(self, cursor: str) -> Place | None:
        """What a cursor of this order says; None for anything else, so that the list begins
        anew."""
        return decode(cursor, KINDS[self.sort])


def states_of(organization: Organization) -> list[State]:
    """The gravest first."""
    if organization.deleted_at:
        return [State.DELETED]
    signs = {
        State.DELETING: organization.delete_at,
        State.SUSPENDED: organization.suspended_at,
        State.OVERDUE: organization.plan_lapses_at,
        State.UNCONFIRMED: organization.confirm_by,
    }
    return [state for state, since in signs.items() if since] or [State.ACTIVE]
