"""Plans, reports and the first page of the console, in a browser."""

from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in_as_staff
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]


def test_a_plan_is_made_for_a_customer_and_changed(tab: Page, service: Service) -> None:
    sign_in_as_staff(tab, service)
    email = f"customer-{uuid4().hex}@example.com"
    service.flask("users", "create", email, "--password", "a lamp in the attic")
    tab.goto("/admin/organizations")
    org_id = tab.get_by_role("rowheader").locator("code").first.inner_text()
    code = f"OWN_{uuid4().hex[:6]}".upper()

    audit(tab, "/admin/plans")
    audit(tab, "/admin/plans/new?template=TEAM")
    tab.goto("/admin/plans")
    tab.get_by_role("link", name="New plan for a customer").click()
    tab.get_by_label("Begin with the values of").select_option("TEAM")
    tab.get_by_role("button", name="Fill in").click()
    expect(tab.get_by_label("Images a month")).to_have_value("20000")
    tab.get_by_label("Organization").fill("org_nobody")
    tab.get_by_label("Code").fill(code)
    tab.get_by_label("Reason").fill("They asked for a plan of their own")
    tab.get_by_role("button", name="Make and grant the plan").click()
    expect(tab.get_by_text("There is no organization with this id.")).to_be_visible()
    tab.get_by_label("Organization").fill(org_id)
    tab.get_by_role("button", name="Make and grant the plan").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text(f"{code.capitalize()} plan")
    expect(tab.get_by_text(f"{code} is made, and granted to")).to_be_visible()
    home = f"/admin/plans/{code}"
    audit(tab, home)

    audit(tab, f"{home}/edit")
    audit(tab, f"{home}/edit?version=1", status=400)
    tab.goto(home)
    tab.get_by_role("link", name="Change", exact=True).click()
    tab.get_by_label("Images a month").fill("many")
    tab.get_by_role("button", name="See whom it reaches").click()
    expect(tab.get_by_text("Write a whole number from 1 to 2,147,483,647.")).to_be_visible()
    tab.get_by_label("Images a month").fill("5000")
    tab.get_by_label("Line below the name").fill("Made for you")
    tab.get_by_role("button", name="See whom it reaches").click()
    expect(tab.get_by_text("Nothing has changed yet.")).to_be_visible()
    audit(tab, tab.url)
    tab.get_by_label("Reason").fill("The contract says so")
    tab.get_by_role("button", name="Change the plan").click()
    expect(tab.get_by_text("holds from the next request on")).to_be_visible()
    expect(tab.get_by_text("“The contract says so”")).to_be_visible()
    audit(tab, home)

    audit(tab, "/admin")
    expect(tab.get_by_text("Plan changed")).to_be_visible()
    audit(tab, "/admin/reports")
