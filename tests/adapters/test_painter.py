"""Pictures by a provider: what it is asked, and what every kind of its answers becomes."""

import base64
import resource
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from app.adapters import painter as adapter
from app.adapters.painter import ImagePrompt, Painter
from app.errors import AppError, BadRequest, DependencyDown, Forbidden, Overloaded, Unprocessable
from dev.ports import free_port
from tests.adapters.fetching.origin import running_origin
from tests.adapters.painter_server import (
    KEY,
    Answer,
    PainterServer,
    drips,
    refuses,
    running_painter,
    says,
)

PICTURE = b"\x89PNG and so on"
IN_BASE64 = {"data": [{"b64_json": base64.b64encode(PICTURE).decode(), "url": None}], "created": 1}
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def server() -> Iterator[PainterServer]:
    with running_painter() as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "painted"


def no_fetch(url: str, target: Path) -> None:
    raise AssertionError(url)


def painter_at(base_url: str, key: str = KEY, **others: Any) -> Painter:
    return Painter(base_url, key, ("fast", "fine"), **{"fetch": no_fetch, **others})


def refusal(server: PainterServer, target: Path, **others: Any) -> AppError:
    """What painting ends with when there is no picture: an error for the user, nothing on the disk,
    no key in sight."""
    with capture_logs() as logs, pytest.raises(AppError) as caught:
        painter_at(server.base_url, **others).paint(ImagePrompt("a hat"), target)
    assert not list(target.parent.iterdir())
    assert KEY not in f"{logs} {caught.value.message} {caught.value.errors}"
    assert bool(logs) is isinstance(caught.value, DependencyDown)
    return caught.value


@pytest.mark.parametrize(
    ("models", "asked", "sent"),
    [
        (("fast", "fine"), "sdxl", "fast"),
        (("fast", "fine"), "flux", "fast"),
        (("fast", "flux=acme/flux-1"), "flux", "acme/flux-1"),
        (("sdxl=acme/sdxl-1.0=b", "flux"), None, "acme/sdxl-1.0=b"),
        (("sdxl=acme/sdxl-1.0=b", "flux"), "sdxl", "acme/sdxl-1.0=b"),
        (("sdxl=acme/sdxl-1.0=b", "flux"), "flux", "flux"),
    ],
)
def test_models_have_aliases(
    server: PainterServer, target: Path, models: tuple[str, str], asked: str | None, sent: str
) -> None:
    server.answer = says(IN_BASE64)
    painter = Painter(server.base_url, KEY, models, no_fetch)
    painter.paint(ImagePrompt("a hat", model=asked), target)
    assert server.requests[0].body["model"] == sent
    for unknown in ("acme/flux-1", "acme/sdxl-1.0=b", "other"):
        with pytest.raises(BadRequest, match=r"model: must be one of .*\bflux\b"):
            painter.paint(ImagePrompt("a hat", model=unknown), target)
    assert len(server.requests) == 1


def test_a_picture_in_the_answer_is_written_and_only_what_is_given_is_asked_for(
    server: PainterServer, target: Path
) -> None:
    server.answer = says(IN_BASE64)
    painter = painter_at(server.base_url)
    painter.paint(ImagePrompt("a hat ☂"), target)
    assert target.read_bytes() == PICTURE
    assert server.requests[0].path == "/v1/images/generations"
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert server.requests[0].headers["Content-Type"] == "application/json"
    assert server.requests[0].body == {"model": "fast", "prompt": "a hat ☂", "n": 1}

    painter.paint(
        ImagePrompt("a hat", negative_prompt="feathers", seed=0, model="fine"),
        target.with_name("second"),
    )
    wanted = {"model": "fine", "prompt": "a hat", "n": 1, "negative_prompt": "feathers", "seed": 0}
    assert server.requests[1].body == wanted


