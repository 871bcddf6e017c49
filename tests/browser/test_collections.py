"""The tree of collections in a browser: by menu, by drag, by keyboard, and without JavaScript."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "sorter@example.com", "a lamp beside the door"
ASSETS = "application/x-lightwell-assets"


@pytest.fixture(autouse=True, scope="module")
def account(service: Service) -> None:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)
    service.flask("orgs", "set-plan", EMAIL, "TEAM")


def line(page: Page, name: str) -> Locator:
    return page.locator(f'.tree .line[data-name="{name}"]')


def create(page: Page, name: str) -> None:
    page.get_by_text("New collection").click()
    page.locator("#new-collection").fill(name)
    page.get_by_role("button", name="Create collection").click()
    expect(line(page, name)).to_be_visible()


def choose(page: Page, name: str, entry: str) -> Locator:
    """Choose from a collection's menu. Returns the dialog."""
    page.get_by_role("link", name=f"Change {name}", exact=True).click()
    page.get_by_role("link", name=entry).click()
    return page.get_by_role("dialog")


def test_the_tree_by_menu_drag_and_keyboard(tab: Page, service: Service) -> None:
    library = f"{sign_in(tab, EMAIL, PASSWORD)}/library"
    tab.goto(library)
    for name in ("Autumn", "Products", "Zebra"):
        create(tab, name)

    dialog = choose(tab, "Autumn", "New inside")
    dialog.get_by_label("Name").fill("Posters")
    dialog.get_by_role("button", name="Create collection").click()
    expect(line(tab, "Posters")).to_have_attribute("data-depth", "1")

    dialog = choose(tab, "Posters", "Rename or recolour")
    dialog.get_by_label("Name").fill(" ")
    dialog.get_by_role("button", name="Save collection").click()
    expect(dialog.get_by_role("alert")).to_have_text(
        "Give the collection a name of 1 to 255 characters."
    )
    dialog.get_by_label("Name").fill("Prints")
    dialog.get_by_label("Green").check(force=True)
    dialog.get_by_role("button", name="Save collection").click()
    expect(line(tab, "Prints").locator("circle")).to_have_attribute("fill", "#30a46c")

    dialog = choose(tab, "Zebra", "Move to…")
    dialog.get_by_label("Into").select_option(label="Products")
    dialog.get_by_role("button", name="Move collection").click()
    expect(line(tab, "Zebra")).to_have_attribute("data-depth", "1")

    line(tab, "Zebra").locator(".to").drag_to(line(tab, "Prints").locator(".to"))
    expect(line(tab, "Zebra")).to_have_attribute("data-depth", "2")
    line(tab, "Autumn").locator(".to").drag_to(line(tab, "Zebra").locator(".to"))
    expect(line(tab, "Autumn")).to_have_attribute("data-depth", "0")
    line(tab, "Zebra").locator(".to").drag_to(tab.get_by_role("link", name="All images"))
    expect(line(tab, "Zebra")).to_have_attribute("data-depth", "0")

    expect(line(tab, "Prints")).to_be_visible()
    tab.reload()
    expect(line(tab, "Prints")).to_be_visible()
    line(tab, "Autumn").locator(".to").focus()
    tab.keyboard.press("ArrowLeft")
    expect(line(tab, "Prints")).to_be_hidden()
    tab.keyboard.press("ArrowDown")
    expect(line(tab, "Products").locator(".to")).to_be_focused()
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(r"collectionId=col_"))
    expect(line(tab, "Products").locator(".to")).to_have_attribute("aria-current", "true")

    tab.locator("#results a[data-part]").filter(has_text="Products").first.click()
    chosen = tab.locator('.tree [aria-current="true"]')
    expect(chosen).to_contain_text("All images")
    tab.go_back()
    expect(chosen).to_contain_text("Products")

    dialog = choose(tab, "Autumn", "Delete")
    expect(dialog).to_contain_text("1 collection lies in it. Move or delete that one first.")
    tab.keyboard.press("Escape")
    dialog = choose(tab, "Products", "Delete")
    dialog.get_by_role("button", name="Delete collection").click()
    tab.wait_for_url(library)
    expect(line(tab, "Autumn")).to_be_visible()
    expect(line(tab, "Products")).to_have_count(0)

    tab.get_by_role("link", name="Change Autumn", exact=True).click()
    page_of_autumn = tab.locator("#tree-menu a").first.get_attribute("href") or ""
    tab.keyboard.press("Escape")
    audit(tab, page_of_autumn.partition("#")[0])
    audit(tab, f"{library}/collections")


def test_images_dropped_on_a_collection_are_to_be_moved(tab: Page, service: Service) -> None:
    tab.goto(f"{sign_in(tab, EMAIL, PASSWORD)}/library")
    create(tab, "Drops")
    told = tab.evaluate(
        """([type, selector]) => new Promise((resolve) => {
          document.addEventListener("move-assets", ({ detail }) => resolve(detail), { once: true });
          const dataTransfer = new DataTransfer();
          dataTransfer.setData(type, JSON.stringify(["image_1", "image_2"]));
          const place = document.querySelector(selector);
          for (const name of ["dragover", "drop"]) {
            const event = new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer });
            place.dispatchEvent(event);
          }
        })""",
        [ASSETS, '.line[data-name="Drops"] .to'],
    )
    assert told == {
        "collectionId": line(tab, "Drops").get_attribute("data-id"),
        "ids": ["image_1", "image_2"],
    }


def test_the_tree_needs_no_script(browser: Browser, service: Service) -> None:
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{sign_in(page, EMAIL, PASSWORD)}/library")
    page.get_by_text("New collection").click()
    page.locator("#new-collection").fill("Plain")
    page.get_by_role("button", name="Create collection").click()
    page.wait_for_url(re.compile(r"collectionId=col_"))
    line(page, "Plain").hover()
    page.get_by_role("link", name="Change Plain", exact=True).click()
    page.get_by_role("button", name="Delete collection").click()
    expect(page.get_by_text("The collection “Plain” is deleted; its images stay.")).to_be_visible()
    context.close()
