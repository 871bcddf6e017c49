"""``./run bench export``: ZIPs of the real service against the same pictures by its own engine.

The library is uploaded through the API. In each round the service exports assets that were not
exported before, and the bare engine converts the stored files of the same assets, so that other
load on the machine affects both. Before the rounds come a small export, one of all assets, and that
one again.
"""

import argparse
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from app.imaging import Format, Transform
from bench import engine, service, workspace
from bench.client import Refused, Work
from bench.engine import Engine
from bench.photos import as_jpeg, find_photos
from bench.report import Round, aim, aligned, peak, ratio, tell, triple
from bench.server import HttpSide
from bench.watch import Taken, Watch
from bench.workspace import Exported, Stored

MIN_ASSETS, MAX_ASSETS = 20, 500
"""Assets: the service streams no more in one export."""
MEGAPIXELS = 8
QUALITY, WIDTH = 80, 1280
WARM_UP = 16
SMALL_SHARE = 10
"""The small export has so many times fewer assets than the large one."""
CONNECTIONS = 4
"""For the uploads: few enough to stay below the plan's requests a second."""
CORES = os.cpu_count() or 1
BUSY_CORES = 0.2
"""Somebody else's load from which on the figures deserve a warning."""


@dataclass(frozen=True)
class Whole:
    """One export and the resources that it took."""

    name: str
    assets: int
    exported: Exported
    taken: Taken

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.assets / self.exported.seconds

    @property
    def first_share(self) -> float:
        """The time to the first byte as a share of the time to the last."""
        return self.exported.first_byte / self.exported.seconds


@dataclass(frozen=True)
class Found:
    """All measurements: three exports, the rounds, and the images per second of a batch export of
    all assets."""

    small: Whole
    large: Whole
    again: Whole
    rounds: list[Round]
    batch_rate: float

    @property
    def foreign_cores(self) -> float:
        """The most cores that other processes took."""
        taken = [one.taken for one in (self.small, self.large, self.again)] + [
            one.taken for one in self.rounds
        ]
        return max(one.foreign_cores for one in taken)


