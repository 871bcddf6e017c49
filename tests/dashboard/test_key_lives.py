"""Keys that are made: who sees them, rotation, revocation, their number."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import update

from app.extensions import transaction
from app.models import ApiKey, Mode, Organization, Role, new_id
from app.services.accounts.key_management import MOST_KEYS
from tests.client import ApiClient, bearer, client_of
from tests.clock import NOON, Clock
from tests.conftest import Account, KeyMaker
from tests.conftest import SignIn as SignInMaker
from tests.databases import on_both_databases
from tests.forms import post, text_of
from tests.key_pages import audited, create, once, pages, rotate, rows, shown_key, works


@pytest.fixture
def admin(acme: Account, sign_in: SignInMaker) -> ApiClient:
    return sign_in(acme, Role.ADMIN)


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


@on_both_databases
def test_keys_of_admins_do_not_look_after_billing(
    app: Flask, acme: Account, admin: ApiClient, sign_in: SignInMaker
) -> None:
    """Only owners do, on the pages too; 501 is what the server says without a payment provider."""

    def portal(key: str) -> int:
        return client_of(app).post("/billing/portal", headers=bearer(key)).status_code

    assert portal(acme.key) == 501
    assert portal(shown_key(create(sign_in(acme, Role.OWNER), acme))) == 501
    assert portal(shown_key(create(admin, acme))) == 403
    (of_owner, _) = rows(app, acme)
    assert portal(shown_key(rotate(admin, acme, of_owner.id, "none"))) == 403


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
    app: Flask, acme: Account, admin: ApiClient, client: ApiClient, clock: Clock
) -> None:
    with app.app_context(), transaction() as session:
        for number in range(MOST_KEYS - 2):
            session.add(
                ApiKey(
                    id=new_id("key", clock()), org_id=acme.org_id, name=f"{number}", prefix="live_",
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
