"""People, as staff look at them: the list of all, and one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, or_, select

from app.models import (
    Invitation,
    Mail,
    MailedLink,
    Membership,
    Organization,
    Passkey,
    SignIn,
    User,
    folded,
)
from app.services.accounts import security, sign_ins
from app.services.accounts.security import Security
from app.services.staff.prefixes import prefix
from app.tenancy import TenantSession

PAGE_SIZE = 50
MAX_TEXT = 320
MAILS_SHOWN = 50
MAILS_OF = timedelta(days=30)
MOST_ORGANIZATIONS = 100


@dataclass(frozen=True)
class Wanted:
    """Which people the list shows. ``text`` is the beginning of an address or a name."""

    text: str = ""
    is_staff: bool = False
    is_unconfirmed: bool = False

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Wanted":
        return cls(
            text=values.get("q", "").replace("\0", "").strip()[:MAX_TEXT],
            is_staff=bool(values.get("staff")),
            is_unconfirmed=bool(values.get("unconfirmed")),
        )

    @property
    def as_query(self) -> dict[str, str]:
        given = {"q": self.text, "staff": "1" if self.is_staff else ""}
        given["unconfirmed"] = "1" if self.is_unconfirmed else ""
        return {name: value for name, value in given.items() if value}


class Row(NamedTuple):
    """A person in the list. ``last_seen_at`` is None for who is signed in nowhere."""

    user: User
    organizations: int
    last_seen_at: datetime | None
    has_second_factor: bool


class Page(NamedTuple):
    """``next`` is the cursor of the next page, None on the last one."""

    rows: list[Row]
    next: str | None


def page_of(session: TenantSession, wanted: Wanted, before: str = "") -> Page:
    """The people who joined before the one with the id ``before``, the newest first."""
    people = select(User).order_by(User.id.desc()).limit(PAGE_SIZE + 1)
    if before:
        people = people.where(User.id < before)
    if wanted.text:
        by_email = prefix(session, User.email, wanted.text.lower())
        people = people.where(or_(by_email, prefix(session, User.folded_name, folded(wanted.text))))
    if wanted.is_staff:
        people = people.where(User.staff_role.is_not(None))
    if wanted.is_unconfirmed:
        people = people.where(User.confirmed_at.is_(None))
    found = session.scalars(people).all()
    shown = found[:PAGE_SIZE]
    return Page(_rows(session, shown), shown[-1].id if len(found) > PAGE_SIZE else None)


def _rows(session: TenantSession, people: Sequence[User]) -> list[Row]:
    ids = [user.id for user in people]
    joined = select(Membership.user_id, func.count()).where(Membership.user_id.in_(ids))
    organizations = dict(session.execute(joined.group_by(Membership.user_id)).all())
    seen = select(SignIn.user_id, func.max(SignIn.last_seen_at)).where(SignIn.user_id.in_(ids))
    last_seen = dict(session.execute(seen.group_by(SignIn.user_id)).all())
    keyed = set(session.scalars(select(Passkey.user_id).where(Passkey.user_id.in_(ids))))
    return [
        Row(
            user,
            organizations.get(user.id, 0),
            last_seen.get(user.id),
            user.totp_secret is not None or user.id in keyed,
        )
        for user in people
    ]


@dataclass(frozen=True)
class Profile:
    """All about one person but secrets: no link, no body of a mail."""

    user: User
    organizations: Sequence[tuple[Organization, str]]
    sessions: Sequence[SignIn]
    security: Security
    mails: Sequence[Mail]
    links: Sequence[MailedLink]
    invitations: Sequence[tuple[Invitation, str]]


def profile_of(session: TenantSession, user_id: str, now: datetime) -> Profile | None:
    """None if there is nobody with this id. ``session`` sees all organizations."""
    user = session.get(User, user_id)
    if user is None:
        return None
    joined = (
        select(Organization, Membership.role)
        .join(Membership, Membership.org_id == Organization.id)
        .where(Membership.user_id == user_id)
        .order_by(Organization.id)
        .limit(MOST_ORGANIZATIONS)
    )
    mails = select(Mail).where(Mail.recipient == user.email, Mail.created_at > now - MAILS_OF)
    links = select(MailedLink).where(MailedLink.user_id == user_id, MailedLink.expires_at > now)
    invited = (
        select(Invitation, Organization.name)
        .join(Organization, Organization.id == Invitation.org_id)
        .where(Invitation.email == user.email, Invitation.expires_at > now)
        .order_by(Invitation.id)
        .limit(MOST_ORGANIZATIONS)
    )
    return Profile(
        user,
        session.execute(joined).all(),
        sign_ins.list_of(session, user_id, now),
        security.of(session, user_id),
        session.scalars(mails.order_by(Mail.created_at.desc()).limit(MAILS_SHOWN)).all(),
        session.scalars(links.order_by(MailedLink.expires_at.desc())).all(),
        session.execute(invited).all(),
    )
