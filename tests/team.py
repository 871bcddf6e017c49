"""People of an organization, and invitations to it, without the pages that make them."""

import re
from datetime import timedelta
from uuid import uuid4

from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import AuditEntry, Invitation, Mail, Membership, Mode, Role, User, new_id
from app.services.accounts import identity
from app.services.accounts.keys import digest
from app.services.accounts.principal import Principal
from app.services.accounts.sign_ins import Person
from tests.clock import NOON
from tests.conftest import Account

TOKEN = re.compile(r"/invitations/([\w-]+)")


def add_member(
    app: Flask, account: Account, role: Role = Role.MEMBER, name: str | None = None
) -> str:
    """The id of a new user who is in the organization."""
    user_id, email = new_id("user", NOON), f"{role}-{uuid4().hex}@example.com"
    made = {"created_at": NOON, "confirmed_at": NOON}
    with app.app_context(), transaction() as session:
        session.add(User(id=user_id, email=email, mailbox=email, name=name, **made))
        session.flush()
        joined = {"user_id": user_id, "org_id": account.org_id, "created_at": NOON}
        session.add(Membership(role=role, **joined))
    return user_id


def add_invitation(app: Flask, account: Account, email: str = "") -> str:
    """The id of a new invitation, whose token is the same."""
    invitation_id = new_id("invite", NOON)
    with app.app_context(), transaction(account.org_id) as session:
        session.add(
            Invitation(
                id=invitation_id,
                email=email or f"{uuid4().hex}@example.com",
                role=Role.MEMBER,
                digest=digest(invitation_id),
                created_at=NOON,
                expires_at=NOON + timedelta(days=7),
            )
        )
    return invitation_id


def principal_of(app: Flask, account: Account, user_id: str) -> Principal:
    """A member as services get them."""
    person = Person(
        user_id=user_id,
        email="",
        name=None,
        staff_role=None,
        has_second_factor=False,
        last_org_id=None,
        sign_in_id="",
        authenticated_at=NOON,
        second_factor_at=None,
    )
    with app.app_context():
        found = identity.member_of(person, account.slug, Mode.LIVE, "127.0.0.1", NOON, 500)
    assert found
    return found


def roles(app: Flask, account: Account) -> dict[str, str]:
    """The role of each member, by the user's id."""
    with app.app_context(), transaction() as session:
        rows = session.scalars(select(Membership).where(Membership.org_id == account.org_id))
        return {row.user_id: row.role for row in rows}


def email_of(app: Flask, user_id: str) -> str:
    with app.app_context(), transaction() as session:
        return session.get_one(User, user_id).email


def mails_to(app: Flask, email: str) -> list[Mail]:
    """The oldest first."""
    with app.app_context(), transaction() as session:
        return list(session.scalars(select(Mail).where(Mail.recipient == email).order_by(Mail.id)))


def link_to(app: Flask, email: str) -> str:
    """The path in the newest invitation that was mailed to the address."""
    found = TOKEN.search(str(mails_to(app, email)[-1].text))
    assert found
    return found[0]


def audited(app: Flask, account: Account) -> list[tuple[str, dict[str, object]]]:
    """What the audit log says: the actions with the values after them, the oldest first."""
    with app.app_context(), transaction(account.org_id) as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(entry.action, entry.after) for entry in entries]
