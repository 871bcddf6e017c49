"""Search, abuse and blocks in a browser; without JavaScript too."""

import re

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.blocks import new_network
from tests.browser.audit import audit
from tests.browser.door import sign_in_as_staff
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]
EMAIL = "found@search.example"


@pytest.fixture(autouse=True, scope="module")
def key(service: Service) -> str:
    service.flask("users", "create", EMAIL)
    found = re.search(r"ak_live_\w+", service.flask("keys", "create", EMAIL))
    assert found
    return found[0]


def search(page: Page, text: str) -> None:
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_load_state()


def test_search(tab: Page, service: Service, key: str) -> None:
    sign_in_as_staff(tab, service, "support")
    search(tab, "found@se")
    expect(tab.get_by_role("link", name=EMAIL)).to_be_visible()
    expect(tab.get_by_role("searchbox")).to_have_value("found@se")
    audit(tab, "/admin/search?q=found")
    audit(tab, "/admin/search?q=nothing-of-the-kind")
    audit(tab, "/admin/search")
    search(tab, f"{key[:-1]}x")
    expect(tab).to_have_url(f"{service.url}/admin/search")
    expect(tab.get_by_text("That is no key of ours")).to_be_visible()
    search(tab, key)
    tab.wait_for_url("**/admin/organizations/**")
    assert key[8:] not in tab.url
    log = service.log.read_text()
    assert "/admin/search" in log
    assert key[8:] not in log
    assert key[8:-1] not in log


def test_a_network_is_blocked_from_the_list_and_the_block_ended(
    tab: Page, service: Service
) -> None:
    sign_in_as_staff(tab, service)
    for _ in range(3):
        refused = requests.get(f"{service.url}/usage", headers={"x-api-key": "no"}, timeout=30)
        assert refused.status_code == 401
    tab.get_by_role("link", name="Abuse").click()
    tab.get_by_role("link", name="Last day").click()
    audit(tab, "/admin/abuse")
    audit(tab, "/admin/abuse?period=day")
    tab.get_by_role("link", name="Block 127.0.0.1").first.click()
    tab.get_by_label("Reason").fill("guesses keys")
    tab.get_by_role("button", name="Block", exact=True).click()
    expect(tab.get_by_text("Is this machine itself.")).to_be_visible()
    network = new_network().removesuffix("/64") + "/47"
    tab.get_by_label("Address, network or mail domain").fill(network)
    tab.get_by_role("button", name="Block", exact=True).click()
    typed = tab.get_by_label("Type it once more")
    wide = re.search(r"To block all of it, type (\S+) once more", tab.content())
    assert wide
    typed.fill(wide[1])
    tab.get_by_label("Ends").select_option("Never: for good")
    tab.get_by_role("button", name="Block", exact=True).click()
    expect(tab.get_by_text(f"{wide[1]} is blocked for good.")).to_be_visible()
    audit(tab, "/admin/abuse/blocks")
    audit(tab, "/admin/abuse/blocks/new")
    tab.goto("/admin/abuse/blocks")
    tab.get_by_role("link", name=f"End the block of {wide[1]}").click()
    dialog = tab.get_by_role("dialog", name="End this block?")
    dialog.get_by_label("Reason").fill("asked for it, politely")
    dialog.get_by_role("button", name="End block").click()
    expect(tab.get_by_text(f"{wide[1]} is not blocked any more.")).to_be_visible()


def test_without_javascript(browser: Browser, tab: Page, service: Service) -> None:
    sign_in_as_staff(tab, service)
    context = browser.new_context(
        base_url=service.url, java_script_enabled=False, storage_state=tab.context.storage_state()
    )
    page, network = context.new_page(), new_network()
    page.goto("/admin/abuse/blocks/new")
    page.get_by_label("Address, network or mail domain").fill(network)
    page.get_by_label("Reason").fill("a reason")
    page.get_by_role("button", name="Block", exact=True).click()
    page.get_by_role("link", name=f"End the block of {network}").click()
    assert "confirm=block_" in page.url
    audit(tab, page.url)
    page.get_by_role("dialog").get_by_label("Reason").fill("a reason")
    page.get_by_role("button", name="End block").click()
    expect(page.get_by_role("heading", name="Nothing is blocked")).to_be_visible()
    audit(tab, "/admin/abuse/blocks")
    context.close()
