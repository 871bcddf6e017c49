"""One child process that works on files, as its keeper in the parent sees it."""

import multiprocessing
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path
from typing import Any

from app.imaging import worker
from app.imaging.limits import Limits
from app.imaging.work import Result, Work

START_SECONDS = 60
STOP_SECONDS = 10

Task = Callable[[Path, Path, Work, Limits], Result]


class ChildEnded(Exception):
    """The child is gone; ``exitcode`` as multiprocessing gives it, negative for a signal."""

    def __init__(self, exitcode: int | None) -> None:
        super().__init__(f"imaging child ended with exit code {exitcode}")
        self.exitcode = exitcode


class Child:
    """A process spawned by, and for, one thread; nothing but that thread talks to it.

    It has a pipe of its own: however it dies, it takes no lock and no other child's work with it.
    The kernel ends it with the thread that made it (PR_SET_PDEATHSIG).
    """

    def __init__(self, task: Task, limits: Limits) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.serve, args=(theirs, task, limits), daemon=True
        )
        self._process.start()
        theirs.close()
        self.files = 0

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def wait_until_loaded(self) -> None:
        """The engines take a moment, which no file's time pays. ChildEnded where they can't be
        loaded."""
        if not self.answered(START_SECONDS):
            raise ChildEnded(None)
        self._receive()

    def order(self, source: Path, target: Path, work: Work) -> bool:
        """Hand a file over. False where the child ended before it took it, through no fault of the
        file's."""
        self.files += 1
        try:
            self._pipe.send((source, target, work))
            self._pipe.recv()
        except (EOFError, OSError):
            return False
        return True

    def answered(self, seconds: float) -> bool:
        """Wait so long for an answer, or for the child's end."""
        return bool(connection.wait([self._pipe, self._process.sentinel], seconds))

    def answer(self) -> Any:
        """What the child made of its file: its task's result, or an exception. ChildEnded where it
        ended instead."""
        return self._receive()

    def end(self) -> None:
        self._process.kill()
        self._process.join(STOP_SECONDS)
        self._pipe.close()

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(STOP_SECONDS)
            raise ChildEnded(self._process.exitcode) from None
