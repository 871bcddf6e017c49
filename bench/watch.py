"""What a side takes of the machine while it works: memory and processor time of its processes."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Taken:
    """Peaks of memory in bytes (PSS where the system tells it, so that shared pages count once; else RSS).

    ``web``: the processes that answer HTTP; ``imaging``: the children of ``ImagingPool`` together; ``tree``: all
    processes of the side. ``cpu_seconds`` are the side's. ``foreign_cores``: what everything else on the machine, this
    bench and its load client left out, took on average.
    """

    web: int
    imaging: int
    tree: int
    cpu_seconds: float
    client_seconds: float
    foreign_cores: float


def is_imaging_child(process: psutil.Process) -> bool:
    return any("spawn_main" in argument for argument in process.cmdline())


class Watch:
    """``with Watch(processes) as watch: …`` and then ``watch.taken``. ``processes`` lists a side's processes anew."""

    taken: Taken

    def __init__(self, processes: Callable[[], Sequence[psutil.Process]]) -> None:
        self._processes = processes
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._peaks = (0, 0, 0)

    def __enter__(self) -> Self:
        self._begin = time.perf_counter(), self._cpu(), time.process_time(), _busy()
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        began, cpu, client, busy = self._begin
        seconds, cpu, client = time.perf_counter() - began, self._cpu() - cpu, time.process_time() - client
        foreign = max(0.0, _busy() - busy - cpu - client) / seconds
        self._over.set()
        self._sampler.join()
        self.taken = Taken(*self._peaks, cpu_seconds=cpu, client_seconds=client, foreign_cores=foreign)

    def _cpu(self) -> float:
        """Processor seconds so far; a child that is replaced meanwhile takes its own with it, which is rare."""
        times = [process.cpu_times() for process in self._processes() if process.is_running()]
        return sum(time.user + time.system for time in times)

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            now = self._memory()
            self._peaks = (max(self._peaks[0], now[0]), max(self._peaks[1], now[1]), max(self._peaks[2], now[2]))

    def _memory(self) -> tuple[int, int, int]:
        web = imaging = rest = 0
        for process in self._processes():
            try:
                with process.oneshot():
                    size, command = _resident(process), " ".join(process.cmdline())
                    if is_imaging_child(process):
                        imaging += size
                    elif "gunicorn" in command or "server.mjs" in command:
                        web += size
                    else:
                        rest += size
            except psutil.NoSuchProcess:
                continue
        return web, imaging, web + imaging + rest


def _resident(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.rss))


def _busy() -> float:
    """Processor seconds that the whole machine has worked since it started."""
    times = psutil.cpu_times()._asdict()
    return float(sum(times[name] for name in ("user", "nice", "system", "irq", "softirq", "steal") if name in times))
