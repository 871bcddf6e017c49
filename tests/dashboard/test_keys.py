"""Making API keys in the dashboard."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import update

from app.extensions import transaction
from app.models import Role, SignIn
from tests.client import Answer, ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases
from tests.forms import post, text_of
from tests.key_pages import WEB_SHOP, audited, create, once, pages, rows, shown_key, works


@pytest.fixture
def admin(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.ADMIN)


def test_a_key_is_made_shown_and_works(
    app: Flask, acme: Account, admin: ApiClient, client: ApiClient
) -> None:
    answer = create(admin, acme)
    key = shown_key(answer)
    assert key.startswith("ak_live_")
    assert f"Authorization: Bearer {key}" in text_of(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert works(client, key)
    (row,) = rows(app, acme)
    assert (row.name, row.scopes, row.expires_at) == ("Web shop", ["read", "write"], None)
    assert row.created_by == admin.user_id
    ((action, after),) = audited(app, acme)
    assert (action, after["key"], after["name"]) == ("key.created", row.id, "Web shop")
    listed = admin.get(pages(acme))
    assert "Web shop" in listed.text
    assert key not in listed.text
    assert key[-4:] in listed.text


@on_both_databases
def test_a_form_that_is_sent_twice_makes_one_key_and_shows_it_again(
    app: Flask, acme: Account, admin: ApiClient
) -> None:
    path = f"{pages(acme)}/new"
    form = {"once": once(admin, path), **WEB_SHOP}

    def send(_: int) -> Answer:
        return post(admin, path, **form)

    keys = {shown_key(send(0)), shown_key(send(1))}
    with ThreadPoolExecutor(4) as threads:
        form["once"] = once(admin, path)
        parallel = {shown_key(answer) for answer in threads.map(send, range(4))}
    assert (len(keys), len(parallel)) == (1, 1)
    assert len(rows(app, acme)) == 2
    assert len(audited(app, acme)) == 2


def test_another_key_by_the_same_form_is_refused(acme: Account, admin: ApiClient) -> None:
    path = f"{pages(acme)}/new"
    form = {"once": once(admin, path), **WEB_SHOP}
    key = shown_key(post(admin, path, **form))
    again = post(admin, path, **{**form, "name": "Another"})
    assert again.status_code == 409
    assert key not in again.text


def test_a_key_that_was_revoked_is_not_shown_again(
    app: Flask, acme: Account, admin: ApiClient
) -> None:
    path = f"{pages(acme)}/new"
    form = {"once": once(admin, path), **WEB_SHOP}
    post(admin, path, **form)
    post(admin, f"{pages(acme)}/{rows(app, acme)[0].id}/revoke")
    assert post(admin, path, **form).status_code == 409


def test_forms_are_a_person_s_own_and_for_an_hour(
    app: Flask, acme: Account, admin: ApiClient, sign_in: SignInMaker, clock: Clock
) -> None:
    path = f"{pages(acme)}/new"
    other = sign_in(acme, Role.ADMIN)
    for token in (once(other, path), "", "nonsense"):
        refused = post(admin, path, once=token, **WEB_SHOP)
        assert refused.status_code == 400
        assert "open for too long" in refused.text
        assert 'value="Web shop"' in refused.text
    token = once(admin, path)
    clock.advance(hours=1)
    with app.app_context(), transaction() as session:
        session.change(update(SignIn).values(authenticated_at=clock()))
    assert post(admin, path, once=token, **WEB_SHOP).status_code == 400
    assert rows(app, acme) == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": " "}, "Give the key a name of 1 to 100 characters."),
        ({"name": "x" * 101}, "Give the key a name of 1 to 100 characters."),
        ({"mode": "both"}, "Choose live or test."),
        ({"access": "admin"}, "Choose what the key may do."),
        ({"expiry": "day"}, "Choose the last day on which the key works."),
        ({"expiry": "1000", "day": "soon"}, "Choose the last day on which the key works."),
        ({"expiry": "day", "day": "2026-11-19"}, "Choose today or a later day"),
        ({"expiry": "day", "day": "2036-11-20"}, "Choose today or a later day"),
        ({"expiry": "day", "day": "9999-12-31"}, "Choose the last day on which the key works."),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    app: Flask, acme: Account, admin: ApiClient, fields: dict[str, str], problem: str
) -> None:
    answer = create(admin, acme, **fields)
    assert answer.status_code == 400
    assert problem in text_of(answer)
    assert rows(app, acme) == []


def test_all_that_is_wrong_is_said_at_once(acme: Account, admin: ApiClient) -> None:
    answer = create(admin, acme, name="", mode="", access="")
    assert text_of(answer).count('role="alert"') == 3


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({"expiry": "30"}, "2026-12-20"),
        ({"expiry": "365"}, "2027-11-20"),
        ({"expiry": "day", "day": "2026-11-20"}, "2026-11-21"),
        ({"expiry": "", "day": "2026-11-24"}, None),
    ],
)
def test_a_key_ends_when_its_maker_said(
    app: Flask, acme: Account, admin: ApiClient, fields: dict[str, str], ends: str | None
) -> None:
    create(admin, acme, **fields)
    (row,) = rows(app, acme)
    assert (row.expires_at and row.expires_at.date().isoformat()) == ends


def test_a_key_that_reads_does_not_write(
    acme: Account, admin: ApiClient, client: ApiClient
) -> None:
    answer = create(admin, acme, access="read")
    assert "/compress/batch" not in answer.text
    key = shown_key(answer)
    assert works(client, key)
    assert client.post("/billing/portal", headers=bearer(key)).status_code == 403


def test_names_are_text(app: Flask, acme: Account, admin: ApiClient) -> None:
    name = "<script>alert(1)</script>\u202e“x”\x00"
    made = create(admin, acme, name=name)
    (row,) = rows(app, acme)
    assert row.name == "<script>alert(1)</script>“x”"
    for answer in (made, admin.get(pages(acme)), admin.get(f"{pages(acme)}/{row.id}")):
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert(1)" in answer.text


@pytest.mark.parametrize("path", ["/new", "/{}/rotate"])
def test_keys_take_a_recent_password(
    app: Flask, acme: Account, admin: ApiClient, clock: Clock, path: str
) -> None:
    create(admin, acme)
    path = pages(acme) + path.format(rows(app, acme)[0].id)
    token = once(admin, path)
    clock.advance(minutes=10)
    for answer in (admin.get(path), post(admin, path, once=token, overlap="none", **WEB_SHOP)):
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login/again")
    assert len(rows(app, acme)) == 1
    assert post(admin, f"{pages(acme)}/{rows(app, acme)[0].id}/revoke").status_code == 303
