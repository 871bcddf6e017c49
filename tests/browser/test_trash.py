"""The trash in a browser: restoring some, emptying the rest; without JavaScript too."""

import re

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in
from tests.conftest import Service
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "cleaner@example.com", "a lamp beside the door"
NAMES = ("one", "<b>two</b>", "\u202eeerht", "four")


@pytest.fixture(autouse=True, scope="module")
def key(service: Service) -> str:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)
    found = re.search(r"ak_live_\w+", service.flask("keys", "create", EMAIL))
    assert found
    return found[0]


@pytest.fixture
def filled(service: Service, key: str) -> None:
    """Four images in the trash."""
    images, headers = f"{service.url}/v1/images", {"x-api-key": key}
    for number, name in enumerate(NAMES):
        file = {"image": ("photo.jpg", encoded(width=60 + 30 * number, height=60))}
        sent = requests.post(
            f"{images}/upload", headers=headers, files=file, data={"name": name}, timeout=30
        )
        gone = requests.delete(f"{images}/{sent.json()['id']}", headers=headers, timeout=30)
        assert gone.status_code == 204


def open_trash(page: Page) -> str:
    sign_in(page, EMAIL, PASSWORD)
    page.get_by_role("link", name="Trash").click()
    page.wait_for_url("**/trash")
    return page.url


def test_some_are_restored_and_the_rest_is_emptied(tab: Page, filled: None) -> None:
    home = open_trash(tab)
    audit(tab, home)
    expect(tab.locator(".trash-total")).to_contain_text("4 images")
    restore = tab.get_by_role("button", name=re.compile(r"Restore.* selected"))
    expect(restore).to_be_disabled()
    tab.get_by_label("Select all on this page").check()
    tab.get_by_role("checkbox", name="Select four").press("Space")
    expect(restore).to_have_text("Restore 3 selected")
    restore.click()
    expect(tab.get_by_text("3 images restored.")).to_be_visible()
    expect(tab.locator(".bin")).to_have_count(1)

    audit(tab, f"{home}?confirm=empty")
    tab.goto(home)
    tab.get_by_role("link", name="Empty trash").click()
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_contain_text("1 image")
    dialog.get_by_role("button", name="Empty trash").click()
    expect(tab.get_by_text("1 image deleted for good.")).to_be_visible()
    audit(tab, home)


def test_it_needs_no_script(browser: Browser, service: Service, filled: None) -> None:
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    page = context.new_page()
    open_trash(page)
    page.get_by_role("button", name="Restore one", exact=True).click()
    expect(page.get_by_text("1 image restored.")).to_be_visible()
    page.get_by_role("checkbox", name="Select <b>two</b>").check()
    page.get_by_role("checkbox", name="Select four").check()
    page.get_by_role("button", name="Restore selected").click()
    expect(page.get_by_text("2 images restored.")).to_be_visible()
    page.get_by_role("link", name="Empty trash").click()
    page.get_by_role("dialog").get_by_role("button", name="Empty trash").click()
    expect(page.get_by_text("The trash is empty", exact=True)).to_be_visible()
    context.close()
