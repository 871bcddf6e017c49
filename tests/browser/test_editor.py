"""The editor in a browser: handles by mouse and keyboard, the chain, saving."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in
from tests.conftest import Service
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "retoucher@example.com", "a lamp beside the door"


@pytest.fixture(autouse=True, scope="module")
def key(service: Service) -> str:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)
    service.flask("orgs", "set-plan", EMAIL, "ENTERPRISE")
    return service.flask("keys", "create", EMAIL).split()[-1]


@pytest.fixture
def editor(tab: Page, key: str, tmp_path: Path) -> Iterator[Page]:
    """The editor of a photo of 800 x 600 pixels, in a library that has a logo too."""
    photo = made(tab, key, "/upload", "hero", encoded("JPEG", 800, 600))
    Image.new("RGBA", (200, 100), (250, 160, 20, 200)).save(tmp_path / "logo.png")
    made(tab, key, "/upload", "logo", (tmp_path / "logo.png").read_bytes())
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    home = sign_in(tab, EMAIL, PASSWORD)
    tab.goto(f"{home}/assets/{photo['id']}/edit")
    ready(tab)
    yield tab
    assert not [problem for problem in problems if "Failed to load" not in problem]


def made(page: Page, key: str, path: str, name: str, data: bytes) -> dict[str, Any]:
    answer = page.request.post(
        f"/v1/images{path}",
        headers={"x-api-key": key},
        multipart={
            "name": name,
            "image": {"name": name, "mimeType": "image/png", "buffer": data},
        },
    )
    assert answer.status == 201, answer.text()
    image: dict[str, Any] = answer.json()
    return image


def ready(page: Page, size: str = "") -> None:
    """Wait until the preview is there, of a result of this size."""
    page.wait_for_timeout(150)
    expect(page.locator("[data-canvas]")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("[data-picture]")).to_be_visible()
    if size:
        expect(page.locator("[data-size]")).to_have_text(f"{size} pixels")


def add(page: Page, name: str) -> None:
    page.get_by_role("group", name="Add a step").get_by_role("button", name=name).click()
    ready(page)


def titles(page: Page) -> list[str]:
    return page.locator(".step .title b").all_inner_texts()


def value(page: Page, label: str) -> int:
    return int(page.get_by_label(label, exact=True).input_value())


def drag(page: Page, handle: str, across: int, down: int) -> None:
    box = page.get_by_role("button", name=handle).bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across, y + down, steps=5)
    page.mouse.up()


def test_crop_rotate_and_watermark_are_saved_as_the_api_makes_them(editor: Page, key: str) -> None:
    source = editor.url.split("/")[-2]
    add(editor, "Crop")
    editor.get_by_label("Ratio").select_option("4:3")
    drag(editor, "Move the top left corner", 120, 90)
    ready(editor)
    assert value(editor, "Left") > 50
    assert value(editor, "Width") * 3 == pytest.approx(value(editor, "Height") * 4, abs=4)
    add(editor, "Rotate")
    editor.get_by_role("button", name="Right 90°").click()
    editor.get_by_label("Straighten, in degrees", exact=True).fill("4.5")
    editor.get_by_label("Straighten, in degrees", exact=True).blur()
    ready(editor)
    add(editor, "Watermark")
    editor.get_by_role("dialog").get_by_role("button", name="logo").first.click()
    ready(editor)
    before = value(editor, "Left")
    drag(editor, "Move the watermark", -60, -40)
    ready(editor)
    assert value(editor, "Left") < before - 40
    editor.get_by_text("The same by API").click()
    code = editor.get_by_role("region", name="The request").inner_text()
    body = re.search(r"-d '(\{.*\})'", code, re.DOTALL)
    assert body
    by_api = editor.request.post(
        f"/v1/images/{source}/transform",
        headers={"x-api-key": key, "Content-Type": "application/json"},
        data=body[1],
    ).json()
    editor.get_by_label("Name of the new image").fill("cut")
    editor.get_by_role("button", name="Save as new image").dblclick()
    editor.wait_for_url(re.compile(r"/assets/image_\w+$"))
    by_page = {"id": editor.url.rpartition("/")[2]}
    files = [
        editor.request.get(f"/v1/images/{one['id']}/download", headers={"x-api-key": key}).body()
        for one in (by_api, by_page)
    ]
    assert files[0] == files[1]


def test_a_crop_by_keyboard(editor: Page) -> None:
    add(editor, "Crop")
    editor.get_by_role("button", name="Move the bottom right corner").focus()
    for key in ("ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowUp", "ArrowUp"):
        editor.keyboard.press(key)
    assert (value(editor, "Width"), value(editor, "Height")) == (789, 589)
    editor.get_by_role("button", name="Move the crop").focus()
    editor.keyboard.press("Shift+ArrowRight")
    editor.keyboard.press("ArrowRight")
    assert (value(editor, "Left"), value(editor, "Top")) == (11, 0)
    editor.get_by_label("Height", exact=True).fill("100")
    ready(editor, "789 × 100")
    editor.keyboard.press("Control+z")
    ready(editor, "789 × 589")


def test_steps_are_reordered_switched_off_and_taken_back(editor: Page) -> None:
    add(editor, "Resize")
    editor.get_by_label("Width", exact=True).fill("400")
    ready(editor, "400 × 300")
    add(editor, "Rotate")
    editor.get_by_role("button", name="Right 90°").click()
    ready(editor, "300 × 400")
    editor.get_by_role("button", name="Move up: Rotate").click()
    assert titles(editor) == ["1. Rotate", "2. Resize"]
    ready(editor, "400 × 533")
    editor.reload()
    ready(editor, "400 × 533")
    assert titles(editor) == ["1. Rotate", "2. Resize"]
    editor.get_by_role("button", name="Switch off: Resize").click()
    ready(editor, "600 × 800")
    editor.keyboard.press("Control+z")
    ready(editor, "400 × 533")
    editor.keyboard.press("Control+Shift+z")
    ready(editor, "600 × 800")
    editor.get_by_role("button", name="Remove: Rotate").click()
    ready(editor, "800 × 600")
    editor.get_by_role("button", name="Undo").click()
    ready(editor, "600 × 800")
    boxes = [grip.bounding_box() for grip in editor.locator(".grip").all()]
    (x, above), (_, below) = ((box["x"] + 8, box["y"] + 12) for box in boxes if box)
    editor.mouse.move(x, above)
    editor.mouse.down()
    editor.mouse.move(x, below + 16, steps=12)
    editor.mouse.up()
    expect(editor.locator(".step .title b")).to_have_text(["1. Resize", "2. Rotate"])


def test_an_error_stands_at_its_step_and_the_last_preview_stays(editor: Page) -> None:
    add(editor, "Rotate")
    editor.get_by_role("button", name="Right 90°").click()
    add(editor, "Crop")
    add(editor, "Blur")
    ready(editor, "600 × 800")
    before = editor.locator("[data-picture]").get_attribute("src")
    editor.get_by_role("button", name="Remove: Rotate").click()
    step = editor.locator(".step", has_text="Crop")
    expect(step.get_by_role("alert")).to_have_text(re.compile("Must be at most 600"))
    assert editor.locator("[data-picture]").get_attribute("src") == before
    step.locator(".title").click()
    ready(editor)
    editor.get_by_label("Height", exact=True).fill("100")
    ready(editor)
    expect(step.get_by_role("alert")).to_be_hidden()


def test_the_original_is_shown_while_the_button_is_held(editor: Page) -> None:
    add(editor, "Mirror")
    hold = editor.get_by_role("button", name="Hold for original")
    hold.focus()
    editor.keyboard.down("Space")
    expect(editor.get_by_alt_text("hero, the original")).to_be_visible()
    editor.keyboard.up("Space")
    expect(editor.get_by_alt_text("hero, the original")).to_have_count(0)


def test_a_lost_connection_makes_no_second_image(editor: Page, key: str) -> None:
    def used() -> int:
        return int(editor.request.get("/usage", headers={"x-api-key": key}).json()["used"])

    add(editor, "Blur")
    before, keys = used(), []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    editor.route("**/edit", lose)
    save = editor.get_by_role("button", name="Save as new image")
    save.click()
    expect(editor.get_by_text("The server can't be reached.")).to_be_visible()
    save.click()
    editor.wait_for_url(re.compile(r"/assets/image_\w+$"))
    assert keys[0] == keys[1]
    assert used() == before + 1


def test_the_page_keeps_what_pages_promise(editor: Page) -> None:
    url = editor.url
    audit(editor, url)
    for step in ("Crop", "Rotate", "Resize", "Colours", "Convert"):
        add(editor, step)
    editor.get_by_text("The same by API").click()
    audit(editor, url)
    if folder := os.environ.get("SCREENSHOTS"):
        editor.screenshot(path=Path(folder) / "editor.png", full_page=True)