def test_a_picture_by_url_is_fetched_by_the_given_fetcher(
    server: PainterServer, target: Path
) -> None:
    server.answer = says({"data": [{"url": "https://pictures.example/1.png"}]})
    fetched = []

    def fetch(url: str, path: Path) -> None:
        fetched.append(url)
        path.write_bytes(PICTURE)

    painter_at(server.base_url, fetch=fetch).paint(ImagePrompt("a hat"), target)
    assert fetched == ["https://pictures.example/1.png"]
    assert target.read_bytes() == PICTURE


def test_a_url_that_cannot_be_fetched_is_the_providers_fault(
    server: PainterServer, target: Path
) -> None:
    server.answer = says({"data": [{"url": "http://10.0.0.1/1.png?signature=secret"}]})

    def fetch(url: str, path: Path) -> None:
        raise Forbidden(f"{url} is no public address")

    error = refusal(server, target, fetch=fetch)
    assert isinstance(error, DependencyDown)
    assert "10.0.0.1" not in error.message


def test_a_server_without_keys_is_sent_none(server: PainterServer, target: Path) -> None:
    with capture_logs(), pytest.raises(DependencyDown):
        painter_at(server.base_url, key="").paint(ImagePrompt("a hat"), target)
    assert "Authorization" not in server.requests[0].headers


def test_a_key_with_a_line_break_is_not_sent(server: PainterServer, target: Path) -> None:
    with pytest.raises(ValueError, match="control characters"):
        painter_at(server.base_url, key=f"{KEY}\r\nX-More: 1").paint(ImagePrompt("a hat"), target)
    assert not server.requests


def test_a_model_that_is_not_offered_is_named_and_nobody_asked(
    server: PainterServer, target: Path
) -> None:
    with pytest.raises(BadRequest) as caught:
        painter_at(server.base_url).paint(ImagePrompt("a hat", model="dall-e"), target)
    assert caught.value.errors == ["model: must be one of fast, fine, sdxl, flux"]
    assert not server.requests


@pytest.mark.parametrize("code", ["content_policy_violation", "moderation_blocked"])
def test_a_refused_prompt_is_told_in_the_providers_words(
    server: PainterServer, target: Path, code: str
) -> None:
    server.answer = refuses(400, "Rejected by our\n safety\x00 system. " + "word " * 100, code)
    error = refusal(server, target)
    assert isinstance(error, Unprocessable)
    said = error.message.partition("It says: ")[2]
    assert "this prompt" in error.message
    assert said.startswith("Rejected by our safety system. word")
    assert said.endswith("…")
    assert len(said) == 300


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"error": {"message": "Unknown parameter: 'seed'.", "code": "unknown_parameter"}},
            "Unknown parameter: 'seed'.",
        ),
        ({"error": {"message": "No.", "type": 7, "code": None}}, "No."),
        ({"error": "seed: too large"}, "seed: too large"),
        ({"detail": "Not such a seed"}, "Not such a seed"),
        ({"detail": [{"loc": ["seed"]}]}, "nothing."),
        (b"<html>", "nothing."),
        (b"[" * 100_000, "nothing."),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_refused_fields_are_told_as_such(
    server: PainterServer, target: Path, body: bytes | dict[str, Any], said: str, status: int
) -> None:
    server.answer = says(body, status)
    error = refusal(server, target)
    assert isinstance(error, Unprocessable)
    assert error.message == f"The provider does not take these fields. It says: {said}"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("20", "20"),
        ("0", "1"),
        ("99999999999999999999", "30"),
        ("86400", "300"),
        ("Fri, 20 Nov 2026", "30"),
        ("٣", "30"),
    ],
)
def test_a_providers_rate_limit_is_passed_on_within_bounds(
    server: PainterServer, target: Path, header: str, seconds: str
) -> None:
    server.answer = refuses(
        429, "Slow down", "rate_limit_exceeded", Retry_After=header.encode().decode("latin-1")
    )
    error = refusal(server, target)
    assert type(error) is Overloaded
    assert error.headers == {"Retry-After": seconds}


