"""A person signs in and looks at their pages and their organization's."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit
from tests.conftest import Service

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "reader@example.com", "seven quiet lamps"


@pytest.fixture(scope="module")
def account(service: Service) -> str:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)
    return EMAIL


@pytest.fixture
def member(tab: Page, account: str) -> Page:
    """A tab in which the owner of an organization is signed in."""
    tab.goto("/login")
    tab.get_by_label("E-mail").fill(account)
    tab.get_by_label("Password", exact=True).fill(PASSWORD)
    tab.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    expect(tab).to_have_url(re.compile("/dashboard/reader"))
    return tab


@pytest.mark.parametrize("path", ["/login", "/signup", "/forgot", "/claim"])
def test_the_door_keeps_what_every_page_promises(tab: Page, path: str) -> None:
    audit(tab, path)


@pytest.mark.parametrize(
    "path", ["/account", "/account/security", "/account/sessions", "/dashboard/new"]
)
def test_a_person_s_pages_do_too(member: Page, path: str) -> None:
    audit(member, path)


def test_the_navigation_leads_to_the_dashboard_and_out(member: Page) -> None:
    member.goto("/")
    member.get_by_role("navigation").get_by_role("link", name="Dashboard").click()
    expect(member).to_have_url(re.compile("/dashboard/reader"))
    member.goto("/account")
    member.locator("summary", has_text="Your account").click()
    member.get_by_role("button", name="Sign out").click()
    member.goto("/")
    expect(member.get_by_role("link", name="Sign in")).to_be_visible()
