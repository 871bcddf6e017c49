"""Files that pages load: kept for a year under a name that changes with the content."""

import gzip
import re

import pytest
from flask import Flask

from app.web import static_files
from tests.client import ApiClient

FOR_A_YEAR = "public, max-age=31536000, immutable"


@pytest.fixture
def sheet(client: ApiClient) -> str:
    """The URL of the style sheet, as pages name it."""
    (found,) = re.findall(r'href="(/static/[^"]+\.css)"', client.get("/plans").text)
    return str(found)


def test_a_file_is_kept_for_a_year(client: ApiClient, sheet: str) -> None:
    answer = client.get(sheet)
    assert (answer.status_code, answer.mimetype) == (200, "text/css")
    assert answer.headers["Cache-Control"] == FOR_A_YEAR


def test_a_page_from_before_an_update_gets_the_file_of_today_for_once(
    client: ApiClient, sheet: str
) -> None:
    before = client.get(re.sub(r"/static/\w+/", "/static/000000000000/", sheet))
    assert (before.status_code, before.data) == (200, client.get(sheet).data)
    assert before.headers["Cache-Control"] == "public, no-cache"


def test_the_name_changes_with_the_content(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.test_request_context():
        before = static_files.asset("app.js")
        forget()
        monkeypatch.setattr(static_files, "_content", str.encode)
        assert static_files.asset("app.js") != before
    forget()


def forget() -> None:
    for kept in (static_files._digest, static_files._zipped):
        kept.cache_clear()


def test_the_style_sheet_names_files_by_their_hash_too(client: ApiClient, sheet: str) -> None:
    urls = re.findall(r"url\(([^)]+)\)", client.get(sheet).text)
    assert len(urls) >= 3
    for url in urls:
        assert url.startswith("../")
        answer = client.get("/static/" + url.removeprefix("../"))
        assert (answer.status_code, answer.mimetype) == (200, "font/woff2")
        assert answer.headers["Cache-Control"] == FOR_A_YEAR


@pytest.mark.parametrize("name", ["scalar.js", "app.css", "icons.svg"])
def test_text_is_compressed_and_revalidated(client: ApiClient, name: str) -> None:
    plain = client.get(f"/static/any/{name}")
    headers = {"Accept-Encoding": "gzip"}
    zipped = client.get(f"/static/any/{name}", headers=headers)
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert len(zipped.data) * 2 < len(plain.data)
    assert "Accept-Encoding" in zipped.headers["Vary"]
    again = client.get(
        f"/static/any/{name}", headers={**headers, "If-None-Match": zipped.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_pictures_and_fonts_are_sent_as_they_are(client: ApiClient) -> None:
    font = "/static/any/fonts/geist-mono-latin-wght-normal.woff2"
    answer = client.get(font, headers={"Accept-Encoding": "gzip"})
    assert (answer.data[:4], "Content-Encoding" in answer.headers) == (b"wOF2", False)


@pytest.mark.parametrize(
    "name",
    ["nothing.css", "../factory.py", "..%2ffactory.py", "css", "licenses/htmx.txt", "/etc/passwd"],
)
def test_nothing_else_is_served(client: ApiClient, name: str) -> None:
    answer = client.get(f"/static/any/{name}")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_files_count_against_no_limit_and_fill_no_log(client: ApiClient, sheet: str) -> None:
    assert "RateLimit" not in client.get(sheet).headers
