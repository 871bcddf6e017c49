"""Keeps processes running: restarts those that end by themselves, and stops all of them
together."""

import logging
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType, MappingProxyType

from app.lifetime import bound

logger = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
POLL_SECONDS = 0.1
PAUSE_SECONDS = 1.0
"""Pause before a restart, so that a process that cannot start does not use up the CPU."""
ENDS = 5
"""If a process ends this often within ``WINDOW_SECONDS``, all processes are stopped."""
WINDOW_SECONDS = 60.0
STOP_SECONDS = 5.0
"""How long a process may take to stop before it is killed."""


class EndsTooOften(Exception):
    """A process cannot be kept running."""


class Stopped(BaseException):
    """A signal requested the end."""


class SupervisedProcess:
    """A process in its own session, so that Ctrl-C in a terminal reaches it only through the
    supervisor."""

    def __init__(self, name: str, command: Sequence[str], stop_seconds: float) -> None:
        self._name = name
        self._command = command
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._ends: deque[float] = deque(maxlen=ENDS)

    def ensure_running(self) -> None:
        """Start the process if it is not running. Raises EndsTooOften."""
        now = time.monotonic()
        if self._process and self._process.poll() is not None:
            self._ended(now, self._process.returncode)
        if not self._process and (not self._ends or now >= self._ends[-1] + PAUSE_SECONDS):
            self._process = subprocess.Popen(bound(self._command), start_new_session=True)

    def terminate(self) -> None:
        if self._process:
            self._process.terminate()

    def wait(self, since: float) -> None:
        """Wait until the process has ended, and kill it ``stop_seconds`` after ``since``."""
        if self._process:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, since + self._stop_seconds - time.monotonic()))
            self._kill_group()
            self._process.wait()

    def _ended(self, now: float, status: int) -> None:
        self._kill_group()
        self._process = None
        self._ends.append(now)
        if len(self._ends) == ENDS and now - self._ends[0] < WINDOW_SECONDS:
            raise EndsTooOften(
                f"{self._name} ended {ENDS} times within a minute, with status {status} at last"
            )
        logger.warning("%s ended with status %s and is started again", self._name, status)

    def _kill_group(self) -> None:
        """Kill the process's children too: they may hold its port, or memory that its successor
        needs."""
        if self._process:
            with suppress(ProcessLookupError, PermissionError):  # the latter for zombies on macOS
                os.killpg(self._process.pid, signal.SIGKILL)


def keep_running(
    commands: Mapping[str, Sequence[str]], stop_seconds: Mapping[str, float] = MappingProxyType({})
) -> int:
    """Keep ``commands`` running, by their names for the log, until a signal of ``STOPPING`` or
    until one ends too often.

    ``stop_seconds`` overrides ``STOP_SECONDS`` by name. Call it in the main thread. Returns the
    exit code: 0 after a signal, 1 if a process ended too often. All processes have ended by then.
    """
    kept = [
        SupervisedProcess(name, command, stop_seconds.get(name, STOP_SECONDS))
        for name, command in commands.items()
    ]
    try:
        for number in STOPPING:
            signal.signal(number, _stop)
        while True:
            for process in kept:
                process.ensure_running()
            time.sleep(POLL_SECONDS)
    except Stopped:
        return 0
    except EndsTooOften as error:
        logger.error("%s; everything stops", error)
        return 1
    finally:
        _end(kept)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def _end(kept: Sequence[SupervisedProcess]) -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    for process in kept:
        process.terminate()
    since = time.monotonic()
    for process in kept:
        process.wait(since)
