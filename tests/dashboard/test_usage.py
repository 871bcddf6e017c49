"""The page of daily figures, its CSV, and the spend caps that owners set there."""

import csv
from collections.abc import Sequence
from io import BytesIO

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.datastructures import FileStorage

from app.extensions import transaction
from app.models import ApiKey, Role
from tests.client import Answer, ApiClient, bearer, multipart
from tests.clock import Clock
from tests.conftest import Account, AccountMaker, KeyMaker, SignIn
from tests.databases import on_both_databases
from tests.images import encoded

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
PICTURE = encoded(width=16, height=16)


def key_id_of(app: Flask, account: Account, name: str = "Default") -> str:
    with app.app_context(), transaction() as session:
        which = (ApiKey.org_id == account.org_id, ApiKey.name == name)
        return session.scalars(select(ApiKey.id).where(*which)).one()


def rename(app: Flask, account: Account, name: str) -> None:
    with app.app_context(), transaction() as session:
        which = (ApiKey.org_id == account.org_id, ApiKey.name == "A key")
        session.execute(update(ApiKey).where(*which).values(name=name))


def table_of(answer: Answer) -> Sequence[Sequence[str]]:
    assert answer.status_code == 200
    return list(csv.reader(answer.text.removeprefix("\ufeff").splitlines()))


def save(client: ApiClient, account: Account, path: str = "cap", **form: str) -> Answer:
    return client.post(f"{account.home}/usage/{path}", data=form, headers=SAME_SITE)


@on_both_databases
def test_images_are_shown_by_day_by_api_and_by_key(
    app: Flask,
    client: ApiClient,
    make_account: AccountMaker,
    make_key: KeyMaker,
    sign_in: SignIn,
    clock: Clock,
) -> None:
    acme = make_account()
    other = make_key(acme)
    rename(app, acme, "=1+1")
    clock.advance(days=-40)
    client.compress(acme.key, PICTURE)
    clock.advance(days=39)
    client.compress(acme.key, PICTURE, PICTURE)
    clock.advance(days=1)
    client.compress(other, PICTURE)
    client.compress(acme.test_key, PICTURE, PICTURE, PICTURE)
    viewer = sign_in(acme, Role.VIEWER)

    by_api = table_of(viewer.get(f"{acme.home}/usage.csv"))
    assert by_api[0] == ["Day (UTC)", "Compress", "Images API", "Workspace"]
    assert by_api[-2:] == [["2026-11-19", "2", "0", "0"], ["2026-11-20", "1", "0", "0"]]
    assert len(by_api) == 31
    by_key = table_of(viewer.get(f"{acme.home}/usage.csv?by=key&days=90"))
    assert [name.partition(" (")[0] for name in by_key[0]] == ["Day", "Default", "'=1+1"]
    assert [row for row in by_key[1:] if row[1:] != ["0", "0"]] == [
        ["2026-10-11", "1", "0"],
        ["2026-11-19", "2", "0"],
        ["2026-11-20", "0", "1"],
    ]
    test = table_of(viewer.get(f"{acme.home}/usage.csv?mode=test"))
    assert test[-1] == ["2026-11-20", "3", "0", "0"]
    page = viewer.get(f"{acme.home}/usage?by=key&days=90").text
    assert "4 live images in 90 days" in page
    assert "75 %" in page
    assert "usage.csv?days=90&amp;by=key" in page


def test_a_long_name_leaves_the_last_digits_in_sight(
    app: Flask, client: ApiClient, make_account: AccountMaker, make_key: KeyMaker, sign_in: SignIn
) -> None:
    acme = make_account()
    key = make_key(acme)
    rename(app, acme, "a" * 41)
    client.compress(key, PICTURE)
    page = sign_in(acme, Role.VIEWER).get(f"{acme.home}/usage").text
    assert f"{'a' * 39}… (…{key[-4:]})" in page
    assert "a" * 40 not in page


