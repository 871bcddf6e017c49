"""Processes that end with the one that started them, however that one ends.

Without it, the children of a process that was killed go on for ever, on work that was taken up
elsewhere. Linux' kernel does this; elsewhere they stay behind.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with(parent: int) -> None:
    """Have the kernel kill this process when the process ``parent``, which started it, is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it was gone before the kernel was asked


def bound(command: Sequence[str]) -> list[str]:
    """``command``, for a process that ends with this one. To be started by a thread that lives as
    long."""
    return [sys.executable, "-IS", __file__, str(os.getpid()), *command]


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # the command is our own; what the kernel was told stays
