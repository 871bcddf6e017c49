"""Doubled and trailing slashes lead where the plain path leads, with the same door."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.web.paths import plain
from tests.client import Answer, ApiClient, bearer, unmarked
from tests.conftest import Account, AccountMaker
from tests.images import encoded
from tests.workspace import finalize, presign


def ask(client: ApiClient, path: str, method: str = "GET", **options: Any) -> Answer:
    """The path as it stands: of a URL that begins with two slashes the test client would make a
    host."""
    return client.open("/", method=method, environ_overrides={"PATH_INFO": path}, **options)


SPELLINGS = ["{}/", "{}//", "/{}", "//{}/"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_path_has_the_same_answer_however_it_is_spelt(
    app: Flask, client: ApiClient, acme: Account, spelling: str
) -> None:
    """With a key for what reads, and without one everywhere."""
    for rule in app.url_map.iter_rules():
        if rule.arguments or rule.rule == "/" or rule.endpoint.startswith("mailbox."):
            continue  # the mailbox shows what other tests' threads still write
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            plainly = client.open(rule.rule, method=method)
            spelt = ask(client, spelling.format(rule.rule), method)
            assert comparable(spelt) == comparable(plainly), f"{method} {rule}"
        if "GET" in (rule.methods or ()):
            plainly = client.get(rule.rule, headers=bearer(acme.key))
            spelt = ask(client, spelling.format(rule.rule), headers=bearer(acme.key))
            assert comparable(spelt) == comparable(plainly), rule


def comparable(answer: Answer) -> tuple[int, Any, str | None]:
    body = answer.json if answer.is_json else unmarked(answer)
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name != "requestId"}
    return answer.status_code, body, answer.headers.get("Location")


@pytest.mark.parametrize("path", ["/compress/batch/", "/compress//batch", "//compress/batch"])
def test_a_post_keeps_its_body_and_its_name(client: ApiClient, acme: Account, path: str) -> None:
    """The repetition under the plain path is the same request."""
    once = {**bearer(acme.key), "Idempotency-Key": "once"}
    form = {"content_type": "multipart/form-data; boundary=edge", "data": FORM}
    first = ask(client, path, "POST", headers=once, **form)
    again = client.post("/compress/batch", headers=once, **form)
    assert first.status_code == 200
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.data == first.data


FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="files[]"; filename="a.jpg"\r\n\r\n'
    + encoded(width=32, height=32)
    + b"\r\n--edge--\r\n"
)


def test_ids_are_found_too(client: ApiClient, acme: Account) -> None:
    made = client.post("/api/v1/collections/", headers=bearer(acme.key), json={"name": "Raw"})
    assert made.status_code == 201
    found = ask(client, f"//api/v1//collections/{made.json['id']}/", headers=bearer(acme.key))
    assert found.json == made.json
    assert (
        client.get(
            f"/api/v1/collections/{made.json['id']}/", headers=bearer(acme.test_key)
        ).status_code
        == 404
    )


def test_limits_are_counted_together(client: ApiClient, make_account: AccountMaker) -> None:
    """Ten a minute, and eleven spellings."""
    key = make_account().test_key
    statuses = [
        ask(client, "/" * times + "usage", headers=bearer(key)).status_code
        for times in range(1, 12)
    ]
    assert statuses == [200] * 10 + [429]


def test_signed_urls_stay_as_they_were_signed(client: ApiClient, acme: Account) -> None:
    data = encoded()
    for spelling in ("{}/", "/{}"):
        ticket = presign(client, acme.key, len(data)).json
        path = urlsplit(ticket["uploadUrl"]).path
        assert "/" not in path.removeprefix("/storage/")
        sent = ask(client, spelling.format(path), "PUT", data=data, headers=ticket["headers"])
        assert sent.status_code == 200
        wrong = ask(
            client, spelling.format(f"{path}x"), "PUT", data=data, headers=ticket["headers"]
        )
        assert wrong.status_code == 403
        assert finalize(client, acme.key, ticket["storageKey"], len(data)).status_code == 201


def test_pages_and_what_browsers_and_robots_ask_for(client: ApiClient) -> None:
    assert client.get("/docs/errors/").status_code == 200
    robots = client.get("/robots.txt")
    assert robots.mimetype == "text/plain"
    assert "Disallow: /published/\n" in robots.text
    icon = client.get("/favicon.ico")
    assert (icon.status_code, icon.data[:4]) == (200, b"\0\0\1\0")
    assert "max-age" in icon.headers["Cache-Control"]
    for page in ("/docs/errors", "/docs"):
        assert 'href="/docs/postman.json"' in client.get(page).text


@given(st.text(st.sampled_from("ab/."), max_size=12))
def test_plain_paths_stay_and_others_become_plain(text: str) -> None:
    path = plain(f"/{text}")
    assert plain(path) == path
    assert "//" not in path
    assert path == "/" or not path.endswith("/")
    assert path.replace("/", "") == text.replace("/", "")
