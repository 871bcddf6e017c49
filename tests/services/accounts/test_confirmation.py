"""A mailbox stands behind an account: the link that is mailed, and what stops without it."""

import re
from dataclasses import dataclass
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import Mail, MailedLink, User
from app.services.accounts import confirmation
from app.services.accounts.keys import digest
from app.services.sweep import sweep
from tests.client import Answer, ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account
from tests.databases import on_both_databases

pytestmark = pytest.mark.usefixtures("context")


@dataclass(frozen=True)
class Registered:
    user_id: str
    key: str
    test_key: str
    mail: Mail


@pytest.fixture
def registered(client: ApiClient) -> Registered:
    email = f"ada-{uuid4().hex}@example.com"
    body = client.post("/auth/register", json={"email": email}).json
    with transaction() as session:
        user = session.scalars(select(User).where(User.email == email)).one()
        mail = session.scalars(select(Mail).where(Mail.recipient == email)).one()
    return Registered(user.id, body["apiKey"], body["testApiKey"], mail)


def usage(client: ApiClient, key: str) -> Answer:
    return client.get("/usage", headers=bearer(key))


def token_of(mail: Mail) -> str:
    found = re.search(r"^http://localhost:8000/confirm/(\S+)$", mail.text or "", re.MULTILINE)
    assert found
    return found[1]


def test_registering_mails_a_link_of_which_only_the_digest_is_kept(registered: Registered) -> None:
    token = token_of(registered.mail)
    assert f'href="http://localhost:8000/confirm/{token}"' in (registered.mail.html or "")
    assert "until 27 Nov 2026" in (registered.mail.text or "")
    with transaction() as session:
        link = session.get_one(MailedLink, digest(token))
    assert (link.user_id, link.purpose, link.password_hash) == (registered.user_id, "confirm", None)


@on_both_databases
def test_the_live_key_stops_after_a_week_until_an_owner_confirms(
    client: ApiClient, clock: Clock, registered: Registered
) -> None:
    clock.advance(days=6, hours=23)
    assert usage(client, registered.key).status_code == 200
    clock.advance(hours=1)
    refused = usage(client, registered.key)
    assert (refused.status_code, refused.json["code"]) == (403, "email_unconfirmed")
    assert "/claim" in refused.json["error"]
    assert client.get("/docs/errors/email_unconfirmed").status_code == 200
    assert usage(client, registered.test_key).status_code == 200
    with transaction() as session:
        confirmation.mark_confirmed(session, registered.user_id, clock())
    assert usage(client, registered.key).status_code == 200


def test_confirming_says_nothing_about_others(
    client: ApiClient, clock: Clock, registered: Registered, acme: Account
) -> None:
    with transaction() as session:
        user = session.scalars(select(User).where(User.email == acme.email)).one()
        confirmation.mark_confirmed(session, user.id, clock())
    clock.advance(days=8)
    assert usage(client, registered.key).status_code == 403


def test_links_that_are_no_longer_valid_are_swept(
    app: Flask, clock: Clock, registered: Registered
) -> None:
    container = app.extensions["lightwell"]
    for days, there in ((6.9, True), (0.2, False)):
        clock.advance(days=days)
        sweep(container.storage, container.settings.spool_dir, clock())
        with transaction() as session:
            found = session.get(MailedLink, digest(token_of(registered.mail)))
        assert (found is not None) is there


def test_people_whom_the_operator_makes_count_as_confirmed(app: Flask) -> None:
    app.test_cli_runner().invoke(args=["users", "create", "known@example.com"])
    with transaction() as session:
        user = session.scalars(select(User).where(User.email == "known@example.com")).one()
    assert user.confirmed_at is not None
