"""Uploading in the library: many files, a lost connection, large files by parts; on a folder and on
S3."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Browser, Dialog, FilePayload, Page, Request, Route, expect

from tests.browser.audit import audit, findings
from tests.browser.test_account import PASSWORD, submit
from tests.client import bearer
from tests.conftest import Service, running_service
from tests.images import encoded
from tests.s3 import CREDENTIALS, REGION, S3Server

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

PATIENCE_MS = 180_000
MOST_LINES = 45
PART = re.compile(r"/storage/parts/|[?&]partNumber=(?P<number>\d+)")


class Library:
    """The library's page of a new organization, and its API from outside."""

    def __init__(self, page: Page, service: Service, plan: str = "ENTERPRISE") -> None:
        email = f"{uuid4().hex}@example.com"
        service.flask("users", "create", email, "--password", PASSWORD)
        service.flask("orgs", "set-plan", email, plan)
        self.key = service.flask("keys", "create", email)
        self.page, self.service = page, service
        page.goto("/login")
        submit(page, "Sign in", **{"E-mail": email, "Password": PASSWORD})
        page.wait_for_url("**/dashboard/*")
        self.home = page.url
        page.goto(f"{self.home}/library")
        expect(page.get_by_role("button", name="Upload", exact=True)).to_be_visible()
        self.tray = page.get_by_role("region", name="Uploads")

    def choose(self, files: Any) -> None:
        self.page.locator("[data-files]").set_input_files(files)

    def line(self, name: str) -> Any:
        return self.tray.get_by_role("listitem").filter(has_text=name)

    def await_title(self, title: str) -> None:
        expect(self.tray.get_by_role("heading")).to_have_text(title, timeout=PATIENCE_MS)

    def assets(self, **query: str) -> dict[str, Any]:
        url = f"{self.service.url}/api/v1/assets"
        answer = requests.get(url, headers=bearer(self.key), params=query, timeout=30)
        assert answer.status_code == 200
        listed: dict[str, Any] = answer.json()
        return listed


@pytest.fixture
def library(tab: Page, service: Service) -> Library:
    return Library(tab, service)


def pictures(count: int) -> list[FilePayload]:
    """Small files, each with bytes of its own after the same picture."""
    picture = encoded(width=32, height=24)
    return [
        {"name": f"IMG_{n:03}.jpg", "mimeType": "image/jpeg", "buffer": picture + b"%d" % n}
        for n in range(count)
    ]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A picture of 60 MB: as BMP holds it, pixel for pixel."""
    path = tmp_path / "poster.bmp"
    path.write_bytes(encoded("BMP", width=5000, height=4195))
    assert 60_000_000 < path.stat().st_size < 64_000_000
    return path


def sent_parts(page: Page) -> list[str]:
    """Filled with the URL of each part's PUT."""
    urls: list[str] = []

    def note(asked: Request) -> None:
        if asked.method == "PUT" and PART.search(asked.url):
            urls.append(asked.url)

    page.on("request", note)
    return urls


def test_two_hundred_files_arrive_over_a_connection_that_is_lost(library: Library) -> None:
    """Cut off while the browser knows it, then while it does not."""
    page, tray = library.page, library.tray
    library.choose(pictures(200))
    expect(tray.get_by_role("heading")).to_have_text(
        re.compile(r"Uploading · \d\d of 200 files"), timeout=PATIENCE_MS
    )
    page.context.set_offline(True)
    expect(tray.get_by_text("The connection is lost.")).to_be_visible(timeout=PATIENCE_MS)
    assert tray.get_by_role("listitem").count() <= MOST_LINES
    page.context.set_offline(False)
    expect(tray.get_by_text("The connection is lost.")).to_be_hidden(timeout=PATIENCE_MS)
    cut: list[str] = []

    def reset(route: Route) -> None:
        cut.append(route.request.url)
        route.abort("connectionreset")

    page.route("**/storage/*", reset)
    page.route("**/uploads/finalize", reset)
    page.wait_for_timeout(1500)
    page.unroute_all()
    library.await_title("200 files uploaded")
    assert cut
    assert library.assets()["total"] == 200
    names = {
        item["name"]
        for number in ("1", "2")
        for item in library.assets(page=number, pageSize="100")["items"]
    }
    assert names == {f"IMG_{number:03}.jpg" for number in range(200)}
    assert tray.get_by_role("listitem").count() <= MOST_LINES
    expect(tray.get_by_role("status")).to_have_text("200 files uploaded.")


def test_a_large_file_goes_on_where_it_was_paused(library: Library, large: Path) -> None:
    page, held = library.page, []
    sent = sent_parts(page)

    def hold(route: Route) -> None:
        if len(sent) == 3:
            held.append(route)
        else:
            route.continue_()

    page.route("**/storage/parts/*", hold)
    library.choose(large)
    line = library.line("poster.bmp")
    expect(line).to_contain_text("32 MB of 60", timeout=PATIENCE_MS)
    line.get_by_role("button", name="Pause").click()
    expect(line).to_contain_text("Paused at 53 %")
    page.unroute_all()
    line.get_by_role("button", name="Resume").click()
    library.await_title("1 file uploaded")
    assert len(held) == 1
    assert len(sent) == 5  # the third again, and none of those that had arrived
    asset = library.assets()["items"][0]
    assert (asset["size"], asset["width"]) == (large.stat().st_size, 5000)


