"""The pool of worker processes: no file can end, block or slow the process that serves others."""

import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from app.imaging.details import Description, Details
from app.imaging.limits import Limits
from app.imaging.original import Examination, Original
from app.imaging.pool import worker_main
from app.imaging.pool.fair_queue import FairQueue
from app.imaging.pool.supervisor_thread import FileJob, Outcome, SupervisorThread, Turn
from app.imaging.pool.worker_main import Task
from app.imaging.transform import Derivation, Derived, Painting, Picture, Preview, Transform


class ImagingPool:
    """``processes`` worker processes, each with one file at a time. Further files wait for their
    group's turn.

    A ``group`` is whoever the work is for. Groups take turns (``FairQueue``), so that nobody waits
    behind everything that another group has sent.

    Thread-safe. Each worker process has a supervisor thread, which starts it, hands it files, ends
    it when it must and replaces it. These threads start with the first file or with ``warm``.
    ``task`` is what worker processes run on each file: tests pass a misbehaving one.
    """

    def __init__(self, processes: int, limits: Limits, task: Task = worker_main.run) -> None:
        self.processes = processes
        self.limits = limits
        self._task = task
        self._lock = threading.Lock()
        self._closed = False
        self._supervisors: list[SupervisorThread] = []
        self._jobs: FairQueue[FileJob[Any]] = FairQueue()
        self._unfinished: set[Future[Any]] = set()

    def warm(self) -> None:
        """Start all worker processes; they load the engine in the background."""
        with self._lock:
            self._start()

    def submit(self, source: Path, target: Path, transform: Transform, group: str) -> Turn[Picture]:
        """Convert the image ``source`` into the file ``target``, in a worker process.

        The future raises ImagingError and its subclasses only; CancelledError where it was
        cancelled or the pool was closed. Cancelling ends the worker process that has the
        file. RuntimeError after ``close``.
        """
        return self._put(FileJob[Picture](source, target, transform, group))

    def examine(
        self, source: Path, target: Path, group: str, *, watermarked_for_test: bool = False
    ) -> Turn[Original]:
        """Tell what the image or video ``source`` is, read it, and write a WebP thumbnail of it
        into ``target``.

        ``watermarked_for_test`` puts a test key's watermark on the thumbnail. The future is like
        that of ``submit``.
        """
        return self._put(
            FileJob[Original](source, target, Examination(watermarked_for_test), group)
        )

    def describe(self, source: Path, thumbnail: Path, group: str) -> Turn[Details]:
        """Tell the metadata of the file ``source`` and the colours of its WebP ``thumbnail``. The
        future is like that of ``submit``."""
        return self._put(FileJob[Details](source, source, Description(thumbnail), group))

    def derive(
        self, source: Path, target: Path, derivation: Derivation, group: str
    ) -> Turn[Derived]:
        """Make a new image of ``source`` in ``target``, and its WebP thumbnail. The future is
        like that of ``submit``."""
        return self._put(FileJob[Derived](source, target, derivation, group))

    def preview(self, source: Path, target: Path, order: Preview, group: str) -> Turn[Picture]:
        """Write into ``target`` what the image ``source`` would become, small. The future is like
        that of ``submit``."""
        return self._put(FileJob[Picture](source, target, order, group))

    def paint(self, target: Path, painting: Painting, group: str) -> Turn[Picture]:
        """Draw a PNG into ``target``. The future is like that of ``submit``."""
        return self._put(FileJob[Picture](target, target, painting, group))

    def close(self) -> None:
        """End the worker processes; what they have not finished is cancelled."""
        with self._lock:
            supervisors, self._supervisors, self._closed = self._supervisors, [], True
        for outcome in tuple(self._unfinished):
            outcome.cancel()
        self._jobs.close()
        for supervisor in supervisors:
            supervisor.join()

    def _put(self, job: FileJob[Outcome]) -> Turn[Outcome]:
        with self._lock:
            self._start()
            self._unfinished.add(job.outcome)
            self._jobs.put(job)
        job.outcome.add_done_callback(self._unfinished.discard)
        return job.outcome

    def _start(self) -> None:
        if self._closed:
            raise RuntimeError("the imaging pool is closed")
        if not self._supervisors:
            self._supervisors = [
                SupervisorThread(self._jobs, self._task, self.limits) for _ in range(self.processes)
            ]
            for supervisor in self._supervisors:
                supervisor.start()
            for supervisor in self._supervisors:
                supervisor.begun.wait()
