"""The list of sessions, and ending them."""

import re

import pytest
from flask import Flask

from app.services.accounts import sign_ins
from app.web.devices import device_name
from tests.client import ApiClient
from tests.clock import Clock
from tests.databases import on_both_databases
from tests.people import Someone, is_signed_in, make_someone, send, sign_in, visitor_of

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def browser(app: Flask, someone: Someone, user_agent: str = FIREFOX) -> ApiClient:
    client = visitor_of(app)
    client.environ_base["HTTP_USER_AGENT"] = user_agent
    sign_in(client, someone.email)
    return client


def ids_on(client: ApiClient) -> list[str]:
    return re.findall(
        r'action="/account/sessions/(signin_\w+)/end"', client.get("/account/sessions").text
    )


@on_both_databases
def test_a_person_sees_their_sessions_and_ends_one(
    app: Flask, someone: Someone, clock: Clock
) -> None:
    here, there = browser(app, someone), browser(app, someone, "curl/8.14")
    page = here.get("/account/sessions").text
    assert "Firefox on Linux" in page
    assert there.environ_base["REMOTE_ADDR"] in page
    assert page.count("This one") == 1
    (other,) = ids_on(here)
    assert send(here, f"/account/sessions/{other}/end").status_code == 303
    assert not is_signed_in(there)
    assert is_signed_in(here)
    assert send(here, f"/account/sessions/{other}/end").status_code == 404


def test_all_others_or_all(app: Flask, someone: Someone, clock: Clock) -> None:
    here, there, bystander = (
        browser(app, one) for one in (someone, someone, make_someone(app, clock))
    )
    send(here, "/account/sessions/end-others")
    assert [is_signed_in(client) for client in (here, there, bystander)] == [True, False, True]
    there = browser(app, someone)
    answer = send(here, "/account/sessions/end-all")
    assert answer.headers["Location"] == "/login"
    assert [is_signed_in(client) for client in (here, there, bystander)] == [False, False, True]
    assert "You are signed out everywhere." in here.get("/login").text


@on_both_databases
def test_one_session_too_many_ends_the_one_that_was_not_used_for_longest(
    app: Flask, someone: Someone, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_ins, "MOST", 2)
    bystander = browser(app, make_someone(app, clock))
    first, second = browser(app, someone), browser(app, someone)
    clock.advance(minutes=5)
    assert is_signed_in(first)
    third = browser(app, someone)
    clients = (first, second, third, bystander)
    assert [is_signed_in(client) for client in clients] == [True, False, True, True]


def test_a_session_of_somebody_else_does_not_end(
    app: Flask, someone: Someone, clock: Clock
) -> None:
    theirs, other = browser(app, someone), browser(app, make_someone(app, clock))
    browser(app, someone)
    (theirs_too,) = ids_on(theirs)
    assert send(other, f"/account/sessions/{theirs_too}/end").status_code == 404
    assert len(ids_on(theirs)) == 1


def test_a_browser_may_call_itself_anything(app: Flask, someone: Someone) -> None:
    client = browser(app, someone, "<script>alert(1)</script>" + "x" * 5000)
    assert "<script>alert" not in client.get("/account/sessions").text


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/18.0 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
         "Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "HeadlessChrome/142.0.0.0 Safari/537.36", "Chrome on Linux"),
        ("curl/8.14", "curl"),
        ("", "A browser"),
    ],
)  # fmt: skip
def test_devices_have_names(user_agent: str, name: str) -> None:
    assert device_name(user_agent) == name
