"""The pages of API keys: making them, looking at them, rotating and revoking them."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.extensions import transaction
from app.models import ApiKey, AuditEntry, Mode, Organization, Role, SignIn, new_id
from app.services.accounts.key_management import MOST_KEYS
from tests.client import Answer, ApiClient, bearer
from tests.clock import NOON, Clock
from tests.conftest import Account, KeyMaker
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases
from tests.forms import post, text_of

WEB_SHOP = {"name": "Web shop", "mode": "live", "access": "write", "expiry": "", "day": ""}
ONCE = re.compile('name="once" value="([^"]+)"')


@pytest.fixture
def admin(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.ADMIN)


def pages(account: Account) -> str:
    return f"{account.home}/keys"


def once(client: ApiClient, path: str) -> str:
    """What the form at a path holds, so that it is taken once."""
    found = ONCE.search(client.get(path).text)
    assert found
    return found[1]


def create(client: ApiClient, account: Account, **fields: str) -> Answer:
    path = f"{pages(account)}/new"
    return post(client, path, **{"once": once(client, path), **WEB_SHOP, **fields})


def rotate(client: ApiClient, account: Account, key_id: str, overlap: str) -> Answer:
    path = f"{pages(account)}/{key_id}/rotate"
    return post(client, path, once=once(client, path), overlap=overlap)


def shown_key(answer: Answer) -> str:
    assert answer.status_code == 200, text_of(answer)
    found = re.search('<div class="secret"[^>]*><code>([^<]+)</code>', answer.text)
    assert found
    return found[1]


def rows(app: Flask, account: Account) -> list[ApiKey]:
    """The keys that were made after the account's first two, the oldest first."""
    with app.app_context(), transaction() as session:
        own = select(ApiKey).where(ApiKey.org_id == account.org_id).order_by(ApiKey.id)
        return list(session.scalars(own))[2:]


def audited(app: Flask, account: Account) -> list[tuple[str, dict[str, Any]]]:
    with app.app_context(), transaction(account.org_id) as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.action.like("key.%")).order_by(AuditEntry.id)
        )
        return [(entry.action, entry.after) for entry in entries]


def works(client: ApiClient, key: str) -> bool:
    return client.get("/usage", headers=bearer(key)).status_code == 200


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


def test_members_have_test_keys_of_their_own_and_no_others(
    app: Flask, acme: Account, admin: ApiClient, sign_in: SignInMaker
) -> None:
    member, colleague = sign_in(acme), sign_in(acme)
    assert 'value="live"' not in member.get(f"{pages(acme)}/new").text
    assert create(member, acme).status_code == 403
    assert shown_key(create(member, acme, mode="test", name="Mine")).startswith("test_")
    create(admin, acme, mode="test", name="Not mine")
    mine, other = rows(app, acme)
    assert "Mine" in member.get(pages(acme)).text
    assert "Not mine" not in member.get(pages(acme)).text
    assert "Mine" not in colleague.get(pages(acme)).text
    assert "Mine" in admin.get(pages(acme)).text
    for path in ("", "/rotate"):
        assert member.get(f"{pages(acme)}/{other.id}{path}").status_code == 404
        assert member.get(f"{pages(acme)}/{mine.id}{path}").status_code == 200
        assert colleague.get(f"{pages(acme)}/{mine.id}{path}").status_code == 404
    for path in ("/rotate", "/revoke"):
        form = {"once": once(colleague, f"{pages(acme)}/new"), "overlap": "none"}
        assert post(colleague, f"{pages(acme)}/{mine.id}{path}", **form).status_code == 404
    assert post(member, f"{pages(acme)}/{mine.id}/revoke").status_code == 303
    assert sign_in(acme, Role.VIEWER).get(pages(acme)).status_code == 403


@pytest.mark.parametrize(("overlap", "minutes"), [("none", 0), ("hour", 60), ("day", 1440)])
def test_a_rotated_key_works_as_long_as_was_chosen(
    app: Flask,
    acme: Account,
    admin: ApiClient,
    client: ApiClient,
    clock: Clock,
    overlap: str,
    minutes: int,
) -> None:
    old = shown_key(create(admin, acme, access="read", expiry="90"))
    old_id = rows(app, acme)[0].id
    new = shown_key(rotate(admin, acme, old_id, overlap))
    assert works(client, new)
    assert works(client, old) is (minutes > 0)
    clock.advance(minutes=minutes - 1)
    assert works(client, old) is (minutes > 0)
    clock.advance(minutes=2)
    assert works(client, new)
    assert not works(client, old)
    before, after = rows(app, acme)
    assert (after.name, after.mode, after.scopes) == (before.name, before.mode, before.scopes)
    assert (after.prefix, after.created_by) == (before.prefix, admin.user_id)
    assert after.original_key_id == before.id
    assert str(after.expires_at).startswith("2027-02-18")
    assert audited(app, acme)[-1][0] == "key.rotated"


