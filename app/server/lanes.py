"""Threads for work that takes long, and threads of their own for everything else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map

from app.errors import Overloaded
from app.web.paths import plain

HEAVY = frozenset(
    {
        "assets.create",
        "billing.checkout",
        "billing.portal",
        "compress.batch",
        "delivery.upload",
        "exports.create",
        "images.create_from_url",
        "images.imagine",
        "images.upload",
        "renditions.export_url",
        "transformations.blur",
        "transformations.convert",
        "transformations.crop",
        "transformations.mirror",
        "transformations.modulate",
        "transformations.remove_background",
        "transformations.resize",
        "transformations.rotate",
        "transformations.transform",
        "transformations.watermark",
    }
)
"""Endpoints that work on images, copy large files or wait for other servers. tests/architecture
compares the views."""

HEALTH = frozenset({"health.healthz", "health.readyz"})
"""Endpoints by which others see that the process works: a thousand reads at once do not come before
them."""

HEALTH_THREADS = 2
HEALTH_WAITING = 64
HEAVY_PER_THREAD = 8
LIGHT_WAITING = 1024
"""Requests that may wait: for each thread, where work takes long, and in all, where it does not."""
RETRY_AFTER_SECONDS = 2


class Lane:
    """Some threads, and the work that waits for them. For the event loop."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = threads + waiting
        self._given = 0

    def check(self) -> None:
        """Raise Overloaded where too much waits already for new work to be begun."""
        if self._given >= self._most:
            raise Overloaded(
                "The server is busy with other requests.", retry_after=RETRY_AFTER_SECONDS
            )

    def run(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        """Have a thread do it, whatever waits: what was begun is finished."""
        self._given += 1
        given = asyncio.get_running_loop().run_in_executor(self._executor, work)
        given.add_done_callback(self._done)
        return given

    def _done(self, _given: "asyncio.Future[None]") -> None:
        self._given -= 1


class Lanes:
    """Which lane a request takes, told by its path and method. ``threads`` are those of the heavy
    one."""

    def __init__(self, routes: Map, threads: int) -> None:
        self._routes = routes.bind("")
        self.heavy = Lane("heavy", threads, threads * HEAVY_PER_THREAD)
        self.health = Lane("health", HEALTH_THREADS, HEALTH_WAITING)
        self.light = Lane("light", max(2, threads // 2), LIGHT_WAITING)

    def of(self, method: str, path: str) -> Lane:
        try:
            endpoint, _ = self._routes.match(plain(path), method)
        except HTTPException:
            return self.light
        if endpoint in HEALTH:
            return self.health
        return self.heavy if endpoint in HEAVY else self.light