@pytest.mark.parametrize(
    "answer",
    [
        refuses(403, f"Not with {KEY}"),
        refuses(404, "No such model"),
        refuses(429, "Pay first", "insufficient_quota"),
        refuses(400, "Pay first", "billing_hard_limit_reached"),
        refuses(500, "Oops"),
        refuses(503, "Oops"),
        says(b"", 302, Location="/elsewhere"),
        says(b"<html>", 200),
        says(b"\xff\xfe", 200),
        says(b"[" * 100_000, 200),
        says([], 200),
        says({"data": []}, 200),
        says({"data": [{"b64_json": None, "url": ""}]}, 200),
        says({"data": {"b64_json": "aGF0"}}, 200),
        says({"data": [{"b64_json": "no base64!"}]}, 200),
        says({"data": [{"b64_json": "aGF"}]}, 200),
        says({"data": [{"b64_json": "hät"}]}, 200),
        says({"data": [{"b64_json": "===="}]}, 200),
        lambda handler: handler.wfile.write(b"no HTTP at all\r\n\r\n"),
        lambda _handler: None,
    ],
)
def test_what_is_no_picture_is_an_outage(
    server: PainterServer, target: Path, answer: Answer
) -> None:
    server.answer = answer
    assert type(refusal(server, target)) is DependencyDown
    assert len(server.requests) == 1


def test_a_wrong_key_is_an_outage_that_is_logged_without_it(
    server: PainterServer, target: Path
) -> None:
    with capture_logs() as logs, pytest.raises(DependencyDown) as caught:
        painter_at(server.base_url, key="sk-wrong").paint(ImagePrompt("a hat"), target)
    assert logs == [{"event": "painter.down", "reason": "status 401", "log_level": "error"}]
    assert "sk-wrong" not in caught.value.message


@pytest.mark.parametrize(
    ("beginning", "drop"),
    [(b"", b""), (HEAD, b"X: y\r\n"), (HEAD + b"Content-Length: 99999\r\n\r\n{", b" ")],
    ids=["silence", "headers", "body"],
)
def test_a_provider_that_never_ends_is_given_up(
    server: PainterServer, target: Path, beginning: bytes, drop: bytes
) -> None:
    server.answer = drips(beginning, drop)
    with capture_logs() as logs, pytest.raises(DependencyDown):
        painter_at(server.base_url, seconds=0.2).paint(ImagePrompt("a hat"), target)
    assert logs[0]["reason"] == "TimeoutError"
    assert not target.exists()


def test_an_answer_of_any_length_is_cut_off(
    server: PainterServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "ANSWER_BYTES", 100_000)
    server.answer = drips(HEAD + b"\r\n" + b" " * 100_000, b" " * 10_000)
    with capture_logs() as logs, pytest.raises(DependencyDown):
        painter_at(server.base_url).paint(ImagePrompt("a hat"), target)
    assert logs[0]["reason"] == "an answer of too many bytes"


def test_a_provider_that_is_not_there_is_an_outage(target: Path) -> None:
    with capture_logs() as logs, pytest.raises(DependencyDown):
        painter_at(f"http://127.0.0.1:{free_port()}/v1").paint(ImagePrompt("a hat"), target)
    assert logs[0]["reason"] == "ConnectionRefusedError"


def test_a_certificate_that_nobody_trusts_is_an_outage(target: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with (
        running_origin(context) as origin,
        capture_logs() as logs,
        pytest.raises(DependencyDown),
    ):
        painter_at(origin.url).paint(ImagePrompt("a hat"), target)
    assert logs[0]["reason"] == "SSLCertVerificationError"
    assert origin.requests == []


def test_a_disk_that_fills_up_keeps_no_half_of_a_picture(
    server: PainterServer, target: Path
) -> None:
    server.answer = says(IN_BASE64)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(PICTURE) - 1, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            painter_at(server.base_url).paint(ImagePrompt("a hat"), target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not target.exists()


def test_an_existing_file_stays(server: PainterServer, target: Path) -> None:
    server.answer = says(IN_BASE64)
    target.write_bytes(b"another's")
    with pytest.raises(FileExistsError):
        painter_at(server.base_url).paint(ImagePrompt("a hat"), target)
    assert target.read_bytes() == b"another's"
