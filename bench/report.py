"""Computes figures from rounds, and formats them as plain-text tables."""

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.client import Work
from bench.quality import QUALITIES, WIDTH, Comparison
from bench.watch import Taken

MIB = 2**20
NONE = "–"


@dataclass(frozen=True)
class Round:
    """One side's turn at one job."""

    job: str
    number: int
    side: str
    work: Work
    taken: Taken

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.work.images / self.work.seconds

    @property
    def cpu(self) -> float:
        """Processor seconds an image."""
        return self.taken.cpu_seconds / self.work.images


@dataclass(frozen=True)
class Spread:
    """Ratios of rounds that were measured one after the other."""

    least: float
    median: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f}  ({self.least:.2f}–{self.most:.2f})"


def ratio(
    rounds: Sequence[Round], above: str, below: str, value: Callable[[Round], float]
) -> Spread:
    """One side's ``value`` over another's, round by round."""
    of = {(one.number, one.side): value(one) for one in rounds}
    ratios = [of[number, above] / of[number, below] for number, side in of if side == above]
    return Spread(min(ratios), statistics.median(ratios), max(ratios))


def job_table(job: str, rounds: Sequence[Round], sides: Sequence[str]) -> list[str]:
    """A row a measure, a column a side."""
    turns = [[one for one in rounds if one.side == side] for side in sides]
    rows = [
        [job, *sides],
        [
            "images/s, median of rounds",
            *(f"{statistics.median(one.rate for one in own):.2f}" for own in turns),
        ],
        [
            "single file: p50 / p95, ms",
            *(_latencies(own, lambda work: work.single) for own in turns),
        ],
        ["batch: p50 / p95, ms", *(_latencies(own, lambda work: work.batch) for own in turns)],
        [
            "processor ms an image",
            *(f"{statistics.median(one.cpu for one in own) * 1000:.0f}" for own in turns),
        ],
        [
            "bytes out an image",
            *(f"{own[-1].work.bytes_out // own[-1].work.images:,}" for own in turns),
        ],
        [
            "peak memory, MiB: web process",
            *(peak(one.taken.peak.web for one in own) for own in turns),
        ],
        [
            "                  imaging processes",
            *(peak(one.taken.peak.imaging for one in own) for own in turns),
        ],
        [
            "                  all processes",
            *(peak(one.taken.peak.tree for one in own) for own in turns),
        ],
    ]
    return aligned(rows)


def ratios_table(rounds: Sequence[Round], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Each pair's ratios of speed and of processor time, pair by pair in each round: median
    (least–most)."""
    rows = [["", *(f"{above} / {below}" for above, below in pairs)]]
    rows.append(["images/s", *(str(ratio(rounds, *pair, lambda one: one.rate)) for pair in pairs)])
    rows.append(
        [
            "processor time an image",
            *(str(ratio(rounds, *pair, lambda one: one.cpu)) for pair in pairs),
        ]
    )
    rows.append(
        [
            "bytes out",
            *(str(ratio(rounds, *pair, lambda one: one.work.bytes_out)) for pair in pairs),
        ]
    )
    return aligned(rows)


def quality_lines(found: Comparison) -> list[str]:
    qualities = ", ".join(f"{quality:g}" for quality in QUALITIES)
    rows = [
        [f"{WIDTH} px, qualities {qualities}", "lightwell", "sharp", "ratio"],
        [
            "SSIMULACRA2 at quality 0.8, median",
            f"{found.our_score:.1f}",
            f"{found.their_score:.1f}",
            "",
        ],
        ["bytes at quality 0.8, geometric mean", "", "", f"{found.at_equal_quality:.3f}"],
        ["bytes at equal SSIMULACRA2", "", "", f"{found.at_equal_score:.3f}"],
        *([f"  {name[-40:]}", "", "", f"{value:.3f}"] for name, value in found.by_photo.items()),
    ]
    if found.apart:
        rows.append([f"  {found.apart} photos without a common score", "", "", NONE])
    return aligned(rows)


def aim(does: str, value: float, bound: float, *, at_most: bool = False) -> str:
    met = value <= bound if at_most else value >= bound
    return (
        f"{'met   ' if met else 'MISSED'}  {does}: {value:.2f}, aim {'≤' if at_most else '≥'} "
        f"{bound:.2f}"
    )


def _latencies(rounds: Sequence[Round], pick: Callable[[Work], list[float]]) -> str:
    seconds = sorted(second for one in rounds for second in pick(one.work))
    if not seconds:
        return NONE
    p95 = seconds[min(len(seconds) - 1, round(0.95 * (len(seconds) - 1)))]
    return f"{statistics.median(seconds) * 1000:.0f} / {p95 * 1000:.0f}"


def peak(sizes: Iterable[int]) -> str:
    """Return the largest of ``sizes`` (bytes), in MiB."""
    most = max(sizes)
    return f"{most / MIB:.0f}" if most else NONE


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """First column to the left, the others to the right; a line under the heads."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return [lines[0].rstrip(), "─" * len(lines[0]), *(line.rstrip() for line in lines[1:])]


def triple(load: tuple[float, float, float]) -> str:
    """Load averages of one, five and fifteen minutes."""
    return " ".join(f"{value:.2f}" for value in load)


def tell(what: str) -> None:
    """Print progress, apart from the tables."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)
