"""The console's people, roles and log: every action in a browser."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in_as_staff
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]


def open_person(page: Page, email: str) -> str:
    """Find somebody in the list. Returns the address of their page."""
    page.goto("/admin/users")
    page.get_by_label("E-mail or name begins with").fill(email)
    page.get_by_role("main").get_by_role("button", name="Search").click()
    page.get_by_role("link", name=email).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(email)
    return page.url


def choose(page: Page, action: str, title: str, button: str) -> None:
    """Take an action of the menu, with a reason."""
    page.get_by_text("Actions", exact=True).first.click()
    page.get_by_role("link", name=action).click()
    agree(page, title, button)


def agree(page: Page, title: str, button: str) -> None:
    dialog = page.get_by_role("dialog", name=title)
    dialog.get_by_label("Reason").fill("they asked for it on the phone")
    dialog.get_by_role("button", name=button, exact=True).click()


def test_support_finds_and_helps_a_customer(tab: Page, service: Service) -> None:
    email = f"eve-{uuid4().hex}@example.com"
    tab.goto("/signup")
    tab.get_by_label("E-mail").fill(email)
    tab.get_by_label("Password", exact=True).fill("a lamp in the attic")
    tab.get_by_role("main").get_by_role("button").last.click()
    sign_in_as_staff(tab, service, "support")
    path = open_person(tab, email)
    choose(tab, "Send the confirmation", "Send the confirmation?", "Send")
    expect(tab.get_by_text("A link to confirm the address is on its way")).to_be_visible()
    choose(tab, "Send a password reset", "Send a password reset?", "Send")
    expect(tab.get_by_text("A link to set a password is on its way")).to_be_visible()
    choose(tab, "Confirm the e-mail", "Confirm this address?", "Confirm")
    expect(tab.get_by_text(f"{email} is confirmed.")).to_be_visible()
    choose(tab, "Take the throttle off", "Take the throttle off?", "Take off")
    expect(tab.get_by_text(f"{email} may try again at once.")).to_be_visible()
    expect(tab.get_by_role("link", name="Staff role")).to_have_count(0)
    for page in ("/admin/users", path, f"{path}?confirm=mail-reset", "/admin/roles"):
        audit(tab, page)


def test_an_admin_acts_on_staff_and_the_log_tells_it(tab: Page, service: Service) -> None:
    other = f"bob-{uuid4().hex}@example.com"
    browser = tab.context.browser
    assert browser
    theirs = browser.new_context(base_url=service.url).new_page()
    support = sign_in_as_staff(theirs, service, "support")
    service.flask("users", "create", other)
    sign_in_as_staff(tab, service)
    path = open_person(tab, other)
    tab.get_by_role("link", name="Staff role").click()
    tab.get_by_label("Role", exact=True).select_option("billing")
    agree(tab, "Change the staff role?", "Change role")
    expect(tab.get_by_text(f"{other} is billing now.")).to_be_visible()
    audit(tab, f"{path}?confirm=staff-role")

    open_person(tab, support)
    choose(tab, "End all sessions", "End all sessions?", "End sessions")
    expect(tab.get_by_text("is signed out everywhere")).to_be_visible()
    assert theirs.goto("/admin")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    choose(tab, "Reset the second factor", "Reset the second factor?", "Reset")
    expect(tab.get_by_text("has no second factor any more")).to_be_visible()
    theirs.context.close()

    tab.get_by_role("link", name="User second factor reset").click()
    expect(tab.get_by_text("they asked for it on the phone")).to_be_visible()
    audit(tab, tab.url)
    tab.get_by_role("link", name="Staff log").first.click()
    tab.get_by_role("link", name="Check the log").click()
    expect(tab.get_by_text(re.compile(r"The log is whole: [\d,]+ entr"))).to_be_visible()
    audit(tab, "/admin/audit/check")
    tab.goto("/admin/audit")
    tab.get_by_label("Action").select_option("user.second_factor_reset")
    tab.get_by_role("button", name="Filter").click()
    expect(tab.get_by_role("link", name="User second factor reset").first).to_be_visible()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download CSV").click()
    assert "user.second_factor_reset" in download.value.path().read_text()
    audit(tab, "/admin/audit?action=nothing")
