"""A real browser on the running service."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.conftest import Service

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
"--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    driver, _ = compute_driver_executable()
    if not CHROMIUM or subprocess.run([driver, "--version"], capture_output=True).returncode:
        pytest.skip("needs a browser: apt-get install chromium libatomic1")
    environment: dict[str, str | float | bool] = {
        name: value for name, value in os.environ.items() if name != "LD_PRELOAD"
    }  # faketime makes it hang
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET, env=environment)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Browser, service: Service) -> Iterator[Page]:
    """A page for tests that choose the screen themselves, as ``audit`` does."""
    context = browser.new_context(
        base_url=service.url, viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


@pytest.fixture(params=["light", "dark", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, service: Service) -> Iterator[Page]:
    """A page that fails its test when anything is logged as an error or asked of another host."""
    size: ViewportSize = (
        {"width": 390, "height": 844}
        if request.param == "phone"
        else {"width": 1280, "height": 900}
    )
    context = browser.new_context(
        base_url=service.url,
        viewport=size,
        color_scheme="dark" if request.param == "dark" else "light",
    )
    page = context.new_page()
    problems: list[str] = []
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((service.url, "data:", "blob:"))
            else problems.append(asked.url)
        ),
    )
    yield page
    context.close()
    assert not problems