class Bench:
    """A service with a library, and the engine to compare it with.

    Renditions are cached, so no asset is exported twice at the same width, except to measure the
    cache.
    """

    def __init__(
        self, data_dir: Path, side: HttpSide, bare: Engine, assets: Sequence[Stored], kind: Format
    ) -> None:
        self._data_dir = data_dir
        self._side = side
        self._bare = bare
        self._assets = assets
        self._kind = kind

    def measure(self, rounds: int) -> Found:
        """The exports of the whole library come first, so that their memory is that of a fresh
        process."""
        self._export(self._assets[:WARM_UP], WIDTH + 1)
        self._convert(self._assets[:WARM_UP])
        some = self._assets[: max(1, len(self._assets) // SMALL_SHARE)]
        small = self._whole(str(len(some)), some, WIDTH - 1)
        large = self._whole(str(len(self._assets)), self._assets, WIDTH - 2)
        again = self._whole(f"{len(self._assets)} again", self._assets, WIDTH - 2)
        turns = [
            turn
            for number in range(rounds)
            for turn in self._round(number, self._assets[number::rounds])
        ]
        return Found(small, large, again, turns, self._batch_rate(WIDTH - 3))

    def _whole(self, name: str, assets: Sequence[Stored], width: int) -> Whole:
        with Watch(self._side.processes()) as watch:
            exported = self._export(assets, width)
        whole = Whole(name, len(assets), exported, watch.taken)
        tell(
            f"export of {name}: {whole.rate:.2f} images/s, first byte after "
            f"{exported.first_byte:.2f} s"
        )
        return whole

    def _round(self, number: int, assets: Sequence[Stored]) -> list[Round]:
        """Run a turn of each side; the sides alternate in starting."""
        sides: list[tuple[HttpSide | Engine, Callable[[Sequence[Stored]], Work]]]
        sides = [(self._bare, self._convert), (self._side, self._export_round)]
        turns = []
        for side, run in reversed(sides) if number % 2 else sides:
            with Watch(side.processes()) as watch:
                work = run(assets)
            turns.append(Round(str(self._kind), number, side.name, work, watch.taken))
            tell(f"round {number + 1}, {side.name}: {turns[-1].rate:.2f} images/s")
        return turns

    def _batch_rate(self, width: int) -> float:
        rate = len(self._assets) / workspace.export_batch(
            self._side.server, self._assets, self._config(width)
        )
        tell(f"batch export: {rate:.2f} images/s")
        return rate

    def _export_round(self, assets: Sequence[Stored]) -> Work:
        exported = self._export(assets, WIDTH)
        return Work(exported.seconds, len(assets), exported.size)

    def _convert(self, assets: Sequence[Stored]) -> Work:
        paths = [self._data_dir / "storage" / asset.storage_key for asset in assets]
        return self._bare.convert(paths, Transform(self._kind, QUALITY, WIDTH))

    def _export(self, assets: Sequence[Stored], width: int) -> Exported:
        return workspace.export(
            self._side.server, assets, self._config(width), self._data_dir / "export.zip"
        )

    def _config(self, width: int) -> dict[str, Any]:
        return {"format": self._kind.value, "quality": QUALITY, "maxWidth": width}


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    before = os.getloadavg()
    try:
        with _ready(options) as (bench, library):
            found = bench.measure(options.rounds)
    except (Refused, OSError, HTTPException) as error:
        print(f"The service did not do its work: {error!r}", file=sys.stderr)
        return 1
    print(
        "\n".join(["", *_facts(library, before, found), "", *_rounds_table(options, found.rounds)])
    )
    print("\n".join(["", *_exports_table(found), "", *_aims(found)]))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench export", description="Measure POST /api/v1/exports."
    )
    parser.add_argument(
        "--assets",
        type=int,
        default=MAX_ASSETS,
        help=f"in the library, {MIN_ASSETS} to {MAX_ASSETS} ({MAX_ASSETS})",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        choices=range(1, 11),
        metavar="1–10",
        default=5,
        help="turns of each side (5)",
    )
    parser.add_argument(
        "--format",
        type=Format,
        choices=list(Format),
        default=Format.WEBP,
        help="of the pictures (webp)",
    )
    options = parser.parse_args()
    if not MIN_ASSETS <= options.assets <= MAX_ASSETS:
        parser.error(f"--assets must be between {MIN_ASSETS} and {MAX_ASSETS}")
    return options


@contextmanager
def _ready(options: argparse.Namespace) -> Iterator[tuple[Bench, str]]:
    """Yield the idle service and engine with the uploaded library, and a description of it."""
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name, ExitStack() as stack:
        folder, data = Path(name), Path(name, "data")
        data.mkdir()
        photos, kind = find_photos(folder)
        pictures = [as_jpeg(photo, MEGAPIXELS) for photo in photos]
        tell("starting Lightwell")
        side = stack.enter_context(service.running(data, CONNECTIONS))
        began = time.perf_counter()
        assets = workspace.fill(side.server, pictures, options.assets, CONNECTIONS)
        rate = len(assets) / (time.perf_counter() - began)
        tell(f"uploaded {len(assets)} assets, {rate:.2f} a second")
        bare = stack.enter_context(engine.running(folder))
        library = f"{len(assets)} JPEGs of at most {MEGAPIXELS} megapixels, made of {kind}"
        yield Bench(data, side, bare, assets, options.format), library


def _facts(library: str, before: tuple[float, float, float], found: Found) -> list[str]:
    """Describe the library, the machine and its other load."""
    facts = [
        f"Machine       {CORES} cores, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}",
        f"Lightwell     {service.versions()}",
        f"Library       {library}",
        f"Load average  before {triple(before)}, after {triple(os.getloadavg())}",
        f"Cores taken   at most {found.foreign_cores:.2f} by others",
    ]
    if found.foreign_cores > BUSY_CORES:
        facts.append(
            "              Others were at work: trust the ratios of processor time more than "
            "images/s."
        )
    return facts


def _rounds_table(options: argparse.Namespace, rounds: Sequence[Round]) -> list[str]:
    """A column a side, and their ratio round by round: median (least–most)."""

    def row(name: str, value: Callable[[Round], float], shown: str) -> list[str]:
        medians = (
            statistics.median(value(one) for one in rounds if one.side == side) for side in sides
        )
        return [
            name,
            *(format(median, shown) for median in medians),
            str(ratio(rounds, *sides, value)),
        ]

    sides = ("lightwell", "engine")
    each = f"{options.rounds} rounds of {options.assets // options.rounds}"
    return aligned(
        [
            [f"{options.format.value}, quality {QUALITY}, {WIDTH} px wide", *sides, "ratio"],
            row(f"images/s, median of {each}", lambda one: one.rate, ".2f"),
            row("processor ms an image", lambda one: one.cpu * 1000, ".0f"),
            row("bytes out an image", lambda one: one.work.bytes_out / one.work.images, ",.0f"),
        ]
    )


def _exports_table(found: Found) -> list[str]:
    """A column an export."""
    wholes = (found.small, found.large, found.again)
    return aligned(
        [
            ["export of", *(one.name for one in wholes), f"{found.large.name} as a batch"],
            ["images/s", *(f"{one.rate:.2f}" for one in wholes), f"{found.batch_rate:.2f}"],
            [
                "first byte after, ms",
                *(f"{one.exported.first_byte * 1000:.0f}" for one in wholes),
                "",
            ],
            ["last byte after, ms", *(f"{one.exported.seconds * 1000:.0f}" for one in wholes), ""],
            ["bytes of the ZIP", *(f"{one.exported.size:,}" for one in wholes), ""],
            ["peak memory, MiB: web process", *(peak([one.taken.peak.web]) for one in wholes), ""],
            [
                "                  imaging processes",
                *(peak([one.taken.peak.imaging]) for one in wholes),
                "",
            ],
            [
                "                  all processes",
                *(peak([one.taken.peak.tree]) for one in wholes),
                "",
            ],
        ]
    )


def _aims(found: Found) -> list[str]:
    """Processor time is listed next to speed because other load affects it least."""
    speed = ratio(found.rounds, "lightwell", "engine", lambda one: one.rate).median
    effort = ratio(found.rounds, "engine", "lightwell", lambda one: one.cpu).median
    memory = found.large.taken.peak.web / found.small.taken.peak.web
    sizes = f"{found.large.name} / {found.small.name} assets"
    return [
        aim("lightwell / engine, images/s", speed, 0.9),
        aim("engine / lightwell, processor time an image", effort, 0.9),
        aim("first byte / last byte, in time", found.large.first_share, 0.1, at_most=True),
        aim(f"peak memory of the web process, {sizes}", memory, 1.1, at_most=True),
    ]


if __name__ == "__main__":
    sys.exit(main())
