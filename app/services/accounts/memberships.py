"""The organizations that a person belongs to."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.models import Membership, Organization, Role
from app.tenancy import TenantSession


@dataclass(frozen=True)
class Belonging:
    """An organization as its members' switcher shows it, and the person's role in it.
    ``delete_at`` is set while it is being deleted."""

    id: str
    name: str
    slug: str
    role: Role
    delete_at: datetime | None = None


def organizations_of(session: TenantSession, user_id: str) -> list[Belonging]:
    """The organizations of a person, by name."""
    rows = session.execute(
        select(
            Organization.id, Organization.name, Organization.slug, Membership.role,
            Organization.delete_at,
        )
        .join(Membership, Membership.org_id == Organization.id)
        .where(Membership.user_id == user_id, Organization.slug.is_not(None))
        .order_by(Organization.name, Organization.id)
    )  # fmt: skip
    return [Belonging(row.id, row.name, row.slug, Role(row.role), row.delete_at) for row in rows]


def seen_as(session: TenantSession, org_id: str, role: Role) -> Belonging:
    """An organization as somebody of this role would see it. It must be there."""
    found = session.get_one(Organization, org_id)
    return Belonging(found.id, found.name, str(found.slug), role, found.delete_at)
