"""The worker's part of a deletion: removes all that an organization has.

Each step may be repeated, and ``delete_at`` stays set until the last one is done. So whoever is
killed in the middle, the next job goes on. The row of the organization stays, empty, for the audit
entries that must be kept.
"""

from datetime import datetime, timedelta

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import delete, exists, select, update

from app.adapters.payments.interface import CustomerGone
from app.adapters.queue import enqueue_deletions
from app.adapters.storage.interface import Storage
from app.errors import DependencyDown
from app.extensions import transaction
from app.models import FREE, Actor, ActorKind, BillingAccount, Organization
from app.services import audit
from app.services.billing import inbox
from app.services.billing.provider import Provider
from app.services.deletion import rows
from app.tenancy import TenantSession

log = structlog.get_logger()

ACTOR = Actor(ActorKind.SYSTEM, "deletion")
NAME = "Deleted organization"
RETRY_DELAY = timedelta(minutes=5)
"""When a step that needs another server is tried again."""
PREFIXES = (
    "orgs",
    "incoming/orgs",
    "thumbnails",
    "renditions",
    "exports",
    "data-exports",
    "idempotency",
)
"""How the keys of an organization's objects begin, before its id."""


def has_due(session: TenantSession, now: datetime) -> bool:
    return bool(session.scalar(select(exists().where(Organization.delete_at <= now))))


def enqueue(connection: Redis) -> None:
    """Enqueue the job. If the queue does not answer, the worker tries again a little later."""
    try:
        enqueue_deletions(connection)
    except RedisError as error:
        log.warning("deletions.not_enqueued", error=str(error))


def delete_due(storage: Storage, provider: Provider | None, now: datetime) -> int:
    """Delete the organizations whose time has come. Returns how many were deleted; where another
    server does not answer, the organization's turn comes again in five minutes."""
    with transaction() as session:
        due = select(Organization.id).where(Organization.delete_at <= now)
        org_ids = session.scalars(due.order_by(Organization.delete_at)).all()
    deleted = 0
    for org_id in org_ids:
        try:
            deleted += _delete(org_id, storage, provider, now)
        except DependencyDown as error:
            log.warning("deletion.postponed", org_id=org_id, error=error.message)
            with transaction() as session:
                postponed = update(Organization).where(Organization.id == org_id)
                session.change(postponed.values(delete_at=now + RETRY_DELAY))
    return deleted


def _delete(org_id: str, storage: Storage, provider: Provider | None, now: datetime) -> bool:
    """Returns False if the deletion was taken back. Raises DependencyDown."""
    with transaction(org_id) as session:
        if not _begin(session, org_id, now):
            return False
    _end_billing(org_id, provider, now)
    # Rows first: a worker that still makes something notices, and what it has stored is found.
    rows.remove_owned_rows(org_id)
    for prefix in PREFIXES:
        for page in storage.pages(f"{prefix}/{org_id}/"):
            storage.delete([stored.key for stored in page])
    with transaction(org_id) as session:
        return _finish(session, org_id, now)


def _begin(session: TenantSession, org_id: str, now: datetime) -> bool:
    """From here on the deletion can't be taken back: the organization has no name, no members and
    no keys. Returns False if it was taken back before."""
    begun = (
        update(Organization)
        .where(Organization.id == org_id, Organization.delete_at <= now)
        .values(deleted_at=now, name=NAME, folded_name=None, slug=None)
    )
    if not session.change(begun):
        return False
    rows.remove_directory_rows(session, org_id)
    return True


def _end_billing(org_id: str, provider: Provider | None, now: datetime) -> None:
    """Cancel the subscriptions, note their ids and those of the invoices, and erase what the
    provider's events said. Raises DependencyDown."""
    with transaction(org_id) as session:
        customer_id = session.scalar(select(BillingAccount.customer_id))
    subscriptions, invoices = list[str](), list[str]()
    if customer_id and provider:
        try:
            subscriptions = [one.id for one in provider.payments.subscriptions_of(customer_id)]
            for subscription_id in subscriptions:
                provider.payments.cancel(subscription_id)
            invoices = [one.id for one in provider.payments.invoices(customer_id, limit=100)]
        except CustomerGone:
            log.info("deletion.customer_gone", org_id=org_id, customer=customer_id)
    elif customer_id:
        log.error("deletion.payments_not_configured", org_id=org_id, customer=customer_id)
    ids = {"customer": customer_id, "subscriptions": subscriptions, "invoices": invoices}
    with transaction(org_id) as session:
        if customer_id:
            inbox.forget(session, customer_id)
        if session.change(delete(BillingAccount)) and customer_id:
            audit.record(session, ACTOR, "billing.ended", {}, ids, now)


def _finish(session: TenantSession, org_id: str, now: datetime) -> bool:
    """Leave an empty row. Returns False if another worker was faster."""
    empty = (
        update(Organization)
        .where(Organization.id == org_id, Organization.delete_at.is_not(None))
        .values(
            delete_at=None,
            plan_code=FREE,
            granted_plan_code=None,
            granted_until=None,
            paid_plan_code=None,
            raised_limits=None,
            raised_until=None,
            suspended_at=None,
            suspended_reason=None,
            last_seen_at=None,
            plan_lapses_at=None,
            metered=False,
            flag=None,
            time_zone="UTC",
            default_quality=80,
            default_format=None,
            image_cap=None,
            confirm_by=None,
        )
    )
    if not session.change(empty):
        return False
    audit.record(session, ACTOR, "organization.deleted", {}, {"deletedAt": now}, now)
    return True