def test_leaving_asks_and_cancelling_stores_nothing(library: Library) -> None:
    page, asked = library.page, []
    page.route("**/storage/*", lambda _route: None)
    library.choose(pictures(6))
    library.tray.get_by_role("button", name="Pause all").click()
    library.await_title("Paused · 0 of 6 files")

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.close(run_before_unload=True)
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    library.line("IMG_003.jpg").get_by_role("button", name="Cancel").click()
    library.await_title("Paused · 0 of 5 files")
    library.tray.get_by_role("button", name="Cancel all").click()
    page.get_by_role("button", name="Cancel uploads").click()
    expect(library.tray.get_by_role("listitem")).to_have_count(0)
    library.tray.get_by_role("button", name="Close").click()
    expect(library.tray).to_be_hidden()
    page.unroute_all()
    assert library.assets()["total"] == 0


def test_what_is_wrong_stands_at_the_file_s_line(library: Library) -> None:
    """Told before anything is sent where that can be; retried where that may help."""
    page, tray = library.page, library.tray
    picture = encoded(width=32, height=24)
    library.choose([
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"},
        {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""},
        {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"},
        {"name": "<b>ж\u202e.jpg", "mimeType": "image/jpeg", "buffer": picture},
        {"name": "again.png", "mimeType": "image/png", "buffer": picture},
        {"name": ".DS_Store", "mimeType": "", "buffer": b"x"},
    ])  # fmt: skip
    library.await_title("2 files uploaded")
    expect(library.line("notes.txt")).to_contain_text("This is not an image or a video.")
    expect(library.line("empty.jpg")).to_contain_text("The file is empty.")
    expect(library.line("broken.jpg").locator(".state")).not_to_have_text("Done")
    assert library.line("broken.jpg").get_by_role("button", name="Retry").count() == 0
    expect(tray.get_by_role("link", name="Same file as")).to_have_count(1)
    expect(tray.get_by_text(".DS_Store")).to_have_count(0)
    audit_tray(page)
    page.route("**/uploads/finalize*", lambda route: route.fulfill(
        status=402, json={"error": "The file does not fit.", "code": "quota_exceeded"}
    ))  # fmt: skip
    library.choose(pictures(1))
    line = library.line("IMG_000.jpg")
    expect(line).to_contain_text("The file does not fit.")
    page.unroute_all()
    line.get_by_role("button", name="Retry").click()
    library.await_title("3 files uploaded")


def audit_tray(page: Page) -> None:
    """The open tray, which a page that is opened anew would not show."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            expect(page.get_by_role("region", name="Uploads")).to_be_visible()
            assert not findings(page), f"{width} {scheme}"


def test_the_page_is_as_every_page_and_files_may_be_dropped_and_pasted(library: Library) -> None:
    page = library.page
    audit(page, f"{library.home}/library")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{library.home}/library")
    data = list(encoded(width=32, height=24))
    for kind in ("drop", "paste"):
        page.evaluate(
            """([kind, data]) => {
              const carried = new DataTransfer();
              const bytes = new Uint8Array([...data, kind.length]);
              carried.items.add(new File([bytes], "image.png", {type: "image/png"}));
              const about = {bubbles: true, cancelable: true};
              document.querySelector("main").dispatchEvent(kind === "drop"
                ? new DragEvent(kind, {...about, dataTransfer: carried})
                : new ClipboardEvent(kind, {...about, clipboardData: carried}));
            }""",
            [kind, data],
        )
    library.await_title("2 files uploaded")
    names = sorted(item["name"] for item in library.assets()["items"])
    assert names[1] == "image.png"
    assert re.fullmatch(r"Pasted \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png", names[0])


@pytest.fixture
def on_s3(s3_server: S3Server, tmp_path: Path, browser: Browser) -> Iterator[Callable[[], Library]]:
    settings = {"S3_BUCKET": s3_server.bucket, "S3_ENDPOINT_URL": s3_server.endpoint}
    with running_service(tmp_path, **settings, S3_REGION=REGION, **CREDENTIALS) as service:
        context = browser.new_context(base_url=service.url)
        yield lambda: Library(context.new_page(), service)
        context.close()
    s3_server.client.delete_bucket_cors(Bucket=s3_server.bucket)


def test_files_go_to_s3_by_themselves(
    on_s3: Callable[[], Library], large: Path, s3_server: S3Server
) -> None:
    library = on_s3()
    sent = sent_parts(library.page)
    library.service.flask("storage", "cors", "--origin", library.service.url)
    library.choose([large])
    library.choose(pictures(3))
    library.await_title("4 files uploaded")
    assert len(sent) == 4
    assert all(url.startswith(s3_server.endpoint) for url in sent)
    asset = library.assets(q="poster")["items"][0]
    stored = s3_server.client.get_object(Bucket=s3_server.bucket, Key=asset["storageKey"])["Body"]
    with large.open("rb") as file:
        wanted = hashlib.file_digest(file, "sha256").hexdigest()
    assert hashlib.sha256(stored.read()).hexdigest() == wanted
