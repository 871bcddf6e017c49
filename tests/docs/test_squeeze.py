"""``/squeeze``: what everybody may try, and how much of it."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.errors import TrialOver
from app.imaging import UnsupportedImage
from app.web import visitors
from app.web.admission import ADMISSION_KEY, Admission
from dev.ports import free_port
from tests.client import ApiClient, client_of
from tests.clock import Clock
from tests.conftest import Account, SignIn
from tests.forms import SAME_SITE
from tests.images import encoded, opened
from tests.people import visitor_of
from tests.squeezing import AS_SCRIPT, squeeze

SMALL = {"width": 160, "height": 120}
MEGABYTE = 1024 * 1024


@pytest.fixture
def visitor(app: Flask) -> ApiClient:
    return visitor_of(app)


def picture(seed: int) -> bytes:
    return encoded(seed=seed, **SMALL)


def try_one(visitor: ApiClient, seed: int, **fields: str) -> tuple[int, str | None]:
    answer = squeeze(visitor, "/squeeze", picture(seed), **fields)
    return answer.status_code, answer.headers.get("X-Images-Left")


def test_a_file_comes_back_smaller_to_be_saved_under_its_name(visitor: ApiClient) -> None:
    sent = encoded()
    answer = squeeze(
        visitor, "/squeeze", sent, "Ferien.jpg", mimeType="image/webp", maxWidth="200", quality=".5"
    )
    assert (answer.status_code, answer.mimetype) == (200, "image/webp")
    assert len(answer.data) == answer.content_length < len(sent)
    assert opened(answer.data).size == (200, 150)
    assert (answer.headers["X-Image-Width"], answer.headers["X-Image-Height"]) == ("200", "150")
    assert "Ferien.webp" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_three_files_a_day_with_whatever_settings(visitor: ApiClient, clock: Clock) -> None:
    assert try_one(visitor, 1) == (200, "2")
    assert try_one(visitor, 1, quality="0.3") == (200, "2")
    assert try_one(visitor, 2) == (200, "1")
    assert try_one(visitor, 3) == (200, "0")
    assert try_one(visitor, 2, mimeType="image/png") == (200, "0")
    refusal = squeeze(visitor, "/squeeze", picture(4))
    assert (refusal.status_code, refusal.json["code"]) == (429, "trial_over")
    assert "Open a free account" in refusal.json["error"]
    assert 0 < int(refusal.headers["Retry-After"]) <= 12 * 3600
    page = visitor.get("/squeeze").text
    assert "<div data-over>" in page
    clock.advance(hours=12)
    assert try_one(visitor, 4) == (200, "2")


def test_addresses_count_apart_and_a_provider_s_network_together(
    app: Flask, visitor: ApiClient
) -> None:
    neighbour = client_of(app)
    own = str(visitor.environ_base["REMOTE_ADDR"])
    network = ":".join(own.split(":")[:4])
    neighbour.environ_base["REMOTE_ADDR"] = f"{network}::1:2"
    assert try_one(visitor, 1)[1] == "2"
    assert try_one(neighbour, 2)[1] == "1"
    assert try_one(visitor_of(app), 3)[1] == "2"


def test_what_fails_costs_nothing(visitor: ApiClient) -> None:
    refusal = squeeze(visitor, "/squeeze", b"no picture at all", "notes.txt")
    assert refusal.status_code == 422
    assert "no image" in refusal.json["error"]
    assert squeeze(visitor, "/squeeze", picture(1)[:400]).status_code == 422
    assert squeeze(visitor, "/squeeze", picture(1), quality="7").status_code == 400
    assert try_one(visitor, 1) == (200, "2")


@pytest.mark.parametrize("fails", [False, True])
def test_files_at_once_pass_the_limit_as_little_as_one_after_the_other(
    app: Flask, visitor: ApiClient, fails: bool
) -> None:
    """A file holds its place while it is worked on; one that fails gives it back."""
    tried = Barrier(5, timeout=30)

    def send(number: int) -> bool:
        with app.test_request_context("/squeeze", environ_base=visitor.environ_base):
            try:
                with visitors.counted(f"file {number}"):
                    tried.wait()
                    if fails:
                        raise UnsupportedImage("no picture")
            except TrialOver:
                tried.wait()
                return False
            except UnsupportedImage:
                pass
            return True

    with ThreadPoolExecutor(5) as threads:
        assert [*threads.map(send, range(5))].count(True) == visitors.FILES_A_DAY
    assert try_one(visitor, 1) == ((200, "2") if fails else (429, None))


def test_our_own_sample_is_none_of_the_day_s_files(visitor: ApiClient) -> None:
    lake = Path("app/static/pictures/lake.jpg").read_bytes()
    answer = squeeze(visitor, "/squeeze", lake, "lake.jpg", maxWidth="64")
    assert (answer.status_code, answer.headers["X-Images-Left"]) == (200, "3")


def test_whatever_is_sent_counts_as_a_run(
    visitor: ApiClient, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(visitors, "RUNS_A_DAY", 2)
    squeeze(visitor, "/squeeze", b"nothing")
    assert try_one(visitor, 1)[0] == 200
    refusal = squeeze(visitor, "/squeeze", picture(1))
    assert (refusal.status_code, refusal.json["code"]) == (429, "rate_limited")
    lake = Path("app/static/pictures/lake.jpg").read_bytes()
    assert squeeze(visitor, "/squeeze", lake).status_code == 429
    clock.advance(days=1)
    assert try_one(visitor, 1)[0] == 200


def test_a_larger_file_is_refused_before_it_is_read(visitor: ApiClient) -> None:
    asked = Admission()

    def ask(size: int) -> int:
        environ = {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": str(size), ADMISSION_KEY: asked}
        answer = visitor.post(
            "/squeeze",
            headers=AS_SCRIPT,
            content_type="multipart/form-data; boundary=edge",
            environ_overrides=environ,
        )
        if answer.status_code == 413:
            assert answer.json["error"] == (
                "The file is larger than 5 MB, the most without an account."
            )
        return answer.status_code

    assert ask(6 * MEGABYTE) == 413
    assert asked.max_bytes is None
    assert ask(5 * MEGABYTE) == 204
    assert asked.max_bytes == 5 * MEGABYTE + 64 * 1024


def test_a_file_that_turns_out_too_large_is_refused(visitor: ApiClient) -> None:
    answer = squeeze(visitor, "/squeeze", bytes(5 * MEGABYTE + 1), "big.jpg")
    assert answer.status_code == 413
    assert answer.json["error"] == "big.jpg is larger than 5 MB, the most without an account."


def test_other_sites_and_other_bodies_are_refused(visitor: ApiClient) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://a.example"}
    assert squeeze(visitor, "/squeeze", picture(1), headers=foreign).status_code == 403
    assert visitor.post("/squeeze", json={}, headers=AS_SCRIPT).status_code == 415
    assert try_one(visitor, 1) == (200, "2")


def test_an_original_that_browsers_can_t_show_is_shown_once_it_was_compressed(
    visitor: ApiClient,
) -> None:
    tiff = encoded("TIFF", **SMALL)
    early = squeeze(visitor, "/squeeze/original", tiff, "scan.tif")
    assert early.status_code == 404
    assert "Compress the file first" in early.json["error"]
    made = squeeze(visitor, "/squeeze", tiff, "scan.tif")
    assert (made.status_code, made.mimetype) == (200, "image/jpeg")
    shown = squeeze(visitor, "/squeeze/original", tiff, "scan.tif", maxWidth="1", quality="1")
    assert (shown.status_code, shown.mimetype) == (200, "image/webp")
    assert opened(shown.data).size == (160, 120)
    assert squeeze(visitor, "/squeeze", tiff).headers["X-Images-Left"] == "2"


def test_without_redis_files_are_refused_and_pages_are_shown(
    app: Flask, visitor: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = Redis(host="127.0.0.1", port=free_port(), retry=Retry(NoBackoff(), 0))
    down = replace(app.extensions["lightwell"], redis=nobody)
    monkeypatch.setitem(app.extensions, "lightwell", down)
    assert squeeze(visitor, "/squeeze", picture(1)).status_code == 503
    for path in ("/squeeze", "/"):
        assert "3 files a day" in visitor.get(path).text


def test_the_pages_say_what_is_left(visitor: ApiClient) -> None:
    for path in ("/squeeze", "/"):
        page = visitor.get(path).text
        assert '<b class="num" data-left>3</b> of 3 files left today' in page
        assert "<div data-over hidden>" in page
        assert 'href="/squeeze"' in page
    assert "The same by API" in visitor.get("/squeeze").text


def test_members_are_shown_the_way_to_their_own_playground(
    acme: Account, sign_in: SignIn, visitor: ApiClient
) -> None:
    assert f'href="{acme.home}/playground"' in sign_in(acme).get("/squeeze").text
    assert "Open your playground" not in visitor.get("/squeeze").text


def test_a_form_without_scripts_is_answered_with_a_page_where_it_is_refused(
    visitor: ApiClient,
) -> None:
    refusal = squeeze(visitor, "/squeeze", b"nothing", headers={**SAME_SITE, "Accept": "text/html"})
    assert refusal.mimetype == "text/html"
    assert "no image" in refusal.text
