"""An organization from its first day: made, joined by invitation, handed over, left."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import audit
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

PASSWORD = "a lamp in the hallway"
OWNER = "founder@example.com"
GUEST = "invited.guest@example.com"


@pytest.fixture
def other_tab(browser: Browser, service: Service) -> Iterator[Page]:
    """Another person's browser."""
    context = browser.new_context(base_url=service.url)
    yield context.new_page()
    context.close()


def sign_in(tab: Page, email: str) -> None:
    tab.goto("/login")
    tab.get_by_label("E-mail").fill(email)
    tab.get_by_label("Password", exact=True).fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    tab.wait_for_url("**/dashboard/**")


def mailed_link(tab: Page, email: str) -> str:
    mails = tab.request.get("/dev/mail.json").json()
    text = next(mail["text"] for mail in mails if mail["to"] == email)
    found = re.search(r"/invitations/\S+", text)
    assert found
    return found[0]


def test_a_team_is_made_joined_and_handed_over(
    tab: Page, other_tab: Page, service: Service
) -> None:
    service.flask("users", "create", OWNER, "--password", PASSWORD)
    sign_in(tab, OWNER)
    audit(tab, "/dashboard/new")
    tab.get_by_label("Name").fill("Nordlicht Studio")
    tab.get_by_role("button", name="Create organization").click()
    tab.wait_for_url("**/dashboard/nordlicht-studio")
    tab.goto("/dashboard/nordlicht-studio/team")
    tab.get_by_label("E-mail", exact=True).fill(GUEST)
    tab.get_by_label("Role").select_option("viewer")
    tab.get_by_role("button", name="Send invitation").click()
    expect(tab.get_by_text(f"Invitation sent to {GUEST}.")).to_be_visible()
    audit(tab, "/dashboard/nordlicht-studio/team")

    link = mailed_link(tab, GUEST)
    audit(tab, link)  # signed in as somebody else
    audit(other_tab, link)
    other_tab.get_by_label("Password", exact=True).fill(PASSWORD)
    other_tab.get_by_role("button", name="Open account and join").click()
    other_tab.wait_for_url("**/dashboard/nordlicht-studio")
    audit(other_tab, link, status=404)
    other_tab.goto("/dashboard/nordlicht-studio/team")
    expect(other_tab.get_by_text("2 people")).to_be_visible()
    expect(other_tab.get_by_role("button", name="Send invitation")).to_have_count(0)

    tab.goto("/dashboard/nordlicht-studio/team")
    tab.get_by_role("link", name=f"Manage {GUEST}").click()
    member = tab.url
    audit(tab, member)
    audit(tab, f"{member}?confirm=remove")
    tab.goto(member)
    tab.get_by_role("link", name="Make an owner").click()
    tab.get_by_label("Step down").check()
    tab.get_by_role("button", name="Make owner").click()
    expect(tab.get_by_text("and you are an admin")).to_be_visible()

    other_tab.reload()
    other_tab.get_by_role("link", name=f"Manage {OWNER}").click()
    other_tab.get_by_role("link", name="Remove").click()
    other_tab.get_by_role("button", name="Remove").click()
    expect(other_tab.get_by_text(f"{OWNER} was removed.")).to_be_visible()
    answer = tab.goto("/dashboard/nordlicht-studio/team")
    assert answer
    assert answer.status == 404


def test_what_roles_may_is_documented(tab: Page) -> None:
    audit(tab, "/docs/roles")
    row = tab.get_by_role("row").filter(has_text="Make other people owners")
    expect(row.get_by_role("cell")).to_have_text(["yes", "no", "no", "no"])
