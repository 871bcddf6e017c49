"""People at the door, and what is in their mailboxes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address
from secrets import randbits
from uuid import uuid4

from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import Mail, User, new_id
from app.services.accounts import identity, passwords
from tests.client import Answer, ApiClient, client_of

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "a lamp in the attic"  # of nobody real
SITE = "http://localhost:8000"


@dataclass(frozen=True)
class Someone:
    """A person with a confirmed address, a password and an organization."""

    user_id: str
    email: str


def make_someone(app: Flask, clock: Callable[[], datetime], **values: object) -> Someone:
    email = new_email()
    with app.app_context(), transaction() as session:
        user = User(
            id=new_id("user", clock()),
            email=email,
            mailbox=email,
            password_hash=passwords.hashed(PASSWORD, email),
            confirmed_at=clock(),
            created_at=clock(),
        )
        for name, value in values.items():
            setattr(user, name, value)
        session.add(user)
        session.flush()
        identity.create_organization(session, user.id, "Someone's", clock())
    return Someone(user.id, email)


def new_email() -> str:
    return f"{uuid4().hex}@example.com"


def visitor_of(app: Flask) -> ApiClient:
    """A browser in a network of its own, because failures are counted by network."""
    client = client_of(app)
    client.environ_base["REMOTE_ADDR"] = str(IPv6Address((0x20010DB8 << 96) | randbits(96)))
    return client


def send(client: ApiClient, path: str, **form: str) -> Answer:
    """Send a form of our own page."""
    return client.post(path, data=form, headers=SAME_SITE)


def sign_in(client: ApiClient, email: str, password: str = PASSWORD) -> Answer:
    return send(client, "/login", email=email, password=password)


def is_signed_in(client: ApiClient) -> bool:
    return client.get("/account").status_code == 200


def mails_to(app: Flask, email: str) -> list[Mail]:
    """The mails to an address, the oldest first."""
    with app.app_context(), transaction() as session:
        return list(session.scalars(select(Mail).where(Mail.recipient == email).order_by(Mail.id)))


def link_in(mail: Mail) -> str:
    """The path of the link that stands on a line of its own."""
    found = re.search(rf"^{SITE}(/\S+)$", mail.text or "", re.MULTILINE)
    assert found, mail.text
    return found[1]


def last_link(app: Flask, email: str) -> str:
    return link_in(mails_to(app, email)[-1])


def user_with(app: Flask, email: str) -> User:
    with app.app_context(), transaction() as session:
        return session.scalars(select(User).where(User.email == email)).one()
