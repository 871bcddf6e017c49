"""Presets and exports in a browser, with real pictures and a worker."""

import io
import json
import re
from zipfile import ZipFile

import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in
from tests.conftest import Service
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "packer@example.com", "a lamp beside the door"
NAMES = [f"picture {number}.jpg" for number in range(1, 7)]


@pytest.fixture(autouse=True, scope="module")
def account(service: Service) -> None:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)
    service.flask("orgs", "set-plan", EMAIL, "ENTERPRISE")


def upload(page: Page, home: str) -> None:
    """Pictures of different content, by the API."""
    page.goto(f"{home}/keys/new")
    page.get_by_label("Name").fill("Uploads")
    page.get_by_role("button", name="Create key").click()
    key = page.get_by_role("group", name="The new key").locator("code").inner_text()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for number, name in enumerate(NAMES):
        data = encoded(width=40 + number, height=30)
        about = {"originalName": name, "mimeType": "image/jpeg", "size": len(data)}
        ticket = page.request.post(
            "/api/v1/assets", headers=headers, data=json.dumps({"mode": "presign", **about})
        ).json()
        put = page.request.put(ticket["uploadUrl"], headers=ticket["headers"], data=data)
        assert put.ok
        done = {"mode": "finalize", "storageKey": ticket["storageKey"], **about}
        made = page.request.post("/api/v1/assets", headers=headers, data=json.dumps(done))
        assert made.status == 201, made.text()


def test_a_preset_and_an_export_with_it(tab: Page, service: Service) -> None:
    home = sign_in(tab, EMAIL, PASSWORD)
    audit(tab, f"{home}/presets")
    audit(tab, f"{home}/exports")
    upload(tab, home)
    tab.goto(f"{home}/presets")
    tab.get_by_role("link", name="Create preset").click()
    tab.get_by_label("Name").fill("hero")
    tab.get_by_label("Format").select_option("webp")
    tab.get_by_label("Greatest width").fill("20")
    tab.get_by_role("button", name="Create preset").click()
    tab.get_by_role("link", name="hero", exact=True).click()
    tab.wait_for_load_state()
    audit(tab, tab.url)
    audit(tab, f"{home}/presets")

    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(f"{home}/library?sort=name")
    boxes = tab.locator(".tile .pick")
    expect(boxes).to_have_count(len(NAMES))
    for number in range(4):
        boxes.nth(number).check(force=True)
    tab.locator(".selection").get_by_role("button", name=re.compile("Export")).click()
    tab.wait_for_url("**/exports/choose*")
    expect(tab.locator("#figures")).to_contain_text("4 images")
    expect(tab.locator("#figures")).to_contain_text("Counts 4 images.")
    tab.get_by_label("Preset").select_option(label="hero")
    expect(tab.get_by_label("Quality")).to_be_hidden()
    tab.get_by_role("button", name="Start export").click()
    tab.wait_for_url("**/exports/exp_*")
    expect(tab.get_by_role("progressbar")).to_be_visible()
    expect(tab.get_by_text("Ready")).to_be_visible(timeout=120_000)
    with tab.expect_download() as started:
        tab.get_by_role("link", name="Download").click()
    assert re.fullmatch(r"export-[\d-]+-4-images\.zip", started.value.suggested_filename)
    with ZipFile(io.BytesIO(started.value.path().read_bytes())) as archive:
        assert archive.namelist() == [f"picture {number}.webp" for number in range(1, 5)]
        assert archive.testzip() is None
    audit(tab, tab.url)
    audit(tab, f"{home}/exports")

    audit(tab, f"{home}/exports/new")
    expect(tab.locator("#figures")).to_contain_text("6 images")
    tab.get_by_label("Preset").select_option(label="hero")
    expect(tab.locator("#figures")).to_contain_text("Counts 2 images. 4 are there already")
