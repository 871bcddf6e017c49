"""Child processes that end with their parent, however it ends.

Otherwise the children of a killed process would continue work that another process has taken over.
Linux only; on other systems the children keep running.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent, the process ``parent``, ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # the parent ended before prctl was called


def bound(command: Sequence[str]) -> list[str]:
    """Return ``command`` wrapped so that its process ends with this one. Start it from a thread
    that lives as long, because the kernel watches the thread."""
    return [sys.executable, "-IS", __file__, str(os.getpid()), *command]


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # the command is our own; the prctl setting survives exec
