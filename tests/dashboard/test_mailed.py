"""Signing up, claiming and resetting by mail, by page."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import transaction
from app.models import MailedLink, Organization
from app.services.accounts import identity, mailed_links
from app.web import headers
from tests.client import ApiClient, bearer, unmarked
from tests.clock import Clock
from tests.databases import on_both_databases
from tests.people import (
    PASSWORD,
    Someone,
    is_signed_in,
    last_link,
    link_in,
    mails_to,
    make_someone,
    new_email,
    send,
    sign_in,
    user_with,
    visitor_of,
)

OTHER = "another lamp, in the cellar"


def sign_up(client: ApiClient, email: str, password: str = PASSWORD) -> None:
    answer = send(client, "/signup", email=email, password=password)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/mail-sent")


@on_both_databases
def test_signing_up_takes_the_mail_and_the_password_and_ends_at_the_dashboard(
    app: Flask, visitor: ApiClient
) -> None:
    email = new_email()
    send(visitor, "/signup?next=/plans", email=email, password=PASSWORD)
    assert email in visitor.get("/mail-sent").text
    assert sign_in(visitor, email).status_code == 400, "nobody has confirmed the address"
    link = last_link(app, email)
    assert email in visitor.get(link).text
    assert user_with(app, email).confirmed_at is None, "mail scanners open links"
    wrong = send(visitor, link, password="not that one")
    assert (wrong.status_code, "is not the one that was typed" in wrong.text) == (400, True)
    answer = send(visitor, link, password=PASSWORD)
    assert answer.headers["Location"] == "/account/claimed?next=/plans"
    assert visitor.get(answer.headers["Location"]).headers["Location"] == "/plans"
    assert is_signed_in(visitor)
    assert visitor.get(link).status_code == 404
    with app.app_context(), transaction() as session:
        organization = identity.organization_of(session, email)
    assert visitor.get(f"/dashboard/{organization.slug}/unknown").status_code == 404
    assert sign_in(visitor_of(app), email).status_code == 303


@pytest.mark.parametrize(
    ("email", "password", "problem"),
    [
        ("no address", PASSWORD, "The e-mail address is not valid."),
        ("ada@example.com", "9 letters", "use at least 10 characters."),
        ("ada@example.com", "x" * 201, "use at most 200 characters."),
        ("ada@example.com", "Q1W2e3r4t5", "is among those that everybody tries first."),
        ("lovelace@example.com", "my Lovelace 1815", "holds your e-mail address."),
        ("ada@example.com", "1 ADA@example.com", "holds your e-mail address."),
    ],
)
def test_a_refused_sign_up_says_why_at_the_field(
    app: Flask, visitor: ApiClient, email: str, password: str, problem: str
) -> None:
    before = mails_to(app, email)
    answer = send(visitor, "/signup", email=email, password=password)
    assert answer.status_code == 400
    assert problem in answer.text
    assert f'value="{email}"' in answer.text
    assert password not in answer.text
    assert len(mails_to(app, email)) == len(before)


def test_whether_an_address_has_an_account_shows_in_the_mail_only(
    app: Flask, visitor: ApiClient, someone: Someone, client: ApiClient
) -> None:
    """Unknown, known, unconfirmed, made by the API: the same answers, and one mail each."""
    unclaimed, pending = new_email(), new_email()
    client.post("/auth/register", json={"email": unclaimed})
    sign_up(visitor, pending)
    for path in ("/signup", "/forgot", "/claim"):
        answers = set()
        for email in (new_email(), someone.email, unclaimed, pending):
            before = len(mails_to(app, email))
            answer = send(visitor, path, email=email, password=PASSWORD)
            page = visitor.get("/mail-sent")
            shown = unmarked(page).replace(email.encode(), b"")
            answers.add((answer.status_code, answer.headers["Location"], answer.data, shown))
            assert len(mails_to(app, email)) == before + 1, path
        assert len(answers) == 1, path


def test_who_signs_up_again_is_told_so_by_mail(
    app: Flask, visitor: ApiClient, someone: Someone
) -> None:
    sign_up(visitor, someone.email, OTHER)
    mail = mails_to(app, someone.email)[-1]
    assert mail.subject == "You have a Lightwell account already"
    assert sign_in(visitor, someone.email, OTHER).status_code == 400
    assert send(visitor, link_in(mail), password=OTHER).status_code == 303
    assert sign_in(visitor_of(app), someone.email, OTHER).status_code == 303


@on_both_databases
def test_who_signs_up_with_another_s_address_gets_nothing(app: Flask, visitor: ApiClient) -> None:
    """Pre-hijacking: the attacker's password works never, whatever the victim does."""
    victim, attacker = visitor, visitor_of(app)
    email = new_email()
    sign_up(attacker, email, "the password of the attacker")
    first = last_link(app, email)
    assert send(victim, first, password=PASSWORD).status_code == 400
    assert not is_signed_in(victim)
    sign_up(victim, email)
    sign_up(attacker, email, "the password of the attacker")
    link = link_in(mails_to(app, email)[1])
    assert send(victim, link, password=PASSWORD).status_code == 303
    assert is_signed_in(victim)
    for old in (first, last_link(app, email)):
        answer = send(attacker, old, password="the password of the attacker")
        assert answer.status_code == 404
    assert sign_in(attacker, email, "the password of the attacker").status_code == 400
    assert sign_in(visitor_of(app), email).status_code == 303


