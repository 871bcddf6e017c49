"""The overview: what a member sees of plan, images, errors, keys and first steps."""

from datetime import timedelta
from io import BytesIO

from flask import Flask
from sqlalchemy import update

from app.extensions import transaction
from app.models import ApiKey, Role
from app.services.usage import refusals
from tests.client import ApiClient, bearer
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, KeyMaker, SignIn
from tests.databases import on_both_databases
from tests.images import encoded

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def text_of(client: ApiClient, path: str) -> str:
    """The page as it reads: with single spaces between words."""
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def flush(app: Flask) -> int:
    with app.app_context():
        return refusals.flush(app.extensions["lightwell"].redis)


@on_both_databases
def test_what_a_key_did_stands_on_the_overview(
    app: Flask, client: ApiClient, make_account: AccountMaker, sign_in: SignIn
) -> None:
    acme = make_account(monthly_images=10)
    viewer = sign_in(acme, Role.VIEWER)
    assert "No images in 30 days" in text_of(viewer, acme.home)
    picture = encoded(width=16, height=16)
    for _ in range(2):
        assert client.compress(acme.key, picture, picture).status_code == 200
    assert client.compress(acme.test_key, picture).status_code == 200
    assert client.compress(acme.key, b"no picture").status_code == 422
    assert client.get("/v1/images/image_unknown", headers=bearer(acme.key)).status_code == 404
    flush(app)
    live, test = text_of(viewer, acme.home), text_of(viewer, f"{acme.home}?mode=test")
    assert "4 live images in 30 days" in live
    assert "20 Nov: 4 Compress" in live
    assert '4 <span class="quiet">of 10</span>' in live
    assert "resets 1 Dec 2026 (UTC)" in live
    assert "Default (…" in live
    for code in ("unsupported_image", "not_found"):
        assert (
            f'<a href="/docs/errors/{code}"><code>{code}</code></a></th><td class="right">1<'
            in live
        )
        assert f"/docs/errors/{code}" not in test
    assert "1 test image in 30 days" in test
    assert "Default (test) (…" in test
    assert '1 <span class="quiet">of 500</span>' in test


def test_people_of_other_roles_see_what_they_may_do(acme: Account, sign_in: SignIn) -> None:
    assert "Make a key</a>" in text_of(sign_in(acme, Role.ADMIN), acme.home)
    assert "Change plan" not in text_of(sign_in(acme, Role.ADMIN), acme.home)
    assert "Change plan" in text_of(sign_in(acme, Role.OWNER), acme.home)
    assert "Make a key</a>" not in text_of(sign_in(acme, Role.VIEWER), acme.home)


@on_both_databases
def test_first_steps_tick_themselves_off(
    client: ApiClient, make_account: AccountMaker, sign_in: SignIn
) -> None:
    acme = make_account()
    owner = sign_in(acme, Role.OWNER)
    # The account came with keys and with the person who registered it.
    assert "2 of 5 done" in text_of(owner, acme.home)
    data = {"image": (BytesIO(encoded(width=16, height=16)), "a.jpg"), "name": "A"}
    made = client.post("/v1/images/upload", headers=bearer(acme.key), data=data)
    assert made.status_code == 201
    page = text_of(owner, acme.home)
    assert "4 of 5 done" in page
    assert "Send the first call</b>" in page
    assert '<a href="/account/security">Confirm a second factor</a>' in page
    dismissed = owner.post(f"{acme.home}/steps/dismiss", headers=SAME_SITE)
    assert (dismissed.status_code, dismissed.headers["Location"]) == (303, acme.home)
    assert "Getting started" not in text_of(owner, acme.home)
    assert "Getting started" in text_of(sign_in(acme, Role.MEMBER), acme.home)


def test_keys_that_need_care_are_named(
    client: ApiClient, acme: Account, make_key: KeyMaker, sign_in: SignIn, clock: Clock
) -> None:
    owner = sign_in(acme, Role.OWNER)
    assert "Keys to look at" not in text_of(owner, acme.home)
    now = clock()
    make_key(acme, expires_at=now + timedelta(days=14))
    make_key(acme, expires_at=now + timedelta(days=15))
    page = text_of(owner, acme.home)
    assert page.count("Rotate it before.") == 1
    clock.advance(days=90)
    client.get("/usage", headers=bearer(acme.key))
    page = text_of(sign_in(acme, Role.OWNER), acme.home)
    assert page.count("Never used; made 20 Nov 2026.") == 0
    assert page.count("Never used; made <time") == 1


def test_hostile_names_are_text(
    app: Flask, client: ApiClient, acme: Account, sign_in: SignIn
) -> None:
    evil = "<img src=x onerror=alert(1)>"
    with app.app_context(), transaction() as session:
        session.execute(update(ApiKey).where(ApiKey.org_id == acme.org_id).values(name=evil))
    assert client.compress(acme.key, encoded(width=16, height=16)).status_code == 200
    for path in (acme.home, f"{acme.home}/usage", f"{acme.home}/usage?by=key"):
        page = text_of(sign_in(acme, Role.OWNER), path)
        assert evil not in page
        assert "&lt;img src=x" in page