@on_both_databases
def test_more_than_three_keys_are_shown_with_the_rest_as_one(
    client: ApiClient, make_account: AccountMaker, make_key: KeyMaker, sign_in: SignIn
) -> None:
    acme = make_account()
    for images in (4, 3, 2, 1, 1):
        client.compress(make_key(acme), *[PICTURE] * images)
    rows = table_of(sign_in(acme).get(f"{acme.home}/usage.csv?by=key"))
    assert rows[0][-1] == "Others"
    assert rows[-1][1:] == ["4", "3", "2", "2"]


@on_both_databases
def test_an_owner_caps_the_organization(
    client: ApiClient, make_account: AccountMaker, sign_in: SignIn
) -> None:
    acme = make_account()
    owner = sign_in(acme, Role.OWNER)
    saved = save(owner, acme, cap="1,000")
    assert (saved.status_code, saved.headers["Location"]) == (303, f"{acme.home}/usage#caps")
    assert "Spend cap set to 1,000." in owner.get(f"{acme.home}/usage").text
    save(owner, acme, cap="1")
    assert client.compress(acme.key, PICTURE).status_code == 200
    refused = client.compress(acme.key, PICTURE)
    assert (refused.status_code, refused.json["code"]) == (429, "cap_reached")
    assert "0 of 1 are left under the monthly spend cap of the organ" in refused.json["error"]
    assert "An owner of the organization can raise the cap" in refused.json["error"]
    banner = "All images that your spend cap allows this month are used: 1 of 1."
    assert banner in " ".join(owner.get(acme.home).text.split())
    assert client.compress(acme.test_key, PICTURE).status_code == 200
    save(owner, acme, cap="")
    assert client.compress(acme.key, PICTURE).status_code == 200


def test_an_owner_caps_a_key(
    app: Flask, client: ApiClient, acme: Account, make_key: KeyMaker, sign_in: SignIn
) -> None:
    other, owner = make_key(acme), sign_in(acme, Role.OWNER)
    saved = save(owner, acme, "key-cap", key=key_id_of(app, acme), cap="0")
    assert saved.status_code == 303
    refused = upload(client, acme.key)
    assert (refused.status_code, refused.json["code"]) == (402, "cap_reached")
    assert (
        "0 of 0 are left under the monthly spend cap of the API key 'Default'"
        in (refused.json["error"])
    )
    assert upload(client, other).status_code == 201


def upload(client: ApiClient, key: str) -> Answer:
    form = multipart([("image", FileStorage(BytesIO(PICTURE), "a.png")), ("name", "A")])
    return client.post("/v1/images/upload", headers=bearer(key), **form)


@pytest.mark.parametrize("cap", ["many", "-1", "1e3", "²", "1000000001", "9" * 30])
def test_what_is_no_number_is_refused_at_the_field(
    acme: Account, sign_in: SignIn, cap: str
) -> None:
    owner = sign_in(acme, Role.OWNER)
    refused = save(owner, acme, cap=cap)
    assert refused.status_code == 400
    assert "Enter a whole number up to 1,000,000,000, or nothing for no cap." in refused.text
    assert 'aria-invalid="true"' in refused.text


def test_keys_of_others_are_no_choice(
    app: Flask, acme: Account, globex: Account, sign_in: SignIn
) -> None:
    owner = sign_in(acme, Role.OWNER)
    for key_id in (key_id_of(app, globex), key_id_of(app, acme, "Default (test)"), "", "x" * 99):
        refused = save(owner, acme, "key-cap", key=key_id, cap="1")
        assert refused.status_code == 400
        assert "Choose one of this organization&#39;s live keys." in refused.text


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
def test_others_see_caps_and_set_none(
    app: Flask, acme: Account, sign_in: SignIn, role: Role
) -> None:
    save(sign_in(acme, Role.OWNER), acme, cap="7")
    member = sign_in(acme, role)
    page = member.get(f"{acme.home}/usage").text
    assert '0 <span class="quiet">of 7</span>' in page
    assert "Save cap" not in page
    assert save(member, acme, cap="8").status_code == 403
    assert save(member, acme, "key-cap", key=key_id_of(app, acme), cap="8").status_code == 403
