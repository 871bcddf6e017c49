"""One body for every refusal, and never a stack trace."""

import pickle

import pytest
from sqlalchemy.exc import OperationalError

from app.dashboard import account
from app.errors import AppError
from app.imaging import UnsupportedImage
from app.services.accounts import keys, sign_ins
from tests.client import ApiClient, bearer, client_of
from tests.conftest import Account, AppMaker, SignIn

FIELDS = {"error", "code", "status", "type", "requestId", "message"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/v1/nowhere", 404, "not_found"),
        ("GET", "/compress/batch", 405, "method_not_allowed"),
        ("DELETE", "/usage", 405, "method_not_allowed"),
        ("GET", "/docs/errors/unheard_of", 404, "not_found"),
        ("GET", "/static/any/..%2f..%2fwsgi.py", 404, "not_found"),
    ],
)
def test_unknown_routes_and_methods(
    client: ApiClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert set(answer.json) == FIELDS
    assert answer.json["type"] == f"http://localhost/docs/errors/{code}"
    assert answer.json["requestId"] == answer.headers["X-Request-Id"]
    if status == 405:
        assert answer.headers["Allow"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/account/nowhere", 404),
        ("GET", "/account//nowhere/", 404),
        ("DELETE", "/account", 405),
    ],
)
def test_where_the_pages_are_a_refusal_is_a_page(
    client: ApiClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert answer.headers["X-Request-Id"] in answer.text
    assert "script-src 'self' 'nonce-" in answer.headers["Content-Security-Policy"]
    assert ("Allow" in answer.headers) is (status == 405)
    assert "WWW-Authenticate" not in answer.headers


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/accounts", "/docs/nowhere", "/docs/errors/unheard_of", "/static/any/nothing.css",
     "/v10", "/authority"],
)  # fmt: skip
def test_elsewhere_a_browser_gets_a_page_and_a_program_json(client: ApiClient, path: str) -> None:
    page = client.get(path, headers=BROWSER)
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "<h1>There is nothing here</h1>" in page.text
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["/auth/nowhere", "/compress", "/usage/nowhere", "/billing/nowhere", "/v1/nowhere", "/v1",
     "/api/v1/nowhere", "/api", "/storage/nowhere", "/published/nowhere", "/webhooks/nowhere",
     "/openapi.json/nowhere", "/v1/images", "/usage"],
)  # fmt: skip
def test_an_api_answers_no_page_not_even_to_a_browser(client: ApiClient, path: str) -> None:
    assert client.get(path, headers=BROWSER).mimetype == "application/json"


def test_a_page_whose_database_is_down_is_a_page_too(
    acme: Account, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    member = sign_in(acme)
    monkeypatch.setattr(sign_ins, "find", down)
    for path in ("/plans", "/account", f"/dashboard/{acme.slug}/team"):
        answer = member.get(path, headers=BROWSER)
        assert (answer.status_code, answer.mimetype) == (503, "text/html"), path
        assert answer.headers["Retry-After"]
        assert "A part of the server does not answer just now." in answer.text


def test_who_sends_too_much_to_a_page_gets_a_page(client: ApiClient) -> None:
    form = {"email": "a" * 2_200_000}
    answer = client.post("/login", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.mimetype) == (413, "text/html")
    assert "<h1>The request or one of its files is too large</h1>" in answer.text


def test_who_asks_a_page_too_often_gets_a_page(make_app: AppMaker) -> None:
    limited = client_of(make_app(ratelimit_anonymous="1/minute"))
    answers = [limited.get("/login") for _ in range(2)]
    assert [(answer.status_code, answer.mimetype) for answer in answers] == [
        (200, "text/html"),
        (429, "text/html"),
    ]
    assert answers[1].headers["Retry-After"]


def test_what_only_begins_like_a_page_s_path_is_json(client: ApiClient) -> None:
    answer = client.get("/accounts")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_a_defect_on_a_page_is_a_page_without_a_stack_trace(
    acme: Account, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(account, "account_page", broken)
    answer = sign_in(acme).get("/account")
    assert (answer.status_code, answer.mimetype) == (500, "text/html")
    assert "Something broke on our side" in answer.text
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("application/json", b"", 400, "bad_request"),
        ("application/json", b"{", 400, "bad_request"),
        ("application/json", b"\xff\xfe", 400, "bad_request"),
        ("application/json", b"[]", 400, "bad_request"),
        ("application/json", b"null", 400, "bad_request"),
        ("application/json", b'"text"', 400, "bad_request"),
        ("application/json", b"[" * 100_000, 400, "bad_request"),
        ("application/json", b'{"email":' + b"9" * 10_000 + b"}", 400, "bad_request"),
        ("application/json", b'{"email":"' + b"a" * 2_200_000 + b'"}', 413, "too_large"),
        ("text/plain", b"{}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"email=a", 415, "unsupported_media_type"),
        ("", b"{}", 415, "unsupported_media_type"),
    ],
)
def test_bad_bodies(
    client: ApiClient, content_type: str, body: bytes, status: int, code: str
) -> None:
    answer = client.post("/auth/register", data=body, content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_a_defect_is_a_bare_500(
    client: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(keys, "rotate", broken)
    answer = client.post("/auth/rotate-key", headers=bearer(acme.key))
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text


def test_a_database_that_is_down_is_503(
    client: ApiClient, acme: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(keys, "rotate", down)
    answer = client.post("/auth/rotate-key", headers=bearer(acme.key))
    assert (answer.status_code, answer.json["code"]) == (503, "dependency_down")
    assert answer.headers["Retry-After"]


def test_every_answer_carries_an_id_and_safety_headers(client: ApiClient) -> None:
    ids = set()
    for path in ("/healthz", "/nowhere", "/docs", "/openapi.json"):
        answer = client.get(path)
        ids.add(answer.headers["X-Request-Id"])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert len(ids) == 4
    assert all(request_id.startswith("req_") for request_id in ids)


def test_errors_survive_a_process_border() -> None:
    for kind in AppError.catalogue().values():
        original = kind("What is wrong.")
        copy = pickle.loads(pickle.dumps(original))
        assert (type(copy), copy.message, copy.headers) == (
            kind,
            original.message,
            original.headers,
        )
    with_details = UnsupportedImage("No.", errors=["a: b"])
    assert pickle.loads(pickle.dumps(with_details)).errors == ["a: b"]
