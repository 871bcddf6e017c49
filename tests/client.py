"""A test client that holds every answer against the API's own description."""

import re
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_openapi import OpenAPI
from jsonschema import Draft202012Validator
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, stream_encode_multipart


class Answer(TestResponse):
    """An answer whose JSON is looked into without ado: where there is none, the test fails."""

    @property
    def json(self) -> Any:
        return super().json


Ask = Callable[..., Answer]
"""A fixture that sends one request, with what a test wants of it."""


class ApiClient(FlaskClient):
    """Validates each JSON answer of a described path: its status must be listed, its body must fit
    the schema."""

    application: OpenAPI
    user_id: str
    """Who is signed in with this client, where somebody is."""
    get: Ask
    post: Ask
    put: Ask
    patch: Ask
    delete: Ask
    head: Ask
    options: Ask

    def __init__(self, application: Flask, _response_class: object, **kwargs: Any) -> None:
        super().__init__(application, Answer, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> Answer:
        answer = super().open(*args, **{"buffered": True, **kwargs})
        assert isinstance(answer, Answer)
        validate(self.application.api_doc, answer)
        return answer

    def compress(
        self, key: str, *files: bytes | tuple[str, bytes], headers: Any = None, **fields: Any
    ) -> Answer:
        """``POST /compress/batch`` with files given as bytes or as (name, bytes)."""
        named = [
            file if isinstance(file, tuple) else (f"photo{n}.jpg", file)
            for n, file in enumerate(files)
        ]
        files_and_fields = [
            ("files[]", FileStorage(BytesIO(data), name)) for name, data in named
        ] + list(fields.items())
        form = multipart(files_and_fields)
        return self.post("/compress/batch", headers={**bearer(key), **(headers or {})}, **form)


def unmarked(answer: Answer) -> bytes:
    """The body without what differs each time: the request's id and a page's nonces."""
    body = answer.data.replace(str(answer.headers["X-Request-Id"]).encode(), b"")
    return re.sub(rb'nonce="[\w-]+"', b"", body)


def client_of(app: Flask) -> ApiClient:
    """The client of an application that is of ``make_app``."""
    client = app.test_client()
    assert isinstance(client, ApiClient)
    return client


def multipart(parts: list[tuple[str, Any]]) -> dict[str, Any]:
    """A form, encoded without the temporary file that the test client would leave open."""
    stream, _, boundary = stream_encode_multipart(MultiDict(parts), use_tempfile=False)
    return {"data": stream.read(), "content_type": f"multipart/form-data; boundary={boundary}"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def validate(document: dict[str, Any], response: Answer) -> None:
    operation = find_operation(document, response.request.path, response.request.method)
    if operation is None or not response.is_json:
        return
    answer = operation["responses"].get(str(response.status_code))
    assert answer, (
        f"{response.status_code} is not described for {response.request.method} "
        f"{response.request.path}"
    )
    schema = answer["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(response.json)
    if response.status_code >= 400:
        assert response.json["status"] == response.status_code
        assert response.json["message"] == response.json["error"]
        replayed = "Idempotent-Replayed" in response.headers
        assert replayed or response.json["requestId"] == response.headers["X-Request-Id"]


def find_operation(document: dict[str, Any], path: str, method: str) -> dict[str, Any] | None:
    for template, item in document["paths"].items():
        if path_pattern(template).fullmatch(path):
            operation: dict[str, Any] | None = item.get(method.lower())
            return operation
    return None


@lru_cache
def path_pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(template)))
