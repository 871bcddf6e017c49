"""What runs in a worker process: it has bounds, prints nothing and ends with its parent.

What a file gets must not depend on the files before it. So its memory is measured from what the
process holds when it begins, and a process that has grown, or ran out of memory, ends after its
answer; its supervisor thread starts another (docs/decisions/002).
"""

import ctypes
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

from app.imaging.errors import TOO_MUCH_MEMORY, ImageTooLarge
from app.imaging.limits import Limits
from app.imaging.work import Result, Work
from app.lifetime import end_with

Task = Callable[[Path, Path, Work, Limits], Result]

NICENESS = 10
ONE_THREAD = {
    "VIPS_CONCURRENCY": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
LARGE, KEPT_FREE = 4_000_000, 32_000_000
"""Bytes from which on an allocation is a mapping of its own, which is gone when it is freed, and of
the free memory that is kept at the heap's end. glibc would raise them by and by to 32 and 64 MB,
and keep more in between: 260 MB after two large AVIFs."""
MOST_GROWTH = 160_000_000
"""Bytes of address space that a process may hold more than when its engine was loaded."""


def start() -> None:
    """Prepare a new worker process and load the engine."""
    os.environ.update(ONE_THREAD)  # noqa: TID251  # sets, not reads: it is where the C libraries look
    os.nice(NICENESS)
    # Ctrl-C is for the parent. SIGTERM ends this process at once: Python's own handler would wait
    # for the decoder.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _silence()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if (parent := parent_process()) and parent.pid:
        end_with(parent.pid)
    if sys.platform == "linux":
        # When the machine runs out of memory, the kernel should end a worker process, not a web
        # process.
        Path("/proc/self/oom_score_adj").write_text("500")
        libc = ctypes.CDLL(None)
        # Each of glibc's arenas reserves 64 MB of address space, which the cap would count.
        libc.mallopt(M_ARENA_MAX, 2)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_FREE)
    _load_engine()


def serve(orders: Connection, task: Task, limits: Limits) -> None:
    """The main function of a worker process: say that the engine is loaded, then answer each file
    with its result or its exception."""
    start()
    most = _held() + MOST_GROWTH
    orders.send(None)
    while True:
        try:
            source, target, work = orders.recv()
        except EOFError:
            return
        orders.send(None)  # taken: if this process ends from here on, the file is to blame
        _cap_memory(limits.memory_bytes)
        try:
            answer: Result | Exception = task(source, target, work, limits)
        except Exception as error:
            answer = error
        orders.send(answer)
        if _held() > most or _lacked_memory(answer):
            return


def run(source: Path, target: Path, work: Work, limits: Limits) -> Result:
    """Perform the work on one file in at most ``limits.cpu_seconds``: then the kernel ends this
    process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    try:
        return _load_engine()(source, target, work, limits)
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, hard))


def _load_engine() -> Task:
    """The engine's way in. It is imported here because the parent loads this module too, and must
    not load libvips."""
    from app.imaging.engine.perform import perform  # noqa: PLC0415  # libvips hangs after a fork (docs/decisions/002)

    return perform


def _silence() -> None:
    """Drop stdout and stderr: the decoders' warnings would flood the server's log."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _cap_memory(allowance: int) -> None:
    """Let the process have ``allowance`` bytes more than it holds now. Linux only."""
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_held() + allowance, hard))


def _held() -> int:
    """Bytes of address space that the process has; 0 where the system is not Linux."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _lacked_memory(answer: object) -> bool:
    return isinstance(answer, MemoryError) or (
        isinstance(answer, ImageTooLarge) and answer.message == TOO_MUCH_MEMORY
    )
