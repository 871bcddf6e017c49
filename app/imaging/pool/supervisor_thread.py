"""A thread that starts one worker process, hands it files, ends it when it must and replaces it."""

import logging
import signal
import threading
import time
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from app.imaging.details import Details
from app.imaging.errors import (
    INTERRUPTED,
    TOO_MUCH_MEMORY,
    TOO_SLOW,
    UNREADABLE,
    ImageTooLarge,
    ImageTooSlow,
    ImagingError,
    ImagingInterrupted,
    UnreadableImage,
)
from app.imaging.limits import Limits
from app.imaging.original import Original
from app.imaging.pool.fair_queue import FairQueue
from app.imaging.pool.worker_main import Task
from app.imaging.pool.worker_process import WorkerProcess, WorkerProcessEnded
from app.imaging.transform import Derived, Picture
from app.imaging.work import Work, part_of

logger = logging.getLogger(__name__)

# A worker process is replaced after so many files, in case a decoder leaks too little to be
# noticed.
FILES_PER_PROCESS = 500
# How a worker process dies when an allocation is refused: glib's abort and trap, the kernel's own
# OOM killer.
OUT_OF_MEMORY = {-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGKILL}
# How often a supervisor thread polls whether the file at work is still wanted. Answers don't wait
# for it.
POLL_SECONDS = 0.2

Outcome = TypeVar("Outcome", Picture, Derived, Original, Details)
T = TypeVar("T")


class Turn(Future[T]):
    """The future outcome of a file. ``begun`` is False while it waits for a worker process."""

    begun = False


@dataclass(frozen=True)
class FileJob(Generic[Outcome]):
    """A file to work on, the group it is for, and the future that gets its outcome."""

    source: Path
    target: Path
    work: Work
    group: str
    outcome: Turn[Outcome] = field(default_factory=Turn)


class SupervisorThread(threading.Thread):
    """Takes jobs one after the other until there are none and the queue is closed."""

    def __init__(self, jobs: FairQueue[FileJob[Any]], task: Task, limits: Limits) -> None:
        super().__init__(name="imaging-supervisor", daemon=True)
        self._jobs = jobs
        self._task = task
        self._limits = limits
        self._process: WorkerProcess | None = None
        self.begun = threading.Event()

    def run(self) -> None:
        with suppress(OSError):  # the first file tries again, and reports it
            self._process = WorkerProcess(self._task, self._limits)
        self.begun.set()
        while job := self._jobs.take():
            began = time.monotonic()
            job.outcome.begun = True
            result = CancelledError() if job.outcome.cancelled() else self._work_on(job)
            if isinstance(result, BaseException):
                part_of(job.target).unlink(missing_ok=True)
            self._jobs.done(job, time.monotonic() - began)
            _settle(job.outcome, result)
        self._end_process()

    def _work_on(self, job: FileJob[Outcome]) -> Outcome | BaseException:
        """The outcome, or why there is none. Whatever goes wrong, the thread goes on."""
        try:
            while not (process := self._ready_process()).order(job.source, job.target, job.work):
                pass  # it died idle and never saw the file
            return self._answer(process, job)
        except Exception as error:
            self._end_process()
            return error

    def _ready_process(self) -> WorkerProcess:
        """The worker process, or its successor; either has the engine loaded."""
        process = self._process
        if process is None or not process.alive or process.files >= FILES_PER_PROCESS:
            self._end_process()
            process = self._process = WorkerProcess(self._task, self._limits)
        if not process.files:
            process.wait_until_loaded()
        return process

    def _answer(self, process: WorkerProcess, job: FileJob[Outcome]) -> Outcome | BaseException:
        """Wait for the answer. Raises WorkerProcessEnded, TimeoutError, and CancelledError where
        nobody wants it any more."""
        deadline = time.monotonic() + self._limits.wall_seconds
        while not process.answered(POLL_SECONDS):
            if job.outcome.cancelled():
                raise CancelledError
            if time.monotonic() >= deadline:
                raise TimeoutError
        answer: Outcome | BaseException = process.answer()
        return answer

    def _end_process(self) -> None:
        if self._process:
            self._process.end()
        self._process = None


def _settle(outcome: Future[Outcome], result: Outcome | BaseException) -> None:
    """Pass a result on to who waits for it, a failure as a typed error."""
    if not outcome.set_running_or_notify_cancel():
        return
    if isinstance(result, BaseException):
        outcome.set_exception(typed(result))
    else:
        outcome.set_result(result)


def typed(error: BaseException) -> ImagingError:
    """What the end of a worker process, or its exception, means for the file."""
    if isinstance(error, ImagingError):
        return error
    if isinstance(error, TimeoutError):
        return ImageTooSlow(TOO_SLOW)
    if isinstance(error, MemoryError):
        return ImageTooLarge(TOO_MUCH_MEMORY)
    if isinstance(error, WorkerProcessEnded):
        logger.warning("imaging worker process ended with exit code %s", error.exitcode)
        if error.exitcode == -signal.SIGXCPU:
            return ImageTooSlow(TOO_SLOW)
        if error.exitcode == -signal.SIGTERM:
            return ImagingInterrupted(INTERRUPTED)
        return (
            ImageTooLarge(TOO_MUCH_MEMORY)
            if error.exitcode in OUT_OF_MEMORY
            else UnreadableImage(UNREADABLE)
        )
    logger.error("imaging failed", exc_info=error)
    return ImagingError(
        "The file could not be processed because of a fault on this server; try again."
    )
