"""People across all organizations: the list, and what is known of one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from app.errors import NotFound
from app.models import (
    Invitation,
    LinkPurpose,
    Mail,
    MailedLink,
    Membership,
    Organization,
    Passkey,
    Role,
    SignIn,
    StaffEntry,
    StaffRole,
    User,
    folded,
)
from app.services.accounts import security, sign_ins
from app.services.accounts.security import Security
from app.services.staff.prefixes import prefix
from app.tenancy import TenantSession, unscoped

PAGE_SIZE = 50
MOST_SHOWN = 50
"""Rows of each table on the page of a person."""
MAX_TEXT = 320
NEWEST, BY_EMAIL, BY_NAME = "id", "email", "name"


@dataclass(frozen=True)
class Filter:
    """Which people are wanted: those whose e-mail or name begins with ``text``; ``kind`` is
    "staff", "unconfirmed" or empty for all."""

    text: str = ""
    kind: str = ""

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Filter":
        """From the query of a page. What can't be read is left out."""
        kind = values.get("kind", "")
        text = values.get("text", "").replace("\0", "").strip()[:MAX_TEXT].strip()
        return cls(text, kind if kind in ("staff", "unconfirmed") else "")

    @property
    def as_query(self) -> dict[str, str]:
        """The filter as a page's query has it."""
        given = {"text": self.text, "kind": self.kind}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class Listed:
    """A person as the list shows them. ``last_seen_at`` is None for who is signed in nowhere."""

    id: str
    email: str
    name: str | None
    confirmed_at: datetime | None
    has_second_factor: bool
    organizations: int
    staff_role: StaffRole | None
    created_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True)
class Page:
    """People, and the cursor of the next page, None on the last one."""

    people: Sequence[Listed]
    next: tuple[str, str, str] | None


@dataclass(frozen=True)
class Belonging:
    """An organization of a person, and their role in it."""

    id: str
    name: str
    role: Role
    since: datetime


@dataclass(frozen=True)
class Invited:
    """An open invitation to a person's address."""

    id: str
    org_id: str
    organization: str
    role: Role
    expires_at: datetime


@dataclass(frozen=True)
class Known:
    """What is known of a person. Links and the bodies of mails are secrets, and not in it."""

    user: User
    organizations: Sequence[Belonging]
    sessions: Sequence[SignIn]
    security: Security
    mails: Sequence[Mail]
    links: Sequence[tuple[LinkPurpose, datetime]]
    invitations: Sequence[Invited]
    entries: Sequence[StaffEntry]

    @property
    def display_name(self) -> str:
        return self.user.name or self.user.email


def page(session: TenantSession, wanted: Filter, after: tuple[str, str, str] | None = None) -> Page:
    """The people behind the cursor ``after``, the newest first. With a text they come by e-mail,
    and behind those by name, so that each part follows one index. ``after`` is the part and what
    it is sorted by, as ``Page.next`` has it."""
    if not wanted.text:
        return _part(session, NEWEST, wanted, after, PAGE_SIZE)
    found = Page((), None)
    if after is None or after[0] == BY_EMAIL:
        found = _part(session, BY_EMAIL, wanted, after, PAGE_SIZE)
        if found.next is not None or "@" in wanted.text:
            return found
        after = None
    room = PAGE_SIZE - len(found.people)
    if not room:
        more = _part(session, BY_NAME, wanted, None, 1)
        return Page(found.people, (BY_NAME, "", "") if more.people else None)
    named = _part(session, BY_NAME, wanted, after, room)
    return Page((*found.people, *named.people), named.next)


def find(session: TenantSession, user_id: str, now: datetime) -> Known:
    """Raises NotFound. ``session`` is bound to no organization."""
    user = get(session, user_id)
    mails = select(Mail).where(Mail.recipient == user.email)
    about = select(StaffEntry).where(StaffEntry.subject == user.id)
    links = select(MailedLink.purpose, MailedLink.expires_at).where(
        MailedLink.user_id == user.id, MailedLink.expires_at > now
    )
    with unscoped(session, "a person, for staff"):
        invitations = _invitations(session, user.email, now)
    return Known(
        user=user,
        organizations=_organizations(session, user.id),
        sessions=sign_ins.list_of(session, user.id, now),
        security=security.of(session, user.id),
        mails=session.scalars(
            mails.order_by(Mail.created_at.desc(), Mail.id.desc()).limit(MOST_SHOWN)
        ).all(),
        links=[
            (LinkPurpose(row.purpose), row.expires_at)
            for row in session.execute(links.order_by(MailedLink.expires_at).limit(MOST_SHOWN))
        ],
        invitations=invitations,
        entries=session.scalars(about.order_by(StaffEntry.number.desc()).limit(MOST_SHOWN)).all(),
    )


