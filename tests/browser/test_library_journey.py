"""A team's pictures, from the upload to a ZIP and back from the trash; a viewer only looks."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import psutil
import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from app.imaging.geometry import fit
from tests.browser.audit import audit
from tests.browser.test_journeys import PASSWORD, mailed_link, new_address, sign_up
from tests.conftest import Service
from tests.images import encoded, opened

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

PATIENCE_MS = 120_000
PAINTINGS, PHOTOS, PLANS = 50, 10, 4


def files() -> list[FilePayload]:
    """Fifty paintings as PNG, and others that a search or a filter must leave out."""

    def file(name: str, format: str, number: int) -> FilePayload:
        data = encoded(format, width=80 + number, height=60, seed=number)
        return {"name": name, "mimeType": f"image/{format.lower()}", "buffer": data}

    return [
        *(file(f"DÜRER Łódź {n:02}.png", "PNG", n) for n in range(PAINTINGS)),
        *(file(f"IMG_{n:04}.jpg", "JPEG", 100 + n) for n in range(PHOTOS)),
        *(file(f"Dürer plan {n}.jpg", "JPEG", 200 + n) for n in range(PLANS)),
    ]


def tiles(page: Page) -> Locator:
    return page.locator("#grid > .tile")


def in_tree(page: Page, name: str) -> Locator:
    return page.locator("#collections .to", has_text=name)


def count(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text)


def upload(page: Page, home: str) -> None:
    page.goto(f"{home}/library")
    page.locator("[data-files]").set_input_files(files())
    tray = page.get_by_role("region", name="Uploads")
    expect(tray.get_by_role("heading")).to_have_text(
        f"{PAINTINGS + PHOTOS + PLANS} files uploaded", timeout=PATIENCE_MS
    )
    tray.get_by_role("button", name="Close").click()


def find_paintings(page: Page, home: str) -> None:
    page.goto(f"{home}/library")
    page.keyboard.press("/")
    page.keyboard.type("lodz durer")
    count(page, f"{PAINTINGS} images found")
    page.get_by_label("Search names and tags").fill("durer")
    count(page, f"{PAINTINGS + PLANS} images found")
    page.get_by_role("button", name="Type").click()
    page.get_by_role("checkbox", name="PNG", exact=True).check()
    page.get_by_role("button", name="Show", exact=True).click()
    count(page, f"{PAINTINGS} images found")
    page.get_by_role("button", name="Sorted by").click()
    page.get_by_role("link", name="Name, A to Z").click()
    expect(tiles(page).first.get_by_role("img")).to_have_attribute("alt", "DÜRER Łódź 00.png")


def choose_all_by_shift(page: Page) -> None:
    picks = page.locator(".pick")
    picks.nth(0).check(force=True)
    picks.nth(PAINTINGS - 1).click(modifiers=["Shift"], force=True)
    expect(page.locator("#selection b")).to_have_text(f"{PAINTINGS} selected")


def move_to_new_collection(page: Page, name: str) -> None:
    page.get_by_text("New collection").click()
    page.locator("#new-collection").fill(name)
    page.get_by_role("button", name="Create collection").click()
    expect(in_tree(page, name)).to_be_visible()
    choose_all_by_shift(page)
    page.get_by_role("button", name="Move", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To the collection").select_option(name)
    dialog.get_by_role("button", name="Move").click()
    expect(page.get_by_text(f"{PAINTINGS} images moved to {name}")).to_be_visible()
    in_tree(page, name).click()
    expect(page).to_have_url(re.compile("collectionId="))
    count(page, f"{PAINTINGS} images found")


@contextmanager
def held_worker(service: Service) -> Iterator[None]:
    """No job begins meanwhile: what is small would be done before a page has shown it."""
    family = psutil.Process(service.process.pid).children(recursive=True)
    workers = [one for one in family if "app.worker" in one.cmdline()]
    assert workers
    for one in workers:
        one.suspend()
    try:
        yield
    finally:
        for one in workers:
            one.resume()


def export(page: Page, service: Service) -> Path:
    """Export all as WebP by a worker, watched on the way. Returns the ZIP."""
    choose_all_by_shift(page)
    page.locator(".selection").get_by_role("button", name="Export").click()
    page.wait_for_url("**/exports/choose*")
    expect(page.locator("#figures")).to_contain_text(f"Counts {PAINTINGS} images.")
    page.get_by_label("Format").select_option("webp")
    page.get_by_label("Greatest width").fill("40")
    with held_worker(service):
        page.get_by_role("button", name="Start export").click()
        page.wait_for_url("**/exports/exp_*")
        expect(page.get_by_label(f"Progress of {PAINTINGS} images")).to_be_visible()
        expect(page.get_by_text("Waiting for its turn")).to_be_visible()
    expect(page.get_by_text("Ready")).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    return started.value.path()


def test_from_the_upload_to_the_zip_and_back_from_the_trash(tab: Page, service: Service) -> None:
    email = new_address("curator")
    home = sign_up(tab, service, email)
    service.flask("orgs", "set-plan", email, "TEAM")
    upload(tab, home)
    find_paintings(tab, home)
    move_to_new_collection(tab, "Old masters")
    with ZipFile(io.BytesIO(export(tab, service).read_bytes())) as archive:
        names = sorted(archive.namelist())
        assert names == [f"DÜRER Łódź {n:02}.webp" for n in range(PAINTINGS)]
        for number, name in enumerate(names):
            picture = opened(archive.read(name))
            assert picture.format == "WEBP"
            assert picture.size == fit(80 + number, 60, 40, None)

    tab.goto(f"{home}/library")
    in_tree(tab, "Old masters").click()
    count(tab, f"{PAINTINGS} images found")
    asset = tiles(tab).first.get_by_role("link").get_attribute("href")
    for number in range(3):
        tab.locator(".pick").nth(number).check(force=True)
    tab.get_by_role("button", name="Delete", exact=True).click()
    count(tab, f"{PAINTINGS - 3} images found")
    tab.get_by_role("link", name="Trash").click()
    expect(tab.locator(".bin")).to_have_count(3)
    tab.get_by_label("Select all on this page").check()
    tab.get_by_role("button", name=re.compile("Restore 3 selected")).click()
    expect(tab.get_by_text("3 images restored.")).to_be_visible()
    tab.goto(f"{home}/library")
    in_tree(tab, "Old masters").click()
    count(tab, f"{PAINTINGS} images found")

    assert asset
    for path in (f"{home}/library", asset, f"{asset}/edit", f"{home}/exports"):
        audit(tab, path)


def test_a_viewer_sees_the_pictures_and_no_way_to_change_them(
    browser: Browser, tab: Page, service: Service
) -> None:
    owner, viewer = new_address("curator"), new_address("viewer")
    home = sign_up(tab, service, owner)
    service.flask("orgs", "set-plan", owner, "TEAM")
    tab.goto(f"{home}/library")
    tab.locator("[data-files]").set_input_files(files()[:2])
    expect(tiles(tab)).to_have_count(2, timeout=PATIENCE_MS)
    asset = tiles(tab).first.get_by_role("link").get_attribute("href")
    assert asset
    tab.goto(f"{home}/team")
    tab.get_by_label("E-mail", exact=True).fill(viewer)
    tab.get_by_label("Role").select_option("viewer")
    tab.get_by_role("button", name="Send invitation").click()

    context = browser.new_context(base_url=service.url)
    page = context.new_page()
    page.goto(mailed_link(service, viewer, "/invitations"))
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Open account and join").click()
    page.wait_for_url(re.compile(rf"{home}/?$"))
    for path in ("library", "exports", "presets", "trash"):
        page.goto(f"{home}/{path}")
        assert only_looks(page) == []
    page.goto(asset)
    assert only_looks(page) == []
    asset_id = asset.rpartition("/")[2]
    for path, fields in {
        "library/bulk/trash": {"ids": asset_id},
        "library/bulk/tags": {"ids": asset_id, "tags": "mine"},
        "library/collections": {"name": "Mine"},
        "library/uploads": {},
        "exports": {"ids": asset_id},
        f"assets/{asset_id}/edit": {"operations": "[]"},
    }.items():
        answer = page.evaluate(
            "([path, fields]) => fetch(path, {method: 'POST', body: new URLSearchParams(fields)})"
            ".then((answer) => answer.status)",
            [f"{home}/{path}", fields],
        )
        assert answer == 403, path
    tab.goto(f"{home}/library")
    expect(tiles(tab)).to_have_count(2)
    context.close()


def only_looks(page: Page) -> list[str]:
    """The controls of the page's main part that change something: forms that post, and what the
    scripts act on."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('main :is(form[method=post], [data-act], [data-files],"
        " .pick, .selection)')].map((one) => one.outerHTML.slice(0, 200))"
    )
    return found
