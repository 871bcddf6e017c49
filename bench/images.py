"""``./run bench images``: each operation of the images dialect by one process of the pool, against
sharp in one thread.

Both read a JPEG file and encode a JPEG of quality 80 by mozjpeg; ours writes it, and a thumbnail
too, as the service does. They take turns picture by picture, so that other load on the machine
affects both.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.imaging import Derivation, Format, ImagingPool, Limits, Transform
from app.imaging.operations import (
    Axis,
    Blur,
    Crop,
    Fit,
    Mirror,
    Modulate,
    Operation,
    Resize,
    Rotate,
)
from bench import peer
from bench.photos import find_photos
from bench.report import tell

ORANGE = (255, 136, 0, 255)
OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "shrink": (Resize(800),),
    "contain": (Resize(800, 800, Fit.CONTAIN, letterbox=ORANGE),),
    "cover": (Resize(800, 800, Fit.COVER),),
    "crop": (Crop(100, 100, 1700, 1300),),
    "turn": (Rotate(90),),
    "rotate": (Rotate(20, ORANGE),),
    "mirror": (Mirror(Axis.HORIZONTAL),),
    "blur 3": (Blur(3),),
    "blur 60": (Blur(60),),
    "modulate": (Modulate(1.2, 1.3, 40),),
    "chain": (Resize(1280), Blur(2), Modulate(saturation=1.3)),
}
"""As ``peers/sharp/operations.mjs`` has them."""


class Sharp:
    """The peer, which answers each line with a line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, path: Path, operation: str) -> float:
        """Seconds."""
        began = time.perf_counter()
        assert self._process.stdin
        assert self._process.stdout
        print(
            json.dumps({"path": str(path), "operation": operation}),
            file=self._process.stdin,
            flush=True,
        )
        if not self._process.stdout.readline():
            raise SystemExit(f"sharp failed at {operation} of {path.name}")
        return time.perf_counter() - began


@contextmanager
def sharp() -> Iterator[Sharp]:
    with subprocess.Popen(
        ["node", "operations.mjs"],
        cwd=peer.FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Sharp(process)


def ours(pool: ImagingPool, folder: Path, path: Path, operation: str) -> float:
    """Seconds."""
    began = time.perf_counter()
    wanted = Transform(Format.JPEG, 80, operations=OPERATIONS[operation])
    pool.derive(path, folder / "target", Derivation(wanted, folder / "thumbnail"), "bench").result()
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench images", description="Measure the operations on images."
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="turns of each side at each picture (5)"
    )
    rounds = parser.parse_args().rounds
    if missing := peer.unavailable():
        print(f"There is nothing to compare with: {missing}.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="lightwell-bench-") as name, sharp() as other:
        folder = Path(name)
        photos, kind = find_photos(folder)
        paths = [photo.path for photo in photos if photo.path.suffix.lower() != ".webp"]
        pool = ImagingPool(1, Limits())
        try:
            print(
                f"Peer    {peer.versions()}\nPhotos  {kind}, JPEG only\n\n{'operation':12}sharp : "
                "ours, elapsed"
            )
            for operation in OPERATIONS:
                ours(pool, folder, paths[0], operation)
                other.run(paths[0], operation)
                ratios = []
                for number in range(rounds):
                    mine = theirs = 0.0
                    for path in paths:
                        mine += ours(pool, folder, path, operation)
                        theirs += other.run(path, operation)
                    ratios.append(theirs / mine)
                    tell(f"{operation}: round {number + 1}")
                print(
                    f"{operation:12}{statistics.median(ratios):.2f}  "
                    f"({min(ratios):.2f}–{max(ratios):.2f})"
                )
        finally:
            pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