def get(session: TenantSession, user_id: str) -> User:
    """Raises NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("There is nobody with this id.")
    return user


def _part(
    session: TenantSession,
    part: str,
    wanted: Filter,
    after: tuple[str, str, str] | None,
    size: int,
) -> Page:
    """People in the order of one part."""
    statement = _in_order(session, part, wanted.text, after).where(*_kind(wanted.kind))
    found = session.scalars(statement.limit(size + 1)).all()
    shown = found[:size]
    last = shown[-1] if len(found) > size else None
    return Page(_listed(session, shown), _cursor(part, last) if last else None)


def _in_order(
    session: TenantSession, part: str, text: str, after: tuple[str, str, str] | None
) -> Select[User]:
    people = select(User)
    if part == NEWEST:
        people = people.order_by(User.id.desc())
        return people.where(User.id < after[1]) if after else people
    if part == BY_EMAIL:
        people = people.where(_email_begins(session, text)).order_by(User.email)
        return people.where(User.email > after[1]) if after else people
    begins = folded(text)
    people = people.where(
        prefix(session, User.folded_name, begins),
        ~_email_begins(session, text),
    ).order_by(User.folded_name, User.id)
    if after and after[2]:
        name, user_id = after[1:]
        people = people.where(
            User.folded_name >= name, (User.folded_name > name) | (User.id > user_id)
        )
    return people


def _email_begins(session: TenantSession, text: str) -> ColumnElement[bool]:
    return prefix(session, User.email, text.lower())


def _kind(kind: str) -> list[ColumnElement[bool]]:
    if kind == "staff":
        return [User.staff_role.in_(list(StaffRole))]
    return [User.confirmed_at.is_(None)] if kind == "unconfirmed" else []


def _cursor(part: str, user: User) -> tuple[str, str, str]:
    if part == NEWEST:
        return part, user.id, ""
    return (part, user.email, "") if part == BY_EMAIL else (part, user.folded_name or "", user.id)


def _listed(session: TenantSession, users: Sequence[User]) -> list[Listed]:
    ids = [user.id for user in users]
    organizations = _by_user(session, func.count(), Membership.user_id, ids)
    seen = _by_user(session, func.max(SignIn.last_seen_at), SignIn.user_id, ids)
    keys = _by_user(session, func.count(), Passkey.user_id, ids)
    return [
        Listed(
            id=user.id,
            email=user.email,
            name=user.name,
            confirmed_at=user.confirmed_at,
            has_second_factor=user.totp_secret is not None or user.id in keys,
            organizations=organizations.get(user.id, 0),
            staff_role=StaffRole(user.staff_role) if user.staff_role else None,
            created_at=user.created_at,
            last_seen_at=seen.get(user.id),
        )
        for user in users
    ]


def _by_user(
    session: TenantSession, value: ColumnElement[Any], user_id: Any, ids: Iterable[str]
) -> dict[str, Any]:
    """A value of each user's rows."""
    rows = session.execute(select(user_id, value).where(user_id.in_(ids)).group_by(user_id))
    return {row[0]: row[1] for row in rows}


def _organizations(session: TenantSession, user_id: str) -> list[Belonging]:
    rows = session.execute(
        select(Organization.id, Organization.name, Membership.role, Membership.created_at)
        .join(Membership, Membership.org_id == Organization.id)
        .where(Membership.user_id == user_id)
        .order_by(Membership.created_at, Organization.id)
        .limit(MOST_SHOWN)
    )
    return [Belonging(row.id, row.name or row.id, Role(row.role), row.created_at) for row in rows]


def _invitations(session: TenantSession, email: str, now: datetime) -> list[Invited]:
    rows = session.execute(
        select(Invitation, Organization.name)
        .join(Organization, Organization.id == Invitation.org_id)
        .where(Invitation.email == email, Invitation.expires_at > now)
        .order_by(Invitation.id.desc())
        .limit(MOST_SHOWN)
    )
    return [
        Invited(one.id, one.org_id, name or one.org_id, Role(one.role), one.expires_at)
        for one, name in rows
    ]
