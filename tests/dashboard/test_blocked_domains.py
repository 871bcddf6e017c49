"""A blocked mail domain: nobody new comes from there, and who is here goes on."""

from uuid import uuid4

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Role
from app.services import blocks
from tests.blocks import block
from tests.client import ApiClient, client_of
from tests.clock import NOON, Clock
from tests.conftest import Account, SignIn
from tests.forms import post
from tests.people import (
    PASSWORD,
    is_signed_in,
    last_link,
    mails_to,
    make_someone,
    send,
    sign_in,
    user_with,
    visitor_of,
)
from tests.team import link_to

REFUSED = "can&#39;t be used here"


@pytest.fixture
def domain(clock: Clock) -> str:
    return f"d{uuid4().hex}.example"


def test_nobody_registers_or_signs_up_from_there(
    app: Flask, client: ApiClient, domain: str
) -> None:
    block(app, domain)
    emails = [f"a@{domain}", f"A@Mail.{domain.upper()}"]
    for email in emails:
        answer = client.post("/auth/register", json={"email": email})
        assert (answer.status_code, answer.json["code"]) == (403, "mail_domain_blocked")
        assert answer.json["errors"][0].startswith("email: ")
        page = send(visitor_of(app), "/signup", email=email, password=PASSWORD)
        assert page.status_code == 403
        assert REFUSED in page.text
        assert not mails_to(app, email.lower())
    assert client.post("/auth/register", json={"email": f"a@not{domain}"}).status_code == 201


def test_a_sign_up_that_is_under_way_ends(app: Flask, domain: str) -> None:
    email = f"a@{domain}"
    assert send(visitor_of(app), "/signup", email=email, password=PASSWORD).status_code == 303
    made = block(app, domain)
    link, visitor = last_link(app, email), visitor_of(app)
    page = send(visitor, link, password=PASSWORD)
    assert page.status_code == 403
    assert REFUSED in page.text
    with app.app_context(), transaction() as session:
        blocks.end(session, made.id, NOON)
    assert send(visitor, link, password=PASSWORD).status_code == 303, "the link is good still"
    assert is_signed_in(visitor)


def test_an_account_that_is_there_goes_on(
    app: Flask, client: ApiClient, clock: Clock, domain: str
) -> None:
    someone = make_someone(app, clock, email=f"a@{domain}", mailbox=f"a@{domain}")
    block(app, domain)
    person = visitor_of(app)
    assert sign_in(person, f"a@{domain}").status_code == 303
    assert is_signed_in(person)
    assert send(visitor_of(app), "/forgot", email=f"a@{domain}").status_code == 303
    assert last_link(app, f"a@{domain}").startswith("/reset/")
    assert user_with(app, f"a@{domain}").id == someone.user_id


def test_nobody_moves_there(app: Flask, clock: Clock, domain: str) -> None:
    someone, person = make_someone(app, clock), visitor_of(app)
    sign_in(person, someone.email)
    before, after = f"before@{domain}", f"after@{domain}"
    assert send(person, "/account/email", email=before).status_code == 303
    block(app, domain)
    page = send(person, "/account/email", email=after)
    assert page.status_code == 403
    assert REFUSED in page.text
    assert not mails_to(app, after)
    assert send(person, last_link(app, before)).status_code == 403, "nor by a link from before"
    assert user_with(app, someone.email).mail_domain == "example.com"


def test_nobody_is_invited_from_there(
    app: Flask, acme: Account, sign_in: SignIn, domain: str
) -> None:
    admin, home = sign_in(acme, Role.ADMIN), f"{acme.home}/team/invitations"
    assert post(admin, home, email=f"before@{domain}", role="member").status_code == 303
    link = link_to(app, f"before@{domain}")
    block(app, domain)
    page = post(admin, home, email=f"after@{domain}", role="member")
    assert page.status_code == 403
    assert REFUSED in page.text
    assert not mails_to(app, f"after@{domain}")
    visitor = client_of(app)
    page = post(visitor, link, password=PASSWORD)
    assert page.status_code == 403
    assert REFUSED in page.text
    assert not is_signed_in(visitor)


def test_the_domain_of_an_address_changes_with_it(app: Flask, clock: Clock, domain: str) -> None:
    someone, person = make_someone(app, clock), visitor_of(app)
    sign_in(person, someone.email)
    send(person, "/account/email", email=f"moved@{domain}")
    assert send(person, last_link(app, f"moved@{domain}")).status_code == 303
    assert user_with(app, f"moved@{domain}").mail_domain == domain
