"""An organization's space in storage, reserved before bytes are stored and released when they are
deleted for good.

Each organization has one counter. One conditional UPDATE raises it, so that parallel uploads never
exceed the plan's limit.
"""

from sqlalchemy import select, update

from app.errors import QuotaExceeded
from app.models import StorageCounter
from app.services.accounts.principal import MEGABYTE, Allowance
from app.services.library import facet_counts
from app.tenancy import TenantSession, insert_if_absent


def reserve(session: TenantSession, allowance: Allowance, size: int) -> None:
    """Reserve ``size`` bytes. Raises QuotaExceeded if the plan has no room for them."""
    insert_if_absent(session, StorageCounter, bytes=0)
    statement = update(StorageCounter).values(bytes=StorageCounter.bytes + size)
    if allowance.storage_bytes is not None:
        statement = statement.where(StorageCounter.bytes + size <= allowance.storage_bytes)
    if session.change(statement):
        return
    total = (allowance.storage_bytes or 0) // MEGABYTE
    raise QuotaExceeded(
        f"The file does not fit: {used(session) // MEGABYTE:,} of {total:,} MB are used on the "
        f"{allowance.plan} plan{_in_trash(session)}. Delete assets and empty the trash in the "
        f"dashboard, or upgrade the plan.{allowance.arrears}"
    )


def release(session: TenantSession, size: int) -> None:
    session.change(update(StorageCounter).values(bytes=StorageCounter.bytes - size))


def used(session: TenantSession) -> int:
    """The bytes of all assets, those in the trash too, and of unfinished uploads."""
    return session.scalar(select(StorageCounter.bytes)) or 0


def _in_trash(session: TenantSession) -> str:
    """How much of the used space the trash of this mode holds, for a refusal."""
    size = facet_counts.of(session, [facet_counts.TRASH_BYTES])[facet_counts.TRASH_BYTES]
    return f", of which {size // MEGABYTE:,} MB are in the trash" if size >= MEGABYTE else ""
