"""Child processes that convert pictures, so that no file can end, block or slow the process that serves others."""

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from app.imaging import worker
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
from app.imaging.files import part_of
from app.imaging.limits import Limits
from app.imaging.transform import Picture, Transform

logger = logging.getLogger(__name__)

# A child is replaced after as many files: decoders leak, and a fragmented heap would eat into its memory cap.
FILES_PER_CHILD = 500
# How a child dies by itself when an allocation is refused: glib's abort and trap, the kernel's own OOM killer.
OUT_OF_MEMORY = {-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGKILL}

Task = Callable[[Path, Path, Transform, Limits], Picture]


class ImagingPool:
    """``processes`` children, each with one file at a time; files beyond that wait in order.

    Thread-safe. The children start with the first ``submit`` or with ``warm``, by spawn, so that nothing of this
    process (locks, threads, sockets) is in them. ``task`` is what they run on each file: tests put a misbehaving one.
    """

    def __init__(self, processes: int, limits: Limits, task: Task = worker.run) -> None:
        self.processes = processes
        self._limits = limits
        self._task = task
        self._lock = threading.Lock()
        self._children: ProcessPool | None = None
        self._unfinished: set[Future[Picture]] = set()
        # The kernel ends a child with the thread that started it (PR_SET_PDEATHSIG): this one stays until close.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="imaging-pool")

    def warm(self) -> None:
        """Start all children; they load their engines in the background."""
        self._running()

    def submit(self, source: Path, target: Path, transform: Transform) -> Future[Picture]:
        """Convert the file ``source`` into the file ``target`` in a child.

        The future raises ImagingError and its subclasses only; CancelledError where it was cancelled or the pool was
        closed. Cancelling ends the child at work. RuntimeError after ``close``.
        """
        outcome: Future[Picture] = Future()
        self._unfinished.add(outcome)
        outcome.add_done_callback(self._unfinished.discard)
        self._schedule(outcome, source, target, transform, again=True)
        return outcome

    def close(self) -> None:
        """End the children; what they had not finished is cancelled."""
        with self._lock:
            children, self._children = self._children, None
            self._starter.shutdown()
        # pebble forgets what it had not finished: whoever waits for it would wait for ever.
        for outcome in tuple(self._unfinished):
            outcome.cancel()
        if children:
            children.stop()  # type: ignore[no-untyped-call]  # pebble leaves this one bare
            children.join()

    def _running(self) -> ProcessPool:
        """The children, started anew where they never were, or where pebble has given them up."""
        with self._lock:
            if self._children is None or not self._children.active:
                self._children = self._starter.submit(self._start).result()
            return self._children

    def _start(self) -> ProcessPool:
        children = ProcessPool(
            max_workers=self.processes,
            max_tasks=FILES_PER_CHILD,
            initializer=worker.start,
            initargs=(self._limits,),
            context=multiprocessing.get_context("spawn"),
        )
        if not children.active:  # asking starts them, in this thread
            raise RuntimeError("the imaging children did not start")
        return children

    def _schedule(
        self, outcome: Future[Picture], source: Path, target: Path, transform: Transform, *, again: bool
    ) -> None:
        arguments = (source, target, transform, self._limits)
        inner = self._running().schedule(self._task, args=arguments, timeout=self._limits.wall_seconds)

        def settle(done: Future[Picture]) -> None:
            error = None if done.cancelled() else done.exception()
            if isinstance(error, BrokenProcessPool) and again:
                # Another file's child died in a way that pebble gives up on; this file has done nothing wrong.
                self._schedule(outcome, source, target, transform, again=False)
            else:
                part_of(target).unlink(missing_ok=True)
                _settle(outcome, done, error)

        inner.add_done_callback(settle)
        outcome.add_done_callback(lambda future: _cancel(inner) if future.cancelled() else None)


def _cancel(inner: "ProcessFuture[Picture]") -> None:
    inner.cancel()  # type: ignore[no-untyped-call]  # pebble leaves this one bare


def _settle(outcome: Future[Picture], done: Future[Picture], error: BaseException | None) -> None:
    """Pass a child's result on, its failure as a typed error."""
    if done.cancelled() or isinstance(error, CancelledError):
        outcome.cancel()
    if not outcome.set_running_or_notify_cancel():
        return
    if error is None:
        outcome.set_result(done.result())
    else:
        outcome.set_exception(typed(error))


def typed(error: BaseException) -> ImagingError:
    """What a child's end or exception means for the picture."""
    if isinstance(error, ImagingError):
        return error
    if isinstance(error, TimeoutError):
        return ImageTooSlow(TOO_SLOW)
    if isinstance(error, MemoryError):
        return ImageTooLarge(TOO_MUCH_MEMORY)
    if isinstance(error, ProcessExpired):
        logger.warning("imaging child %s ended by itself with exit code %s", error.pid, error.exitcode)
        if error.exitcode == -signal.SIGXCPU:
            return ImageTooSlow(TOO_SLOW)
        if error.exitcode == -signal.SIGTERM:
            return ImagingInterrupted(INTERRUPTED)
        return ImageTooLarge(TOO_MUCH_MEMORY) if error.exitcode in OUT_OF_MEMORY else UnreadableImage(UNREADABLE)
    logger.error("imaging failed", exc_info=error)
    return ImagingError("The image could not be processed because of a fault on this server; try again.")
