"""``./run bench pages``: how soon the library's pages stand in a browser, what they move and load.

The whole service, with SQLite, has a library of a hundred thousand assets, whose thumbnails are a
hundred real pictures. Chromium opens each page on a screen of 1440 × 900 with nothing cached, over
a loopback that is not throttled; ``pages.js`` notes what its tracing says of it.
"""

import argparse
import os
import platform
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask
from PIL import Image
from playwright.sync_api import BrowserContext, Page

from app.extensions import transaction
from app.models import Mode
from app.services.accounts import keys
from bench import library
from bench.browser import Visit, browser, scroll, search, visit
from bench.dashboard import Owned, client_of, organization
from bench.list import migrated
from bench.photos import as_jpeg, find_photos
from bench.report import tell
from bench.server import started
from bench.service import ROOT
from dev.ports import free_port
from dev.serve import valkey

THUMBNAILS = 100
SHAPES = ((400, 300), (300, 400), (400, 267), (267, 400), (400, 400), (400, 225))
MEGAPIXELS = 12
MOST_SHIFT, MOST_MS, MOST_SCRIPT = 0.02, 1000, 200_000


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (
        tempfile.TemporaryDirectory(prefix="lw-bench-", ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        redis_url = f"redis://127.0.0.1:{free_port()}/0"
        stack.enter_context(valkey(folder / "valkey", redis_url))
        file = folder / "lightwell.sqlite3"
        app = migrated(stack, folder, f"sqlite:///{file}", redis_url=redis_url)
        tell(f"filling the library with {options.assets:,} assets")
        library.fill_sqlite(file, options.assets)
        _paint(folder, file)
        owner = organization(app, "large")
        site = stack.enter_context(_service(folder, redis_url))
        chromium = stack.enter_context(browser())
        asset_id = _photo(app, owner, chromium.new_context(base_url=site), folder)
        cookies = _signed_in(app, owner, site)
        home = f"{site}/dashboard/{owner.slug}"
        measured: dict[str, list[Visit]] = {}
        for number in range(options.rounds + 1):  # the first warms the server, and does not count
            tell(f"round {number} of {options.rounds}")
            for page, (path, go_on) in _pages(asset_id).items():
                seen = visit(chromium, cookies, home + path, go_on)
                if number:
                    measured.setdefault(page, []).append(seen)
        print("\n".join(_report(measured, options)))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench pages", description="Measure the library's pages in a browser."
    )
    parser.add_argument("--assets", type=int, default=100_000, help="in the library (100000)")
    parser.add_argument("--rounds", type=int, default=7, help="visits of each page (7)")
    parser.add_argument("--why", action="store_true", help="say what moved, and what came last")
    return parser.parse_args()


def _pages(asset_id: str) -> dict[str, tuple[str, Callable[[Page], float] | None]]:
    """The path of each, and what is done on it before it is measured."""
    return {
        "library": ("/library", None),
        "library, searched as one types": ("/library", search),
        "library, a scroll to the next": ("/library", scroll),
        "library, a search's page": ("/library?q=img&sort=name", None),
        "an image": (f"/assets/{asset_id}", None),
        "editor": (f"/assets/{asset_id}/edit", None),
        "playground": ("/playground", None),
    }


def _paint(folder: Path, file: Path) -> None:
    """Pictures for thumbnails, which live assets share, and their proportions. The sweep removes
    the old ones of test data."""
    chance = random.Random(7)
    thumbnails = []
    for number in range(THUMBNAILS):
        width, height = SHAPES[number % len(SHAPES)]
        coarse = Image.frombytes("RGB", (12, 9), chance.randbytes(12 * 9 * 3))
        picture = coarse.resize((width, height), Image.Resampling.BICUBIC)
        grain = Image.effect_noise((width, height), 24).convert("RGB")
        key = f"orgs/{library.ORG}/thumbnails/{number:032}.webp"
        path = folder / "storage" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.blend(picture, grain, 0.15).save(path, quality=75)
        thumbnails.append((key, width * 10, height * 10, number))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "UPDATE assets SET thumbnail_key = ?, width = ?, height = ? "
            f"WHERE org_id = '{library.ORG}' AND mode = 'live' AND rowid % {THUMBNAILS} = ?",
            thumbnails,
        )


