"""Staff put the usage of a month right: an entry in the ledger, and the counter with it."""

from datetime import datetime

from sqlalchemy import select, update

from app.errors import BadRequest, Conflict
from app.models import Actor, EntryState, Mode, UsageCounter, UsageEntry, new_id
from app.services import audit
from app.services.usage import days
from app.services.usage.days import CORRECTION, CREDIT
from app.services.usage.periods import day_of, period_of
from app.tenancy import TenantSession, insert_if_absent

REFERENCE_CHARACTERS = 64
MOST = 100_000_000
"""Images of one correction."""
HIGHEST = 2_000_000_000
"""Images of a month that corrections lead to; a counter is a 32-bit integer."""


def correct(
    session: TenantSession, images: int, once: str, actor: Actor, now: datetime
) -> UsageEntry:
    """Add live images to this month of the session's organization, or take ``-images`` away. The
    counters of keys with a cap, and the payment provider's meter, stay as they are.

    ``once`` names the form, which counts only once however often it is sent. Raises Conflict if it
    was sent before, and BadRequest if more would be taken away than is used, or be used than a
    counter holds: nobody has less than nothing.
    """
    if not 0 < abs(images) <= MOST:
        raise BadRequest.of_fields([f"images: enter a whole number from 1 to {MOST:,}"], "")
    period = period_of(now)
    insert_if_absent(session, UsageCounter, period=period, used=0, reserved=0)
    counted = update(UsageCounter).where(
        UsageCounter.period == period,
        UsageCounter.used.between(max(0, -images), HIGHEST - max(0, images)),
    )
    if not session.change(counted.values(used=UsageCounter.used + images)):
        used = session.scalar(select(UsageCounter.used).where(UsageCounter.period == period))
        problem = "has room for fewer" if images > 0 else f"has used {used:,} only"
        raise BadRequest.of_fields([f"images: this month {problem}"], "")
    reference = f"staff {once}"[:REFERENCE_CHARACTERS]
    if session.scalar(select(UsageEntry.id).where(UsageEntry.reference == reference)):
        raise Conflict("This correction was made already. Look at the ledger.")
    entry = UsageEntry(
        id=new_id("use", now),
        actor=actor,
        kind=CORRECTION if images > 0 else CREDIT,
        period=period,
        state=EntryState.SETTLED,
        images=abs(images),
        reference=reference,
        lease_until=now,
        created_at=now,
    )
    session.add(entry)
    session.flush()
    days.add(session, day_of(now), Mode.LIVE, entry.kind, actor, images)
    after = {"images": images, "entry": entry.id}
    audit.record(session, actor, "usage.corrected", {}, after, now)
    return entry
