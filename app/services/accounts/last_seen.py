"""When an organization was seen last, for our own people."""

from datetime import datetime, timedelta

from sqlalchemy import or_, update

from app.models import Organization
from app.tenancy import TenantSession

RESOLUTION = timedelta(hours=1)
"""It is written at most this often, because every request comes by here."""


def note(session: TenantSession, organization: Organization, now: datetime) -> None:
    """Remember that a key or a member of the organization was here."""
    stale = now - RESOLUTION
    if organization.last_seen_at is not None and organization.last_seen_at > stale:
        return
    seen = update(Organization).where(
        Organization.id == organization.id,
        or_(Organization.last_seen_at.is_(None), Organization.last_seen_at <= stale),
    )
    session.change(seen.values(last_seen_at=now))
