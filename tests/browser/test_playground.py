"""Files dropped into the playground, compared, downloaded, in a browser."""

import re
import zipfile
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Download, FilePayload, Locator, Page, Route, expect

from tests.browser.audit import AXE, SCREENS, audit
from tests.browser.door import sign_in
from tests.conftest import CORPUS, Service, wait_until
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "squeezer@example.com", "a lamp beside the door"
FOLDERS = {"photos": 9, "heif": 7, "raw": 6, "animated": 3, "valid": 12}
"""Of the corpus, how many files of each folder."""
ENDINGS = ("jpg", "jpeg", "png", "webp", "gif", "heic", "avif", "tif", "tiff", "bmp", "dng", "nef",
"arw", "cr2", "orf")  # fmt: skip
MOST_BYTES = 20 * 1024 * 1024
LISTEN = """() => {
  window.seen = {};
  new MutationObserver(() => {
    for (const card of document.querySelectorAll(".result")) {
      const name = card.querySelector("[data-name]").textContent;
      (window.seen[name] ??= new Set()).add(card.className.replace("result ", ""));
    }
  }).observe(document.querySelector(".results"), {
    subtree: true, childList: true, attributes: true, characterData: true });
}"""
SEEN = "() => Object.fromEntries(Object.entries(window.seen).map(([n, s]) => [n, [...s]]))"


@pytest.fixture(autouse=True, scope="module")
def account(service: Service) -> None:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)
    service.flask("orgs", "set-plan", EMAIL, "TEAM")


@pytest.fixture
def home(tab: Page) -> str:
    """The path of the playground, for a tab that is signed in."""
    return f"{sign_in(tab, EMAIL, PASSWORD)}/playground"


def some_of_every_format() -> list[Path]:
    """By their endings in turn, the smaller first."""
    chosen = [min((CORPUS / "valid").glob("*.tif"))]
    for folder, number in FOLDERS.items():
        files = sorted((CORPUS / folder).iterdir(), key=lambda path: path.stat().st_size)
        fit = [
            path
            for path in files
            if path.suffix[1:].lower() in ENDINGS and 5_000 < path.stat().st_size < MOST_BYTES
        ]
        turns = sorted(
            fit,
            key=lambda path: ([one for one in fit if one.suffix == path.suffix].index(path), path),
        )
        chosen += turns[:number]
    return chosen[:30]


def file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": data}


def give(page: Page, files: list[Any]) -> None:
    page.locator("[data-files]").set_input_files(files)


def cards(page: Page, state: str) -> Locator:
    return page.locator(f".result.{state}")


def settle(page: Page, files: int) -> None:
    wait_until(
        lambda: cards(page, "done").count() + cards(page, "failed").count() == files,
        "all files to be done",
        seconds=240,
        pause=0.2,
    )


def unpacked(download: Download) -> dict[str, Image.Image]:
    with zipfile.ZipFile(download.path()) as archive:
        assert archive.testzip() is None
        return {name: Image.open(BytesIO(archive.read(name))) for name in archive.namelist()}


def position(page: Page) -> str:
    style: str = page.locator("[data-stage]").evaluate(
        "stage => stage.style.getPropertyValue('--x')"
    )
    return style