def test_guesses_at_the_password_of_a_mailed_link_are_slowed_down(
    app: Flask, visitor: ApiClient
) -> None:
    email = new_email()
    sign_up(visitor, email)
    link = last_link(app, email)
    for _ in range(10):
        assert send(visitor, link, password="a guess at it").status_code == 400
    assert send(visitor, link, password=PASSWORD).status_code == 429


@on_both_databases
def test_an_account_of_the_api_is_claimed_with_its_keys(
    app: Flask, visitor: ApiClient, client: ApiClient, clock: Clock
) -> None:
    email = new_email()
    key = client.post("/auth/register", json={"email": email}).json["apiKey"]
    send(visitor, "/claim", email=email)
    mail = mails_to(app, email)[-1]
    assert mail.subject == "Claim your account"
    link = link_in(mail)
    assert "Choose a password" in visitor.get(link).text
    assert send(visitor, link, password=PASSWORD).headers["Location"] == "/account/claimed"
    page = visitor.get("/account/claimed").text
    with app.app_context(), transaction() as session:
        organization = identity.organization_of(session, email)
        assert organization.confirm_by is None
    assert f"…{key[-4:]}" in page
    assert f'href="/dashboard/{organization.slug}/keys"' in page
    clock.advance(days=8)
    assert client.get("/usage", headers=bearer(key)).status_code == 200


def test_confirming_an_account_of_the_api_offers_to_set_a_password(
    app: Flask, visitor: ApiClient, client: ApiClient
) -> None:
    email = new_email()
    client.post("/auth/register", json={"email": email})
    link = last_link(app, email)
    assert 'name="password"' not in visitor.get(link).text
    answer = send(visitor, link)
    assert answer.headers["Location"].startswith("/reset/")
    assert user_with(app, email).confirmed_at
    assert not is_signed_in(visitor)
    with app.app_context(), transaction() as session:
        assert session.get_one(Organization, identity.organization_of(session, email).id)
        assert identity.organization_of(session, email).confirm_by is None
    assert send(visitor, answer.headers["Location"], password=PASSWORD).status_code == 303
    assert sign_in(visitor_of(app), email).status_code == 303


def test_signing_up_claims_an_account_of_the_api_too(
    app: Flask, visitor: ApiClient, client: ApiClient
) -> None:
    email = new_email()
    key = client.post("/auth/register", json={"email": email}).json["apiKey"]
    sign_up(visitor, email)
    answer = send(visitor, last_link(app, email), password=PASSWORD)
    assert f"…{key[-4:]}" in visitor.get(answer.headers["Location"]).text


