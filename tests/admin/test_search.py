"""The search box: what leads on at once, what it lists, and what it never shows or keeps."""

import json
from uuid import uuid4

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Organization, new_id
from app.services.accounts import keys
from app.services.staff.search import LONGEST_TEXT
from tests.client import Answer, ApiClient
from tests.clock import NOON, Clock
from tests.conftest import Account, AccountMaker
from tests.exports import add_export
from tests.forms import text_of
from tests.library import make_asset, reserve_space, store


def search(staff: ApiClient, text: str) -> Answer:
    return staff.get("/admin/search", query_string={"q": text})


def location(staff: ApiClient, text: str) -> str:
    answer = search(staff, text)
    assert answer.status_code == 302, text_of(answer)
    return answer.headers["Location"]


def test_an_id_leads_to_its_page(app: Flask, staff: ApiClient, acme: Account) -> None:
    image_id, export_id = new_id("image", NOON), add_export(app, acme)
    reserve_space(app, acme)
    with app.app_context(), transaction(acme.org_id, "live") as session:
        store(session, [make_asset(image_id)])
    page = f"/admin/organizations/{acme.org_id}"
    assert location(staff, acme.org_id) == page
    assert location(staff, image_id) == f"{page}/images"
    assert location(staff, export_id) == f"{page}/exports"
    person = location(staff, acme.email)
    assert person.startswith("/admin/users/user_")
    assert location(staff, person.rpartition("/")[2]) == person


def test_a_whole_key_is_found_and_shown_nowhere(
    staff: ApiClient, acme: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address of the page that it leads to, the page and the log are without it."""
    unknown = f"ak_live_{keys.new_secret()}"
    for key, page in (
        (acme.key, f"/admin/organizations/{acme.org_id}/keys#key_"),
        (f"Bearer {acme.test_key}", f"/admin/organizations/{acme.org_id}/keys#key_"),
        (unknown, "/admin/search"),
        (acme.key[:-1], "/admin/search"),
        (f"<b>{unknown}</b>", "/admin/search"),
    ):
        answer, secret = search(staff, key), key.rpartition("_")[2][:30]
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(page)
        assert secret not in answer.text + json.dumps(dict(answer.headers))
    told = staff.get("/admin/search").text
    assert "no key of ours" in told
    assert unknown[10:30] not in told
    told = "".join(capsys.readouterr())
    assert unknown[10:30] not in told
    assert acme.key[10:30] not in told


def test_names_are_listed_with_links(
    app: Flask, staff: ApiClient, make_account: AccountMaker
) -> None:
    word = f"<script>alert(1)</script>{uuid4().hex}"
    accounts = [make_account(), make_account()]
    with app.app_context(), transaction() as session:
        for account in accounts:
            session.get_one(Organization, account.org_id).name = word
    page = search(staff, word[:40])
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert word in text_of(page)
    for account in accounts:
        assert f'href="/admin/organizations/{account.org_id}"' in page.text


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\0", "x", "x" * 600, "%", "_", "\\", "'", '"><script>alert(1)</script>',
        "=1+1", "@", "a@", "@a", "…", "org_", "orgs/org_/", "\u202e", "ß", "İ", "\ufdfa" * 200,
        "cus_", "psx_", "a" * LONGEST_TEXT + "@example.com", "٣٤٥٦", "\U0010ffff",
    ],
)  # fmt: skip
def test_whatever_is_typed_is_answered(staff: ApiClient, clock: Clock, text: str) -> None:
    page = search(staff, text)
    assert page.status_code == 200
    assert "<script>alert" not in page.text


def test_bytes_that_are_no_text_are_answered(staff: ApiClient) -> None:
    assert staff.get("/admin/search?q=%ff%fe%00&q=2").status_code == 200
