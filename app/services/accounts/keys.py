"""API keys: issue, authenticate, replace. ``key_management`` is what people do with them.

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

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, update

from app.config import TEST_IMAGES_PER_DAY
from app.errors import EmailUnconfirmed, Suspended, Unauthenticated
from app.extensions import transaction
from app.models import (
    Actor,
    ActorKind,
    ApiKey,
    Membership,
    Mode,
    Organization,
    Plan,
    Role,
    new_id,
)
from app.models.types import digits_of
from app.services import audit
from app.services.accounts import last_seen
from app.services.accounts.principal import Allowance, Principal
from app.tenancy import TenantSession

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS = 32
CHECKSUM_CHARACTERS = 6
SEED_BYTES = 32
PREFIX_MODES = {
    "psx_": Mode.LIVE,
    "ak_live_": Mode.LIVE,
    "live_": Mode.LIVE,
    "test_": Mode.TEST,
    "ak_test_": Mode.TEST,
}
SCOPES = ("read", "write")
PREFIXES = {Mode.LIVE: "ak_live_", Mode.TEST: "test_"}
"""The prefixes of keys that people make."""
LAST_USED_RESOLUTION = timedelta(minutes=1)
CALL_CHARACTERS = 120
LABEL_CHARACTERS = 40

_KEY = re.compile(
    rf"({'|'.join(PREFIX_MODES)})([0-9A-Za-z]{{{RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}})",
    re.ASCII,
)


def checksum(random_part: str) -> str:
    """CRC-32 of ``random_part`` in six base62 digits."""
    return digits_of(zlib.crc32(random_part.encode()), BASE62, CHECKSUM_CHARACTERS)


def label(name: str, last4: str) -> str:
    """A key's name beside figures. A long one is cut, so that its last digits stay in sight."""
    short = name if len(name) <= LABEL_CHARACTERS else f"{name[: LABEL_CHARACTERS - 1]}…"
    return f"{short} (…{last4})"


def new_secret() -> str:
    return secret_from(secrets.token_bytes(SEED_BYTES))


def secret_from(seed: bytes) -> str:
    """The secret that follows from 32 random bytes, always the same."""
    random_part = digits_of(int.from_bytes(seed), BASE62, RANDOM_CHARACTERS)
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
) -> str:
    """Create a key and return it whole. It can't be shown again, because only its digest is
    stored."""
    secret = new_secret()
    key = ApiKey(
        id=new_id("key", now),
        org_id=org_id,
        name=name,
        prefix=prefix,
        mode=mode,
        scopes=list(scopes),
        created_at=now,
        expires_at=expires_at,
        **stored(secret),
    )
    session.add(key)
    session.flush()
    return prefix + secret


def stored(secret: str) -> dict[str, str]:
    """The columns that keep a secret."""
    return {"secret_sha256": digest(secret), "last4": secret[-4:]}


