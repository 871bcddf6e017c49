"""What an organization has and did, as lists for staff: the newest first, a page at a time.

Sessions are bound to the organization, for images and exports also to a mode.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Select, literal, select, tuple_

from app.models import (
    ApiKey,
    Asset,
    BillingAccount,
    DataExport,
    ErrorDay,
    Export,
    Invitation,
    RequestEntry,
    StaffEntry,
    StripeEvent,
    UsageCounter,
    UsageEntry,
)
from app.services.exports import export_views
from app.services.exports.export_views import ShownExport
from app.services.staff.cursor import Place, decode, encode
from app.tenancy import TenantSession

PAGE_SIZE = 50
MOST_DATA_EXPORTS = 20
MOST_INVITATIONS = 100
MOST_EVENTS = 100
MOST_MONTHS = 24
MAX_TEXT = 64
Row = TypeVar("Row")


class Listed(NamedTuple, Generic[Row]):
    """``next`` is the cursor of the next page, None on the last one."""

    rows: Sequence[Row]
    next: str | None


def plain(text: str) -> str:
    """A cursor or a filter of a query, as the databases take it."""
    return text[:MAX_TEXT].replace("\0", "")


def ledger(session: TenantSession, before: str) -> Listed[UsageEntry]:
    """The entries of live images."""
    return _by_id(session, select(UsageEntry), UsageEntry.id, before)


def months(session: TenantSession) -> Sequence[UsageCounter]:
    """The live images of each month, the newest month first."""
    newest = select(UsageCounter).order_by(UsageCounter.period.desc()).limit(MOST_MONTHS)
    return session.scalars(newest).all()


def requests(
    session: TenantSession, before: str, *, errors: bool, code: str
) -> Listed[RequestEntry]:
    """The requests with keys; those that were refused or failed, or only those with one code."""
    wanted = select(RequestEntry)
    if code:
        wanted = wanted.where(RequestEntry.code == code)
    elif errors:
        wanted = wanted.where(RequestEntry.code.is_not(None))
    return _by_id(session, wanted, RequestEntry.id, before)


def codes(session: TenantSession, since: datetime) -> Sequence[str]:
    """The codes with which requests were refused since that day."""
    found = select(ErrorDay.code).where(ErrorDay.day >= since.date()).distinct()
    return session.scalars(found.order_by(ErrorDay.code)).all()


def images(session: TenantSession, cursor: str) -> Listed[Asset]:
    """The images and videos of the session's mode that are not in the trash."""
    return _by_moment(session, select(Asset), Asset.uploaded_at, Asset.id, cursor)


def exports(session: TenantSession, cursor: str) -> Listed[ShownExport]:
    """The batch exports of the session's mode."""
    found = _by_moment(session, select(Export), Export.created_at, Export.id, cursor)
    return Listed(export_views.shown(session, found.rows), found.next)


def data_exports(session: TenantSession) -> Sequence[DataExport]:
    newest = select(DataExport).order_by(DataExport.id.desc()).limit(MOST_DATA_EXPORTS)
    return session.scalars(newest).all()


def invitations(session: TenantSession) -> Sequence[Invitation]:
    newest = select(Invitation).order_by(Invitation.id.desc()).limit(MOST_INVITATIONS)
    return session.scalars(newest).all()


def key_names(session: TenantSession, ids: Sequence[str]) -> dict[str, str]:
    """The names of the organization's keys, by their ids."""
    own = select(ApiKey.id, ApiKey.name).where(
        ApiKey.org_id == session.org_id, ApiKey.id.in_(set(ids))
    )
    return dict(session.execute(own).all())


def billing(session: TenantSession) -> tuple[BillingAccount | None, Sequence[StripeEvent]]:
    """The organization at the payment provider, and the newest events about it."""
    account = session.scalar(select(BillingAccount))
    if account is None or account.customer_id is None:
        return account, []
    events = (
        select(StripeEvent)
        .where(StripeEvent.subject == account.customer_id)
        .order_by(StripeEvent.received_at.desc(), StripeEvent.id.desc())
        .limit(MOST_EVENTS)
    )
    return account, session.scalars(events).all()


def staff_entries(session: TenantSession, before: str) -> Listed[StaffEntry]:
    """What staff did to the organization."""
    newest = select(StaffEntry).where(StaffEntry.org_id == session.org_id)
    if before.isascii() and before.isdigit() and len(before) < len(str(2**31)):
        newest = newest.where(StaffEntry.number < int(before))
    newest = newest.order_by(StaffEntry.number.desc()).limit(PAGE_SIZE + 1)
    rows = session.scalars(newest).all()
    return _cut(rows, lambda row: str(row.number))


def _by_id(session: TenantSession, wanted: Select[Any], row_id: Any, before: str) -> Listed[Any]:
    """Ids begin with the moment at which they were made."""
    if before:
        wanted = wanted.where(row_id < before)
    rows = session.scalars(wanted.order_by(row_id.desc()).limit(PAGE_SIZE + 1)).all()
    return _cut(rows, lambda row: row.id)


def _by_moment(
    session: TenantSession, wanted: Select[Any], moment: Any, row_id: Any, cursor: str
) -> Listed[Any]:
    place = decode(cursor, datetime)
    if place and place.value is not None:
        there = tuple_(literal(place.value, moment.type), literal(place.id, row_id.type))
        wanted = wanted.where(tuple_(moment, row_id) < there)
    newest = wanted.order_by(moment.desc(), row_id.desc()).limit(PAGE_SIZE + 1)
    rows = session.scalars(newest).all()
    return _cut(rows, lambda row: encode(Place(getattr(row, moment.key), row.id)))


def _cut(rows: Sequence[Any], cursor: Callable[[Any], str]) -> Listed[Any]:
    """The page, of which one row more was read."""
    shown = rows[:PAGE_SIZE]
    return Listed(shown, cursor(shown[-1]) if len(rows) > PAGE_SIZE else None)
