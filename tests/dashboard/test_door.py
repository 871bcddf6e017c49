"""Signing in and out, by page."""

from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

import pytest
from argon2 import PasswordHasher
from flask import Flask
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.extensions import transaction
from app.models import SignIn
from app.services.accounts import passwords, sign_ins
from app.services.accounts.sign_ins import Device
from app.web import links
from tests.client import ApiClient, client_of, unmarked
from tests.clock import Clock
from tests.databases import on_both_databases
from tests.people import (
    PASSWORD,
    Someone,
    is_signed_in,
    make_someone,
    new_email,
    send,
    sign_in,
    user_with,
    visitor_of,
)


@on_both_databases
def test_who_types_address_and_password_is_signed_in_until_they_sign_out(
    visitor: ApiClient, someone: Someone
) -> None:
    answer = sign_in(visitor, someone.email)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/dashboard")
    assert someone.email in visitor.get("/account").text
    copied = visitor.get_cookie("session")
    assert copied
    answer = send(visitor, "/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert "You are signed out." in visitor.get("/login").text
    visitor.set_cookie("session", copied.value)
    assert not is_signed_in(visitor), "a copied cookie outlives signing out"


def test_an_address_may_be_written_in_any_way_that_reaches_the_mailbox(
    visitor: ApiClient, someone: Someone
) -> None:
    local, domain = someone.email.split("@")
    sign_in(visitor, f" {local.upper()}+tag@{domain.title()}".strip())
    assert is_signed_in(visitor)


def test_nobody_learns_why_they_are_not_let_in(
    app: Flask, visitor: ApiClient, someone: Someone, clock: Clock
) -> None:
    """Unknown, wrong, unconfirmed, not claimed, and no address at all: the same page."""
    unconfirmed = make_someone(app, clock, confirmed_at=None)
    unclaimed = make_someone(app, clock, password_hash=None)
    typed = [
        (someone.email, "a wrong password"),
        (new_email(), PASSWORD),
        (unconfirmed.email, PASSWORD),
        (unclaimed.email, ""),
        ("no address", PASSWORD),
        ("\0", "\0"),
    ]
    pages = set()
    for email, password in typed:
        answer = sign_in(visitor, email, password)
        assert answer.status_code == 400
        pages.add(unmarked(answer).replace(email.encode(), b""))
    assert len(pages) == 1
    assert not is_signed_in(visitor)


def test_a_planted_cookie_is_not_the_one_after_signing_in(
    app: Flask, visitor: ApiClient, someone: Someone, clock: Clock
) -> None:
    """Session fixation: neither the attacker's own session nor what they put into it stays."""
    attacker = make_someone(app, clock)
    with app.app_context(), transaction() as session:
        device = Device("192.0.2.1", "")
        token = sign_ins.begin(session, attacker.user_id, device, clock(), second_factor=True)
    with visitor.session_transaction() as cookie:
        cookie["_user_id"] = token
        cookie["next"] = "/planted"
    sign_in(visitor, someone.email)
    with visitor.session_transaction() as cookie:
        assert cookie["_user_id"] != token
        assert "next" not in cookie
    assert someone.email in visitor.get("/account").text


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/account/sessions?a=1", "/account/sessions?a=1"),
        ("http://localhost/account", "/account"),
        ("https://evil.example/", "/dashboard"),
        ("//evil.example/", "/dashboard"),
        ("/\\evil.example", "/dashboard"),
        ("/\t/evil.example", "/dashboard"),
        ("javascript:alert(1)", "/dashboard"),
        ("http://localhost@evil.example/", "/dashboard"),
    ],
)
def test_signing_in_leads_on_to_own_pages_only(
    app: Flask, someone: Someone, wanted: str, led_to: str
) -> None:
    answer = visitor_of(app).post(
        "/login",
        query_string={"next": wanted},
        data={"email": someone.email, "password": PASSWORD},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    assert answer.headers["Location"] == led_to


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["/", "\\", ":", "@", "?", "#", ".", "%2f", "%5c", "\t", "\n", "\r", "\0", " ", "\x7f",
             "http", "https", "javascript", "localhost", "evil.example", "[::1]", "é", "\u2028",
             "\u3002", "\uff0f"]
        ),
        max_size=8,
    ).map("".join)
)  # fmt: skip
@example("//\uff0f")  # a host that is none after normalization
@example("//[")
def test_no_next_leads_to_another_site(wanted: str) -> None:
    """As browsers read a Location: backslashes are slashes; tabs and line ends do not count."""
    with Flask(__name__).test_request_context(base_url="http://localhost"):
        path = links.next_path(wanted)
    read = "".join(c for c in path.replace("\\", "/") if c not in "\t\r\n").strip()
    there = urlsplit(urljoin("http://localhost/login", read))
    assert (there.scheme, there.netloc) == ("http", "localhost")
    assert path.startswith("/")


