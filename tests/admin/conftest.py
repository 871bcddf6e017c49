"""Our own people, signed in to the console."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import delete

from app.extensions import transaction
from app.models import Announcement, StaffRole, User, new_id
from app.services.accounts import sign_ins
from app.services.accounts.sign_ins import Device
from app.web.announcing import board
from tests.client import ApiClient
from tests.clock import Clock

StaffMaker = Callable[..., ApiClient]


@pytest.fixture
def make_staff(app: Flask, clock: Clock) -> StaffMaker:
    """A client that is signed in as a new member of staff, with a second factor."""

    def make(role: StaffRole = StaffRole.ADMIN, *, second_factor: bool = True) -> ApiClient:
        user_id, email = new_id("user", clock()), f"staff-{uuid4().hex}@example.com"
        with app.app_context(), transaction() as session:
            session.add(
                User(
                    id=user_id,
                    email=email,
                    mailbox=email,
                    staff_role=role,
                    confirmed_at=clock(),
                    created_at=clock(),
                )
            )
            session.flush()
            device = Device("127.0.0.1", "A browser")
            token = sign_ins.begin(session, user_id, device, clock(), second_factor=second_factor)
        client = app.test_client()
        assert isinstance(client, ApiClient)
        client.user_id = user_id
        with client.session_transaction() as session:
            session["_user_id"] = token
        return client

    return make


@pytest.fixture
def staff(make_staff: StaffMaker) -> ApiClient:
    """A client of an admin of ours."""
    return make_staff()


@pytest.fixture
def nothing_announced(app: Flask) -> Iterator[None]:
    """Afterwards nothing is announced, and maintenance is over: others have the application too."""
    yield
    with app.app_context():
        with transaction() as session:
            session.change(delete(Announcement))
        board().forget()
