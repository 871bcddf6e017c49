"""What people do with the API keys of their organization.

Members see and manage the test keys that they made, admins all keys. The table of keys is no
organization's own, so each statement here names the organization.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from sqlalchemy import Select, func, select, update

from app.errors import BadRequest, Conflict, NotFound
from app.models import ApiKey, Mode, Organization, User, new_id
from app.services import audit
from app.services.accounts import keys
from app.services.accounts.permissions import Action
from app.services.accounts.principal import Principal
from app.services.filenames import without_controls
from app.tenancy import TenantSession, insert_if_absent

MOST_KEYS = 100
"""Keys of an organization that are neither revoked nor expired."""
LONGEST_NAME = 100
ACCESS = {"write": ("read", "write"), "read": ("read",)}
"""What a person chooses → the key's scopes."""
DAYS = ("30", "90", "365")
LAST_DAY = timedelta(days=3650)
"""How far away a day of expiry may be."""
OVERLAPS = {"none": timedelta(0), "hour": timedelta(hours=1), "day": timedelta(days=1)}
"""How long the old key works after a rotation."""


class State(StrEnum):
    USABLE = "usable"
    REPLACED = "replaced"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class WantedKey:
    """A key as a person wants it."""

    name: str
    mode: Mode
    scopes: tuple[str, ...]
    expires_at: datetime | None

    @classmethod
    def read(cls, form: Mapping[str, str], now: datetime) -> "WantedKey":
        """What was typed into the form. Raises BadRequest with the problem of each field."""
        name, problems = without_controls(form.get("name", "")).strip(), []
        if not 0 < len(name) <= LONGEST_NAME:
            problems.append(f"name: give the key a name of 1 to {LONGEST_NAME} characters")
        if (mode := form.get("mode", "")) not in list(Mode):
            problems.append("mode: choose live or test")
        if (access := form.get("access", "")) not in ACCESS:
            problems.append("access: choose what the key may do")
        try:
            expires_at = _expiry(form.get("expiry", ""), form.get("day", ""), now)
        except ValueError as problem:
            problems.append(f"day: {problem}")
        if problems:
            raise BadRequest.of_fields(problems, "Some fields are not right.")
        return cls(name, Mode(mode), ACCESS[access], expires_at)


def _expiry(choice: str, day: str, now: datetime) -> datetime | None:
    """The end of a key: after some days, or of a day in UTC. Raises ValueError."""
    if not choice:
        return None
    if choice in DAYS:
        return now + timedelta(days=int(choice))
    try:
        end = datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ValueError("choose the last day on which the key works") from None
    if not now < end <= now + LAST_DAY:
        raise ValueError("choose today or a later day, at most ten years away")
    return end


@dataclass(frozen=True)
class ShownKey:
    """A key on a page, with the name of who made it."""

    key: ApiKey
    made_by: str | None
    state: State


def list_of(
    session: TenantSession, principal: Principal, now: datetime, *, ended: bool, before: str
) -> list[ShownKey]:
    """Up to 100 keys and one more, the newest first: those that work, or those that have ended.
    ``before`` is the id of the last key of the page before; empty for the first page."""
    usable = keys.is_usable(now)
    wanted = _visible(principal).where(~usable if ended else usable)
    if before:
        wanted = wanted.where(ApiKey.id < before)
    rows = session.execute(wanted.order_by(ApiKey.id.desc()).limit(MOST_KEYS + 1))
    return [_shown(key, name, email, now) for key, name, email in rows]