def test_rotation_does_not_lengthen_a_life(
    app: Flask, acme: Account, admin: ApiClient, clock: Clock, make_key: KeyMaker
) -> None:
    make_key(acme, expires_at=NOON.replace(minute=30))
    (row,) = rows(app, acme)
    rotate(admin, acme, row.id, "day")
    assert {one.expires_at for one in rows(app, acme)} == {NOON.replace(minute=30)}


@on_both_databases
def test_a_rotation_that_is_sent_twice_makes_one_key(
    app: Flask, acme: Account, admin: ApiClient
) -> None:
    create(admin, acme)
    path = f"{pages(acme)}/{rows(app, acme)[0].id}/rotate"
    form = {"once": once(admin, path), "overlap": "hour"}
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: post(admin, path, **form), range(4)))
    assert len({shown_key(answer) for answer in answers}) == 1
    assert len(rows(app, acme)) == 2
    other = {"once": once(admin, f"{pages(acme)}/new"), "overlap": "hour"}
    assert post(admin, path, **other).status_code == 409
    assert len(rows(app, acme)) == 2


def test_an_overlap_is_one_of_three(app: Flask, acme: Account, admin: ApiClient) -> None:
    create(admin, acme)
    answer = rotate(admin, acme, rows(app, acme)[0].id, "week")
    assert answer.status_code == 400
    assert "Choose how long the old key works still." in text_of(answer)


def test_a_revoked_key_is_dead_at_once_and_stays_in_the_list(
    app: Flask, acme: Account, admin: ApiClient, client: ApiClient
) -> None:
    key = shown_key(create(admin, acme))
    (row,) = rows(app, acme)
    path = f"{pages(acme)}/{row.id}"
    for _ in range(2):
        assert post(admin, f"{path}/revoke").status_code == 303
    assert not works(client, key)
    assert row.id not in admin.get(pages(acme)).text
    assert row.id in admin.get(f"{pages(acme)}?show=ended").text
    assert [action for action, _ in audited(app, acme)] == ["key.created", "key.revoked"]
    assert "can't be rotated" in text_of(admin.get(f"{path}/rotate"))


def test_revoking_says_what_will_stop(
    app: Flask, acme: Account, admin: ApiClient, client: ApiClient
) -> None:
    key = shown_key(create(admin, acme))
    path = f"{pages(acme)}/{rows(app, acme)[0].id}?confirm=revoke"
    assert "It was never used, so nothing stops." in text_of(admin.get(path))
    client.get("/v1/images/image_x", headers=bearer(key))
    page = text_of(admin.get(path))
    assert "for <code>GET /v1/images/<id></code> from 127.0.0.1" in page
    assert "<dialog" in page
    assert '" open>' in page


@on_both_databases
def test_an_organization_has_a_hundred_keys(
    app: Flask, acme: Account, admin: ApiClient, client: ApiClient, make_key: KeyMaker
) -> None:
    with app.app_context(), transaction() as session:
        for number in range(MOST_KEYS - 2):
            session.add(
                ApiKey(
                    id=new_id("key", NOON), org_id=acme.org_id, name=f"{number}", prefix="live_",
                    secret_sha256=f"{acme.org_id}{number}", last4="abcd", mode=Mode.LIVE,
                    scopes=["read"], created_at=NOON,
                )
            )  # fmt: skip
    refused = create(admin, acme)
    assert refused.status_code == 409
    assert "100 keys, which is the most. Revoke one" in refused.text
    last = rows(app, acme)[-1].id
    assert rotate(admin, acme, last, "day").status_code == 409
    assert rotate(admin, acme, last, "none").status_code == 200
    assert client.post("/auth/rotate-key", headers=bearer(acme.key)).status_code == 200
    post(admin, f"{pages(acme)}/{rows(app, acme)[0].id}/revoke")
    assert create(admin, acme).status_code == 200


def test_long_lists_go_over_pages(
    app: Flask, acme: Account, admin: ApiClient, make_key: KeyMaker
) -> None:
    for _ in range(MOST_KEYS):
        make_key(acme)
    first = admin.get(pages(acme))
    assert first.text.count("<tr>") == MOST_KEYS + 1
    following = re.search(r'href="(\?[^"]*before=[^"]+)"', first.text)
    assert following
    assert admin.get(pages(acme) + following[1].replace("&amp;", "&")).text.count("<tr>") == 3


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


def test_keys_of_an_organization_that_is_being_deleted_are_dead(
    app: Flask, acme: Account, client: ApiClient, clock: Clock
) -> None:
    own = update(Organization).where(Organization.id == acme.org_id)
    for delete_at, status in ((clock(), 401), (None, 200)):
        with app.app_context(), transaction() as session:
            session.change(own.values(delete_at=delete_at))
        for key in (acme.key, acme.test_key):
            answer = client.get("/usage", headers=bearer(key))
            assert answer.status_code == status
            assert ("is being deleted" in answer.text) is (status == 401)
