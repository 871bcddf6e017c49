"""Staff look at an organization's pages as its owner sees them, for half an hour, and change
nothing (docs/decisions/046)."""

from datetime import datetime, timedelta

from sqlalchemy import select, update

from app.errors import NotFound
from app.extensions import transaction
from app.models import Actor, ActorKind, Mode, Organization, Plan, Role, SignIn
from app.services import audit
from app.services.accounts.identity import has_slug
from app.services.accounts.principal import Allowance, Principal
from app.services.accounts.sign_ins import Person
from app.services.staff import duties
from app.services.staff.duties import Duty
from app.tenancy import TenantSession

LASTS = timedelta(minutes=30)


def begin(session: TenantSession, person: Person, actor: Actor, now: datetime) -> str:
    """Let the person's session look at the pages of ``session``'s organization, which reads of it
    in its audit log. Returns the slug. Raises NotFound."""
    slug = session.scalar(select(Organization.slug).where(Organization.id == session.org_id))
    if slug is None:
        raise NotFound(f"There is no organization {session.org_id}, or it is being erased.")
    until = now + LASTS
    audit.record(session, actor, "organization.viewed", {}, {"until": until}, now)
    _set(session, person, session.org_id, until)
    return slug


def end(session: TenantSession, person: Person) -> None:
    """End what the person's session looks at, if anything."""
    _set(session, person, None, None)


def _set(
    session: TenantSession, person: Person, org_id: str | None, until: datetime | None
) -> None:
    own = update(SignIn).where(SignIn.id == person.sign_in_id)
    session.change(own.values(viewing_org_id=org_id, viewing_until=until))


def viewed(person: Person, now: datetime) -> str | None:
    """The id of the organization that the person looks at just now."""
    if person.viewing_until is None or person.viewing_until <= now:
        return None
    role = person.staff_role
    may_view = person.counts_as_staff and role is not None and duties.may(role, Duty.VIEW_AS)
    return person.viewing_org_id if may_view else None


def viewer_of(
    person: Person, slug: str, mode: Mode, address: str, now: datetime, test_images: int
) -> Principal | None:
    """The principal of a member of staff who looks at the organization with this slug, or with this
    former slug, which sees what an owner sees. None if they look at no such one.

    The arguments are those of ``identity.member_of``. Nothing is written.
    """
    org_id = viewed(person, now)
    if org_id is None:
        return None
    wanted = (
        select(Organization, Plan)
        .join(Plan, Plan.code == Organization.plan_code_at(now))
        .where(Organization.id == org_id, Organization.slug.is_not(None), has_slug(slug))
    )
    with transaction() as session:
        row = session.execute(wanted).one_or_none()
    if row is None:
        return None
    return Principal(
        org_id=org_id,
        actor=Actor(ActorKind.STAFF, person.user_id, address),
        mode=mode,
        scopes=frozenset({"read"}),
        allowance=Allowance.of(row.Plan, row.Organization, now, test_images),
        rate_limit_id=person.user_id,
        role=Role.OWNER,
        slug=row.Organization.slug,
        viewing=True,
    )