def test_ten_failures_then_growing_waits_for_the_account(
    app: Flask, someone: Someone, clock: Clock
) -> None:
    """From ten networks, with ten spellings: what is counted is the account."""
    local, domain = someone.email.split("@")
    for attempt in range(10):
        answer = sign_in(visitor_of(app), f"{local}+{attempt}@{domain}", "a wrong password")
        assert answer.status_code == 400
    for seconds in (1, 2, 4):
        answer = sign_in(visitor_of(app), someone.email)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(seconds))
        assert "Too many attempts have failed. Try again in" in answer.text
        clock.advance(seconds=seconds)
        assert sign_in(visitor_of(app), someone.email, "wrong again").status_code == 400
    clock.advance(minutes=15)
    assert sign_in(visitor_of(app), someone.email).status_code == 303
    assert sign_in(visitor_of(app), someone.email, "a wrong password").status_code == 400
    assert sign_in(visitor_of(app), someone.email).status_code == 303, "success forgets failures"


def test_the_owner_gets_in_from_where_they_were_while_strangers_guess(
    app: Flask, visitor: ApiClient, someone: Someone
) -> None:
    sign_in(visitor, someone.email)
    send(visitor, "/logout")
    for _ in range(11):
        sign_in(visitor_of(app), someone.email, "a wrong password")
    assert sign_in(visitor_of(app), someone.email).status_code == 429
    assert sign_in(visitor, someone.email).status_code == 303


def test_one_network_can_t_try_many_accounts(
    visitor: ApiClient, someone: Someone, clock: Clock
) -> None:
    """An account of one's own does not buy more attempts."""
    for attempt in range(10):
        assert sign_in(visitor, new_email()).status_code == 400
        if attempt == 5:
            assert sign_in(visitor, someone.email).status_code == 303
            send(visitor, "/logout")
    assert sign_in(visitor, someone.email).status_code == 429


def test_without_redis_nobody_signs_in(
    visitor: ApiClient, someone: Someone, redis_down: Callable[[], None]
) -> None:
    redis_down()
    assert sign_in(visitor, someone.email).status_code == 503
    assert visitor.get("/login").status_code == 200


def test_a_hash_with_older_parameters_is_renewed(
    app: Flask, visitor: ApiClient, clock: Clock
) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    someone = make_someone(app, clock, password_hash=old)
    assert sign_in(visitor, someone.email).status_code == 303
    renewed = user_with(app, someone.email).password_hash
    assert renewed
    assert renewed != old
    assert passwords.is_right(PASSWORD, renewed)


