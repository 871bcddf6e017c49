"""The home page and the page about plans."""

import re

import pytest
from flask import Flask

from app.extensions import transaction
from app.models import Plan
from tests.client import ApiClient, client_of
from tests.conftest import Account, AccountMaker, AppMaker, SignIn
from tests.databases import statements


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
        table = cells(client.get("/plans").text)
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
    assert "10/minute on this server" in client.get("/plans").text
    assert (
        "77/hour on this server"
        in client_of(make_app(ratelimit_test_keys="77/hour")).get("/plans").text
    )


def test_the_page_about_plans_asks_the_database_once(app: Flask, client: ApiClient) -> None:
    with statements(app) as sent:
        client.get("/plans")
    assert len(sent) == 1


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
    assert f'role="status">{notice}' in client.get(f"/plans?{query}").text


@pytest.mark.parametrize(
    "query", ["", "checkout=<b>you owe</b>", "portal=cancelled", "done=checkout"]
)
def test_other_queries_put_nothing_on_the_page(client: ApiClient, query: str) -> None:
    page = client.get(f"/plans?{query}").text
    assert 'role="status"' not in page
    assert "you owe" not in page


def test_the_page_about_plans_tells_the_grace_period(client: ApiClient) -> None:
    assert "The plan stays for up to 7 days" in client.get("/plans").text


def test_the_home_page_sells_the_plans_of_the_database(app: Flask, client: ApiClient) -> None:
    with app.app_context(), transaction() as session:
        session.get_one(Plan, "TEAM").price_cents = 3150
    try:
        page = client.get("/")
    finally:
        with app.app_context(), transaction() as session:
            session.get_one(Plan, "TEAM").price_cents = 2900
    assert (page.status_code, page.mimetype) == (200, "text/html")
    for text in ("$31.50", "By contract", "/compress/batch", 'type="range"', 'href="/signup"'):
        assert text in page.text


def test_the_place_where_the_plans_were_leads_on(client: ApiClient) -> None:
    answer = client.get("/docs/billing?checkout=done")
    assert answer.status_code == 301
    assert answer.headers["Location"] == "/plans?checkout=done"
    assert client.get("/docs/billing").headers["Location"] == "/plans"


@pytest.mark.parametrize("path", ["/plans", "/docs", "/docs/errors", "/nowhere"])
def test_the_navigation_knows_who_is_signed_in(
    client: ApiClient, acme: Account, sign_in: SignIn, path: str
) -> None:
    browser = {"Accept": "text/html"}
    visitor = client.get(path, headers=browser).text
    member = sign_in(acme).get(path, headers=browser).text
    for text, whom in ((">Sign in<", visitor), (">Sign up<", visitor), (">Dashboard<", member)):
        assert [page for page in (visitor, member) if text in page] == [whom], text
