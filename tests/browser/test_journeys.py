"""What people come for, from the first page to the last, on the whole running service."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.web.requirements import Member, User
from tests.browser.audit import audit
from tests.conftest import Service, wait_until
from tests.images import encoded

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

PASSWORD = "a lamp above the stairs"


@pytest.fixture
def someone(browser: Browser, service: Service) -> Iterator[Page]:
    """The browser of a new visitor."""
    context = _context(browser, service)
    yield context.new_page()
    context.close()


def _context(browser: Browser, service: Service) -> BrowserContext:
    localhost = service.url.replace("127.0.0.1", "localhost")
    return browser.new_context(base_url=localhost, viewport={"width": 1280, "height": 900})


def new_address(name: str) -> str:
    return f"{name}-{uuid4().hex[:8]}@example.com"


def mailed_link(service: Service, to: str, path: str) -> str:
    """The link below ``path`` in the newest mail to the address, without the host."""
    found: list[str] = []

    def has_come() -> bool:
        for mail in requests.get(f"{service.url}/dev/mail.json", timeout=10).json():
            link = re.search(rf"https?://[^/\s]+({path}/\S+)", mail["text"])
            if mail["to"] == to and link:
                found.append(link[1])
                return True
        return False

    wait_until(has_come, f"a mail to {to}")
    return found[0]


def sign_up(page: Page, service: Service, email: str) -> str:
    """Sign up and confirm. Returns the path of the new organization's pages."""
    page.goto("/signup")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    page.goto(mailed_link(service, email, "/confirm"))
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Confirm").click()
    page.wait_for_url(re.compile(r"/dashboard/[^/]+/?$"))
    return urlsplit(page.url).path.rstrip("/")


def make_key(page: Page, home: str, name: str) -> str:
    page.goto(f"{home}/keys/new")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create key").click()
    key = page.locator("code", has_text=re.compile(r"^ak_live_\w+$")).first.text_content()
    assert key
    return key


