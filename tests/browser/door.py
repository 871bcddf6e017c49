"""Signing in by the form, as people do."""

from playwright.sync_api import Page


def sign_in(page: Page, email: str, password: str) -> str:
    """Returns the address of the organization's first page."""
    page.goto("/login")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/dashboard/**")
    return page.url.rstrip("/")
