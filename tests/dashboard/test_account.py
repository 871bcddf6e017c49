"""What people change of themselves, by page."""

import pytest
from flask import Flask

from app.web import throttle
from tests.client import ApiClient
from tests.clock import Clock
from tests.databases import on_both_databases
from tests.people import (
    PASSWORD,
    Someone,
    is_signed_in,
    last_link,
    mails_to,
    make_someone,
    new_email,
    send,
    sign_in,
    user_with,
    visitor_of,
)

OTHER = "another lamp, in the cellar"


@pytest.fixture
def signed_in(visitor: ApiClient, someone: Someone) -> ApiClient:
    sign_in(visitor, someone.email)
    return visitor


@on_both_databases
def test_a_name_is_shown_as_it_was_typed_and_runs_nothing(
    app: Flask, signed_in: ApiClient, someone: Someone
) -> None:
    name = '"><script>alert(1)</script>{{ 7 * 7 }} & ʿAbd 👩🏽\u200d🚀'
    assert send(signed_in, "/account", name=f"  {name} ").status_code == 303
    assert user_with(app, someone.email).name == name
    for path in ("/account", "/account/sessions"):
        page = signed_in.get(path).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }} &amp; ʿAbd 👩🏽\u200d🚀" in page
    send(signed_in, "/account", name=" ")
    assert user_with(app, someone.email).name is None


@pytest.mark.parametrize(
    ("name", "problem"), [("x" * 121, "use at most 120"), ("a\nb", "be shown"), ("\0", "be shown")]
)
def test_a_name_has_limits(signed_in: ApiClient, name: str, problem: str) -> None:
    assert send(signed_in, "/account", name="x" * 120).status_code == 303
    answer = send(signed_in, "/account", name=name)
    assert (answer.status_code, problem in answer.text) == (400, True)


@on_both_databases
def test_a_new_address_counts_once_its_mail_was_opened(
    app: Flask, signed_in: ApiClient, someone: Someone
) -> None:
    elsewhere = visitor_of(app)
    sign_in(elsewhere, someone.email)
    new = new_email()
    assert send(signed_in, "/account/email", email=new).headers["Location"] == "/account"
    link = last_link(app, new)
    page = signed_in.get(link).text
    assert someone.email in page
    assert new in page
    assert someone.email in signed_in.get("/account").text
    assert send(signed_in, link).status_code == 303
    assert new in signed_in.get("/account").text
    assert not is_signed_in(elsewhere)
    assert sign_in(visitor_of(app), someone.email).status_code == 400
    assert sign_in(visitor_of(app), new).status_code == 303
    for address in (someone.email, new):
        mail = mails_to(app, address)[-1]
        assert mail.subject == "Your e-mail address was changed"
        assert new in str(mail.text)
        assert someone.email in str(mail.text)
    assert signed_in.get(link).status_code == 404


def test_who_reads_the_mail_of_a_mistyped_address_does_not_get_the_account(
    app: Flask, signed_in: ApiClient, someone: Someone, clock: Clock
) -> None:
    new = new_email()
    send(signed_in, "/account/email", email=new)
    link = last_link(app, new)
    stranger = visitor_of(app)
    assert send(stranger, link).headers["Location"].startswith("/login?next=")
    sign_in(stranger, make_someone(app, clock).email)
    assert stranger.get(link).status_code == 404
    assert send(stranger, link).status_code == 404
    assert user_with(app, someone.email).id == someone.user_id


def test_an_address_that_somebody_has_stays_theirs_and_is_not_given_away(
    app: Flask, signed_in: ApiClient, someone: Someone, clock: Clock
) -> None:
    other, free = make_someone(app, clock), new_email()
    local, domain = other.email.split("@")
    answers = {
        (answer.status_code, answer.headers["Location"], answer.data)
        for answer in (
            send(signed_in, "/account/email", email=email)
            for email in (free, other.email, f"{local}+tag@{domain}")
        )
    }
    assert len(answers) == 1
    mail = mails_to(app, other.email)[-1]
    assert mail.subject == "This address has an account already"
    assert "/account/email/" not in str(mail.text)
    sign_in(visitor_of(app), other.email)


