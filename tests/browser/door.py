"""Signing in by the form, as people do."""

from uuid import uuid4

import pyotp
from playwright.sync_api import Page, expect

from tests.clock import real_now
from tests.conftest import Service

STAFF_PASSWORD = "a lamp in the cellar"  # of nobody real


def sign_in(page: Page, email: str, password: str) -> str:
    """Returns the address of the organization's first page."""
    page.goto("/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/dashboard/**")
    return page.url.rstrip("/")


def sign_in_as_staff(page: Page, service: Service, role: str = "admin") -> str:
    """Make a member of staff, who sets up an authenticator app and opens the console. Returns the
    address."""
    email = f"{role}-{uuid4().hex}@example.com"
    made = ("--password", STAFF_PASSWORD, "--staff", "--role", role)
    service.flask("users", "create", email, *made)
    page.goto("/login?next=/account/security/app")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(STAFF_PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    secret = page.get_by_role("group", name="Key for the app").locator("code").inner_text()
    page.get_by_label("Code").fill(pyotp.TOTP(secret).at(real_now()))
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
    page.goto("/admin")
    return email
