"""A key, a call, and the overview shows it; then a spend cap that stops the next call."""

import re
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.audit import audit
from tests.browser.test_account import PASSWORD, submit
from tests.client import bearer
from tests.conftest import Service
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]


def compress(service: Service, key: str) -> requests.Response:
    files = [("files[]", ("a.jpg", encoded(width=32, height=32)))]
    return requests.post(
        f"{service.url}/compress/batch", headers=bearer(key), files=files, timeout=30
    )


def test_an_owner_sees_what_a_key_used_and_caps_it(tab: Page, service: Service) -> None:
    email = f"{uuid4().hex}@example.com"
    service.flask("users", "create", email, "--password", PASSWORD)
    tab.goto("/login")
    submit(tab, "Sign in", **{"E-mail": email, "Password": PASSWORD})
    tab.wait_for_url("**/dashboard/*")
    home = tab.url
    main = tab.get_by_role("main")
    expect(main).to_contain_text("0 of 5 done")
    audit(tab, home)

    key = service.flask("keys", "create", email)
    assert compress(service, key).status_code == 200
    tab.goto(home)
    expect(main).to_contain_text("2 of 5 done")
    expect(main).to_contain_text("1 live image in 30 days")
    main.get_by_text("Show numbers").click()
    table = main.get_by_role("region", name="Images a day, as a table")
    expect(table.get_by_role("row").nth(1)).to_have_text(re.compile(r"\w+\s*1\s*0\s*0\s*$"))
    audit(tab, f"{home}/usage?by=key&days=90")

    tab.goto(f"{home}/usage")
    main.locator("#cap-organization").fill("many")
    main.get_by_role("button", name="Save cap").click()
    expect(main.get_by_role("alert")).to_contain_text("Enter a whole number")
    main.locator("#cap-organization").fill("1")
    main.get_by_role("button", name="Save cap").click()
    expect(tab.get_by_role("status").last).to_contain_text("Spend cap set to 1.")
    refused = compress(service, key)
    assert (refused.status_code, refused.json()["code"]) == (429, "cap_reached")
    tab.goto(home)
    expect(main.get_by_role("alert")).to_contain_text("All images that your spend cap allows")
    audit(tab, home)
