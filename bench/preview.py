"""``./run bench preview``: how long a preview of the editor takes, against the whole picture.

A preview is drawn from the small version of an original, which is made when the editor is opened.
Both take turns with the same chain at the full size, as it is saved, so that other load on the
machine affects both.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from app.imaging import Derivation, ImagingPool, Limits, Preview, Transform, Turn
from app.imaging.chain import small_chain, wanted_side
from app.imaging.geometry import fit
from app.imaging.operations import (
    Axis,
    Blur,
    Crop,
    Layer,
    Mirror,
    Modulate,
    Operation,
    Resize,
    Rotate,
    Watermark,
)
from app.services.library.previews import ANY, LARGE_SIDE, ON_THE_WAY, SIDE
from bench.photos import REAL, find_photos
from bench.report import tell

SHOWN = 1200
"""Pixels along the longer side: what a pane of a 1440 px screen asks for."""
GROUP = "bench"
AIM_MS = 300
WHOLE_EACH = 4
"""Every so many previews, the whole picture is made too."""


@dataclass(frozen=True)
class Original:
    kind: str
    path: Path
    width: int
    height: int


def chains(width: int, height: int) -> list[tuple[Operation, ...]]:
    """What people do: one or more of each operation."""
    mark = Watermark((Layer("mark", width // 2, height // 2, width // 4),))
    crop = Crop(width // 10, height // 10, width * 9 // 10, height * 9 // 10)
    close = Crop(width // 3, height // 3, width // 3 + width // 4, height // 3 + height // 4)
    return [
        (crop,),
        (close,),
        (Rotate(90), crop if width == height else Mirror(Axis.VERTICAL)),
        (Rotate(4.5),),
        (Blur(width / 300),),
        (Modulate(1.1, 1.2, 20),),
        (Resize(1600), mark),
        (crop, Rotate(-3), mark),
        (Rotate(2), crop, Modulate(saturation=0.5)),
        (close, Rotate(5), Modulate(1.2), Blur(3)),
    ]


def originals(folder: Path) -> Iterable[Original]:
    """A JPEG, a PNG with transparency, and from the corpus where it is there a HEIC and a RAW."""
    photos = [one for one in find_photos(folder)[0] if one.path.suffix.lower() != ".webp"]
    photo = min(photos, key=lambda one: abs(one.megapixels - 12))
    yield Original("JPEG", photo.path, photo.width, photo.height)
    with Image.open(photo.path) as image:
        clear = image.convert("RGB").resize((4000, 3000))
        clear.putalpha(Image.linear_gradient("L").resize(clear.size))
        clear.save(folder / "clear.png", compress_level=1)
    yield Original("PNG with alpha", folder / "clear.png", 4000, 3000)
    for kind, name in (("HEIC", "heif/exifr__heic-iphone7.heic"), ("RAW", "raw/photokit_*.cr2")):
        yield from (Original(kind, path, 0, 0) for path in REAL.parent.glob(name))


@dataclass(frozen=True)
class Taken:
    """Milliseconds: elapsed, and of processors."""

    elapsed: float
    cpu: float


def timed(submit: Callable[..., Turn[Any]], *order: object) -> Taken:
    began, cpu = time.perf_counter(), cpu_seconds()
    submit(*order, GROUP).result()
    return Taken((time.perf_counter() - began) * 1000, (cpu_seconds() - cpu) * 1000)


def cpu_seconds() -> float:
    """What the pool's processes have used."""
    used = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


def measure(pool: ImagingPool, folder: Path, original: Original, mark: Path, rounds: int) -> str:
    """A row of the table."""
    found = pool.examine(original.path, folder / "seen", GROUP).result()
    size = (found.width, found.height)
    plain, large = folder / "plain", folder / "large"
    first = timed(pool.preview, original.path, plain, Preview(SIDE, format=ANY))
    second = timed(pool.preview, original.path, large, Preview(LARGE_SIDE, format=ANY))
    mine, ratios = [], []
    work = chains(*size)
    marks, sizes = {"mark": mark}, {"mark": (600, 240)}
    for number in range(rounds):
        chain = work[number % len(work)]
        wants = wanted_side(chain, size, SHOWN)
        most = LARGE_SIDE if wants > SIDE else SIDE
        small = small_chain(
            chain, size, fit(*size, most, most), SHOWN, sizes, min(wants, ON_THE_WAY)
        )
        order = Preview(LARGE_SIDE, small.operations, layers=marks)
        source = large if most == LARGE_SIDE else plain
        mine.append(timed(pool.preview, source, folder / "shown", order))
        if number % WHOLE_EACH == 0:
            derivation = Derivation(
                Transform(quality=None, operations=chain), folder / "thumbnail", marks
            )
            whole = timed(pool.derive, original.path, folder / "whole", derivation)
            ratios.append(mine[-1].elapsed / whole.elapsed)
        tell(f"{original.kind}: round {number + 1}")
    megapixels = size[0] * size[1] / 1e6
    elapsed = sorted(one.elapsed for one in mine)
    return (
        f"{original.kind:16}{megapixels:5.1f}{first.elapsed:8.0f}{second.elapsed:10.0f}"
        f"{statistics.median(elapsed):10.0f}{elapsed[round(0.9 * rounds) - 1]:7.0f}"
        f"{statistics.median(one.cpu for one in mine):8.0f}{statistics.median(ratios):10.2f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run bench preview", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="previews of each original")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name:
        folder = Path(name)
        Image.new("RGBA", (600, 240), (250, 160, 20, 180)).save(folder / "mark", "PNG")
        pool = ImagingPool(2, Limits(cpu_seconds=120, wall_seconds=600))
        pool.warm()
        try:
            print(
                f"Milliseconds; {rounds} previews of {SHOWN} px each; aim: {AIM_MS} in the median\n"
                f"{'original':16}{'MP':>5}{'open':>8}{'close-up':>10}{'preview':>10}{'p90':>7}"
                f"{'cpu':>8}{': whole':>10}"
            )
            for original in originals(folder):
                print(measure(pool, folder, original, folder / "mark", rounds), flush=True)
        finally:
            pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
