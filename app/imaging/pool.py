"""Child processes that work on files, so that no file can end, block or slow the process that
serves others."""

import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from app.imaging import worker
from app.imaging.child import Task
from app.imaging.fair import FairQueue
from app.imaging.keeper import Job, Keeper, Outcome, Turn
from app.imaging.limits import Limits
from app.imaging.original import Examination, Original
from app.imaging.transform import Derivation, Derived, Painting, Picture, Transform


class ImagingPool:
    """``processes`` children, each with one file at a time; files beyond that wait for their
    group's turn.

    A ``group`` is whoever the work is for: groups take turns (``FairQueue``), so that nobody waits
    behind all that another has sent.

    Thread-safe. Each child has a keeper, a thread that starts it, hands it files, ends it when it
    must and replaces it; keepers start with the first file or with ``warm``. ``task`` is what
    children run on each file: tests put a misbehaving one.
    """

    def __init__(self, processes: int, limits: Limits, task: Task = worker.run) -> None:
        self.processes = processes
        self._limits = limits
        self._task = task
        self._lock = threading.Lock()
        self._closed = False
        self._keepers: list[Keeper] = []
        self._jobs: FairQueue[Job[Any]] = FairQueue()
        self._unfinished: set[Future[Any]] = set()

    def warm(self) -> None:
        """Start all children; they load their engines in the background."""
        with self._lock:
            self._start()

    def submit(self, source: Path, target: Path, transform: Transform, group: str) -> Turn[Picture]:
        """Convert the image ``source`` into the file ``target`` in a child.

        The future raises ImagingError and its subclasses only; CancelledError where it was
        cancelled or the pool was closed. Cancelling ends the child at work. RuntimeError after
        ``close``.
        """
        return self._put(Job[Picture](source, target, transform, group))

    def examine(
        self, source: Path, target: Path, group: str, *, stamp: bool = False
    ) -> Turn[Original]:
        """Tell what the image or video ``source`` is, read it, and write a WebP thumbnail of it
        into ``target``.

        ``stamp`` marks the thumbnail as a test key's. The future is as that of ``submit``.
        """
        return self._put(Job[Original](source, target, Examination(stamp), group))

    def derive(
        self, source: Path, target: Path, derivation: Derivation, group: str
    ) -> Turn[Derived]:
        """Make a new image of ``source`` in ``target``, and its WebP thumbnail. The future is as
        that of ``submit``."""
        return self._put(Job[Derived](source, target, derivation, group))

    def paint(self, target: Path, painting: Painting, group: str) -> Turn[Picture]:
        """Draw a PNG into ``target``. The future is as that of ``submit``."""
        return self._put(Job[Picture](target, target, painting, group))

    def close(self) -> None:
        """End the children; what they had not finished is cancelled."""
        with self._lock:
            keepers, self._keepers, self._closed = self._keepers, [], True
        for outcome in tuple(self._unfinished):
            outcome.cancel()
        self._jobs.close()
        for keeper in keepers:
            keeper.join()

    def _put(self, job: Job[Outcome]) -> Turn[Outcome]:
        with self._lock:
            self._start()
            self._unfinished.add(job.outcome)
            self._jobs.put(job)
        job.outcome.add_done_callback(self._unfinished.discard)
        return job.outcome

    def _start(self) -> None:
        if self._closed:
            raise RuntimeError("the imaging pool is closed")
        if not self._keepers:
            self._keepers = [
                Keeper(self._jobs, self._task, self._limits) for _ in range(self.processes)
            ]
            for keeper in self._keepers:
                keeper.start()
            for keeper in self._keepers:
                keeper.begun.wait()
