"""API keys from their making to their end, in a browser; without JavaScript too."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "keyholder@example.com", "a lamp beside the door"


@pytest.fixture(autouse=True, scope="module")
def account(service: Service) -> None:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)


def shown_key(page: Page) -> str:
    return page.get_by_role("group", name="The new key").locator("code").inner_text()


def works(page: Page, key: str) -> bool:
    return page.request.get("/usage", headers={"Authorization": f"Bearer {key}"}).ok


def test_a_key_is_made_rotated_and_revoked(tab: Page, service: Service) -> None:
    sign_in(tab, EMAIL, PASSWORD)
    home = f"{tab.url.rstrip('/')}/keys"
    audit(tab, home)
    audit(tab, f"{home}/new")
    tab.get_by_label("Name").fill("Web shop")
    tab.get_by_role("button", name="Create key").click()
    key = shown_key(tab)
    assert works(tab, key)
    tab.reload()
    assert shown_key(tab) == key
    tab.get_by_role("link", name="I have saved it").click()
    expect(tab.get_by_role("rowheader", name="Web shop")).to_have_count(1)
    audit(tab, home)

    tab.get_by_role("link", name="Web shop").click()
    tab.wait_for_load_state()
    page_of_key = tab.url
    audit(tab, page_of_key)
    audit(tab, f"{page_of_key}/rotate")
    tab.get_by_label("1 hour").check()
    tab.get_by_role("button", name="Rotate key").click()
    expect(tab.get_by_text("The old key works for another hour.")).to_be_visible()
    new = shown_key(tab)
    assert works(tab, key)
    assert works(tab, new)

    audit(tab, f"{page_of_key}?confirm=revoke")
    tab.goto(page_of_key)
    tab.get_by_role("link", name="Revoke key").click()
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_contain_text("It was last used")
    dialog.get_by_role("button", name="Revoke key").click()
    expect(tab.get_by_text("The key “Web shop” is revoked.")).to_be_visible()
    assert not works(tab, key)
    assert works(tab, new)


def test_keys_need_no_script(browser: Browser, service: Service) -> None:
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, EMAIL, PASSWORD)
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("link", name="Create key").click()
    page.get_by_label("Name").fill("Plain")
    page.get_by_role("button", name="Create key").click()
    key = shown_key(page)
    page.get_by_role("link", name="I have saved it").click()
    page.get_by_role("link", name="Plain").click()
    page.get_by_role("link", name="Revoke key").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke key").click()
    assert not works(page, key)
    context.close()


def test_the_mailbox_of_development(tab: Page, service: Service) -> None:
    tab.request.post("/auth/register", data={"email": "mailbox@example.com"})
    audit(tab, "/dev/mail")
    tab.get_by_role("row").filter(has_text="mailbox@example.com").get_by_role("link").click()
    tab.wait_for_load_state()
    audit(tab, tab.url)
    tab.frame_locator("iframe").get_by_role("link", name="Confirm address").click()
    expect(tab).to_have_url(re.compile(r"/confirm/"))
