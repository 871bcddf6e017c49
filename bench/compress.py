"""``./run bench compress``: the real service against its own engine without HTTP, and against
sharp.

Every side gets the same photos in the same order. All sides take a turn in each round, so that
other load on the machine affects all of them, and ratios are formed within a round. The load client
runs on the same cores.
"""

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import psutil

from app.config import Settings
from bench import engine, peer, service
from bench.client import Refused, Work
from bench.jobs import Job, Order, orders
from bench.photos import Photo, find_photos
from bench.quality import Comparison, compare, encode_and_score
from bench.report import Round, aim, job_table, quality_lines, ratio, ratios_table, tell, triple
from bench.server import HttpSide
from bench.watch import Watch

SMALL, FULL = Job(max_width=1280), Job()
FULL_SHARE = 3
"""Full-size pictures take longer: a round has so many times fewer, yet enough that its end weighs
little."""
CORES = os.cpu_count() or 1
GATE = int(Settings.model_fields["compress_concurrency"].default) // 2
BUSY_CORES = 0.2
"""Somebody else's load from which on the figures deserve a warning."""


class Side(Protocol):
    name: str

    def processes(self) -> list[psutil.Process]: ...
    def run(self, job: Job, orders: Sequence[Order]) -> Work: ...


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    before = os.getloadavg()
    if before[0] > BUSY_CORES * CORES:
        print(
            f"The machine is busy already: load average {before[0]:.2f} on {CORES} cores.",
            file=sys.stderr,
        )
    try:
        kind, rounds, compared = _run(options)
    except (Refused, OSError) as error:
        print(f"A server did not do its work: {error!r}", file=sys.stderr)
        return 1
    facts = _facts(kind, options.concurrency, before, rounds, with_peer=compared is not None)
    print("\n".join(["", *facts, *_report(rounds, compared)]))
    if options.json:
        _save(options.json, facts, rounds, compared)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench compress", description="Measure POST /compress/batch."
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side at each job (5)")
    parser.add_argument(
        "--images",
        type=int,
        default=48,
        help="images in a round at 1280 px; full size: a third (48)",
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        choices=range(1, GATE + 1),
        metavar=f"1–{GATE}",
        default=min(GATE, 2 * CORES),
        help="parallel connections (twice the cores); past 8 the service lets one organization "
        "wait, as it is meant to",
    )
    parser.add_argument(
        "--no-peer", action="store_true", help="leave sharp out, and quality with it"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every round's figures there"
    )
    return parser.parse_args()


def _run(options: argparse.Namespace) -> tuple[str, list[Round], Comparison | None]:
    """Return a description of the photos, all rounds, and the quality compared with the peer's if
    there is one."""
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        photos, kind = find_photos(folder)
        servers, bare = _start(stack, folder, options)
        rounds = _measure([*servers, bare], photos, options)
        if len(servers) == 1:
            return kind, rounds, None
        tell("scoring quality")
        return (
            kind,
            rounds,
            compare(encode_and_score(servers, photos, folder), "lightwell", "sharp"),
        )


def _start(
    stack: ExitStack, folder: Path, options: argparse.Namespace
) -> tuple[list[HttpSide], engine.Engine]:
    """Start all sides and wait until they are ready. The peer is left out if it is unavailable."""
    missing = "--no-peer" if options.no_peer else peer.unavailable()
    tell("starting Lightwell" + (f"; no peer: {missing}" if missing else " and sharp"))
    data = folder / "data"
    data.mkdir()
    servers = [stack.enter_context(service.running(data, options.concurrency))]
    if not missing:
        servers.append(stack.enter_context(peer.running(folder, options.concurrency)))
    return servers, stack.enter_context(engine.running(folder))


def _measure(
    sides: Sequence[Side], photos: Sequence[Photo], options: argparse.Namespace
) -> list[Round]:
    """Run a warm-up pass, then the rounds. Another side begins each round."""
    for side in sides:
        side.run(SMALL, orders(photos, len(photos)))
    rounds: list[Round] = []
    for job, images in ((SMALL, options.images), (FULL, options.images // FULL_SHARE)):
        batch = orders(photos, images)
        for number in range(options.rounds):
            first = number % len(sides)
            for side in [*sides[first:], *sides[:first]]:
                with Watch(side.processes()) as watch:
                    work = side.run(job, batch)
                rounds.append(Round(str(job), number, side.name, work, watch.taken))
                tell(f"{job}: round {number + 1}, {side.name}: {rounds[-1].rate:.2f} images/s")
    return rounds


def _facts(
    photos: str,
    connections: int,
    load: tuple[float, float, float],
    rounds: Sequence[Round],
    *,
    with_peer: bool,
) -> list[str]:
    """Describe the photos, the machine and its other load."""
    foreign = max(one.taken.foreign_cores for one in rounds)
    client = max(one.taken.client_seconds / one.work.seconds for one in rounds)
    facts = [
        f"Machine       {CORES} cores, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}",
        f"Lightwell     {service.versions()}",
        *([f"Peer          {peer.versions()}"] if with_peer else []),
        f"Photos        {photos}",
        f"Load          {connections} connections, keep-alive; half of the photos in batches, half "
        "singly",
        f"Load average  before {triple(load)}, after {triple(os.getloadavg())}",
        f"Cores taken   at most {client:.2f} by the load client, {foreign:.2f} by others",
    ]
    if foreign > BUSY_CORES:
        facts.append(
            "              Others were at work: trust the ratios of processor time more than "
            "images/s."
        )
    return facts


def _report(rounds: Sequence[Round], compared: Comparison | None) -> list[str]:
    """Return the tables and a line for each aim."""
    sides = list(dict.fromkeys(one.side for one in rounds))
    lines: list[str] = []
    aims: list[str] = []
    pairs = [("lightwell", other) for other in ("engine", "sharp") if other in sides]
    for job in map(str, (SMALL, FULL)):
        own = [one for one in rounds if one.job == job]
        lines += ["", *job_table(job, own, sides), "", *ratios_table(own, pairs)]
        for (above, below), bound in zip(pairs, (0.9, 1.0), strict=False):
            aims.append(
                aim(
                    f"{above} / {below}, images/s, {job}",
                    ratio(own, above, below, _rate).median,
                    bound,
                )
            )
    if compared:
        lines += ["", *quality_lines(compared)]
        aims.append(
            aim(
                "bytes at equal SSIMULACRA2, lightwell / sharp",
                compared.at_equal_score,
                1.0,
                at_most=True,
            )
        )
    return [*lines, "", *aims]


def _rate(one: Round) -> float:
    return one.rate


def _save(
    path: Path, facts: Sequence[str], rounds: Sequence[Round], compared: Comparison | None
) -> None:
    content: dict[str, Any] = {"facts": facts, "rounds": [asdict(one) for one in rounds]}
    path.write_text(
        json.dumps(content | {"quality": asdict(compared) if compared else None}, indent=1) + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
