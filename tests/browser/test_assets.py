"""The page of an image, in a browser: zoom, labels with undo, the public link, URLs of copies."""

from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in
from tests.conftest import Service
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "curator@example.com", "a lamp beside the door"


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)
    service.flask("orgs", "set-plan", EMAIL, "TEAM")
    return service.flask("keys", "create", EMAIL).split()[-1]


def upload(page: Page, key: str, content: bytes, name: str = "hero.jpg") -> str:
    file = {"name": name, "mimeType": "image/jpeg", "buffer": content}
    answer = page.request.post(
        "/v1/images/upload",
        multipart={"name": name, "image": file},  # type: ignore[dict-item]  # as the docs say
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.ok, answer.text()
    return str(answer.json()["id"])


def photo_with_place() -> bytes:
    exif = Image.Exif()
    exif[0x0110] = "Lamp 3000"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    return encoded("JPEG", 3000, 2000, exif=exif.tobytes())


def test_the_picture_is_zoomed_by_keys_buttons_and_drag(tab: Page, key: str) -> None:
    home = sign_in(tab, EMAIL, PASSWORD)
    tab.goto(f"{home}/assets/{upload(tab, key, encoded('JPEG', 3000, 2000))}")
    stage, zoom = tab.get_by_role("group", name="hero.jpg"), tab.locator(".zoom output")
    picture = stage.get_by_role("img")
    expect(zoom).to_contain_text("Fits")
    fitted = picture.bounding_box()
    assert fitted
    stage.focus()
    tab.keyboard.press("+")
    tab.keyboard.press("+")
    assert picture.bounding_box()["width"] > fitted["width"]  # type: ignore[index]
    tab.keyboard.press("1")
    expect(zoom).to_have_text("100 %")
    assert picture.bounding_box()["width"] == 3000  # type: ignore[index]
    expect(picture).to_have_js_property("naturalWidth", 3000)
    before = picture.bounding_box()["x"]  # type: ignore[index]
    tab.keyboard.press("ArrowRight")
    assert picture.bounding_box()["x"] == before - 60  # type: ignore[index]
    box = stage.bounding_box()
    assert box
    tab.mouse.move(box["x"] + 300, box["y"] + 200)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 400, box["y"] + 200)
    tab.mouse.up()
    assert picture.bounding_box()["x"] == before + 40  # type: ignore[index]
    tab.keyboard.press("0")
    expect(zoom).to_contain_text("Fits")
    tab.get_by_role("button", name="100 %").click()
    expect(zoom).to_have_text("100 %")
    tab.get_by_role("button", name="Zoom out").click()
    expect(zoom).to_have_text("67 %")


def test_what_is_changed_is_taken_back(tab: Page, key: str) -> None:
    home = sign_in(tab, EMAIL, PASSWORD)
    page = f"{home}/assets/{upload(tab, key, photo_with_place())}"
    audit(tab, page)
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(page)
    expect(tab.get_by_text("The file tells where it was taken.")).to_be_visible()
    expect(tab.get_by_text("Lamp 3000")).to_be_visible()
    assert tab.locator(".palette li").count() >= 2

    title = tab.get_by_role("heading", level=1)
    tab.get_by_label("Rename").first.click()
    expect(tab.get_by_label("Name", exact=True)).to_be_focused()
    tab.keyboard.press("Escape")
    expect(title).to_have_text("hero.jpg")
    tab.get_by_label("Rename").first.click()
    tab.get_by_label("Name", exact=True).fill("<b>Lamp</b> & Co")
    tab.keyboard.press("Enter")
    expect(title).to_have_text("<b>Lamp</b> & Co")
    expect(tab).to_have_title("<b>Lamp</b> & Co · curator · Lightwell")
    toast = tab.locator(".toasts")
    toast.get_by_role("button", name="Undo").click()
    expect(title).to_have_text("hero.jpg")
    expect(toast).to_contain_text("Taken back.")

    tab.get_by_label("Tags", exact=True).fill("sea")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("link", name="sea")).to_be_visible()
    expect(tab.get_by_label("Tags", exact=True)).to_be_focused()
    tab.get_by_role("button", name="Remove the tag sea").click()
    expect(tab.get_by_role("link", name="sea")).to_have_count(0)
    toast.get_by_role("button", name="Undo").click()
    expect(tab.get_by_role("link", name="sea")).to_be_visible()
    tab.get_by_label("Rename").first.click()
    tab.get_by_label("Name", exact=True).fill(" ")
    tab.keyboard.press("Enter")
    expect(tab.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")


def test_links_open_what_they_promise(tab: Page, browser: Browser, key: str) -> None:
    home = sign_in(tab, EMAIL, PASSWORD)
    content = photo_with_place()
    page = f"{home}/assets/{upload(tab, key, content)}"
    stranger = browser.new_context().request
    tab.goto(page)
    tab.get_by_role("button", name="Publish").click()
    public = tab.get_by_role("textbox", name="Public link").input_value()
    assert stranger.get(public).body() == content
    audit(tab, f"{page}?confirm=unpublish")
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(page)
    tab.get_by_role("link", name="Unpublish").click()
    tab.get_by_role("dialog").get_by_role("button", name="Unpublish").click()
    expect(tab.get_by_text("Private", exact=True)).to_be_visible()
    assert stranger.get(public).status == 404

    tab.get_by_label("Format").select_option("WebP")
    tab.get_by_label("Max width").fill("300")
    tab.get_by_role("button", name="Create URL").click()
    made = tab.get_by_label("URL of the copy")
    expect(tab.get_by_text("Made now; counted as 1 image.")).to_be_visible()
    copy = Image.open(BytesIO(stranger.get(made.input_value()).body()))
    assert (copy.format, copy.size) == ("WEBP", (300, 200))
    assert not copy.getexif()
    with tab.expect_download() as download:
        tab.locator("#export-result").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "hero.webp"
    tab.get_by_label("Max width").fill("301")
    tab.get_by_label("Max height").focus()
    expect(tab.get_by_text("Counts as 1 image, once.")).to_be_visible()
    shown = tab.locator("#export-state pre").first.inner_text()
    assert "maxWidth=301" in shown

    tab.get_by_role("link", name="Delete").click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    tab.wait_for_url("**/library")
    tab.get_by_text("is in the trash").get_by_role("button", name="Undo").click()
    tab.wait_for_url(page)
    expect(tab.get_by_role("heading", level=1)).to_have_text("hero.jpg")


def test_the_page_needs_no_script(browser: Browser, service: Service, key: str) -> None:
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    page = context.new_page()
    home = sign_in(page, EMAIL, PASSWORD)
    page.goto(f"{home}/assets/{upload(page, key, photo_with_place())}")
    page.get_by_role("link", name="Look at the file").click()
    expect(page.get_by_text("The file tells where it was taken.")).to_be_visible()
    page.get_by_label("Tags", exact=True).fill("plain")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("link", name="plain")).to_be_visible()
    page.get_by_label("Max width").fill("100")
    page.get_by_role("button", name="Create URL").click()
    expect(page.get_by_label("URL of the copy")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("30 days")
    context.close()
