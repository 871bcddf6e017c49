"""Bounds on what can be made again: kept answers, renditions, ZIPs of exports.

Each kind may take a share of the plan's storage in each mode, beside what assets take; what was
needed longest ago goes first. The sum is a row that whoever adds or removes holds until the
transaction ends, so that it is never passed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from sqlalchemy import Select, case, select, update

from app.models import Kept, KeptBytes
from app.services.accounts.principal import MEGABYTE, Principal
from app.tenancy import TenantSession, insert_if_absent

PERCENT = {Kept.ANSWER: 5, Kept.RENDITION: 25, Kept.EXPORT: 50}
"""Of the storage: a ZIP may hold half a library, and a streamed export takes nothing."""
TEST_STORAGE = 250 * MEGABYTE
"""What test keys' shares are of, on any plan: 200 MB in all."""
UNLIMITED_STORAGE = 4 * 1024 * 1024 * MEGABYTE
"""What the shares are of where the plan's storage has no limit."""
AT_ONCE = 500


@dataclass(frozen=True)
class EvictionPolicy:
    """Where one kind is kept. ``oldest``: ids and bytes, in the order in which they go. ``remove``
    takes ids."""

    kind: Kept
    oldest: Select[str, int | None]
    remove: Callable[[TenantSession, Sequence[str]], int]


def most(principal: Principal, kind: Kept) -> int:
    """How many bytes of a kind are kept for the principal's organization and mode."""
    storage = TEST_STORAGE
    if principal.is_live:
        allowed = principal.allowance.storage_bytes
        storage = UNLIMITED_STORAGE if allowed is None else allowed
    return storage * PERCENT[kind] // 100


def total(session: TenantSession, kind: Kept) -> int:
    return session.scalar(select(KeptBytes.bytes).where(KeptBytes.kind == kind)) or 0


def add(session: TenantSession, shelf: EvictionPolicy, size: int, limit: int) -> bool:
    """Count ``size`` bytes, before the row that names them, and make room for them. False where
    they never fit."""
    if size > limit:
        return False
    shift(session, shelf.kind, size)
    while (over := total(session, shelf.kind) - limit) > 0:
        rows = session.execute(shelf.oldest.limit(AT_ONCE)).all()
        freed = accumulate((row[1] or 0 for row in rows), initial=0)
        enough = [
            row[0] for row, (before, _) in zip(rows, pairwise(freed), strict=True) if before < over
        ]
        if not enough:
            break
        shelf.remove(session, enough)
    return True


def lock(session: TenantSession, kind: Kept) -> None:
    """Wait for whoever adds or removes. Before rows of that kind are touched: so nobody waits for
    each other."""
    shift(session, kind, 0)


def shift(session: TenantSession, kind: Kept, by: int) -> None:
    """Count ``by`` bytes more, or less.

    Never less than none: what an older release adds while this one starts is not counted, and goes
    as all do.
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
