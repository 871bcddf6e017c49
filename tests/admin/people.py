"""People whom staff look at and act on."""

from datetime import timedelta
from uuid import uuid4

from flask import Flask

from app.extensions import transaction
from app.models import Invitation, Mail, Passkey, RecoveryCode, Role, User, new_id
from app.services.accounts import sign_ins
from app.services.accounts.sign_ins import Device
from app.web.context import now
from tests.conftest import Account
from tests.people import Someone, make_someone

NAME = "<b>Eve</b>"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


def make_person(app: Flask, **values: object) -> Someone:
    """A person who is signed in once, and whose name is hostile."""
    with app.app_context():
        made = make_someone(app, now, **{"name": NAME, **values})
        with transaction() as session:
            device = Device("203.0.113.9", AGENT)
            sign_ins.begin(session, made.user_id, device, now(), second_factor=False)
    return made


def give_factors(app: Flask, user_id: str) -> None:
    """An app with a recovery code, and a passkey."""
    with app.app_context(), transaction() as session:
        session.get_one(User, user_id).totp_secret = "JBSWY3DPEHPK3PXP"  # of nobody real
        key = Passkey(id=uuid4().hex, user_id=user_id, name="Phone", public_key=b"key")
        key.sign_count, key.created_at = 0, now()
        session.add_all([key, RecoveryCode(user_id=user_id, digest=uuid4().hex)])


def make_mail(app: Flask, recipient: str, **values: object) -> str:
    """A mail that a server did not take lately. Returns its id."""
    with app.app_context(), transaction() as session:
        mail = Mail(id=new_id("mail", now()), recipient=recipient, subject="A plan has changed")
        mail.text = mail.html = "https://lightwell.example.com/reset/secret"
        mail.created_at, mail.attempts, mail.error = now(), 6, "451 try later"
        mail.next_attempt_at = now() + timedelta(hours=1)
        for name, value in values.items():
            setattr(mail, name, value)
        session.add(mail)
        return mail.id


def make_invitation(app: Flask, account: Account, email: str) -> str:
    """An open invitation of the account's owner, which was sent a day ago. Returns its id."""
    with app.app_context(), transaction(account.org_id) as session:
        owner = session.query(User).filter_by(email=account.email).one()
        sent = now() - timedelta(days=1)
        invitation = Invitation(
            id=new_id("invite", sent), email=email, role=Role.MEMBER, digest=uuid4().hex,
            invited_by=owner.id, created_at=sent, expires_at=sent + timedelta(days=7),
        )  # fmt: skip
        session.add(invitation)
        return invitation.id
