"""An owner or our staff ask for the deletion of an organization, or take it back.

Until the worker begins (``services/deletion/erasure``) nothing is lost: keys stop, and published
images are not shown.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from app.errors import BadRequest, Conflict
from app.extensions import transaction
from app.models import (
    Actor,
    ActorKind,
    ApiKey,
    BillingAccount,
    Membership,
    Mode,
    Organization,
    Rendition,
    User,
)
from app.services import audit, mail
from app.services.accounts import members
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.services.filenames import one_line
from app.services.library import facet_counts, storage_quota
from app.tenancy import TenantSession

STAFF = "The staff of Lightwell"
GRACE = timedelta(days=7)
"""How long a deletion can be taken back."""
ENDED = frozenset({None, "canceled", "incomplete", "incomplete_expired"})
"""States of a subscription that is not paid any more."""


@dataclass(frozen=True)
class Loss:
    """What is lost with an organization. ``stored`` is in bytes; ``plan`` is the plan of a
    subscription that runs, None without one."""

    members: int
    keys: int
    images: int
    renditions: int
    stored: int
    plan: str | None


def loss_of(org_id: str) -> Loss:
    images = renditions = 0
    for mode in Mode:
        with transaction(org_id, mode) as session:
            facets = (facet_counts.ALL, facet_counts.TRASH)
            images += sum(facet_counts.of(session, facets).values())
            renditions += session.scalar(select(func.count()).select_from(Rendition)) or 0
    with transaction(org_id) as session:
        account = session.scalar(select(BillingAccount))
        members = select(func.count()).where(Membership.org_id == org_id)
        keys = select(func.count()).where(ApiKey.org_id == org_id, ApiKey.revoked_at.is_(None))
        return Loss(
            members=session.scalar(members) or 0,
            keys=session.scalar(keys) or 0,
            images=images,
            renditions=renditions,
            stored=storage_quota.used(session),
            plan=account.plan_code if account and account.status not in ENDED else None,
        )


def ask(
    session: TenantSession, principal: Principal, typed_name: str, site: str, now: datetime
) -> None:
    """Have the organization deleted in seven days, and mail all members. Asking again changes
    nothing.

    Raises RoleTooLow, and BadRequest unless ``typed_name`` is the organization's name.
    """
    principal = members.lock(session, principal)
    principal.require(Action.DELETE)
    ask_as_staff(session, principal.actor, typed_name, site, now)


def ask_as_staff(
    session: TenantSession, actor: Actor, typed_name: str, site: str, now: datetime
) -> None:
    """Like ``ask``, without asking for a role. Raises BadRequest."""
    organization = session.get_one(Organization, session.org_id, with_for_update=True)
    if organization.delete_at:
        return
    # Names may hold direction marks, which nobody sees or types.
    if one_line(typed_name) != one_line(organization.name):
        raise BadRequest(
            "Type the name of the organization exactly as it stands above.",
            errors=["name: is not the organization's."],
        )
    organization.delete_at = now + GRACE
    _record(session, actor, None, organization.delete_at, now)
    _tell(session, actor, organization, "deletion-asked", site, now)


def take_back(session: TenantSession, principal: Principal, site: str, now: datetime) -> None:
    """Keep the organization, and mail all members. If no deletion was asked for, nothing changes.

    Raises RoleTooLow, and Conflict once the worker has begun.
    """
    principal = members.lock(session, principal)
    principal.require(Action.DELETE)
    take_back_as_staff(session, principal.actor, site, now)


def take_back_as_staff(session: TenantSession, actor: Actor, site: str, now: datetime) -> None:
    """Like ``take_back``, whoever asked for the deletion. Raises Conflict."""
    organization = session.get_one(Organization, session.org_id)
    planned = organization.delete_at
    if planned is None:
        return
    kept = update(Organization).where(
        Organization.id == organization.id, Organization.deleted_at.is_(None)
    )
    if not session.change(kept.values(delete_at=None)):
        raise Conflict("The deletion has begun, so it can't be taken back any more.")
    _record(session, actor, planned, None, now)
    _tell(session, actor, organization, "deletion-taken-back", site, now)


def _record(
    session: TenantSession,
    actor: Actor,
    before: datetime | None,
    after: datetime | None,
    now: datetime,
) -> None:
    action = "organization.deletion_requested" if after else "organization.deletion_taken_back"
    dates = {"deleteAt": before}, {"deleteAt": after}
    audit.record(session, actor, action, *dates, now)


def _tell(
    session: TenantSession,
    actor: Actor,
    organization: Organization,
    letter: str,
    site: str,
    now: datetime,
) -> None:
    """Mail all members."""
    by_staff = actor.kind is ActorKind.STAFF
    asker = STAFF if by_staff else session.get_one(User, actor.id).display_name
    emails = session.scalars(
        select(User.email)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.org_id == organization.id)
        .order_by(User.id)
    )
    values = {
        "organization": organization.name,
        "asker": asker,
        "delete_at": organization.delete_at,
        "url": f"{site}/dashboard/{organization.slug}/settings",
    }
    for email in emails.all():
        mail.queue(session, email, letter, now, **values)
