"""The pages about the API, as a person sees and uses them."""

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.conftest import Service
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]


def test_an_error_s_page_is_found_by_its_code(page: Page) -> None:
    page.goto("/docs/errors")
    expect(page.get_by_role("heading", level=1)).to_have_text("Errors")
    page.get_by_role("link", name="rate_limited").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Too many requests")
    expect(page).to_have_title("Too many requests · Lightwell")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_the_playground_opens_without_the_network(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_role("heading", name="Lightwell", level=1)).to_be_visible()
    expect(page.get_by_text("POST /compress/batch").first).to_be_visible()


@pytest.mark.parametrize("page", ["light"], indirect=True)
def test_a_batch_is_compressed_from_the_playground(
    page: Page, service: Service, tmp_path: Path
) -> None:
    answer = requests.post(
        f"{service.url}/auth/register", json={"email": "player@example.com"}, timeout=10
    )
    files = {
        "photo.jpg": encoded(),
        "drawing.png": encoded("PNG", 200, 100),
        "scan.tiff": encoded("TIFF", 200, 100),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    page.goto("/docs")
    page.get_by_placeholder("Token").first.fill(answer.json()["apiKey"])
    page.goto("/docs#tag/compress/POST/compress/batch")
    page.get_by_role("button", name=re.compile("Test Request.*compress")).click()
    rows = page.locator("tr[id='files[]']")
    for number, name in enumerate(files):
        if number:
            page.get_by_label("Key").last.click()
            page.keyboard.type("files[]")
            page.keyboard.press("Tab")
            expect(rows).to_have_count(number + 1)
        with page.expect_file_chooser() as chooser:
            rows.nth(number).get_by_role("button", name="Select File").click()
        chooser.value.set_files(tmp_path / name)
        expect(rows.nth(number)).to_contain_text(name)
    with page.expect_response("**/compress/batch") as sent:
        page.get_by_role("button", name="Send post request").click()

    assert sent.value.status == 200
    expect(page.get_by_text("originalName").last).to_be_visible()
    for name in files:
        expect(page.get_by_text(name).last).to_be_visible()
    key = {"x-api-key": answer.json()["apiKey"]}
    assert requests.get(f"{service.url}/usage", headers=key, timeout=10).json()["used"] == len(
        files
    )
