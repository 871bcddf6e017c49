"""An organization's space in storage, reserved before bytes are stored and released when they are
deleted.

Each organization has one counter. One conditional UPDATE raises it, so that parallel uploads never
exceed the plan's limit.
"""

from sqlalchemy import select, update

from app.errors import QuotaExceeded
from app.models import StorageCounter
from app.services.accounts.principal import MEGABYTE, Allowance
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
        f"{allowance.plan} plan. Delete assets or upgrade the plan.{allowance.arrears}"
    )


def release(session: TenantSession, size: int) -> None:
    session.change(update(StorageCounter).values(bytes=StorageCounter.bytes - size))


def used(session: TenantSession) -> int:
    """The bytes of all assets and of unfinished uploads."""
    return session.scalar(select(StorageCounter.bytes)) or 0