@on_both_databases
def test_a_new_password_by_mail_ends_all_sessions(
    app: Flask, visitor: ApiClient, someone: Someone
) -> None:
    thief = visitor_of(app)
    sign_in(thief, someone.email)
    for _ in range(2):
        send(visitor, "/forgot", email=someone.email)
    older, link = (link_in(mail) for mail in mails_to(app, someone.email))
    refused = send(visitor, link, password="short")
    assert (refused.status_code, "use at least 10 characters" in refused.text) == (400, True)
    assert is_signed_in(thief)
    assert send(visitor, link, password=OTHER).headers["Location"] == "/dashboard"
    assert is_signed_in(visitor)
    assert not is_signed_in(thief)
    assert sign_in(thief, someone.email).status_code == 400
    for used in (link, older):
        assert visitor.get(used).status_code == 404
        assert send(visitor, used, password=PASSWORD).status_code == 404
    assert [mail.subject for mail in mails_to(app, someone.email)][2:] == [
        "Your password was changed"
    ]


def test_a_new_password_by_mail_does_not_replace_the_second_factor(
    app: Flask, visitor: ApiClient, clock: Clock
) -> None:
    someone = make_someone(app, clock, totp_secret="JBSWY3DPEHPK3PXP")
    send(visitor, "/forgot", email=someone.email)
    answer = send(visitor, last_link(app, someone.email), password=OTHER)
    assert answer.headers["Location"] == "/login/code"
    assert not is_signed_in(visitor)


def test_nobody_with_an_address_is_told_so(app: Flask, visitor: ApiClient) -> None:
    email = new_email()
    send(visitor, "/forgot", email=email)
    mail = mails_to(app, email)[-1]
    assert mail.subject == "There is no account with this address"
    assert link_in(mail) == "/signup"


def test_links_expire(app: Flask, visitor: ApiClient, someone: Someone, clock: Clock) -> None:
    send(visitor, "/forgot", email=someone.email)
    email = new_email()
    sign_up(visitor, email)
    reset, confirm = last_link(app, someone.email), last_link(app, email)
    clock.advance(minutes=59)
    assert visitor.get(reset).status_code == 200
    clock.advance(minutes=1)
    assert send(visitor, reset, password=OTHER).status_code == 404
    clock.advance(days=6)
    assert visitor.get(confirm).status_code == 200
    clock.advance(days=1)
    answer = send(visitor, confirm, password=PASSWORD)
    assert (answer.status_code, "does not work any more" in answer.text) == (404, True)
    with app.app_context(), transaction() as session:
        mailed_links.release_expired(session, clock())
        ids = someone.user_id, user_with(app, email).id
        assert not session.scalars(select(MailedLink).where(MailedLink.user_id.in_(ids))).all()


def test_a_link_serves_its_own_purpose_only(
    app: Flask, visitor: ApiClient, someone: Someone
) -> None:
    send(visitor, "/forgot", email=someone.email)
    token = last_link(app, someone.email).rpartition("/")[2]
    assert send(visitor, f"/confirm/{token}", password=PASSWORD).status_code == 404
    sign_in(visitor, someone.email)
    assert send(visitor, f"/account/email/{token}").status_code == 404


@on_both_databases
@pytest.mark.parametrize("path", ["/forgot", "/signup"])
def test_of_two_openings_of_a_link_one_wins(app: Flask, visitor: ApiClient, path: str) -> None:
    email = new_email()
    sign_up(visitor, email)
    if path == "/forgot":
        send(visitor, path, email=email)
    link = last_link(app, email)
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda _: send(visitor_of(app), link, password=PASSWORD), range(4))
        statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [303, 404, 404, 404]


def test_an_address_gets_five_mails_an_hour(
    app: Flask, visitor: ApiClient, someone: Someone
) -> None:
    """From whatever page, network and spelling; the page does not tell."""
    local, domain = someone.email.split("@")
    for attempt in range(7):
        path = ("/forgot", "/claim", "/signup")[attempt % 3]
        email = f"{local}+{attempt}@{domain}"
        answer = send(visitor_of(app), path, email=email, password=PASSWORD)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/mail-sent")
    assert len(mails_to(app, someone.email)) == 5


def test_mailed_links_are_not_logged(
    app: Flask, visitor: ApiClient, someone: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads one may use it."""
    send(visitor, "/forgot", email=someone.email)
    link = last_link(app, someone.email)
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(headers.log, "info", lambda *_, **fields: lines.append(fields))
    visitor.get(link)
    send(visitor, link, password="short")
    assert [line["path"] for line in lines] == ["/reset/…"] * 2