def problems_of(page: Page) -> list[str]:
    """What is logged from now on, but for what browsers log of refusals."""
    problems: list[str] = []
    page.on(
        "console",
        lambda message: (
            None
            if message.text.startswith("Failed to load resource")
            else problems.append(message.text)
        ),
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    return problems


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="needs the corpus beside the project")
def test_thirty_files_of_every_format(tab: Page, home: str) -> None:
    files = some_of_every_format()
    assert len(files) == 30
    endings = {path.suffix.lower() for path in files}
    assert {".jpg", ".png", ".webp", ".gif", ".heic", ".avif", ".tif", ".dng"} <= endings
    problems = problems_of(tab)
    tab.goto(f"{home}?mode=test")
    tab.evaluate(LISTEN)
    give(tab, files)
    settle(tab, 30)
    seen: dict[str, list[str]] = tab.evaluate(SEEN)
    assert {path.name for path in files} == set(seen)
    assert all({"sending", "working"} <= {*states} for states in seen.values())
    done = cards(tab, "done").count()
    assert done >= 20
    for sentence in cards(tab, "failed").locator("[data-state]").all_text_contents():
        assert re.fullmatch(r"(The file|This is no image) .+\.", sentence)
    expect(tab.locator("[data-status]")).to_contain_text(f"{done} files done")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download all").click()
    assert len(unpacked(download.value)) == done
    assert download.value.suggested_filename == "lightwell.zip"
    for card in cards(tab, "done").all():
        card.locator(".look").click()
        expect(card.locator(".look")).to_have_attribute("aria-pressed", "true")
        title = card.locator("[data-name]").text_content() or ""
        expect(tab.locator("[data-title]")).to_have_text(title)
        expect(tab.locator("[data-caption-before]")).to_contain_text("Original · ")
    assert not problems


def test_original_and_result_are_compared_by_keyboard_and_mouse(tab: Page, home: str) -> None:
    problems = problems_of(tab)
    tab.goto(home)
    give(tab, [file("Großes Bild.jpg", encoded(width=2400, height=1600))])
    settle(tab, 1)
    slider = tab.get_by_role("slider", name="How much of the original is shown")
    slider.focus()
    tab.keyboard.press("Home")
    assert position(tab) == "0%"
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert position(tab) == "2%"
    expect(slider).to_have_attribute("aria-valuetext", "2 % original")
    tab.keyboard.press("End")
    assert position(tab) == "100%"

    tab.keyboard.press("1")
    expect(tab.locator("[data-scale]")).to_have_text("100 %")
    left = "img => new DOMMatrix(getComputedStyle(img).transform).e"
    before, after = tab.locator("[data-before]"), tab.locator("[data-after]")
    start = before.evaluate(left)
    tab.keyboard.press("Shift+ArrowRight")
    assert before.evaluate(left) == after.evaluate(left) == start - 60
    box = tab.locator("[data-stage]").bounding_box()
    assert box
    x, y = box["x"] + 100, box["y"] + 100
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 30, y + 10)
    tab.mouse.up()
    assert before.evaluate(left) == start - 30
    assert position(tab) == "100%"
    tab.keyboard.press("0")
    tab.mouse.click(box["x"] + box["width"] / 4, y)
    assert position(tab) == "25%"
    assert not problems


def test_settings_work_again_on_what_is_there_and_ask_where_that_counts(
    tab: Page, home: str
) -> None:
    tab.goto(home)
    give(tab, [file(f"{number}.jpg", encoded(seed=number)) for number in range(3)])
    settle(tab, 3)
    left = tab.locator("[data-left]")
    expect(left).to_have_text(re.compile(r"^19,9\d\d$"))
    before = left.text_content()
    tab.get_by_text("WebP", exact=True).click()
    apply = tab.get_by_role("button", name="Apply to 3 files")
    expect(apply).to_be_visible()
    expect(tab.get_by_text("Uses 3 images of your plan.")).to_be_visible()
    assert left.text_content() == before
    apply.click()
    expect(tab.locator(".result.done").filter(has_text="WEBP")).to_have_count(3)
    expect(apply).to_be_hidden()

    tab.get_by_role("link", name="Test", exact=True).click()
    expect(tab.get_by_text("Free, with a watermark.")).to_be_visible()
    expect(left).to_have_text(re.compile(r"^4\d\d$"))  # the files are still here
    tab.get_by_label("Max width").fill("100")
    expect(tab.locator(".result.done").filter(has_text="100 × 75")).to_have_count(3)
    expect(tab.get_by_role("region", name="Request")).to_contain_text("-F maxWidth=100")
    tab.get_by_text("Python", exact=True).click()
    expect(tab.get_by_role("region", name="Request")).to_contain_text('"maxWidth": "100",')
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download 1.jpg").click()
    assert download.value.suggested_filename == "1.webp"
    with Image.open(download.value.path()) as picture:
        assert picture.size == (100, 75)