def compress(service: Service, key: str) -> dict[str, object]:
    answer = requests.post(
        f"{service.url}/compress/batch",
        headers={"Authorization": f"Bearer {key}"},
        files={"files[]": ("photo.jpg", encoded("JPEG", 64, 48), "image/jpeg")},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_from_the_first_visit_to_the_first_image(someone: Page, service: Service) -> None:
    someone.goto("/")
    someone.get_by_role("main").get_by_role("link", name="Start for free").first.click()
    home = sign_up(someone, service, new_address("ada"))
    key = make_key(someone, home, "Web shop")
    assert compress(service, key)["processed"] == 1

    someone.goto(f"{home}/")
    expect(someone.get_by_text("1 of 100").first).to_be_visible()
    expect(someone.get_by_text("2 of 5 done")).to_be_visible()
    expect(someone.get_by_role("rowheader", name="Web shop")).to_be_visible()
    someone.goto(f"{home}/keys")
    expect(someone.get_by_text("POST /compress/batch")).to_be_visible()
    assert key not in someone.content()

    someone.goto("/account/sessions")
    someone.locator("summary", has_text="Your account").click()
    someone.get_by_role("button", name="Sign out", exact=True).click()
    someone.goto(f"{home}/keys")
    expect(someone).to_have_url(re.compile(r"/login\?next="))


def test_an_account_of_the_api_is_claimed_with_its_keys(someone: Page, service: Service) -> None:
    email = new_address("builder")
    registered = requests.post(
        f"{service.url}/auth/register", json={"email": email}, timeout=10
    ).json()
    compress(service, registered["apiKey"])

    someone.goto("/claim")
    someone.get_by_label("E-mail").fill(email)
    someone.get_by_role("main").get_by_role("button").last.click()
    someone.goto(mailed_link(service, email, "/reset"))
    someone.get_by_label(re.compile("password", re.I)).first.fill(PASSWORD)
    someone.get_by_role("main").get_by_role("button").last.click()
    someone.wait_for_load_state("networkidle")

    someone.goto("/dashboard")
    expect(someone.get_by_text("1 of 100").first).to_be_visible()
    someone.get_by_role("link", name="API keys").click()
    expect(someone.get_by_role("link", name="Default", exact=True)).to_be_visible()
    assert compress(service, registered["apiKey"])["processed"] == 1


def test_a_colleague_is_invited_and_sees_what_the_role_lets_them(
    browser: Browser, someone: Page, service: Service
) -> None:
    home = sign_up(someone, service, new_address("owner"))
    email = new_address("viewer")
    someone.goto(f"{home}/team")
    someone.get_by_label("E-mail", exact=True).fill(email)
    someone.get_by_label("Role").select_option("viewer")
    someone.get_by_role("button", name="Send invitation").click()
    expect(someone.get_by_text(email).first).to_be_visible()

    context = _context(browser, service)
    viewer = context.new_page()
    viewer.goto(mailed_link(service, email, "/invitations"))
    viewer.get_by_label("Password", exact=True).fill(PASSWORD)
    viewer.get_by_role("button", name="Open account and join").click()
    viewer.wait_for_url(re.compile(rf"{home}/?$"))
    expect(viewer.get_by_role("link", name="Audit log")).to_be_hidden()
    viewer.goto(f"{home}/team")
    expect(viewer.get_by_role("button", name="Send invitation")).to_be_hidden()
    status = viewer.evaluate(
        "path => fetch(path, {method: 'POST', body: new URLSearchParams({email: 'a@example.com', "
        "role: 'admin'})}).then(answer => answer.status)",
        f"{home}/team/invitations",
    )
    assert status in (403, 404)
    context.close()


def test_an_organization_is_deleted_and_taken_back(someone: Page, service: Service) -> None:
    home = sign_up(someone, service, new_address("leaver"))
    key = make_key(someone, home, "Web shop")
    someone.goto(f"{home}/settings/delete")
    name = someone.get_by_label(re.compile("name", re.I)).last
    name.fill("something else")
    someone.get_by_role("button", name="Delete organization").last.click()
    expect(someone.get_by_role("alert").first).to_be_visible()
    someone.get_by_label(re.compile("name", re.I)).last.fill(home.rpartition("/")[2])
    someone.get_by_role("button", name="Delete organization").last.click()
    someone.wait_for_load_state("networkidle")
    assert _usage(service, key) == 401

    someone.goto(f"{home}/")
    someone.get_by_role("button", name="Take it back").click()
    someone.wait_for_load_state("networkidle")
    assert _usage(service, key) == 200


def _usage(service: Service, key: str) -> int:
    return requests.get(f"{service.url}/usage", headers={"x-api-key": key}, timeout=10).status_code


def pages(app: Flask, home: str) -> list[str]:
    """The pages of a member and of a person whose paths need no id."""
    found = []
    for rule in app.url_map.iter_rules():
        requirement = getattr(app.view_functions[rule.endpoint], "requirement", None)
        if "GET" in (rule.methods or ()) and rule.arguments <= {"slug"}:
            if isinstance(requirement, Member):
                found.append(rule.rule.replace("/dashboard/<slug>", home))
            elif isinstance(requirement, User) and rule.rule != "/dashboard":
                found.append(rule.rule)
    return sorted(path for path in found if not path.endswith(".csv"))


def test_every_page_is_whole_on_each_screen(
    someone: Page, service: Service, sqlite_app: Flask
) -> None:
    """For an owner whose organization is new: axe, console, requests, width; light and dark."""
    home = sign_up(someone, service, new_address("reader"))
    audited = 0
    for path in pages(sqlite_app, home):
        answer = someone.request.get(path)
        if "<html" in answer.text():  # others are parts of pages, and files
            assert answer.status in (200, 402), path  # of a plan that a new organization has not
            audit(someone, path, status=answer.status)
            audited += 1
    assert audited > 20
