"""What staff do to an organization, in a browser: each action, and what its people see then."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import audit
from tests.browser.door import sign_in, sign_in_as_staff
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

EMAIL, PASSWORD = "acted-upon@example.com", "a lamp beside the door"
REASON = "Ticket 4711"


@pytest.fixture(scope="module")
def key(service: Service) -> str:
    service.flask("users", "create", EMAIL, "--password", PASSWORD)
    service.flask("keys", "create", EMAIL, "--mode", "test", "--name", "Staging")
    return service.flask("keys", "create", EMAIL, "--name", "Web shop").splitlines()[-1]


def open_organization(tab: Page) -> str:
    """Returns the address of its page."""
    tab.goto("/admin/organizations?q=acted-upon")
    tab.get_by_role("rowheader").get_by_role("link").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("acted-upon")
    return tab.url


def do(tab: Page, entry: str, button: str, **fields: str) -> None:
    """Choose an entry of the menu and send its form."""
    tab.locator("summary", has_text="Actions").click()
    tab.locator(".menu .items").get_by_role("link", name=entry, exact=True).click()
    dialog = tab.get_by_role("dialog")
    for name, value in fields.items():
        field = dialog.locator(f"[name={name}]")
        if field.evaluate("it => it.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    dialog.get_by_label("Reason").fill(REASON)
    dialog.get_by_role("button", name=button, exact=True).click()


def test_every_action(tab: Page, service: Service, key: str) -> None:
    def status() -> int:
        return tab.request.get("/usage", headers={"Authorization": f"Bearer {key}"}).status

    sign_in_as_staff(tab, service)
    home = open_organization(tab)
    do(tab, "Grant a plan", "Grant plan", plan="TEAM", until="2030-01-31")
    expect(tab.get_by_text("Plan in force now: Team.")).to_be_visible()
    do(tab, "Raise limits", "Save limits", monthly_images="77,000")
    expect(tab.get_by_text("Limits raised.")).to_be_visible()
    do(tab, "Correct usage", "Correct usage", way="correction", images="300")
    expect(tab.get_by_text("300 images added.")).to_be_visible()
    tab.goto(home)
    do(tab, "Correct usage", "Correct usage", way="credit", images="301")
    expect(tab.get_by_role("dialog").get_by_text("This month has used 300 only.")).to_be_visible()
    expect(tab.get_by_role("dialog").get_by_label("Reason")).to_have_value(REASON)
    tab.get_by_role("dialog").get_by_label("Images").fill("100")
    tab.get_by_role("dialog").get_by_role("button", name="Correct usage").click()
    expect(tab.get_by_text("100 images taken away.")).to_be_visible()
    do(tab, "Flag", "Save flag", flag="Look into it")
    expect(tab.get_by_text("Flagged: Look into it")).to_be_visible()
    do(tab, "Take the flag off", "Take it off")
    expect(tab.get_by_text("The flag is off.")).to_be_visible()
    for dialog in ("grant", "raise", "correct", "flag", "revoke-key", "suspend", "delete"):
        audit(tab, f"{home}?confirm={dialog}")

    tab.goto(home)
    assert status() == 200
    do(tab, "Suspend", "Suspend", told="You send spam.")
    expect(tab.get_by_text("Suspended. Its keys are refused")).to_be_visible()
    assert status() == 403
    audit(tab, home)
    do(tab, "Restore", "Restore")
    expect(tab.get_by_text("Restored.")).to_be_visible()
    do(tab, "Delete", "Delete organization", typed="acted-upon")
    expect(tab.get_by_text("It will be deleted in 7 days.")).to_be_visible()
    assert status() == 401
    do(tab, "Take the deletion back", "Keep the organization")
    expect(tab.get_by_text("The organization stays.")).to_be_visible()
    assert status() == 200
    tab.locator("summary", has_text="Actions").click()
    tab.get_by_role("link", name="Revoke a key", exact=True).click()
    tab.get_by_role("dialog").get_by_label("Key").select_option(index=0)
    tab.get_by_role("dialog").get_by_label("Reason").fill(REASON)
    tab.get_by_role("dialog").get_by_role("button", name="Revoke key").click()
    expect(tab.get_by_text("Key Web shop revoked.")).to_be_visible()
    assert status() == 401
    do(tab, "Revoke all keys", "Revoke all keys")
    expect(tab.get_by_text("1 key revoked.")).to_be_visible()
    tab.goto(f"{home}/audit")
    expect(tab.get_by_text(f"“{REASON}”").first).to_be_visible()


def test_its_people_read_why_it_is_suspended(
    tab: Page, service: Service, key: str, browser: Browser
) -> None:
    """The console goes without JavaScript too."""
    sign_in_as_staff(tab, service)
    home = open_organization(tab)
    bare = browser.new_context(
        base_url=service.url, java_script_enabled=False, storage_state=tab.context.storage_state()
    )
    page = bare.new_page()
    page.goto(f"{home}?confirm=suspend")
    page.get_by_label("What the organization is told").fill("You send <i>spam</i>.")
    page.get_by_role("dialog").get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Suspend", exact=True).click()
    expect(page.get_by_text("Suspended. Its keys are refused")).to_be_visible()
    bare.close()

    tab.context.clear_cookies()
    own = sign_in(tab, EMAIL, PASSWORD)
    expect(tab.get_by_text("This organization is suspended. You send <i>spam</i>.")).to_be_visible()
    audit(tab, own)
    audit(tab, f"{own}/usage")
    tab.goto(f"{own}/usage")
    tab.get_by_label("Images a month").first.fill("5")
    answer = tab.request.post(
        f"{own}/usage/cap", form={"cap": "5"}, headers={"Origin": service.url}
    )
    assert answer.status == 403
