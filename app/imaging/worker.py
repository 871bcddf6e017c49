"""A child of the pool: bounded, quiet, and gone when its parent is."""

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
from types import ModuleType

from app.imaging.limits import Limits
from app.imaging.work import Result, Work
from app.lifetime import end_with

NICENESS = 10
ONE_THREAD = {
    "VIPS_CONCURRENCY": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
}
M_ARENA_MAX = -8  # glibc's malloc.h


def start(limits: Limits) -> None:
    """Prepare a fresh child: load the engines, then cap its memory at what it has plus
    ``limits.memory_bytes``."""
    os.environ.update(ONE_THREAD)  # noqa: TID251  # sets, not reads: it is where the C libraries look
    os.nice(NICENESS)
    # Ctrl-C is for the parent. SIGTERM ends a child at once: Python's own handler would wait for
    # the decoder.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _silence()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if (parent := parent_process()) and parent.pid:
        end_with(parent.pid)
    if sys.platform == "linux":
        # Where the machine as a whole runs out of memory, a child is what the kernel should take,
        # not a web process.
        Path("/proc/self/oom_score_adj").write_text("500")
        # Each of glibc's arenas reserves 64 MB of address space, which the cap would count.
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)
    _engine()
    if sys.platform == "linux":
        _cap_memory(limits.memory_bytes)


def serve(
    orders: Connection, task: Callable[[Path, Path, Work, Limits], Result], limits: Limits
) -> None:
    """A child's life: say that the engines are loaded, then answer each file with its result or its
    exception."""
    start(limits)
    orders.send(None)
    while True:
        try:
            source, target, work = orders.recv()
        except EOFError:
            return
        orders.send(None)  # taken: from here on, its end is the file's doing
        try:
            answer: Result | Exception = task(source, target, work, limits)
        except Exception as error:
            answer = error
        orders.send(answer)


def run(source: Path, target: Path, work: Work, limits: Limits) -> Result:
    """One file, by ``engine.perform``, in at most ``limits.cpu_seconds``: past them the kernel ends
    this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    try:
        result: Result = _engine().perform(source, target, work, limits)
        return result
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, hard))


def _engine() -> ModuleType:
    """The engine, imported only here: this module is also loaded by the parent, where libvips must
    not be."""
    from app.imaging import engine  # noqa: PLC0415  # libvips started before a fork hangs the child (docs/decisions/002)

    return engine


def _silence() -> None:
    """Decoders write their warnings to stderr, where they would flood the server's log."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _cap_memory(allowance: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    cap = pages * resource.getpagesize() + allowance
    resource.setrlimit(resource.RLIMIT_AS, (cap, cap))
