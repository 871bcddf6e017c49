"""The page that says who is signed in."""

import sqlite3
from contextlib import closing

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from playwright.sync_api import Page, expect

from tests.browser.test_docs import contrast
from tests.conftest import Service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL = "reader@example.com"


def session_cookie(service: Service, **values: str) -> str:
    """A session as the service would sign it."""
    signer = Flask(__name__)
    signer.secret_key = (service.data_dir / "secret_key").read_text()
    serializer = SecureCookieSessionInterface().get_signing_serializer(signer)
    assert serializer
    return str(serializer.dumps(values))


@pytest.fixture(scope="module")
def session(service: Service) -> str:
    """The session of a user who has just been made."""
    service.flask("users", "create", EMAIL)
    with closing(sqlite3.connect(service.data_dir / "lightwell.sqlite3")) as database:
        user_id, org_id = database.execute(
            "SELECT user_id, org_id FROM memberships JOIN users ON users.id = user_id "
            "WHERE email = ?",
            (EMAIL,),
        ).fetchone()
    return session_cookie(service, user_id=user_id, org_id=org_id)


def test_the_account_page_reads_well_on_every_screen(
    page: Page, service: Service, session: str
) -> None:
    page.context.add_cookies([{"name": "session", "value": session, "url": service.url}])
    answer = page.goto("/account")
    assert answer
    assert answer.status == 200
    expect(page).to_have_title("Account · reader · Lightwell")
    expect(page.get_by_role("heading", level=1)).to_have_text("Account")
    for text in (EMAIL, "reader", "owner"):
        expect(page.get_by_role("definition").filter(has_text=text).first).to_be_visible()
    for selector in ("h1", "main p", "dt", "dd", "header a"):
        assert contrast(page, selector) >= 4.5, selector
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Account")).to_be_focused()
