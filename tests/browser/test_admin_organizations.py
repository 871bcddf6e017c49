"""Staff find an organization and look at all it has, in a real browser."""

import csv
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in_as_staff
from tests.browser.test_assets import upload
from tests.conftest import Service
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL = "kupferstich.and.sons@example.com"
HOSTILE = "<img src=x onerror=alert(1)>.jpg"
TABS = (
    "members", "keys", "usage", "ledger", "requests", "images", "exports", "stripe", "audit",
)  # fmt: skip
ROWS = (
    "INSERT INTO request_entries (id, org_id, key_id, mode, method, route, status, code, "
    "milliseconds, bytes_in, created_at) VALUES ('req_of_the_browser', :org, 'key_1', 'live', "
    "'POST', '/v1/images/<image_id>/transform', 429, 'rate_limited', 12, 4096, "
    "'2026-11-20 12:00:00.000000')",
    "INSERT INTO billing_accounts (org_id, customer_id, customers, revision, status, "
    "subscription_id) VALUES (:org, 'cus_of_the_browser', 2, 1, 'past_due', 'sub_1')",
    "INSERT INTO stripe_events (id, type, subject, created_at, received_at, attempts) VALUES "
    "('evt_of_the_browser', 'invoice.paid', 'cus_of_the_browser', '2026-11-20 12:00:00.000000', "
    "'2026-11-20 12:00:00.000000', 1)",
    "UPDATE organizations SET flag = 'Look into it', suspended_at = '2026-11-20 12:00:00.000000', "
    "suspended_reason = 'Sends hostile files' WHERE id = :org",
)
"""What is hard to bring about from outside."""


@pytest.fixture(scope="module")
def org_id(service: Service) -> str:
    """An organization with a key and a plan."""
    made = service.flask("users", "create", EMAIL, "--password", "a lamp beside the wall")
    service.flask("orgs", "set-plan", EMAIL, "TEAM")
    return made.split()[-1].rstrip(".")


def test_staff_find_an_organization_and_see_what_it_has(
    tab: Page, service: Service, org_id: str
) -> None:
    key = service.flask("keys", "create", EMAIL).split()[-1]
    upload(tab, key, encoded("JPEG", 640, 480), HOSTILE)
    with closing(sqlite3.connect(service.data_dir / "lightwell.sqlite3")) as rows, rows:
        for statement in ROWS:
            rows.execute(statement, {"org": org_id})
    sign_in_as_staff(tab, service, "support")

    tab.get_by_role("link", name="Organizations").click()
    tab.get_by_label("Name", exact=True).fill("KUPFERSTICH")
    tab.get_by_label("Only flagged").check()
    tab.get_by_label("State").select_option("suspended")
    tab.get_by_label("Order").select_option("storage")
    tab.get_by_role("button", name="Filter", exact=True).click()
    expect(tab.get_by_role("row")).to_have_count(2)
    tab.get_by_role("link", name="Images this month").click()
    expect(tab.get_by_role("columnheader", name="Images this month")).to_have_attribute(
        "aria-sort", "descending"
    )
    with tab.expect_download() as begun:
        tab.get_by_role("link", name="Download CSV").click()
    text = Path(begun.value.path()).read_text("utf-8-sig")
    assert [row["Id"] for row in csv.DictReader(StringIO(text))] == [org_id]

    tab.get_by_role("link", name="kupferstich").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("kupferstich")
    expect(tab.get_by_text("Sends hostile files")).to_be_visible()
    tabs = tab.get_by_role("navigation", name="Pages of the organization")
    for name in TABS:
        tabs.get_by_role("link", name=name.capitalize()).click()
        tab.wait_for_url(f"**/admin/organizations/{org_id}/{name}")
        expect(tabs.locator("[aria-current]")).to_have_text(name.capitalize())
    tabs.get_by_role("link", name="Images").click()
    expect(tab.get_by_text(HOSTILE)).to_be_visible()
    tabs.get_by_role("link", name="Requests").click()
    tab.get_by_label("Only errors").check()
    tab.get_by_role("button", name="Filter", exact=True).click()
    expect(tab.get_by_text("req_of_the_browser")).to_be_visible()


def test_its_pages_keep_what_every_page_promises(tab: Page, service: Service, org_id: str) -> None:
    sign_in_as_staff(tab, service, "support")
    audit(tab, "/admin/organizations?sort=name")
    audit(tab, "/admin/organizations?q=nobody-has-this-name")
    for name in ("", *TABS):
        audit(tab, f"/admin/organizations/{org_id}/{name}".rstrip("/"))
    for query in ("images?mode=test", "requests?code=other", "members?q=nobody"):
        audit(tab, f"/admin/organizations/{org_id}/{query}")
