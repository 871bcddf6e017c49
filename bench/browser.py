"""Chromium for ``./run bench pages``: visits a page and notes what its tracing says of it."""

import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

QUIET = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
SCRIPT = Path(__file__).with_name("pages.js")
SCREENS_DOWN = 40
"""How far the list is scrolled."""


@dataclass
class Visit:
    """One page, once: milliseconds since the navigation, the sum of its layout shifts, and bytes as
    they were sent, which is compressed."""

    server: float = 0
    first: float = 0
    largest: float = 0
    whole: float = 0
    shift: float = 0
    script: int = 0
    total: int = 0
    requests: int = 0
    tiles: int = 0
    moved: list[str] = field(default_factory=list)
    slowest: list[str] = field(default_factory=list)


@contextmanager
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        raise SystemExit("This needs a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=[*QUIET])
        yield started
        started.close()


def visit(
    browser: Browser, cookies: list[Any], url: str, go_on: Callable[[Page], float] | None
) -> Visit:
    """In a new browser, so to say: only the cookies are the same."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    context.add_cookies(cookies)
    context.add_init_script(SCRIPT.read_text())
    page = context.new_page()
    seen, kinds = Visit(), dict[str, str]()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.on(
        "Network.responseReceived", lambda one: kinds.update({one["requestId"]: one["type"]})
    )

    def add(finished: dict[str, Any]) -> None:
        sent = int(finished["encodedDataLength"])
        seen.requests += 1
        seen.total += sent
        seen.script += sent if kinds.get(finished["requestId"]) == "Script" else 0

    network.on("Network.loadingFinished", add)
    page.goto(url, wait_until="commit")
    seen.whole = page.evaluate("noted.whole()")
    page.wait_for_load_state("networkidle")
    if go_on:
        seen.whole = go_on(page)
    _note(page, seen)
    context.close()
    return seen


def _note(page: Page, seen: Visit) -> None:
    found = page.evaluate(
        "({...noted, ...performance.getEntriesByType('navigation')[0].toJSON(),"
        " tiles: document.querySelectorAll('.tile').length,"
        " all: performance.getEntriesByType('resource').map((one) => [one.responseEnd, one.name])})"
    )
    seen.server = found["responseStart"] - found["requestStart"]
    seen.first, seen.largest = found["first"], found["largest"]
    seen.shift, seen.tiles = found["shift"], found["tiles"]
    seen.moved = [f"{value:.4f} {what}" for value, what in found["shifts"]]
    seen.slowest = [f"{when:.0f} ms {name}" for when, name in sorted(found["all"])[-3:]]


def search(page: Page) -> float:
    """Milliseconds from the last key to the last picture of what was found; a quarter of a second
    of them waits for another key."""
    took: float = page.evaluate(
        "() => new Promise((resolve) => {"
        " const count = () => document.querySelector('#count').textContent, before = count();"
        " const field = document.querySelector('#q'), began = performance.now();"
        " field.focus(); field.value = 'sun'; field.dispatchEvent(new Event('input'));"
        " const look = () => requestAnimationFrame(count() !== before && noted.isWhole()"
        " ? () => resolve(performance.now() - began) : look); look(); })"
    )
    return took


def scroll(page: Page) -> float:
    """Milliseconds from the arrival at a place further down to the last picture there: the median
    of a long way by a screen each, as fast as it loads."""
    return statistics.median(
        float(
            page.evaluate(
                "() => { const began = performance.now(); scrollBy(0, innerHeight);"
                " return new Promise(requestAnimationFrame).then(() => noted.whole())"
                ".then((end) => end - began); }"
            )
        )
        for _ in range(SCREENS_DOWN)
    )
