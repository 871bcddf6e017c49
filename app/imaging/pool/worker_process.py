"""One process that works on files, as its supervisor thread in the web process sees it."""

import multiprocessing
from multiprocessing import connection
from pathlib import Path
from typing import Any

from app.imaging.limits import Limits
from app.imaging.pool import worker_main
from app.imaging.pool.worker_main import Task
from app.imaging.work import Work

START_SECONDS = 60
STOP_SECONDS = 10


class WorkerProcessEnded(Exception):
    """The worker process is gone. ``exitcode`` is multiprocessing's, negative for a signal."""

    def __init__(self, exitcode: int | None) -> None:
        super().__init__(f"imaging worker process ended with exit code {exitcode}")
        self.exitcode = exitcode


class WorkerProcess:
    """A process that one thread spawns; no other thread talks to it.

    It has a pipe of its own: however it dies, it holds no lock and takes no other process's work
    with it. The kernel ends it with the thread that made it (PR_SET_PDEATHSIG).
    """

    def __init__(self, task: Task, limits: Limits) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=worker_main.serve, args=(theirs, task, limits), daemon=True
        )
        self._process.start()
        theirs.close()
        self.files = 0

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def wait_until_loaded(self) -> None:
        """Wait for the engine, so that loading it counts in no file's time. WorkerProcessEnded
        where it can't be loaded."""
        if not self.answered(START_SECONDS):
            raise WorkerProcessEnded(None)
        self._receive()

    def order(self, source: Path, target: Path, work: Work) -> bool:
        """Hand a file over. False where the process ended before it took the file, which is no
        fault of the file."""
        self.files += 1
        try:
            self._pipe.send((source, target, work))
            self._pipe.recv()
        except (EOFError, OSError):
            return False
        return True

    def answered(self, seconds: float) -> bool:
        """Wait at most so long for an answer, or for the end of the process."""
        return bool(connection.wait([self._pipe, self._process.sentinel], seconds))

    def answer(self) -> Any:
        """The result of the task, or its exception. WorkerProcessEnded where the process ended
        instead."""
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
            raise WorkerProcessEnded(self._process.exitcode) from None
