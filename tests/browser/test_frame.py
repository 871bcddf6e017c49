"""What stands around all pages, and every part that pages are made of."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, request
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader
from playwright.sync_api import Page, Route, expect

from app.dashboard.frame import ORGANIZATION_PAGES, Frame
from app.models import Role
from app.services.accounts.memberships import Belonging
from app.services.accounts.sign_ins import Person
from app.services.billing.notices import Notice
from app.web.navigation import Entry, Group
from app.web.pages import page as render
from app.web.static_files import asset
from tests.browser.audit import audit
from tests.clock import Clock
from tests.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("service")]

TEMPLATES = Path(__file__).with_name("templates")
PHONE = (390, 844)


@pytest.fixture
def gallery(
    app: Flask, clock: Clock, tab: Page, service: Service, monkeypatch: pytest.MonkeyPatch
) -> Page:
    """A page at ``/gallery`` that shows every part, with the running service's own files."""
    assert isinstance(app.jinja_loader, BaseLoader)
    loader = ChoiceLoader([app.jinja_loader, FileSystemLoader(TEMPLATES)])
    monkeypatch.setattr(app, "jinja_loader", loader)

    def serve(route: Route) -> None:
        with app.test_request_context(route.request.url.removeprefix(service.url)):
            answer = render(
                "gallery.html",
                frame=a_frame(clock),
                days=[(f"{day} Nov", day * 37 % 120, day * 13 % 40) for day in range(1, 31)],
                moment=clock(),
                picture=asset("lightwell.svg"),
                asked=request.args.get("confirm"),
            )
        route.fulfill(status=200, headers=dict(answer.headers), body=answer.data)

    tab.route("**/gallery*", serve)
    return tab


def a_frame(clock: Clock) -> Frame:
    person = Person(
        user_id="user_1",
        email="ada@example.com",
        name=None,
        staff_role=None,
        has_second_factor=False,
        last_org_id=None,
        sign_in_id="signin_1",
        authenticated_at=clock(),
        second_factor_at=None,
    )
    organizations = [
        Belonging("org_1", "Nordlicht Studio", "nordlicht", Role.OWNER),
        Belonging("org_2", "W" * 255, "long", Role.VIEWER),
    ]
    navigation = [
        Group(
            title,
            [
                Entry(text, icon, f"#{endpoint}", endpoint == "dashboard.keys.index")
                for text, icon, endpoint in pages
            ],
        )
        for title, pages in ORGANIZATION_PAGES.items()
    ]
    return Frame(
        person=person,
        organization=organizations[0],
        organizations=organizations,
        plan="TEAM",
        navigation=navigation,
        used=14210,
        limit=20000,
        resets="1 Dec",
        notices=[Notice("bad", "The last payment failed.", "Pay or change the card")],
        may_pay=True,
        query="",
        may_change=True,
        has_workspace=True,
        may_delete=False,
        announcements=[],
        viewed=None,
    )


@pytest.mark.parametrize("path", ["/", "/plans", "/docs/errors", "/docs/errors/rate_limited"])
def test_public_pages_keep_what_every_page_promises(tab: Page, path: str) -> None:
    audit(tab, path)


def test_the_page_of_an_error_does_too(tab: Page) -> None:
    audit(tab, "/nowhere", status=404)
    expect(tab.get_by_role("heading", level=1)).to_have_text("There is nothing here")


@pytest.mark.parametrize("query", ["", "?confirm=revoke"])
def test_every_part_does_too(gallery: Page, query: str) -> None:
    audit(gallery, f"/gallery{query}")


def test_the_theme_is_chosen_and_stays(tab: Page) -> None:
    tab.emulate_media(color_scheme="light")
    tab.goto("/plans")
    light = colours(tab)
    tab.get_by_role("button", name="Switch between light and dark").click()
    assert colours(tab) != light
    dark = colours(tab)
    tab.goto("/docs/errors")
    assert colours(tab) == dark
    expect(tab.locator("html")).to_have_attribute("data-theme", "dark")
    tab.get_by_role("button", name="Switch between light and dark").click()
    assert colours(tab) == light


def colours(page: Page) -> tuple[str, str]:
    found: list[str] = page.evaluate(
        "[getComputedStyle(document.documentElement).backgroundColor, "
        "getComputedStyle(document.documentElement).color]"
    )
    return found[0], found[1]


