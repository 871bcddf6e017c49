"""The library in a browser: images are found, filtered, chosen by mouse and keyboard, changed; and
there are many of them."""

import json
import re
import sqlite3
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, Route, expect

from app.services.library import folding
from tests.browser.audit import audit
from tests.browser.test_account import PASSWORD, submit
from tests.client import bearer
from tests.conftest import Service
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

MANY = 3000
MOST_LIVE = 400
SHAPES = [(400, 300), (300, 400), (400, 400), (640, 200), (200, 640), (480, 270)]


class Library:
    """An organization with ``MANY`` images of one file, and its owner's browser."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.email = f"{uuid4().hex}@example.com"
        service.flask("users", "create", self.email, "--password", PASSWORD)
        service.flask("orgs", "set-plan", self.email, "ENTERPRISE")
        self.key = service.flask("keys", "create", self.email)
        self.collection = self.api("POST", "/api/v1/collections", {"name": "Autumn"})["id"]
        self._multiply(self._upload())

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, str]:
        answer = requests.request(
            method, self.service.url + path, json=body, headers=bearer(self.key), timeout=60
        )
        assert answer.ok, answer.text
        found: dict[str, str] = answer.json()
        return found

    def total(self, query: str = "") -> int:
        return int(self.api("GET", f"/api/v1/assets?pageSize=1{query}")["total"])

    def _upload(self) -> str:
        data = encoded(width=64, height=48)
        about = {"originalName": "first.jpg", "mimeType": "image/jpeg", "size": len(data)}
        ticket: dict[str, object] = dict(
            self.api("POST", "/api/v1/assets", {"mode": "presign", **about})
        )
        requests.put(
            str(ticket["uploadUrl"]), data, headers={"Content-Type": "image/jpeg"}, timeout=60
        ).raise_for_status()
        key = ticket["storageKey"]
        made = self.api("POST", "/api/v1/assets", {"mode": "finalize", "storageKey": key, **about})
        return made["id"]

    def _multiply(self, asset_id: str) -> None:
        """Copies of the row, older than it, as if as many files had been uploaded."""
        with closing(
            sqlite3.connect(self.service.data_dir / "lightwell.sqlite3", timeout=60)
        ) as db:
            db.row_factory = sqlite3.Row
            first = dict(db.execute("SELECT * FROM assets WHERE id = ?", (asset_id,)).fetchone())
            names = ", ".join(first)
            places = ", ".join(f":{name}" for name in first)
            db.executemany(
                f"INSERT INTO assets ({names}) VALUES ({places})",
                [self._copy(first, number) for number in range(1, MANY)],
            )
            db.execute(
                "UPDATE asset_counts SET count = ? WHERE org_id = ?", (MANY, first["org_id"])
            )
            db.commit()

    @staticmethod
    def _copy(first: dict[str, object], number: int) -> dict[str, object]:
        name = f"IMG_{number:04}.jpg"
        width, height = SHAPES[number % len(SHAPES)]
        return first | {
            "id": f"{first['id']}{number:05}"[-32:], "name": name,
            "sort_name": folding.sort_name(name), "search": folding.search_text(name, name, ()),
            "original_name": name, "storage_key": f"{first['storage_key']}{number}",
            "width": width, "height": height, "tags": json.dumps([]),
            "uploaded_at": f"2026-0{1 + number // 600}-01 {number // 60 % 10:02}:{number % 60:02}:"
            "00.000000",
        }  # fmt: skip


@pytest.fixture(scope="module")
def library(service: Service) -> Library:
    return Library(service)


def open_library(page: Page, library: Library, query: str = "", *, is_scripted: bool = True) -> str:
    page.goto("/login")
    submit(page, "Sign in", **{"E-mail": library.email, "Password": PASSWORD})
    page.wait_for_url("**/dashboard/*")
    home = page.url
    page.goto(f"{home}/library{query}")
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.locator("#library[data-scripted]")).to_have_count(int(is_scripted))
    return home


def search(page: Page, words: str) -> None:
    page.keyboard.press("/")
    field = page.get_by_label("Search names and tags")
    expect(field).to_be_focused()
    field.fill(words)


def said(page: Page) -> Locator:
    return page.locator("#selection b")


def tiles(page: Page) -> Locator:
    return page.locator("#grid > .tile")


def top_tile(page: Page) -> str:
    """The name of the first image whose top is on the screen."""
    found: str = page.evaluate(
        "[...document.querySelectorAll('.tile')]"
        ".find((tile) => tile.getBoundingClientRect().top > 70).querySelector('img').alt"
    )
    return found


def test_the_page_on_both_screens_and_in_both_themes(tab: Page, library: Library) -> None:
    home = open_library(tab, library)
    audit(tab, f"{home}/library")
    audit(tab, f"{home}/library?q=nowhere&tags=none&minSize=1000")
    audit(tab, f"{home}/library?mode=test")


def test_images_are_found_filtered_and_the_way_back_leads_back(tab: Page, library: Library) -> None:
    open_library(tab, library)
    count = tab.locator("#count")
    search(tab, "IMG 0012")
    expect(count).to_have_text("1 image found")
    expect(tab).to_have_url(re.compile(r"q=IMG\+0012$"))
    expect(tiles(tab)).to_have_count(1)
    tab.get_by_role("button", name="Size").click()
    tab.get_by_label("At least").select_option("10 MB")
    tab.get_by_role("form", name="Size").get_by_role("button", name="Show").click()
    expect(tab.get_by_role("heading", name="Nothing found")).to_be_visible()
    tab.go_back()
    expect(count).to_have_text("1 image found")
    tab.go_back()
    expect(count).to_contain_text(f"{MANY:,} images")
    expect(tab.get_by_label("Search names and tags")).to_have_value("")
    tab.go_forward()
    expect(count).to_have_text("1 image found")
    tab.reload()
    expect(count).to_have_text("1 image found")
    tab.get_by_role("link", name="take this filter away").click()
    expect(count).to_contain_text(f"{MANY:,} images")
    tab.get_by_role("button", name="Sorted by").click()
    tab.get_by_role("link", name="Name, Z to A").click()
    expect(tiles(tab).first.get_by_role("img")).to_have_attribute("alt", f"IMG_{MANY - 1}.jpg")


def test_fifty_are_chosen_by_shift_tagged_moved_and_deleted_and_come_back(
    tab: Page, library: Library
) -> None:
    open_library(tab, library, "?sort=name")
    before = library.total()
    picks = tab.locator(".pick")
    picks.nth(2).check(force=True)
    picks.nth(51).click(modifiers=["Shift"], force=True)
    expect(said(tab)).to_have_text("50 selected")

    tab.get_by_role("button", name="Tag", exact=True).click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_label("Tags").fill('Winter, "snow, ice"')
    dialog.get_by_role("button", name="Add tags").click()
    expect(tab.get_by_text("Tagged 50 images")).to_be_visible()
    assert library.total('&tags="snow, ice"') == 50

    tab.get_by_role("button", name="Move", exact=True).click()
    dialog.get_by_label("To the collection").select_option("Autumn")
    dialog.get_by_role("button", name="Move").click()
    expect(tab.get_by_text("50 images moved to Autumn")).to_be_visible()
    assert library.total(f"&collectionId={library.collection}") == 50

    tab.get_by_role("link", name="Autumn").first.click()
    expect(tab.locator("#count")).to_have_text("50 images found")
    tab.locator(".tile a").first.focus()
    tab.keyboard.press("Control+a")
    expect(said(tab)).to_have_text("50 selected")
    tab.get_by_role("button", name="Delete", exact=True).click()
    expect(tab.get_by_text("50 images moved to the trash")).to_be_visible()
    assert library.total() == before - 50
    tab.get_by_role("button", name="Undo").click()
    expect(tab.get_by_text("50 images restored")).to_be_visible()
    expect(tab.locator("#count")).to_have_text("50 images found")
    expect(tiles(tab)).to_have_count(50)
    assert library.total() == before


def test_what_is_chosen_before_the_script_comes_stays_chosen(tab: Page, library: Library) -> None:
    open_library(tab, library, "?sort=name")

    def choose_first(route: Route) -> None:
        tab.locator(".pick").nth(2).check(force=True)
        route.continue_()

    tab.route("**/library-selection*", choose_first)
    tab.reload()
    expect(said(tab)).to_have_text("1 selected")
    tab.locator(".pick").nth(51).click(modifiers=["Shift"], force=True)
    expect(said(tab)).to_have_text("50 selected")


def test_the_keyboard_goes_and_chooses(tab: Page, library: Library) -> None:
    open_library(tab, library, "?sort=-uploadedAt")
    names = [tile.get_attribute("alt") for tile in tab.locator(".tile img").all()[:12]]
    focused = "document.activeElement.querySelector('img')?.alt"
    tab.locator(".tile a").first.focus()
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate(focused) == names[1]
    tab.keyboard.press("Space")
    expect(said(tab)).to_have_text("1 selected")
    for _ in range(3):
        tab.keyboard.press("Shift+ArrowRight")
    expect(said(tab)).to_have_text("4 selected")
    tab.keyboard.press("Shift+ArrowLeft")
    expect(said(tab)).to_have_text("3 selected")
    below = tab.evaluate("document.activeElement.getBoundingClientRect().bottom")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement.getBoundingClientRect().top") > below
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Control+a")
    everything = tab.get_by_role("button", name=f"Select all {MANY:,} that match")
    everything.click()
    expect(said(tab)).to_have_text(f"All {MANY:,} that match")
    expect(tab.get_by_role("button", name="Delete", exact=True)).to_be_hidden()
    tab.keyboard.press("Escape")
    expect(tab.locator("#selection")).to_be_hidden()


def test_a_long_list_stays_a_short_page_and_is_found_again(tab: Page, library: Library) -> None:
    home = open_library(tab, library, "?sort=name")
    tab.locator(".pick").first.check(force=True)
    loaded, live = 0, 0
    while tab.locator("#more").count():
        tab.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        tab.wait_for_timeout(150)
        live = max(live, tiles(tab).count())
        loaded += 1
        assert loaded < 600, "it never ends"
    expect(tab.get_by_text("That’s all.")).to_be_visible()
    assert live <= MOST_LIVE

    tab.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    tab.wait_for_timeout(1500)
    middle = top_tile(tab)
    tab.evaluate("scrollTo(0, 0)")
    expect(tab.get_by_role("img", name="first.jpg")).to_be_visible()
    tab.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    tab.wait_for_timeout(1500)
    assert top_tile(tab) == middle

    tab.locator(".tile").nth(tiles(tab).count() // 2).locator(".pick").click(
        modifiers=["Shift"], force=True
    )
    chosen = int(said(tab).inner_text().replace(",", "").split()[0])
    assert chosen > MANY // 3  # most of them are in no tile any more

    tab.get_by_role("link", name=middle).click()
    tab.wait_for_url(f"{home}/assets/*")
    tab.go_back()
    expect(tab.get_by_role("img", name=middle)).to_be_visible()


def test_it_needs_no_script(browser: Browser, service: Service, library: Library) -> None:
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    page = context.new_page()
    open_library(page, library, is_scripted=False)
    page.get_by_role("link", name="Load more").click()
    expect(page.get_by_role("link", name="Back to the first page")).to_be_visible()
    page.get_by_role("button", name="Sorted by").click()
    page.get_by_role("link", name="Oldest").click()
    page.get_by_label("Search names and tags").fill("IMG_0007")
    page.get_by_label("Search names and tags").press("Enter")
    expect(page.locator("#count")).to_have_text("1 image found")
    page.get_by_role("checkbox", name="Select IMG_0007.jpg").check(force=True)
    page.locator("#plain-tags").fill("by hand")
    page.get_by_role("button", name="Add tags").click()
    expect(page.get_by_text("Tags of 1 image changed.")).to_be_visible()
    assert library.total("&tags=by hand") == 1
    context.close()