def test_with_a_one_time_code_the_password_is_half_the_way(
    app: Flask, visitor: ApiClient, clock: Clock
) -> None:
    someone = make_someone(app, clock, totp_secret="JBSWY3DPEHPK3PXP")
    answer = send(visitor, "/login?next=/account/sessions", email=someone.email, password=PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login/code")
    assert not is_signed_in(visitor)
    with app.app_context(), transaction() as session:
        assert sign_ins.list_of(session, someone.user_id, clock()) == []


def test_sensitive_pages_ask_for_the_password_again_after_ten_minutes(
    app: Flask, visitor: ApiClient, someone: Someone, clock: Clock
) -> None:
    sign_in(visitor, someone.email)
    assert visitor.get("/account/password").status_code == 200
    clock.advance(minutes=10)
    again = "/login/again?next=%2Faccount%2Fpassword"
    assert visitor.get("/account/password").headers["Location"] == again
    wrong = send(visitor, again, password="not this one")
    assert (wrong.status_code, "The password is wrong." in wrong.text) == (400, True)
    with visitor.session_transaction() as cookie:
        before = cookie["_user_id"]
    assert send(visitor, again, password=PASSWORD).headers["Location"] == "/account/password"
    with visitor.session_transaction() as cookie:
        assert cookie["_user_id"] != before, "the token stays, so a copy of it would be recent too"
    assert visitor.get("/account/password").status_code == 200
    with app.app_context(), transaction() as session:
        assert len(sign_ins.list_of(session, someone.user_id, clock())) == 1


def test_guesses_at_the_password_that_is_asked_again_are_slowed_down(
    visitor: ApiClient, someone: Someone
) -> None:
    sign_in(visitor, someone.email)
    for _ in range(10):
        assert send(visitor, "/login/again", password="not this one").status_code == 400
    answer = send(visitor, "/login/again", password=PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


def test_who_guesses_elsewhere_keeps_nobody_from_showing_their_password_again(
    app: Flask, visitor: ApiClient, someone: Someone
) -> None:
    sign_in(visitor, someone.email)
    neighbour = client_of(app)
    neighbour.environ_base["REMOTE_ADDR"] = visitor.environ_base["REMOTE_ADDR"]
    for _ in range(10):
        sign_in(neighbour, someone.email, "not this one")
    assert sign_in(neighbour, someone.email, "not this one").status_code == 429
    assert send(visitor, "/login/again", password=PASSWORD).status_code == 303


def test_forms_set_nothing_that_they_do_not_show(
    app: Flask, visitor: ApiClient, someone: Someone, clock: Clock
) -> None:
    """Mass assignment."""
    more = {"staff_role": "admin", "role": "owner", "confirmed_at": "2026-01-01",
            "user_id": "user_x", "totp_secret": "", "second_factor": "1"}  # fmt: skip
    before = user_with(app, someone.email)
    send(visitor, "/login", email=someone.email, password=PASSWORD, **more)
    send(visitor, "/account", name="Ada", **more)
    after = user_with(app, someone.email)
    assert after.name == "Ada"
    for column in ("id", "email", "staff_role", "confirmed_at", "totp_secret", "password_hash"):
        assert getattr(after, column) == getattr(before, column), column
    with app.app_context(), transaction() as session:
        rows = sign_ins.list_of(session, someone.user_id, clock())
        assert [row.second_factor_at for row in rows] == [None]


def test_who_is_signed_in_does_not_see_the_door(visitor: ApiClient, someone: Someone) -> None:
    sign_in(visitor, someone.email)
    assert visitor.get("/login?next=/account").headers["Location"] == "/account"
    assert visitor.get("/signup").headers["Location"] == "/dashboard"


def test_a_session_ends_when_it_was_not_used_for_two_weeks(
    app: Flask, visitor: ApiClient, someone: Someone, clock: Clock
) -> None:
    sign_in(visitor, someone.email)
    clock.advance(days=13)
    assert is_signed_in(visitor)
    clock.advance(days=14)
    assert not is_signed_in(visitor)
    sign_in(visitor, someone.email)
    with app.app_context(), transaction() as session:
        sign_ins.release_expired(session, clock())
        rows = select(SignIn.user_id).where(SignIn.user_id == someone.user_id)
        assert len(session.scalars(rows).all()) == 1