def test_a_file_is_cancelled_retried_and_refused_on_its_card(
    tab: Page, home: str, tmp_path: Path
) -> None:
    held: list[Route] = []
    tab.goto(f"{home}?mode=test")
    tab.route("**/playground*", lambda route: held.append(route))
    with tab.expect_request(lambda request: request.method == "POST"):
        give(tab, [file("slow.jpg", encoded())])
    tab.get_by_role("button", name="Cancel slow.jpg").click()
    expect(cards(tab, "failed")).to_contain_text("Cancelled.")
    tab.unroute_all()

    tab.route("**/playground*", lambda route: route.abort("connectionreset"), times=1)
    tab.get_by_role("button", name="Try again slow.jpg").click()
    expect(cards(tab, "failed")).to_contain_text("The connection was lost.")
    tab.get_by_role("button", name="Try again slow.jpg").click()
    expect(cards(tab, "done")).to_have_count(1)

    notes, huge = tmp_path / "notes.txt", tmp_path / "huge.jpg"
    notes.write_text("no picture")
    with huge.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024 + 1)
    give(tab, [notes, huge])
    refused = cards(tab, "failed")
    expect(refused.filter(has_text="notes.txt")).to_contain_text("This is no image")
    expect(refused.filter(has_text="huge.jpg")).to_contain_text(
        "The file is larger than 50 MB, the most that the plan allows."
    )
    expect(tab.get_by_role("button", name="Try again notes.txt")).to_be_hidden()
    for screen in SCREENS:
        for scheme in ("light", "dark"):
            tab.set_viewport_size(screen)
            tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found: dict[str, Any] = tab.evaluate(f"{AXE}; axe.run()")
            assert not found["violations"], f"{screen} {scheme}"
            width, wide = tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert width == wide
    tab.get_by_role("button", name="Clear").click()
    expect(tab.locator(".result")).to_have_count(0)
    expect(tab.locator(".lens")).to_be_hidden()


def test_pictures_are_dropped_and_pasted(tab: Page, home: str) -> None:
    tab.goto(f"{home}?mode=test")
    for number, (event, holder) in enumerate(
        (("drop", "dataTransfer"), ("paste", "clipboardData"))
    ):
        tab.evaluate(
            """async ([event, holder, name, data]) => {
              const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
              const transfer = new DataTransfer();
              transfer.items.add(new File([bytes], name, { type: "image/png" }));
              const kind = event === "drop" ? DragEvent : ClipboardEvent;
              document.body.dispatchEvent(
                new kind(event, { [holder]: transfer, bubbles: true, cancelable: true }));
            }""",
            [event, holder, f"{event}.png", _base64(encoded("PNG", 40, 30))],
        )
        expect(cards(tab, "done")).to_have_count(number + 1)
    expect(tab.locator(".results")).to_contain_text("drop.png")
    expect(tab.locator(".results")).to_contain_text("paste.png")


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def test_everybody_s_pages(tab: Page, home: str) -> None:
    audit(tab, home)
    audit(tab, f"{home}?mode=test")
    tab.context.clear_cookies()
    audit(tab, "/squeeze")
    audit(tab, "/")
    tab.get_by_role("button", name="Try a sample").click()
    expect(cards(tab, "done")).to_contain_text("lake.jpg")
    expect(tab.locator("[data-left]")).to_have_text("3")
    expect(tab.locator(".lens")).to_be_visible()


def test_without_scripts_a_file_is_downloaded(browser: Browser, service: Service) -> None:
    context = browser.new_context(base_url=service.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/squeeze")
    page.get_by_label("An image").set_input_files(file("a.png", encoded("PNG", 40, 30)))
    page.get_by_text("WebP", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Compress and download").click()
    assert download.value.suggested_filename == "a.webp"
    context.close()
