"""The organizations of a person: create one, rename it, and which one comes first."""

import re
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select, update

from app.errors import BadRequest, Conflict
from app.models import Actor, FormerSlug, Membership, Organization, Role, User
from app.services import audit
from app.services.accounts import identity, members, slugs
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.services.accounts.sign_ins import Person
from app.services.filenames import has_controls
from app.tenancy import TenantSession, bind_org

NAME_LENGTH = 100
MOST_OWNED = 20
"""How many organizations one person may own."""
MOST_FORMER_SLUGS = 10
REPEATED = timedelta(minutes=1)
"""An organization is not made twice with the same name within this time: the form was sent
twice."""

_SLUG = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


def home_of(session: TenantSession, person: Person) -> str | None:
    """The slug of the organization that the person used last, or of another one of theirs. None if
    they have none."""
    return session.scalar(
        select(Organization.slug)
        .join(Membership, Membership.org_id == Organization.id)
        .where(Membership.user_id == person.user_id, Organization.slug.is_not(None))
        .order_by((Organization.id == person.last_org_id).desc(), Organization.id)
        .limit(1)
    )


def create(session: TenantSession, actor: Actor, name: str, now: datetime) -> Organization:
    """Create an organization that the user owns; the session is bound to it. Raises BadRequest,
    and Conflict if they own as many as one may."""
    name = plain_name(name)
    user_id = actor.id
    # Of two requests at the same moment the second waits here, also on SQLite.
    session.change(update(User).where(User.id == user_id).values(created_at=User.created_at))
    repeated = _owned_by(user_id).where(
        Organization.name == name, Organization.created_at > now - REPEATED
    )
    if made := session.scalars(repeated.limit(1)).one_or_none():
        bind_org(session, made.id)
        return made
    owned = session.scalar(_owned_by(user_id).with_only_columns(func.count()))
    if owned and owned >= MOST_OWNED:
        raise Conflict(
            f"You own {MOST_OWNED} organizations, the most that one person may. Delete one, or "
            "make somebody else its owner and step down."
        )
    organization = identity.create_organization(session, user_id, name, now)
    bind_org(session, organization.id)
    after = {"name": name, "slug": organization.slug}
    audit.record(session, actor, "organization.created", {}, after, now)
    return organization


def rename(
    session: TenantSession, principal: Principal, name: str, slug: str, now: datetime
) -> None:
    """Change the name and the slug of the session's organization. The former slug leads on to it.
    Raises RoleTooLow, BadRequest, and Conflict for a slug that another organization has or had.

    ``errors`` of a refusal name the field: ``name`` or ``slug``.
    """
    principal = members.lock(session, principal)
    principal.require(Action.RENAME)
    name, slug = plain_name(name), plain_slug(slug)
    organization = session.get_one(Organization, session.org_id)
    before = {"name": organization.name, "slug": organization.slug}
    if slug != organization.slug:
        _move(session, organization, slug)
    organization.name = name
    after = {"name": name, "slug": slug}
    audit.record(session, principal.actor, "organization.renamed", before, after, now)


def plain_name(name: str) -> str:
    """The name with single spaces. Raises BadRequest for one that is empty, longer than 100
    characters or holds control characters."""
    plain = " ".join(name.split())
    if not any(map(str.isprintable, plain)):
        raise _of_field("name", "Enter a name.")
    if len(plain) > NAME_LENGTH:
        raise _of_field("name", f"Choose a name of at most {NAME_LENGTH} characters.")
    if has_controls(plain):
        raise _of_field("name", "The name holds control characters. Type it anew.")
    return plain


def plain_slug(slug: str) -> str:
    """Raises BadRequest for a text that can't stand in a path."""
    plain = slug.strip().lower()
    if not _SLUG.fullmatch(plain) or len(plain) > slugs.STEM_LENGTH:
        raise _of_field(
            "slug",
            f"Use up to {slugs.STEM_LENGTH} of the letters a to z, digits, and hyphens between "
            "them.",
        )
    return plain


def _move(session: TenantSession, organization: Organization, slug: str) -> None:
    if slug in slugs.RESERVED or slugs.holder(session, slug) not in (None, organization.id):
        raise _conflict_of_slug("This path is taken. Try another one.")
    own = session.get(FormerSlug, slug)
    former = select(func.count()).where(FormerSlug.org_id == organization.id)
    if own:
        session.delete(own)
    elif (session.scalar(former) or 0) >= MOST_FORMER_SLUGS:
        raise _conflict_of_slug(
            f"This organization had {MOST_FORMER_SLUGS} other paths. Go back to one of them."
        )
    if organization.slug:
        session.add(FormerSlug(slug=organization.slug, org_id=organization.id))
    organization.slug = slug


def _owned_by(user_id: str) -> Select[Organization]:
    return (
        select(Organization)
        .join(Membership, Membership.org_id == Organization.id)
        .where(Membership.user_id == user_id, Membership.role == Role.OWNER)
    )


def _of_field(field: str, problem: str) -> BadRequest:
    return BadRequest(problem, errors=[f"{field}: {problem}"])


def _conflict_of_slug(problem: str) -> Conflict:
    return Conflict(problem, errors=[f"slug: {problem}"])
