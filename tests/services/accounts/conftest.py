"""People, for tests of how they sign in."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from app.errors import AppError
from app.extensions import transaction
from app.models import Mail, User, new_id
from app.services.accounts import sign_ins
from app.services.accounts.sign_ins import Device
from tests.clock import Clock

SITE = "https://lightwell.example.com"


@pytest.fixture
def user(app: Flask, clock: Clock, context: None) -> User:
    """A person with a password."""
    email = f"person-{uuid4().hex}@example.com"
    person = User(
        id=new_id("user", clock()),
        email=email,
        mailbox=email,
        password_hash="a hash",
        confirmed_at=clock(),
        created_at=clock(),
    )
    with transaction() as session:
        session.add(person)
    return person


other_user = user


def signed_in(user: User, clock: Clock) -> None:
    """Begin a session of the user."""
    with transaction() as session:
        device = Device("127.0.0.1", "A browser")
        sign_ins.begin(session, user.id, device, clock(), second_factor=False)


def sessions(user: User, clock: Clock) -> int:
    """How many sessions of the user there are."""
    with transaction() as session:
        return len(sign_ins.list_of(session, user.id, clock()))


def subjects(email: str) -> list[str]:
    """The subjects of the mails to an address, in the order in which they were written."""
    with transaction() as session:
        mails = select(Mail.subject).where(Mail.recipient == email).order_by(Mail.id)
        return list(session.scalars(mails))


def race(app: Flask, *attempts: Callable[[], object]) -> list[bool]:
    """Whether each of the parallel attempts succeeded."""

    def try_it(attempt: Callable[[], object]) -> bool:
        with app.app_context():
            try:
                attempt()
            except AppError:
                return False
            return True

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(try_it, attempts))
