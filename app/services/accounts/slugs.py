"""Slugs: the names of organizations in the paths of the dashboard."""

import re
import secrets
import unicodedata

from sqlalchemy import or_, select

from app.models import FormerSlug, Organization
from app.tenancy import TenantSession

STEM_LENGTH = 48
FALLBACK = "organization"
RESERVED = frozenset({"new"})
"""Names that paths below ``/dashboard`` use themselves."""


def stem_of(name: str) -> str:
    """The letters and digits of ``name`` in ASCII, with hyphens between the words."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain)[:STEM_LENGTH].strip("-") or FALLBACK


def unused(session: TenantSession, name: str) -> str:
    """A slug for ``name`` that no organization has or had: with four random digits if the plain
    one is taken."""
    stem = stem_of(name)
    slug = stem
    while slug in RESERVED or holder(session, slug):
        slug = f"{stem}-{secrets.randbelow(9000) + 1000}"
    return slug


def holder(session: TenantSession, slug: str) -> str | None:
    """The id of the organization that has or had the slug; None if it is free."""
    former = select(FormerSlug.org_id).where(FormerSlug.slug == slug)
    return session.scalar(
        select(Organization.id).where(
            or_(Organization.slug == slug, Organization.id == former.scalar_subquery())
        )
    )