def test_who_types_another_s_address_uses_up_none_of_the_owner_s_mails(
    app: Flask, signed_in: ApiClient, someone: Someone, clock: Clock
) -> None:
    other = make_someone(app, clock)
    for _ in range(7):
        send(signed_in, "/account/email", email=other.email)
    assert len(mails_to(app, other.email)) == 5
    send(visitor_of(app), "/forgot", email=other.email)
    assert last_link(app, other.email).startswith("/reset/")


def test_one_network_can_t_mail_many_addresses(
    app: Flask, signed_in: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAILS_OF_A_NETWORK", 3)
    paths = ("/account/email", "/forgot", "/claim", "/account/email", "/forgot")
    answers = [send(signed_in, path, email=new_email()) for path in paths]
    assert [answer.status_code for answer in answers] == [303] * 3 + [429] * 2
    assert answers[-1].headers["Retry-After"] == "3600"
    assert "Try again in an hour." in answers[-1].text
    assert send(visitor_of(app), "/forgot", email=new_email()).status_code == 303


def test_an_address_that_was_taken_meanwhile_is_refused(
    app: Flask, signed_in: ApiClient, someone: Someone, clock: Clock
) -> None:
    new = new_email()
    send(signed_in, "/account/email", email=new)
    link = last_link(app, new)
    make_someone(app, clock, email=new, mailbox=new)
    assert send(signed_in, link).status_code == 409
    assert user_with(app, someone.email).id == someone.user_id


@pytest.mark.parametrize("typed", ["own", "no address"])
def test_a_refused_address_comes_back_with_the_reason(
    signed_in: ApiClient, someone: Someone, typed: str
) -> None:
    email = someone.email.upper() if typed == "own" else typed
    answer = send(signed_in, "/account/email", email=email)
    assert answer.status_code == 400
    assert f'value="{email}"' in answer.text
    assert 'role="alert"' in answer.text


@on_both_databases
def test_a_new_password_ends_other_sessions_and_pending_links(
    app: Flask, signed_in: ApiClient, someone: Someone
) -> None:
    elsewhere = visitor_of(app)
    sign_in(elsewhere, someone.email)
    send(elsewhere, "/forgot", email=someone.email)
    pending = last_link(app, someone.email)
    copied = signed_in.get_cookie("session")
    assert copied
    answer = send(signed_in, "/account/password", password=OTHER)
    assert answer.headers["Location"] == "/account/security"
    assert is_signed_in(signed_in)
    assert not is_signed_in(elsewhere)
    assert elsewhere.get(pending).status_code == 404
    elsewhere.set_cookie("session", copied.value)
    assert not is_signed_in(elsewhere), "the token did not change"
    assert mails_to(app, someone.email)[-1].subject == "Your password was changed"
    assert sign_in(visitor_of(app), someone.email).status_code == 400
    assert sign_in(visitor_of(app), someone.email, OTHER).status_code == 303


def test_a_refused_password_comes_back_with_the_reason(
    app: Flask, signed_in: ApiClient, someone: Someone
) -> None:
    answer = send(signed_in, "/account/password", password=someone.email)
    assert (answer.status_code, "holds your e-mail address" in answer.text) == (400, True)
    assert mails_to(app, someone.email) == []
    assert sign_in(visitor_of(app), someone.email).status_code == 303


@pytest.mark.parametrize("path", ["/account/email", "/account/password"])
def test_sensitive_changes_take_a_recent_password(
    app: Flask, signed_in: ApiClient, someone: Someone, clock: Clock, path: str
) -> None:
    clock.advance(minutes=11)
    for answer in (signed_in.get(path), send(signed_in, path, email=new_email(), password=OTHER)):
        assert answer.headers["Location"].startswith("/login/again?next=")
    assert sign_in(visitor_of(app), someone.email, PASSWORD).status_code == 303