@contextmanager
def _service(folder: Path, redis_url: str) -> Iterator[str]:
    site = f"http://127.0.0.1:{free_port()}"
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "APP_ENV": "development",
        "DATA_DIR": str(folder),
        "HOST": "127.0.0.1",
        "PORT": site.rpartition(":")[2],
        "REDIS_URL": redis_url,
    }
    command = [sys.executable, "-m", "dev.serve"]
    with started(command, ROOT, environment, folder / "serve.log", f"{site}/readyz"):
        yield site


def _photo(app: Flask, owner: Owned, context: BrowserContext, folder: Path) -> str:
    """A photo of 12 megapixels, newest in the library. Returns its id."""
    with app.app_context(), transaction() as session:
        key = keys.issue(
            session, org_id=owner.org_id, mode=Mode.LIVE, prefix="ak_live_", name="Bench",
            now=datetime.now(UTC),
        )  # fmt: skip
    photos, _ = find_photos(folder)
    data = as_jpeg(photos[0], MEGAPIXELS)
    sent = context.request.post(
        "/v1/images/upload",
        headers={"x-api-key": key},
        multipart={
            "image": {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": data},
            "name": "a photo.jpg",
        },
    )
    if not sent.ok:
        raise SystemExit(f"The photo was refused: {sent.text()}")
    return str(sent.json()["id"])


def _signed_in(app: Flask, owner: Owned, site: str) -> list[dict[str, str]]:
    """The cookies of the owner's browser."""
    name = app.config["SESSION_COOKIE_NAME"]
    cookie = client_of(app, owner).get_cookie(name)
    assert cookie
    return [{"name": name, "value": cookie.value, "url": site}]


def _report(measured: dict[str, list[Visit]], options: argparse.Namespace) -> list[str]:
    def middle(visits: list[Visit], name: str) -> float:
        return statistics.median(getattr(visit, name) for visit in visits)

    head = ("server", "first", "largest", "whole", "shift", "scripts", "all", "asked", "tiles")
    lines = [
        "",
        f"{options.assets:,} assets; medians of {options.rounds}, at most for shifts; milliseconds "
        f"and bytes as sent; {os.cpu_count()} cores, Python {platform.python_version()}",
        f"{'page':<32}" + "".join(f"{one:>10}" for one in head),
        "─" * (32 + 10 * len(head)),
    ]
    for name, visits in measured.items():
        times = "".join(
            f"{middle(visits, one):>10.0f}" for one in ("server", "first", "largest", "whole")
        )
        shift = max(visit.shift for visit in visits)
        sizes = "".join(
            f"{middle(visits, one):>10,.0f}" for one in ("script", "total", "requests", "tiles")
        )
        lines.append(f"{name:<32}{times}{shift:>10.4f}{sizes}")
        if options.why:
            told = Counter(what for visit in visits for what in visit.moved + visit.slowest)
            lines += [f"    {number} × {what}" for what, number in told.most_common(6)]
    everything = [visit for visits in measured.values() for visit in visits]
    kept = {
        f"the library's first page within {MOST_MS} ms": middle(measured["library"], "whole")
        < MOST_MS,
        f"shifts below {MOST_SHIFT}": all(one.shift < MOST_SHIFT for one in everything),
        f"scripts below {MOST_SCRIPT:,} bytes": all(one.script < MOST_SCRIPT for one in everything),
    }
    lines += ["", *(f"{'kept  ' if held else 'MISSED'} {aim}" for aim, held in kept.items())]
    return [*lines, f"load average {os.getloadavg()[0]:.2f}, {time.strftime('%H:%M')}"]


if __name__ == "__main__":
    sys.exit(main())
