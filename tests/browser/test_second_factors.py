"""Second factors in a real browser, whose passkeys are made by a virtual device."""

from collections.abc import Iterator
from uuid import uuid4

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.audit import audit
from tests.clock import real_now
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

PASSWORD = "a lamp in the attic"  # of nobody real
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
}
"""The options of chromedevtools.github.io/devtools-protocol/tot/WebAuthn."""


@pytest.fixture
def site(service: Service) -> str:
    """Browsers refuse passkeys at 127.0.0.1."""
    return service.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A page in a browser whose device always recognises its owner. Errors fail the test."""
    context = browser.new_context(base_url=site)
    page = context.new_page()
    page.set_default_timeout(10_000)
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    yield page
    context.close()
    assert not problems


@pytest.fixture
def email(service: Service) -> str:
    """The address of a new person."""
    address = f"{uuid4().hex}@example.com"
    service.flask("users", "create", address, "--password", PASSWORD)
    return address


def sign_in(page: Page, email: str) -> None:
    page.goto("/login?next=/account/security")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.locator("summary", has_text="Your account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url("/login")


def add_passkey(page: Page, name: str) -> None:
    page.get_by_label("Name").first.fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text(f"“{name}” was added")).to_be_visible()


def set_up_app(page: Page) -> str:
    """Set up an app, whose key is returned, and stay on the page with the recovery codes."""
    page.get_by_role("link", name="Set up an app").click()
    key = page.get_by_role("group", name="Key for the app").locator("code").inner_text()
    page.get_by_label("Code").fill(pyotp.TOTP(key).at(real_now()))
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    return key


def test_a_passkey_is_added_and_signs_in_alone(page: Page, email: str) -> None:
    sign_in(page, email)
    add_passkey(page, "Laptop")
    sign_out(page)
    page.goto("/login?next=/account/security")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Security")
    expect(page.get_by_text("last used")).to_be_visible()
    page.get_by_role("link", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove password").click()
    expect(page.get_by_text("You have no password")).to_be_visible()
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("This device has a passkey for your account already.")).to_be_visible()


def test_an_app_is_set_up_and_asked_for(page: Page, email: str) -> None:
    sign_in(page, email)
    key = set_up_app(page)
    codes = page.get_by_role("region", name="Recovery codes").inner_text().split()
    assert len(codes) == 10
    page.get_by_role("link", name="I have saved them").click()
    sign_out(page)

    sign_in(page, email)
    page.get_by_label("Code", exact=True).fill(pyotp.TOTP(key).at(real_now(), counter_offset=1))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("10 of 10 left")).to_be_visible()
    sign_out(page)

    sign_in(page, email)
    page.get_by_text("Use a recovery code").click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Use this code").click()
    expect(page.get_by_text("9 of 10 left")).to_be_visible()


def test_without_script_there_is_no_button_but_the_reason(browser: Browser, site: str) -> None:
    with browser.new_context(base_url=site, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/login")
        expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
        expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()


def test_at_another_host_the_page_says_where_passkeys_work(
    browser: Browser, service: Service, site: str
) -> None:
    with browser.new_context(base_url=service.url) as context:
        page = context.new_page()
        page.goto("/login")
        expect(page.get_by_role("link", name=site)).to_have_attribute("href", f"{site}/login")


def test_the_pages_keep_what_every_page_promises(page: Page, email: str) -> None:
    sign_in(page, email)
    add_passkey(page, "A laptop with a name that is as long as names of passkeys can be")
    audit(page, "/account/security/app")
    page.goto("/account/security")
    set_up_app(page)
    audit(page, "/account/security")
    audit(page, "/account/security?confirm=remove-1")
    page.context.clear_cookies()
    sign_in(page, email)
    audit(page, "/login/code")
    audit(page, "/login/passkey")
