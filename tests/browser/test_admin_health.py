"""Staff look whether the service is well."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in_as_staff
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]


def test_staff_see_that_all_is_well_and_what_was_asked(tab: Page, service: Service) -> None:
    sign_in_as_staff(tab, service)
    tab.request.get(f"{service.url}/usage")
    tab.get_by_role("navigation").get_by_role("link", name="Health").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Health")
    parts = tab.get_by_role("region", name="Parts")
    for name in ("Database", "Redis", "Storage"):
        expect(parts.get_by_role("row", name=name)).to_contain_text("Works")
    workers = tab.get_by_role("region", name="Workers")
    expect(workers.get_by_role("row")).to_have_count(3)  # with the head
    expect(tab.get_by_role("region", name="Routes")).to_contain_text("/usage")
    audit(tab, "/admin/health")


def test_the_day_is_shown_and_the_page_keeps_itself_fresh(tab: Page, service: Service) -> None:
    sign_in_as_staff(tab, service)
    tab.goto("/admin/health")
    tab.get_by_role("link", name="Day", exact=True).click()
    expect(tab).to_have_url(f"{service.url}/admin/health?hours=24")
    expect(tab.get_by_text("in the last day")).to_be_visible()
    with tab.expect_response("**/admin/health?hours=24", timeout=15_000) as fresh:
        pass
    assert fresh.value.status == 200
    expect(tab.locator("#health-now")).to_have_count(1)
    expect(tab.get_by_role("region", name="Parts")).to_contain_text("Works")
    audit(tab, "/admin/health?hours=24")
