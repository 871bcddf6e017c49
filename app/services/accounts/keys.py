"""API keys: issue, authenticate, rotate.

A key is ``<prefix><secret>``. The secret is 32 random base62 characters (190 bits) and their CRC-32
in 6 base62 characters, so that a typo is refused without a database query (as in GitHub's token
format). The secret authenticates; the prefix only shows the mode.
"""

import hashlib
import re
import secrets
import string
import zlib
from datetime import datetime, timedelta

from sqlalchemy import Select, or_, select, update

from app.config import TEST_IMAGES_PER_DAY
from app.errors import EmailUnconfirmed, Unauthenticated
from app.extensions import transaction
from app.models import Actor, ActorKind, ApiKey, Mode, Organization, Plan, new_id
from app.models.types import digits_of
from app.services.accounts.principal import Allowance, Principal
from app.tenancy import TenantSession

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6
PREFIX_MODES = {
    "psx_": Mode.LIVE,
    "ak_live_": Mode.LIVE,
    "live_": Mode.LIVE,
    "test_": Mode.TEST,
    "ak_test_": Mode.TEST,
}
SCOPES = ("read", "write")
LAST_USED_RESOLUTION = timedelta(minutes=1)

_KEY = re.compile(
    rf"({'|'.join(PREFIX_MODES)})([0-9A-Za-z]{{{RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}})",
    re.ASCII,
)


def checksum(random_part: str) -> str:
    """CRC-32 of ``random_part`` in six base62 digits."""
    return digits_of(zlib.crc32(random_part.encode()), BASE62, CHECKSUM_CHARACTERS)


def new_secret() -> str:
    random_part = "".join(secrets.choice(BASE62) for _ in range(RANDOM_CHARACTERS))
    return random_part + checksum(random_part)


def digest(secret: str) -> str:
    """The digest under which a secret is stored. A plain SHA-256 is enough, because the secret is
    random and can't be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse(key: str) -> tuple[Mode, str]:
    """The mode and the secret of a key. Raises Unauthenticated for a text that is not a well-formed
    key."""
    match = _KEY.fullmatch(key)
    if not match or not secrets.compare_digest(
        checksum(match[2][:RANDOM_CHARACTERS]), match[2][RANDOM_CHARACTERS:]
    ):
        raise Unauthenticated("This is not a valid API key: check that it was copied whole.")
    return PREFIX_MODES[match[1]], match[2]


def issue(
    session: TenantSession,
    *,
    org_id: str,
    mode: Mode,
    prefix: str,
    name: str,
    now: datetime,
    scopes: tuple[str, ...] = SCOPES,
    expires_at: datetime | None = None,
    original_key_id: str | None = None,
) -> str:
    """Create a key and return it whole. It can't be shown again, because only its digest is
    stored."""
    secret = new_secret()
    session.add(
        ApiKey(
            id=new_id("key", now),
            org_id=org_id,
            name=name,
            prefix=prefix,
            secret_sha256=digest(secret),
            last4=secret[-4:],
            mode=mode,
            scopes=list(scopes),
            created_at=now,
            expires_at=expires_at,
            original_key_id=original_key_id,
        )
    )
    session.flush()
    return prefix + secret


def authenticate(key: str, now: datetime, test_images: int = TEST_IMAGES_PER_DAY) -> Principal:
    """The principal of ``key``, read from the database each time, so that a revocation takes effect
    at once. Records the time of use.

    ``test_images`` is the daily limit of images of test keys. Raises Unauthenticated,
    EmailUnconfirmed.
    """
    mode, secret = parse(key)
    with transaction() as session:
        row = session.execute(
            _with_plan(now).where(ApiKey.secret_sha256 == digest(secret))
        ).one_or_none()
        if row is None or row[0].mode != mode or row[0].revoked_at:
            raise Unauthenticated("This API key is unknown or was revoked.")
        api_key, organization, plan = row
        if api_key.expires_at and api_key.expires_at <= now:
            raise Unauthenticated("This API key has expired.")
        _check_organization(organization, mode, now)
        stale = now - LAST_USED_RESOLUTION
        if api_key.last_used_at is None or api_key.last_used_at <= stale:
            session.change(
                update(ApiKey)
                .where(
                    ApiKey.id == api_key.id,
                    or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= stale),
                )
                .values(last_used_at=now)
            )
        return _principal(api_key, organization, plan, now, test_images)


def _check_organization(organization: Organization, mode: Mode, now: datetime) -> None:
    """Raises Unauthenticated while the organization is being deleted, EmailUnconfirmed for a live
    key if no owner has confirmed an address in time."""
    if organization.delete_at:
        raise Unauthenticated(
            "The organization of this API key is being deleted. Its keys work again when an owner "
            "takes that back in the dashboard."
        )
    confirm_by = organization.confirm_by
    if mode is Mode.LIVE and confirm_by and confirm_by <= now:
        raise EmailUnconfirmed(
            "Nobody has confirmed the e-mail address of this account. Open the link in the mail "
            "that was sent to it, or ask for another one at /claim. Test keys go on."
        )


def principal_of(
    actor: Actor, org_id: str, mode: Mode, now: datetime, test_images: int
) -> Principal:
    """The principal that a job works for, with its current plan. The actor was authorised when it
    made the request; its key may have been revoked since."""
    with transaction() as session:
        organization, plan = session.execute(
            select(Organization, Plan)
            .join(Plan, Plan.code == Organization.plan_code_at(now))
            .where(Organization.id == org_id)
        ).one()
        return Principal(
            org_id=org_id,
            actor=actor,
            mode=mode,
            scopes=frozenset(SCOPES),
            allowance=Allowance.of(plan, organization, now, test_images),
            rate_limit_id=actor.id,
        )


def _with_plan(now: datetime) -> Select[ApiKey, Organization, Plan]:
    """Select keys with their organization and its plan at ``now``."""
    return (
        select(ApiKey, Organization, Plan)
        .join(Organization, Organization.id == ApiKey.org_id)
        .join(Plan, Plan.code == Organization.plan_code_at(now))
    )


def _principal(
    api_key: ApiKey, organization: Organization, plan: Plan, now: datetime, test_images: int
) -> Principal:
    return Principal(
        org_id=api_key.org_id,
        actor=Actor(ActorKind.KEY, api_key.id),
        mode=Mode(api_key.mode),
        scopes=frozenset(api_key.scopes),
        allowance=Allowance.of(plan, organization, now, test_images),
        rate_limit_id=api_key.original_key_id or api_key.id,
    )


def rotate(session: TenantSession, principal: Principal, now: datetime) -> str:
    """Replace the principal's key by one with the same name, scopes, mode and expiry, and return
    it. The new key shares the old key's rate limit.

    Of several parallel requests to rotate one key, one succeeds; the others raise Unauthenticated.
    """
    revoked = session.change(
        update(ApiKey)
        .where(ApiKey.id == principal.actor.id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if not revoked:
        raise Unauthenticated("This API key is unknown or was revoked.")
    old = session.get_one(ApiKey, principal.actor.id)
    return issue(
        session,
        org_id=old.org_id,
        mode=principal.mode,
        prefix="psx_" if principal.is_live else "test_",
        name=old.name,
        now=now,
        scopes=tuple(old.scopes),
        expires_at=old.expires_at,
        original_key_id=principal.rate_limit_id,
    )