def authenticate(
    key: str,
    now: datetime,
    test_images: int = TEST_IMAGES_PER_DAY,
    *,
    address: str | None = None,
    call: str | None = None,
) -> Principal:
    """The principal of ``key``, read from the database each time, so that a revocation takes effect
    at once. Records when, from which IP address and for which call it was used, such as
    ``POST /compress/batch``.

    ``test_images`` is the daily limit of images of test keys. Raises Unauthenticated, Suspended,
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
            last_seen.note(session, organization, now)  # locked first, as by who deletes it
            used = update(ApiKey).where(
                ApiKey.id == api_key.id,
                or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= stale),
            )
            last = {"last_used_address": address, "last_used_call": call and call[:CALL_CHARACTERS]}
            session.change(used.values(last_used_at=now, **last))
        return _principal(api_key, organization, plan, address, now, test_images)


def _check_organization(organization: Organization, mode: Mode, now: datetime) -> None:
    """Raises Unauthenticated while the organization is being deleted, Suspended while it is
    suspended, EmailUnconfirmed for a live key if no owner has confirmed an address in time."""
    if organization.delete_at:
        raise Unauthenticated(
            "The organization of this API key is being deleted. Its keys work again when an owner "
            "takes that back in the dashboard."
        )
    check_suspension(suspension_of(organization))
    confirm_by = organization.confirm_by
    if mode is Mode.LIVE and confirm_by and confirm_by <= now:
        raise EmailUnconfirmed(
            "Nobody has confirmed the e-mail address of this account. Open the link in the mail "
            "that was sent to it, or ask for another one at /claim. Test keys go on."
        )


def suspension_of(organization: Organization) -> str | None:
    """Why the organization is suspended; None if it is not."""
    return None if organization.suspended_at is None else organization.suspended_reason or ""


def check_suspension(reason: str | None) -> None:
    """Raises Suspended with the reason, if there is one."""
    if reason is not None:
        raise Suspended(f"This organization is suspended. {reason}".rstrip())


def principal_of(
    actor: Actor, org_id: str, mode: Mode, now: datetime, test_images: int
) -> Principal:
    """The principal that a job works for, with its current plan. The actor was authorised when it
    made the request; its key may have been revoked since. ``suspended`` says whether the work may
    go on."""
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
            suspended=suspension_of(organization),
        )


def _with_plan(now: datetime) -> Select[ApiKey, Organization, Plan]:
    """Select keys with their organization and its plan at ``now``."""
    return (
        select(ApiKey, Organization, Plan)
        .join(Organization, Organization.id == ApiKey.org_id)
        .join(Plan, Plan.code == Organization.plan_code_at(now))
    )


def _principal(
    api_key: ApiKey,
    organization: Organization,
    plan: Plan,
    address: str | None,
    now: datetime,
    test_images: int,
) -> Principal:
    return Principal(
        org_id=api_key.org_id,
        actor=Actor(ActorKind.KEY, api_key.id, address),
        mode=Mode(api_key.mode),
        scopes=frozenset(api_key.scopes),
        allowance=Allowance.of(plan, organization, now, test_images),
        rate_limit_id=api_key.original_key_id or api_key.id,
    )


def rotate(session: TenantSession, principal: Principal, now: datetime) -> str:
    """Replace the principal's own key at once, and return the new one whole.

    Of several parallel requests to rotate one key, one succeeds; the others raise Unauthenticated.
    """
    secret, prefix = new_secret(), "psx_" if principal.is_live else "test_"
    old = session.get_one(ApiKey, principal.actor.id)
    if not replace(session, old, secret, prefix, timedelta(0), principal.actor, now):
        raise Unauthenticated("This API key was replaced or revoked: use the new one.")
    return prefix + secret


def replace(
    session: TenantSession,
    old: ApiKey,
    secret: str,
    prefix: str,
    overlap: timedelta,
    actor: Actor,
    now: datetime,
) -> ApiKey | None:
    """Make a key with the name, scopes, mode and expiry of ``old``, and its rate limit. The old key
    works for ``overlap`` still. A live key counts as made by the person who replaces it, because
    they know the new secret. None if it was replaced or revoked, or has expired."""
    ends = {"expires_at": min(old.expires_at or now + overlap, now + overlap)}
    ended = update(ApiKey).where(ApiKey.id == old.id, ApiKey.replaced_at.is_(None), is_usable(now))
    if not session.change(
        ended.values(replaced_at=now, **(ends if overlap else {"revoked_at": now}))
    ):
        return None
    is_taken_over = actor.kind is ActorKind.USER and old.mode == Mode.LIVE
    new = ApiKey(
        id=new_id("key", now),
        org_id=old.org_id,
        name=old.name,
        prefix=prefix,
        mode=old.mode,
        scopes=old.scopes,
        created_at=now,
        created_by=actor.id if is_taken_over else old.created_by,
        expires_at=old.expires_at,
        original_key_id=old.original_key_id or old.id,
        **stored(secret),
    )
    session.add(new)
    session.flush()
    rotation = {"key": new.id, "replaces": old.id, "name": new.name, "oldKeyEnds": now + overlap}
    audit.record(session, actor, "key.rotated", {}, rotation, now)
    return new


def is_of_an_owner(session: TenantSession, key_id: str) -> bool:
    """Whether an owner made the key, or it came with the account: only those look after billing."""
    is_owner = exists().where(
        Membership.org_id == ApiKey.org_id,
        Membership.user_id == ApiKey.created_by,
        Membership.role == Role.OWNER,
    )
    trusted = select(ApiKey.id).where(
        ApiKey.id == key_id, or_(ApiKey.created_by.is_(None), is_owner)
    )
    return session.scalar(trusted) is not None


def is_usable(now: datetime) -> ColumnElement[bool]:
    """Keys that are neither revoked nor expired."""
    return and_(
        ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    )
