"""The description, the playground and the pages about errors."""

import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy import event

from app.errors import AppError
from app.extensions import db, transaction
from app.models import Plan
from app.web.requirements import Key
from tests.client import ApiClient, client_of
from tests.conftest import AccountMaker, AppMaker


def test_the_description_is_valid_openapi_3_1(client: ApiClient) -> None:
    document = client.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_api_route_is_described(app: Flask, client: ApiClient) -> None:
    described = {
        (method.upper(), path)
        for path, item in client.get("/openapi.json").json["paths"].items()
        for method in item
    }
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.split(".")[0]
        not in ("dashboard", "delivery", "docs", "health", "published", "webhooks")
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


def test_the_home_page_leads_to_the_playground(client: ApiClient) -> None:
    answer = client.get("/", follow_redirects=True)
    assert answer.request.path == "/docs"
    assert answer.mimetype == "text/html"


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


def cells(page: str) -> list[list[str]]:
    """The table of plans, row by row."""
    return [
        re.findall(r"<t[hd][^>]*>([^<]*)", row)
        for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    ]


def test_the_plans_are_those_of_the_database(
    app: Flask, client: ApiClient, make_account: AccountMaker
) -> None:
    make_account(requests_per_second=7)  # a plan of its own, which others are not offered
    with app.app_context(), transaction() as session:
        session.get_one(Plan, "TEAM").price_cents = 3150
    try:
        table = cells(client.get("/docs/billing").text)
    finally:
        with app.app_context(), transaction() as session:
            session.get_one(Plan, "TEAM").price_cents = 2900
    assert table == [
        ["", "FREE", "TEAM", "BUSINESS", "ENTERPRISE"],
        ["Price a month", "$0", "$31.50", "$99", "by contract"],
        ["Live images a month", "100", "20,000", "200,000", "unlimited"],
        ["Requests a second and key", "2", "3", "10", "100"],
        ["Storage", "1 GB", "100 GB", "1 TB", "unlimited"],
        ["Largest file", "20 MB", "50 MB", "100 MB", "200 MB"],
        ["Files a batch", "20", "100", "500", "1,000"],
        ["Workspace API", "no", "yes", "yes", "yes"],
    ]


def test_the_page_about_plans_says_how_fast_one_may_ask(
    client: ApiClient, make_app: AppMaker
) -> None:
    assert "10/minute on this server" in client.get("/docs/billing").text
    assert (
        "77/hour on this server"
        in client_of(make_app(ratelimit_test_keys="77/hour")).get("/docs/billing").text
    )


def test_the_page_about_plans_asks_the_database_once(app: Flask, client: ApiClient) -> None:
    statements: list[str] = []
    with app.app_context():
        engine = db.engine
    event.listen(
        engine, "before_cursor_execute", listener := lambda *call: statements.append(call[2])
    )
    client.get("/docs/billing")
    event.remove(engine, "before_cursor_execute", listener)
    assert len(statements) == 1


@pytest.mark.parametrize(
    ("query", "notice"),
    [
        ("checkout=done", "Thank you. The plan changes within seconds; GET /usage shows it."),
        ("checkout=cancelled", "Nothing was bought."),
        ("portal=done", "Welcome back."),
    ],
)
def test_who_comes_back_from_paying_is_told_what_happens_now(
    client: ApiClient, query: str, notice: str
) -> None:
    assert f'role="status">{notice}' in client.get(f"/docs/billing?{query}").text


@pytest.mark.parametrize(
    "query", ["", "checkout=<b>you owe</b>", "portal=cancelled", "done=checkout"]
)
def test_other_queries_put_nothing_on_the_page(client: ApiClient, query: str) -> None:
    page = client.get(f"/docs/billing?{query}").text
    assert 'role="status"' not in page
    assert "you owe" not in page


def test_the_page_about_plans_tells_the_grace_period(client: ApiClient) -> None:
    assert "The plan stays for up to 7 days" in client.get("/docs/billing").text


@pytest.mark.parametrize(
    "path", ["/docs", "/docs/billing", "/docs/errors", "/docs/errors/not_found"]
)
def test_pages_load_nothing_from_elsewhere(client: ApiClient, path: str) -> None:
    page = client.get(path)
    links = re.findall(r"""(?:src|href|data-url)=["']([^"']+)""", page.text)
    assert links
    for link in links:
        assert link.startswith("/")
        assert client.get(link).status_code == 200
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]


def test_assets_are_compressed_cached_and_revalidated(client: ApiClient) -> None:
    plain = client.get("/docs/assets/scalar.js")
    zipped = client.get("/docs/assets/scalar.js", headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.content_length * 2 < plain.content_length
    assert "max-age" in zipped.headers["Cache-Control"]
    again = client.get(
        "/docs/assets/scalar.js",
        headers={"Accept-Encoding": "gzip", "If-None-Match": zipped.headers["ETag"]},
    )
    assert again.status_code == 304
