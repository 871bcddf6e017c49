"""Staff look at an organization's pages, announce something, and begin and end maintenance."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import audit, findings
from tests.browser.door import sign_in, sign_in_as_staff
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

PASSWORD = "a lamp in the attic"


@pytest.fixture
def customer(browser: Browser, service: Service) -> Page:
    """A customer's tab, on the first page of their organization."""
    email = f"viewed-{uuid4().hex[:8]}@example.com"
    service.flask("users", "create", email, "--password", PASSWORD)
    tab = browser.new_context(base_url=service.url).new_page()
    sign_in(tab, email, PASSWORD)
    return tab


def test_staff_view_an_organization(tab: Page, customer: Page, service: Service) -> None:
    home = customer.url.rstrip("/")
    sign_in_as_staff(tab, service, "support")
    name = home.rpartition("/")[2]
    tab.goto(f"/admin/organizations?q={name}")
    tab.get_by_role("link", name=name).click()
    tab.get_by_role("link", name="View as").click()
    dialog = tab.get_by_role("dialog", name=f"View as {name}?")
    dialog.get_by_label("Reason").fill("A customer asked why nothing is compressed")
    assert findings(tab) == []
    dialog.get_by_role("button", name="View").click()
    tab.wait_for_url(home)
    bar = tab.get_by_role("complementary", name="View as")
    expect(bar).to_contain_text("30 minutes left")
    pages = ("", "/library", "/playground", "/usage", "/keys", "/team", "/billing", "/settings")
    for page in pages:
        tab.goto(home + page)
        expect(bar).to_be_visible()
        assert findings(tab) == []
    audit(tab, home)
    audit(tab, f"{home}/activity")
    expect(tab.get_by_role("cell", name=re.compile("Lightwell staff"))).to_be_visible()
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(f"{home}/settings")
    tab.get_by_label("Name", exact=True).fill("Another name")
    tab.get_by_role("button", name="Save").first.click()
    expect(tab.get_by_text("You look at these pages as staff")).to_be_visible()
    tab.goto(home)
    tab.mouse.wheel(0, 2000)
    expect(bar).to_be_in_viewport()
    bar.get_by_role("button", name="Leave").click()
    tab.wait_for_url("**/admin/**")
    tab.goto(home)
    expect(tab.get_by_role("heading", level=1)).not_to_have_text("Overview")
    expect(bar).to_have_count(0)
    customer.goto(f"{home}/activity")
    expect(customer.get_by_text("Organization viewed").first).to_be_visible()


def test_announcements_and_maintenance(tab: Page, customer: Page, service: Service) -> None:
    sign_in_as_staff(tab, service)
    audit(tab, "/admin/announcements")
    audit(tab, "/admin/announcements/new")
    audit(tab, "/admin/announcements/maintenance")
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto("/admin/announcements")
    tab.get_by_role("link", name="New announcement").click()
    tab.get_by_label("Text").fill("On Sunday a new engine comes. ‮الأحد")
    tab.get_by_label("Ends (UTC)").fill("2099-01-01T10:00")
    tab.get_by_label("Reason").fill("Release of the engine")
    tab.get_by_role("button", name="Announce").click()
    expect(tab.get_by_role("cell", name="All organizations")).to_be_visible()
    tab.wait_for_timeout(3100)  # other processes of the service see it then
    customer.reload()
    expect(customer.get_by_text("On Sunday a new engine comes.")).to_be_visible()
    assert findings(customer) == []
    audit(tab, "/admin/announcements")
    tab.set_viewport_size({"width": 1440, "height": 900})

    tab.get_by_role("link", name="Change").click()
    tab.get_by_label("Text").fill("On Monday a new engine comes.")
    tab.get_by_label("Reason").fill("It takes a day longer")
    tab.get_by_role("button", name="Announce").click()
    expect(tab.get_by_text("The announcement was changed.")).to_be_visible()
    tab.get_by_role("link", name="End", exact=True).click()
    dialog = tab.get_by_role("dialog", name="End this announcement?")
    dialog.get_by_label("Reason").fill("It is out")
    assert findings(tab) == []
    dialog.get_by_role("button", name="End").click()
    expect(tab.get_by_text("The announcement has ended.")).to_be_visible()

    tab.get_by_role("link", name="Begin maintenance").click()
    tab.get_by_label("Text").fill("The database moves until ten o'clock.")
    tab.get_by_label("Reason").fill("Migration of the database")
    tab.get_by_role("button", name="Begin maintenance").click()
    expect(tab.get_by_role("status").filter(has_text="The database moves")).to_be_visible()
    try:
        tab.wait_for_timeout(3100)
        customer.reload()
        assert findings(customer) == []
        audit(customer, customer.url)
        audit(customer, "/")
        refused = customer.request.post("/v1/images")
        assert (refused.status, refused.json()["code"]) == (503, "maintenance")
        assert refused.headers["retry-after"] == "300"
        audit(tab, "/admin/announcements")
        tab.set_viewport_size({"width": 1440, "height": 900})
    finally:
        tab.goto("/admin/announcements")
        tab.get_by_role("link", name="End", exact=True).click()
        dialog = tab.get_by_role("dialog", name="End the maintenance?")
        dialog.get_by_label("Reason").fill("All is moved")
        dialog.get_by_role("button", name="End").click()
        expect(tab.get_by_text("Writes are taken again.").first).to_be_visible()
    tab.wait_for_timeout(3100)
    assert customer.request.post("/v1/images").status == 401