def test_the_playground_changes_its_theme_with_the_page(tab: Page) -> None:
    tab.emulate_media(color_scheme="light")
    tab.goto("/docs")
    expect(tab.get_by_role("heading", name="Lightwell", level=1)).to_be_visible()
    tab.get_by_role("button", name="Switch between light and dark").click()
    expect(tab.locator("body")).to_have_class(re.compile("dark-mode"))
    tab.reload()
    expect(tab.locator("body")).to_have_class(re.compile("dark-mode"))


def test_the_picture_is_compared_by_keyboard(tab: Page) -> None:
    tab.goto("/")
    slider = tab.get_by_role("slider", name="How much of the original is shown")
    after = tab.get_by_role("img", name="Compressed")
    before = after.evaluate("image => getComputedStyle(image).clipPath")
    slider.press("End")
    assert after.evaluate("image => getComputedStyle(image).clipPath") != before
    expect(slider).to_have_attribute("aria-valuetext", "100 % original")


@pytest.mark.parametrize("scripted", [True, False])
def test_on_a_phone_the_navigation_is_a_drawer(service: Service, tab: Page, scripted: bool) -> None:
    """Even without JavaScript: it is a popover."""
    context = tab.context.browser
    assert context
    phone = context.new_context(
        base_url=service.url,
        viewport={"width": PHONE[0], "height": PHONE[1]},
        java_script_enabled=scripted,
    )
    page = phone.new_page()
    page.goto("/plans")
    docs = page.get_by_role("navigation", name="Lightwell").get_by_role("link", name="Docs")
    expect(docs).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(docs).to_be_visible()
    docs.click()
    expect(page).to_have_url(f"{service.url}/docs")
    phone.close()


def test_the_sidebar_is_a_drawer_on_a_phone(gallery: Page) -> None:
    gallery.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    gallery.goto("/gallery")
    keys = gallery.get_by_role("link", name="API keys")
    expect(keys).to_be_hidden()
    gallery.get_by_role("button", name="Menu").click()
    expect(keys).to_be_visible()
    expect(keys).to_have_attribute("aria-current", "page")
    gallery.keyboard.press("Escape")
    expect(keys).to_be_hidden()


def close_by_key(page: Page) -> None:
    page.keyboard.press("Escape")


def close_by_button(page: Page) -> None:
    page.get_by_role("link", name="Cancel").click()


@pytest.mark.parametrize("close", [close_by_key, close_by_button])
@pytest.mark.parametrize("query", ["", "?confirm=revoke"])
def test_a_dialog_asks_before_something_is_lost(
    gallery: Page, query: str, close: Callable[[Page], None]
) -> None:
    """Opened by its link; or by its address, as it is where no script runs."""
    gallery.goto(f"/gallery{query}")
    dialog = gallery.get_by_role("dialog", name="Revoke Production?")
    if not query:
        expect(dialog).to_be_hidden()
        gallery.get_by_role("link", name="Delete", exact=True).click()
    expect(dialog).to_be_visible()
    assert dialog.evaluate("dialog => dialog.matches(':modal')")
    expect(dialog.get_by_label("Type the name to confirm")).to_be_focused()
    close(gallery)
    expect(dialog).to_be_hidden()
    assert "confirm" not in gallery.url


def test_a_toast_leaves_and_a_password_shows(gallery: Page) -> None:
    gallery.goto("/gallery")
    toast = gallery.get_by_text("Key revoked.")
    expect(toast).to_be_visible()
    gallery.get_by_role("button", name="Dismiss").click()
    expect(toast).to_have_count(0)
    password = gallery.get_by_label("Password", exact=True)
    password.fill("not a secret")
    gallery.get_by_role("button", name="Show password").click()
    expect(password).to_have_attribute("type", "text")


def test_a_menu_closes_by_key_and_by_a_click_elsewhere(gallery: Page) -> None:
    gallery.goto("/gallery")
    opener = gallery.get_by_label("Actions of Production")
    item = gallery.get_by_role("link", name="Rotate").first
    for close in (close_by_key, lambda page: page.get_by_role("heading", level=1).click()):
        opener.click()
        expect(item).to_be_visible()
        close(gallery)
        expect(item).to_be_hidden()


def test_a_key_is_copied(gallery: Page) -> None:
    gallery.context.grant_permissions(["clipboard-read", "clipboard-write"])
    gallery.goto("/gallery")
    gallery.get_by_role("group", name="The new key").get_by_role("button", name="Copy").click()
    expect(gallery.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    copied = gallery.evaluate("navigator.clipboard.readText()")
    assert str(copied).startswith("ak_live_8sKp2vQ1")
