"""Finds whatever has an id or a name, across all organizations.

The form of a text says what it can be, so that only that is looked for, each by an index. An id, a
storage key, a key and an address lead to one thing; names and slugs, beginnings of addresses and
the last characters of keys find up to ``MOST`` of each kind.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import Select, or_, select

from app.models import (
    ApiKey,
    Asset,
    BillingAccount,
    DataExport,
    Export,
    FormerSlug,
    Organization,
    Rendition,
    RequestEntry,
    StripeEvent,
    TrashedAsset,
    User,
    folded,
)
from app.services.accounts import identity, keys
from app.services.staff.prefixes import prefix
from app.tenancy import TenantSession

MOST = 20
LONGEST_TEXT = 512
LONGEST_PROVIDER_ID = 255


class Kind(StrEnum):
    """What was found; the value is the heading above it."""

    ORGANIZATION = "Organizations"
    PERSON = "People"
    KEY = "API keys"
    IMAGE = "Images and videos"
    REQUEST = "Requests"
    EXPORT = "Exports"
    BILLING = "Stripe accounts"
    EVENT = "Stripe events"


@dataclass(frozen=True)
class Hit:
    """Something that was found. ``org_id`` is its organization's, ``title`` and ``note`` say what
    it is."""

    kind: Kind
    id: str
    title: str
    note: str = ""
    org_id: str | None = None


@dataclass
class Found:
    """What a text finds. ``exact`` is what it names, as an id does."""

    exact: list[Hit] = field(default_factory=list)
    others: list[Hit] = field(default_factory=list)

    @property
    def leads_to(self) -> Hit | None:
        """The only thing that the text can mean."""
        return self.exact[0] if len(self.exact) == 1 else None

    @property
    def groups(self) -> dict[Kind, list[Hit]]:
        """All that was found, by kind, what was named first. Nothing is there twice."""
        hits = list(dict.fromkeys([*self.exact, *self.others]))
        groups = {kind: [hit for hit in hits if hit.kind is kind][:MOST] for kind in Kind}
        return {kind: found for kind, found in groups.items() if found}


ID = re.compile(r"([a-z]+)_[0-9a-z]{24}", re.ASCII)
PROVIDER_ID = re.compile(r"(cus|sub|evt)_[0-9A-Za-z_]{1,250}", re.ASCII)
IN_STORAGE = re.compile(
    r"(?:^|/)((?:incoming/)?(orgs|thumbnails|renditions|exports|data-exports|idempotency)"
    r"/(org_[0-9a-z]{24})/[^?#\s]*)",
    re.ASCII,
)
LAST_FOUR = re.compile(
    rf"(?:({'|'.join(keys.PREFIX_MODES)})?(?:…|\.{{2,3}}|\*+) ?)?([0-9A-Za-z]{{4}})", re.ASCII
)
PREFIX_AND_LAST_FOUR = re.compile(rf"({'|'.join(keys.PREFIX_MODES)})([0-9A-Za-z]{{4}})", re.ASCII)
SECRET = re.compile(rf"({'|'.join(keys.PREFIX_MODES)})?([0-9A-Za-z]{{20,}})", re.ASCII)
DOMAIN = re.compile(r"@?([^\s@/]+\.[^\s@/.]+)")


# ── whole keys ────────────────────────────────────────────────────────────────────────────────────


def holds_secret(text: str) -> bool:
    """Whether somebody has pasted a key, most of one, or its secret alone. It must not be
    shown."""
    if IN_STORAGE.search(text):
        return False
    return any(match[1] or _is_secret(match[2]) for match in SECRET.finditer(text))


def _is_secret(text: str) -> bool:
    length = keys.RANDOM_CHARACTERS
    return len(text) == length + keys.CHECKSUM_CHARACTERS and (
        keys.checksum(text[:length]) == text[length:]
    )


def key_of(session: TenantSession, text: str) -> Hit | None:
    """The key that is in a text, whole. ``session`` sees all organizations."""
    secrets = (match[2] for match in SECRET.finditer(text) if _is_secret(match[2]))
    digests = [keys.digest(secret) for secret in islice(secrets, MOST)]
    found = _keys(session, ApiKey.secret_sha256.in_(digests))
    return found[0] if found else None


# ── all else ──────────────────────────────────────────────────────────────────────────────────────


def clean(text: str) -> str:
    """What was typed, as it is looked for."""
    return text.replace("\0", "").strip()[:LONGEST_TEXT].strip()


def find(session: TenantSession, text: str) -> Found:
    """What a text that ``clean`` returned finds. ``session`` sees all organizations."""
    if not text:
        return Found()
    if (match := ID.fullmatch(text)) and match[1] in BY_ID:
        return Found(BY_ID[match[1]](session, text))
    if match := PROVIDER_ID.fullmatch(text):
        return _of_provider(session, match[1], text)
    if match := IN_STORAGE.search(text):
        return Found(_stored(session, match[1], match[2], match[3]))
    found = Found()
    if "@" in text[1:]:
        found.exact = _people(session, _named_by(text))
    else:
        found.others += _by_last_four(session, text)
        found.others += _by_domain(session, text)
    found.others += _by_name(session, text)
    return found


def _named_by(email: str) -> Any:
    """The account with an address, or with its mailbox."""
    lower = email.lower()
    return or_(User.email == lower, User.mailbox == identity.mailbox_of(lower))


def _by_name(session: TenantSession, text: str) -> list[Hit]:
    """Whose name, slug or address is the text, or begins with it. One letter finds whole names
    only: too much begins with it."""
    name, lower = folded(text), text.lower()
    if not name:
        return []
    exact = [
        *_organizations(session, Organization.folded_name == name),
        *_organizations(session, Organization.slug == lower),
        *_organizations(session, Organization.id.in_(_former(lower))),
        *_people(session, User.folded_name == name),
    ]
    if len(name) < 2:
        return exact
    return [
        *exact,
        *_organizations(session, prefix(session, Organization.folded_name, name)),
        *_organizations(session, prefix(session, Organization.slug, lower)),
        *_people(session, prefix(session, User.email, lower)),
        *_people(session, prefix(session, User.folded_name, name)),
    ]


def _former(slug: str) -> Select[Any]:
    return select(FormerSlug.org_id).where(FormerSlug.slug == slug)


def _by_last_four(session: TenantSession, text: str) -> list[Hit]:
    match = LAST_FOUR.fullmatch(text) or PREFIX_AND_LAST_FOUR.fullmatch(text)
    if match is None:
        return []
    wanted = [ApiKey.last4 == match[2]]
    return _keys(session, *wanted, *([ApiKey.prefix == match[1]] if match[1] else []))


def _by_domain(session: TenantSession, text: str) -> list[Hit]:
    match = DOMAIN.fullmatch(text.lower())
    return _people(session, User.mail_domain == match[1]) if match else []


# ── one kind of thing each ────────────────────────────────────────────────────────────────────────


def _organizations(session: TenantSession, *wanted: Any) -> list[Hit]:
    rows = session.scalars(select(Organization).where(*wanted).limit(MOST))
    return sorted((_organization(row) for row in rows), key=_by_title)


def _organization(row: Organization) -> Hit:
    signs = {
        "deleted": row.deleted_at is not None,
        "being deleted": row.delete_at is not None and row.deleted_at is None,
        "suspended": row.suspended_at is not None,
        "flagged": row.flag is not None,
    }
    note = ", ".join([row.plan_code, *(sign for sign, is_set in signs.items() if is_set)])
    return Hit(Kind.ORGANIZATION, row.id, row.name, note, row.id)


def _people(session: TenantSession, *wanted: Any) -> list[Hit]:
    rows = session.scalars(select(User).where(*wanted).limit(MOST))
    return sorted((_person(row) for row in rows), key=_by_title)


def _person(row: User) -> Hit:
    notes = [row.name, f"staff: {row.staff_role}" if row.staff_role else None]
    notes.append(None if row.confirmed_at else "not confirmed")
    return Hit(Kind.PERSON, row.id, row.email, ", ".join(note for note in notes if note))


def _keys(session: TenantSession, *wanted: Any) -> list[Hit]:
    rows = session.execute(
        select(ApiKey, Organization.name)
        .join(Organization, Organization.id == ApiKey.org_id)
        .where(*wanted)
        .limit(MOST)
    )
    return [
        Hit(
            Kind.KEY,
            key.id,
            f"{key.prefix}…{key.last4}",
            f"{key.name}, of {name}{', revoked' if key.revoked_at else ''}",
            key.org_id,
        )
        for key, name in rows
    ]


def _assets(session: TenantSession, *wanted: Callable[[Any], Any]) -> list[Hit]:
    """Images and videos, also in the trash."""
    found = []
    for model, where in ((Asset, ""), (TrashedAsset, ", in the trash")):
        rows = session.execute(
            select(model.id, model.name, model.org_id, model.mode, model.kind)
            .where(*(condition(model) for condition in wanted))
            .limit(MOST)
        )
        found += [
            Hit(Kind.IMAGE, row.id, row.name, f"{row.kind}, {row.mode}{where}", row.org_id)
            for row in rows
        ]
    return found


def _requests(session: TenantSession, request_id: str) -> list[Hit]:
    rows = session.scalars(select(RequestEntry).where(RequestEntry.id == request_id))
    return [
        Hit(
            Kind.REQUEST,
            row.id,
            f"{row.method} {row.route}",
            f"{row.status}{' ' + row.code if row.code else ''}, {row.mode}",
            row.org_id,
        )
        for row in rows
    ]


def _exports(session: TenantSession, model: Any, export_id: str) -> list[Hit]:
    rows = session.execute(
        select(model.id, model.org_id, model.status).where(model.id == export_id)
    )
    name = "Export of images" if model is Export else "Export of all data"
    return [Hit(Kind.EXPORT, row.id, name, row.status, row.org_id) for row in rows]


def _by_title(hit: Hit) -> tuple[str, str]:
    return hit.title.casefold(), hit.id


BY_ID: dict[str, Callable[[TenantSession, str], list[Hit]]] = {
    "org": lambda session, text: _organizations(session, Organization.id == text),
    "user": lambda session, text: _people(session, User.id == text),
    "key": lambda session, text: _keys(session, ApiKey.id == text),
    "image": lambda session, text: _assets(session, lambda model: model.id == text),
    "video": lambda session, text: _assets(session, lambda model: model.id == text),
    "req": _requests,
    "exp": lambda session, text: _exports(session, Export, text),
    "data": lambda session, text: _exports(session, DataExport, text),
}
"""What the prefix of an id says of its kind."""


# ── Stripe ────────────────────────────────────────────────────────────────────────────────────────


def _of_provider(session: TenantSession, kind: str, text: str) -> Found:
    if kind == "evt":
        return Found(_events(session, StripeEvent.id == text))
    column = BillingAccount.customer_id if kind == "cus" else BillingAccount.subscription_id
    rows = session.execute(
        select(BillingAccount, Organization.name)
        .join(Organization, Organization.id == BillingAccount.org_id)
        .where(column == text)
    )
    accounts = [
        Hit(Kind.BILLING, text, name, account.status or "no subscription", account.org_id)
        for account, name in rows
    ]
    # A customer that no organization has any more may have left events.
    return Found(accounts, _events(session, StripeEvent.subject == text))


def _events(session: TenantSession, *wanted: Any) -> list[Hit]:
    columns = (StripeEvent.id, StripeEvent.type, StripeEvent.outcome, StripeEvent.handled_at)
    rows = session.execute(select(*columns).where(*wanted).limit(MOST))
    return [
        Hit(
            Kind.EVENT,
            row.id,
            row.type,
            row.outcome or ("handled" if row.handled_at else "waiting"),
        )
        for row in rows
    ]


# ── storage ───────────────────────────────────────────────────────────────────────────────────────


def _stored(session: TenantSession, key: str, folder: str, org_id: str) -> list[Hit]:
    """What a storage key belongs to: it names the organization, whose rows are asked for the
    rest. If none knows the key, the organization is what there is."""
    key = key.removeprefix("incoming/")
    found: Iterable[Hit] = []
    if folder in ("orgs", "thumbnails"):
        column = "storage_key" if folder == "orgs" else "thumbnail_key"
        found = _assets(
            session,
            lambda model: model.org_id == org_id,
            lambda model: getattr(model, column) == key,
        )
    elif folder == "renditions":
        found = _rendered(session, org_id, key)
    elif name := re.search(r"/((exp|data)_[0-9a-z]{24})-\d+\.zip$", key):
        hits = _exports(session, Export if name[2] == "exp" else DataExport, name[1])
        found = [hit for hit in hits if hit.org_id == org_id]
    return list(found) or _organizations(session, Organization.id == org_id)


def _rendered(session: TenantSession, org_id: str, key: str) -> Sequence[Hit]:
    """The images from which a copy was made."""
    content = session.execute(
        select(Rendition.content, Rendition.mode).where(
            Rendition.org_id == org_id, Rendition.storage_key == key
        )
    ).first()
    if content is None:
        return []
    return _assets(
        session,
        lambda model: model.org_id == org_id,
        lambda model: model.mode == content.mode,
        lambda model: model.content == content.content,
    )
