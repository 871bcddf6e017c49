"""Limits on files that can be made again: kept answers, renditions, export ZIPs.

Each kind may use a share of the plan's storage in each mode, in addition to the assets. The file
that was needed longest ago is removed first. The total is a row; a transaction that adds or removes
a file locks it until it ends, so that the limit is never exceeded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from sqlalchemy import Select, case, select, update

from app.models import Kept, KeptBytes
from app.services.accounts.principal import MEGABYTE, Principal
from app.tenancy import TenantSession, insert_if_absent

STORAGE_PERCENT = {Kept.ANSWER: 5, Kept.RENDITION: 25, Kept.EXPORT: 50}
"""Shares of the storage. A ZIP may hold half a library; a streamed export uses no storage."""
TEST_STORAGE_BYTES = 250 * MEGABYTE
"""The storage that test keys' shares are taken from, on any plan: 200 MB in total."""
UNLIMITED_STORAGE_BYTES = 4 * 1024 * 1024 * MEGABYTE
"""The storage that the shares are taken from if the plan's storage has no limit."""
BATCH_SIZE = 500


@dataclass(frozen=True)
class EvictionPolicy:
    """How files of one kind are removed. ``oldest`` selects ids and bytes in the order of removal;
    ``remove`` takes ids."""

    kind: Kept
    oldest: Select[str, int | None]
    remove: Callable[[TenantSession, Sequence[str]], int]


def max_bytes(principal: Principal, kind: Kept) -> int:
    """How many bytes of a kind may be kept for the principal's organization and mode."""
    storage = TEST_STORAGE_BYTES
    if principal.is_live:
        allowed = principal.allowance.storage_bytes
        storage = UNLIMITED_STORAGE_BYTES if allowed is None else allowed
    return storage * STORAGE_PERCENT[kind] // 100


def total(session: TenantSession, kind: Kept) -> int:
    return session.scalar(select(KeptBytes.bytes).where(KeptBytes.kind == kind)) or 0


def add(session: TenantSession, policy: EvictionPolicy, size: int, limit: int) -> bool:
    """Add ``size`` bytes to the total, before the row that names them is written, and make room for
    them. Returns False if ``size`` exceeds the limit."""
    if size > limit:
        return False
    change_total(session, policy.kind, size)
    while (over := total(session, policy.kind) - limit) > 0:
        rows = session.execute(policy.oldest.limit(BATCH_SIZE)).all()
        freed = accumulate((row[1] or 0 for row in rows), initial=0)
        enough = [
            row[0] for row, (before, _) in zip(rows, pairwise(freed), strict=True) if before < over
        ]
        if not enough:
            break
        policy.remove(session, enough)
    return True


def lock(session: TenantSession, kind: Kept) -> None:
    """Wait for other transactions that add or remove. Call it before rows of that kind are changed,
    so that no deadlock arises."""
    change_total(session, kind, 0)


def change_total(session: TenantSession, kind: Kept, by: int) -> None:
    """Add ``by`` bytes, which may be negative, to the total.

    The total never falls below 0: files that an older release adds while this one starts are not
    counted, but are removed like all others.
    """
    after = KeptBytes.bytes + by
    changed = (
        update(KeptBytes)
        .where(KeptBytes.kind == kind)
        .values(bytes=case((after < 0, 0), else_=after))
    )
    if not session.change(changed):
        insert_if_absent(session, KeptBytes, kind=kind, bytes=0)
        session.change(changed)
