"""Measures the memory and processor time of a side's processes while it works."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

import psutil

SAMPLE_SECONDS = 0.3
"""A sample takes the client's process about 5 ms."""


class Memory(NamedTuple):
    """Bytes: PSS where the system tells it, so that shared pages count once, else RSS.

    ``web``: the processes that answer HTTP. ``imaging``: those of ``ImagingPool``. ``tree``: all
    of a side's.
    """

    web: int = 0
    imaging: int = 0
    tree: int = 0


@dataclass(frozen=True)
class Taken:
    """Processor seconds of the side and of this bench with its load client, and each peak of the
    side's memory.

    ``foreign_cores``: how many cores everything else on the machine kept busy on average.
    """

    peak: Memory
    cpu_seconds: float
    client_seconds: float
    foreign_cores: float


def is_imaging_process(process: psutil.Process) -> bool:
    return any("spawn_main" in argument for argument in process.cmdline())


class Watch:
    """``with Watch(processes) as watch: …``, then ``watch.taken``."""

    taken: Taken

    def __init__(self, processes: Iterable[psutil.Process]) -> None:
        self._roles = [(process, _role(process)) for process in processes]
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._peak = Memory()

    def __enter__(self) -> Self:
        self._began = time.perf_counter(), self._cpu(), time.process_time(), _busy()
        self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        now = time.perf_counter(), self._cpu(), time.process_time(), _busy()
        seconds, cpu, client, busy = (
            after - before for before, after in zip(self._began, now, strict=True)
        )
        self._over.set()
        self._sampler.join()
        self.taken = Taken(
            self._peak, cpu, client, foreign_cores=max(0.0, busy - cpu - client) / seconds
        )

    def _cpu(self) -> float:
        """Return the processor seconds so far. Those of processes that have ended are lost, which
        is rare."""
        times = [process.cpu_times() for process, _ in self._roles if process.is_running()]
        return sum(time.user + time.system for time in times)

    def _sample(self) -> None:
        """Sample memory. The last sample is taken after the work, so that even short work has
        one."""
        over = False
        while not over:
            over = self._over.wait(SAMPLE_SECONDS)
            sizes = {"web": 0, "imaging": 0, "other": 0}
            for process, role in self._roles:
                sizes[role] += _resident(process)
            now = Memory(sizes["web"], sizes["imaging"], sum(sizes.values()))
            self._peak = Memory(*map(max, self._peak, now))


def _role(process: psutil.Process) -> str:
    if is_imaging_process(process):
        return "imaging"
    return "web" if {"gunicorn", "server.mjs"} & set(process.cmdline()) else "other"


def _resident(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.NoSuchProcess:
        return 0
    return int(getattr(full, "pss", full.rss))


def _busy() -> float:
    """Return the processor seconds of the whole machine since its start."""
    times = psutil.cpu_times()._asdict()
    return float(
        sum(times.get(name, 0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))
    )
