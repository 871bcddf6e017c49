"""The bare engine: ``ImagingPool`` fed with paths. Without HTTP, base64 and database it is the
upper bound for the service."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from app.imaging import ImagingPool, Limits, Transform
from bench.client import Work
from bench.jobs import Job, Order
from bench.watch import is_imaging_process


class Engine:
    """As many worker processes as the service has by default: one per core."""

    name = "engine"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ImagingPool(os.cpu_count() or 1, Limits())
        self._pool.warm()

    def processes(self) -> list[psutil.Process]:
        """Return the pool's worker processes, without this one, which is also the load client."""
        return [one for one in psutil.Process().children() if is_imaging_process(one)]

    def run(self, job: Job, orders: Sequence[Order]) -> Work:
        """Convert all pictures of the orders in order. There are no requests, so no latencies."""
        transform = Transform(quality=round(job.quality * 100), max_width=job.max_width)
        return self.convert([photo.path for order in orders for photo in order.photos], transform)

    def convert(self, paths: Sequence[Path], transform: Transform) -> Work:
        """Convert all files in order."""
        began = time.perf_counter()
        futures = [
            self._pool.submit(path, self._folder / f"out-{number}", transform, "bench")
            for number, path in enumerate(paths)
        ]
        pictures = [future.result() for future in futures]
        seconds = time.perf_counter() - began
        return Work(seconds, len(pictures), sum(picture.size for picture in pictures))

    def close(self) -> None:
        self._pool.close()


@contextmanager
def running(folder: Path) -> Iterator[Engine]:
    engine = Engine(folder)
    try:
        yield engine
    finally:
        engine.close()
