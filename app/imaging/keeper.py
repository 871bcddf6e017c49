"""A thread that keeps one child at work: starts it, hands it files, ends it when it must, replaces
it."""

import logging
import signal
import threading
import time
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from app.imaging.child import Child, ChildEnded, Task
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
from app.imaging.fair import FairQueue
from app.imaging.files import part_of
from app.imaging.limits import Limits
from app.imaging.original import Original
from app.imaging.transform import Derived, Picture
from app.imaging.work import Work

logger = logging.getLogger(__name__)

# A child is replaced after as many files: decoders leak, and a fragmented heap would eat into its
# memory cap.
FILES_PER_CHILD = 500
# How a child dies by itself when an allocation is refused: glib's abort and trap, the kernel's own
# OOM killer.
OUT_OF_MEMORY = {-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGKILL}
# How often a keeper looks whether the file its child works on is still wanted. Answers don't wait
# for it.
GLANCE_SECONDS = 0.2

Outcome = TypeVar("Outcome", Picture, Derived, Original)
T = TypeVar("T")


class Turn(Future[T]):
    """What comes of a file's work. ``begun`` is False while it waits for a child."""

    begun = False


@dataclass(frozen=True)
class Job(Generic[Outcome]):
    """A file to work on, for whom, and where its outcome is waited for."""

    source: Path
    target: Path
    work: Work
    group: str
    outcome: Turn[Outcome] = field(default_factory=Turn)


class Keeper(threading.Thread):
    """Takes jobs one after the other until there are none and the queue is closed."""

    def __init__(self, jobs: FairQueue[Job[Any]], task: Task, limits: Limits) -> None:
        super().__init__(name="imaging-keeper", daemon=True)
        self._jobs = jobs
        self._task = task
        self._limits = limits
        self._child: Child | None = None
        self.begun = threading.Event()

    def run(self) -> None:
        with suppress(OSError):  # tried again with the first file, which is then told
            self._child = Child(self._task, self._limits)
        self.begun.set()
        while job := self._jobs.take():
            began = time.monotonic()
            job.outcome.begun = True
            result = CancelledError() if job.outcome.cancelled() else self._work_on(job)
            if isinstance(result, BaseException):
                part_of(job.target).unlink(missing_ok=True)
            self._jobs.done(job, time.monotonic() - began)
            _settle(job.outcome, result)
        self._end_child()

    def _work_on(self, job: Job[Outcome]) -> Outcome | BaseException:
        """The outcome, or why there is none. Whatever goes wrong, the keeper itself goes on."""
        try:
            while not (child := self._fit_child()).order(job.source, job.target, job.work):
                pass  # it died idle and never saw the file
            return self._answer(child, job)
        except Exception as error:
            self._end_child()
            return error

    def _fit_child(self) -> Child:
        """The child, or its successor; either has its engines loaded."""
        if self._child is None or not self._child.alive or self._child.files >= FILES_PER_CHILD:
            self._end_child()
            self._child = Child(self._task, self._limits)
        if not self._child.files:
            self._child.wait_until_loaded()
        return self._child

    def _answer(self, child: Child, job: Job[Outcome]) -> Outcome | BaseException:
        """Wait for the child's answer. Raises ChildEnded, TimeoutError, and CancelledError for what
        nobody wants."""
        deadline = time.monotonic() + self._limits.wall_seconds
        while not child.answered(GLANCE_SECONDS):
            if job.outcome.cancelled():
                raise CancelledError
            if time.monotonic() >= deadline:
                raise TimeoutError
        answer: Outcome | BaseException = child.answer()
        return answer

    def _end_child(self) -> None:
        if self._child:
            self._child.end()
        self._child = None


def _settle(outcome: Future[Outcome], result: Outcome | BaseException) -> None:
    """Pass a child's result on, its failure as a typed error."""
    if not outcome.set_running_or_notify_cancel():
        return
    if isinstance(result, BaseException):
        outcome.set_exception(typed(result))
    else:
        outcome.set_result(result)


def typed(error: BaseException) -> ImagingError:
    """What a child's end or exception means for the file."""
    if isinstance(error, ImagingError):
        return error
    if isinstance(error, TimeoutError):
        return ImageTooSlow(TOO_SLOW)
    if isinstance(error, MemoryError):
        return ImageTooLarge(TOO_MUCH_MEMORY)
    if isinstance(error, ChildEnded):
        logger.warning("imaging child ended by itself with exit code %s", error.exitcode)
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