def find(session: TenantSession, principal: Principal, key_id: str, now: datetime) -> ShownKey:
    """Raises NotFound for keys that the person may not see."""
    row = session.execute(_visible(principal).where(ApiKey.id == key_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such API key here.")
    return _shown(*row, now)


def all_of(session: TenantSession, org_id: str, now: datetime, before: str) -> list[ShownKey]:
    """For staff: up to 100 keys of an organization and one more, those that have ended too."""
    wanted = _of(org_id)
    if before:
        wanted = wanted.where(ApiKey.id < before)
    rows = session.execute(wanted.order_by(ApiKey.id.desc()).limit(MOST_KEYS + 1))
    return [_shown(key, name, email, now) for key, name, email in rows]


def _of(org_id: str) -> Select[ApiKey, str | None, str | None]:
    return (
        select(ApiKey, User.name, User.email)
        .outerjoin(User, User.id == ApiKey.created_by)
        .where(ApiKey.org_id == org_id)
    )


def _visible(principal: Principal) -> Select[ApiKey, str | None, str | None]:
    rows = _of(principal.org_id)
    if principal.may(Action.MANAGE_KEYS):
        return rows
    return rows.where(ApiKey.mode == Mode.TEST, ApiKey.created_by == principal.actor.id)


def _shown(key: ApiKey, name: str | None, email: str | None, now: datetime) -> ShownKey:
    state = State.USABLE
    if key.revoked_at:
        state = State.REVOKED
    elif key.expires_at and key.expires_at <= now:
        state = State.EXPIRED
    elif key.replaced_at:
        state = State.REPLACED
    return ShownKey(key, name or email, state)


def create(
    session: TenantSession, principal: Principal, wanted: WantedKey, secret: str, now: datetime
) -> ApiKey:
    """Create a key. The same ``secret`` again, as of a repeated request, makes no second key.

    Raises RoleTooLow; Conflict if there are as many keys as there may be, or if the secret is that
    of another key.
    """
    principal.require(_action(wanted.mode))
    key_id, prefix = new_id("key", now), keys.PREFIXES[wanted.mode]
    made = insert_if_absent(
        session,
        ApiKey,
        id=key_id,
        org_id=principal.org_id,
        name=wanted.name,
        prefix=prefix,
        mode=wanted.mode,
        scopes=list(wanted.scopes),
        created_at=now,
        created_by=principal.actor.id,
        expires_at=wanted.expires_at,
        **keys.stored(secret),
    )
    if not made:
        return _made_before(session, principal, secret, name=wanted.name, mode=wanted.mode)
    _check_number(session, principal, now)
    after = {
        "key": key_id,
        "name": wanted.name,
        "mode": wanted.mode,
        "scopes": list(wanted.scopes),
        "expiresAt": wanted.expires_at,
    }
    audit.record(session, principal.actor, "key.created", {}, after, now)
    return session.get_one(ApiKey, key_id)


def rotate(
    session: TenantSession,
    principal: Principal,
    key_id: str,
    overlap: timedelta,
    secret: str,
    now: datetime,
) -> ApiKey:
    """Replace a key by a new one, which works beside it for ``overlap``. The same ``secret`` again
    makes no second one. Raises NotFound, RoleTooLow, Conflict."""
    old = find(session, principal, key_id, now).key
    principal.require(_action(Mode(old.mode)))
    new = keys.replace(session, old, secret, old.prefix, overlap, principal.actor, now)
    if new is None:
        original = old.original_key_id or old.id
        return _made_before(session, principal, secret, original_key_id=original)
    _check_number(session, principal, now)
    return new


def revoke(session: TenantSession, principal: Principal, key_id: str, now: datetime) -> ApiKey:
    """End a key at once. One that was revoked before is no error. Raises NotFound, RoleTooLow."""
    key = find(session, principal, key_id, now).key
    principal.require(_action(Mode(key.mode)))
    is_not_yet = update(ApiKey).where(ApiKey.id == key.id, ApiKey.revoked_at.is_(None))
    if session.change(is_not_yet.values(revoked_at=now)):
        after = {"key": key.id, "name": key.name}
        audit.record(session, principal.actor, "key.revoked", {}, after, now)
    return key


def _action(mode: Mode) -> Action:
    return Action.MANAGE_OWN_TEST_KEYS if mode is Mode.TEST else Action.MANAGE_KEYS


def _made_before(
    session: TenantSession, principal: Principal, secret: str, **expected: object
) -> ApiKey:
    """The key that this request has made when it came before. Raises Conflict if it has made none,
    or another one, or that was ended since."""
    own = select(ApiKey).filter_by(
        org_id=principal.org_id,
        revoked_at=None,
        replaced_at=None,
        **keys.stored(secret),
        **expected,
    )
    if (key := session.scalar(own)) is None:
        raise Conflict(
            "This was done already, or the key was replaced or revoked meanwhile. Look at the list "
            "of keys, and begin again there."
        )
    return key


def _check_number(session: TenantSession, principal: Principal, now: datetime) -> None:
    """Raises Conflict if the keys with the new one are too many. The lock makes parallel requests
    count one after the other."""
    session.get_one(Organization, principal.org_id, with_for_update=True)
    own = select(func.count(ApiKey.id)).where(ApiKey.org_id == principal.org_id)
    if (session.scalar(own.where(keys.is_usable(now))) or 0) > MOST_KEYS:
        raise Conflict(
            f"The organization has {MOST_KEYS} keys, which is the most. Revoke one that nobody "
            "uses, then try again."
        )
