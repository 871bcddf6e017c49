"""From signing up to a confirmed account, in a browser; the pages of the door and of the person."""

import json
import re
import urllib.request
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.audit import audit
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]
PASSWORD = "a lamp in the attic"


def link_in_mail(service: Service, email: str) -> str:
    """The path in the last mail to an address."""
    with urllib.request.urlopen(f"{service.url}/dev/mail.json", timeout=5) as answer:
        mail = next(mail for mail in json.load(answer) if mail["to"] == email)
    found = re.search(r"^https?://[^/\s]+(/\S+)$", mail["text"], re.MULTILINE)
    assert found
    return found[1]


def submit(page: Page, button: str, **fields: str) -> None:
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("main").get_by_role("button", name=button, exact=True).click()


def sign_up(page: Page, service: Service, email: str) -> None:
    page.goto("/signup")
    submit(page, "Sign up", **{"E-mail": email, "Password": PASSWORD})
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mailbox")
    page.goto(link_in_mail(service, email))
    submit(page, "Confirm address", Password=PASSWORD)
    page.wait_for_url("**/dashboard/**")


def test_a_person_signs_up_by_keyboard_and_finds_their_account(tab: Page, service: Service) -> None:
    email = f"{uuid4().hex}@example.com"
    sign_up(tab, service, email)
    tab.goto("/account")
    expect(tab.get_by_role("main").get_by_text(email)).to_be_visible()
    submit(tab, "Save name", **{"Name (optional)": "Ada"})
    expect(tab.get_by_role("status")).to_contain_text("Your name is saved.")
    tab.goto("/account/sessions")
    submit(tab, "Sign out everywhere")
    tab.wait_for_url("**/login")
    tab.keyboard.type(email)
    tab.keyboard.press("Tab")
    tab.keyboard.type(PASSWORD)
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/dashboard/**")


def test_the_pages_of_the_door(tab: Page) -> None:
    for path in ("/login", "/signup", "/forgot", "/claim", "/mail-sent"):
        audit(tab, path)
    audit(tab, "/reset/never-was", status=404)


def test_the_pages_of_a_person(tab: Page, service: Service) -> None:
    sign_up(tab, service, f"{'long' * 15}.{uuid4().hex[:2]}@example.com")
    for path in ("/account", "/account/email", "/account/password", "/account/sessions",
                 "/login/again"):  # fmt: skip
        audit(tab, path)
