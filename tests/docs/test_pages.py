"""The description, the playground and the pages about errors."""

import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.errors import AppError
from app.web.requirements import Key
from tests.client import ApiClient


def test_the_description_is_valid_openapi_3_1(client: ApiClient) -> None:
    document = client.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


UNDESCRIBED = [
    "admin", "dashboard", "delivery", "docs", "health", "mailbox", "monitoring", "published",
    "static_files", "webhooks",
]  # fmt: skip
"""Surfaces that are no part of the API."""


def test_every_api_route_is_described(app: Flask, client: ApiClient) -> None:
    described = {
        (method.upper(), path)
        for path, item in client.get("/openapi.json").json["paths"].items()
        for method in item
    }
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.split(".")[0] not in UNDESCRIBED
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == routes


def test_every_operation_says_what_it_does_and_how_it_authenticates(
    app: Flask, client: ApiClient
) -> None:
    for path, item in client.get("/openapi.json").json["paths"].items():
        for method, operation in item.items():
            assert operation["summary"], f"{method} {path}"
            assert operation["description"], f"{method} {path}"
            assert "<br" not in operation["description"], f"{method} {path}"
            endpoint, _ = app.url_map.bind("localhost").match(path, method=method.upper())
            view: Any = app.view_functions[endpoint]
            needs_key = isinstance(view.requirement, Key)
            assert bool(operation.get("security")) == needs_key, f"{method} {path}"


@pytest.mark.parametrize("code", sorted(AppError.catalogue()))
def test_every_error_has_a_page_that_says_what_to_do(client: ApiClient, code: str) -> None:
    kind = AppError.catalogue()[code]
    page = client.get(f"/docs/errors/{code}")
    assert page.status_code == 200
    assert code in page.text
    assert str(kind.status) in page.text
    assert len(kind.advice) > 40
    assert f"/docs/errors/{code}" in client.get("/docs/errors").text


def test_errors_do_not_share_advice() -> None:
    kinds = [kind for kind in AppError.catalogue().values() if kind.__name__ != "ImagingError"]
    assert len({kind.title for kind in kinds}) == len(kinds)


OF_PEOPLE = {"/dashboard", "/login", "/signup"}
"""Pages for people with an account, which have tests of their own."""


@pytest.mark.parametrize("path", ["/docs", "/", "/plans", "/docs/errors", "/docs/errors/not_found"])
def test_pages_load_nothing_from_elsewhere(client: ApiClient, path: str) -> None:
    page = client.get(path)
    links = set(re.findall(r"""(?:src|href|data-url)=["']([^"'#]+)""", page.text)) - OF_PEOPLE
    assert links
    for link in links:
        assert link.startswith("/")
        assert client.get(link).status_code == 200
