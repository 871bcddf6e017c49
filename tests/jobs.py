"""Jobs for the tests of the worker, which imports them by name."""

import os
import signal
from pathlib import Path


def hold(path: str) -> None:
    """Say in a file that it runs, and never end."""
    Path(path).write_text(str(os.getpid()))
    signal.pause()


def note(path: str) -> None:
    Path(path).touch()


def seconds_left() -> float:
    """Until RQ's alarm ends this job."""
    return signal.getitimer(signal.ITIMER_REAL)[0]
