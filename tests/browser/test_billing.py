"""A customer upgrades, changes the plan and cancels, on the running service with its fake
Stripe."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import audit
from tests.conftest import Service, wait_until
from tests.dev.test_serve import register

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]
PASSWORD = "a lamp in the hallway"
WAIT = 60_000
"""Milliseconds in which news of a payment arrives on a busy machine."""
PAUSE = 0.5
"""A FREE key may ask twice a second."""


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """A page that may go from Lightwell to the fake Stripe and back; errors on either fail the
    test."""
    context = browser.new_context(base_url=service.url, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems: list[str] = []
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert not problems


class Customer:
    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._key = register(service, name)

    def asks_for(self, path: str, **body: str) -> str:
        """The URL of a page of the fake Stripe's."""
        url: list[str] = []

        def is_answered() -> bool:
            answer = requests.post(
                f"{self._service.url}{path}", json=body, headers=self._key, timeout=10
            )
            url.extend(answer.json()["url"] for _ in range(answer.status_code == 200))
            return bool(url)

        wait_until(is_answered, path, pause=PAUSE)
        assert urlsplit(url[0]).netloc != urlsplit(self._service.url).netloc
        return url[0]

    def gets_plan(self, plan: str, limit: int, workspace: int) -> None:
        """Wait until the plan holds, with its monthly images and the status of the workspace
        API."""

        def is_on_it() -> bool:
            usage = requests.get(f"{self._service.url}/usage", headers=self._key, timeout=10).json()
            return (usage.get("plan"), usage.get("limit")) == (plan, limit)

        def answers() -> bool:
            answer = requests.get(
                f"{self._service.url}/api/v1/assets", headers=self._key, timeout=10
            )
            return answer.status_code == workspace

        wait_until(is_on_it, f"the {plan} plan", pause=PAUSE)
        wait_until(answers, f"the workspace API to answer {workspace}", pause=PAUSE)


def test_from_free_to_business_and_back(page: Page, service: Service) -> None:
    customer = Customer(service, "buyer")
    customer.gets_plan("FREE", 100, 402)

    page.goto(customer.asks_for("/billing/checkout", plan="TEAM", interval="month"))
    expect(page.get_by_text("no real money")).to_be_visible()
    expect(page.get_by_text("$29.00").first).to_be_visible()
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    assert page.url == f"{service.url}/plans?checkout=done"
    customer.gets_plan("TEAM", 20_000, 200)

    page.goto(customer.asks_for("/billing/checkout", plan="BUSINESS", interval="month"))
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    customer.gets_plan("BUSINESS", 200_000, 200)

    page.goto(customer.asks_for("/billing/portal"))
    page.get_by_role("link", name="Cancel subscription").click()
    page.get_by_role("button", name="Cancel subscription").click()
    expect(page.get_by_role("button", name="Keep subscription")).to_be_visible()
    customer.gets_plan("BUSINESS", 200_000, 200)
    page.get_by_role("button", name="End the current period").click()
    expect(page.get_by_role("button", name="End the current period")).to_be_hidden()
    customer.gets_plan("FREE", 100, 402)


@pytest.mark.slow
def test_on_pages_from_free_to_team_and_back(tab: Page, page: Page, service: Service) -> None:
    service.flask("users", "create", "pays@example.com", "--password", PASSWORD)
    page.goto("/login")
    page.get_by_label("E-mail").fill("pays@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/dashboard/pays")
    tab.context.add_cookies(page.context.cookies())  # type: ignore[arg-type]  # what it returned
    billing = "/dashboard/pays/billing"
    audit(tab, billing)
    audit(tab, f"{billing}/return?checkout=cancelled")

    page.goto(f"{billing}?interval=year")
    page.get_by_role("button", name="Buy Team").click()
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_text("You are on the Team plan")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("0 of 20,000")).to_be_visible()
    page.get_by_role("link", name="See plan and invoices").click()
    expect(page.get_by_text("$290 a year.")).to_be_visible()
    audit(tab, billing)
    with page.context.expect_page() as opened:
        page.get_by_role("rowheader").get_by_role("link").click()
    expect(opened.value.get_by_text("$290.00, paid")).to_be_visible()

    page.get_by_role("button", name="Manage card and plan").click()
    page.get_by_role("link", name="Cancel subscription").click()
    page.get_by_role("button", name="Cancel subscription").click()
    page.get_by_role("link", name="Back to the shop").click()
    expect(page.get_by_text("Welcome back.")).to_be_visible()
    is_told(page, "You have cancelled: the Team plan lasts until")
    audit(tab, billing)
    page.get_by_role("button", name="Keep the plan").click()
    page.get_by_role("button", name="End the current period").click()
    page.get_by_role("link", name="Back to the shop").click()
    is_told(page, "Nothing to pay.")


def is_told(page: Page, words: str) -> None:
    """Look again until the news has arrived."""

    def says() -> bool:
        page.reload()
        return page.get_by_text(words).first.is_visible()

    wait_until(says, words, pause=PAUSE)
