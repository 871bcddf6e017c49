"""Holds a page against what every page promises, on two screens and in both themes."""

from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Page, Request, Response, ViewportSize

AXE = Path(__file__).with_name("axe.min.js").read_text()
"""axe-core 4.14.1 (npm), MPL-2.0: see axe.LICENSE.txt."""
SCREENS: tuple[ViewportSize, ...] = (
    {"width": 1440, "height": 900},
    {"width": 390, "height": 844},
)


def audit(page: Page, url: str, *, status: int = 200) -> None:
    """Open ``url`` at 1440 and 390 pixels, light and dark, with the cookies that ``page`` has.

    Asserts that it answers with ``status``, that axe finds nothing, that the console stays empty,
    that all files it asks for arrive, and that nothing is wider than the screen.
    """
    problems: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if not (status >= 400 and message.text.startswith("Failed to load resource")):
            problems.append(f"console: {message.text}")

    def look(answer: Response) -> None:
        if answer.status >= 400 and not answer.request.is_navigation_request():
            problems.append(f"{answer.status} {answer.url}")

    def fail(asked: Request) -> None:
        if asked.failure != "net::ERR_ABORTED":  # the page was left before its icon had come
            problems.append(f"{asked.failure}: {asked.url}")

    page.on("console", hear)
    page.on("response", look)
    page.on("requestfailed", fail)
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    for screen in SCREENS:
        for scheme in ("light", "dark"):
            page.set_viewport_size(screen)
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            answer = page.goto(url)
            assert answer
            assert answer.status == status
            problems += [f"{screen['width']} {scheme}: {problem}" for problem in findings(page)]
    assert not problems, "\n".join(problems)


def findings(page: Page) -> list[str]:
    """What axe finds in the page as it stands, and whether it is wider than the screen."""
    found: dict[str, Any] = page.evaluate(f"{AXE}; axe.run()")
    problems = [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    width, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if width != screen:
        problems.append(f"it is {width} pixels wide")
    return problems
