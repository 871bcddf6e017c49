"""Separate thread pools for long work, health checks and everything else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map

from app.errors import Overloaded
from app.web.paths import plain

HEAVY = frozenset(
    {
        "admin.reconcile.mend",
        "assets.create",
        "billing.checkout",
        "billing.portal",
        "compress.batch",
        "dashboard.assets.make_export",
        "dashboard.assets.show_details",
        "dashboard.assets.view",
        "dashboard.billing.checkout",
        "dashboard.billing.portal",
        "dashboard.billing.show",
        "dashboard.editor.preview",
        "dashboard.editor.remove_background",
        "dashboard.editor.save",
        "dashboard.playground.compress_one",
        "dashboard.playground.show_original",
        "dashboard.uploads.complete",
        "dashboard.uploads.finalize",
        "delivery.upload",
        "delivery.upload_part",
        "docs.squeeze.compress_one",
        "docs.squeeze.show_original",
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
"""Endpoints that work on images, copy large files or wait for other servers.
tests/test_http_worker.py compares them with the views."""

HEALTH = frozenset({"health.healthz", "health.readyz"})
"""Health checks have their own threads, so that a thousand queued reads do not delay them."""

HEALTH_THREADS = 2
HEALTH_WAITING = 64
HEAVY_PER_THREAD = 8
LIGHT_WAITING = 1024
"""How many requests may wait: HEAVY_PER_THREAD for each heavy thread, LIGHT_WAITING in total for
the light ones."""
RETRY_AFTER_SECONDS = 2


class WorkPool:
    """A thread pool with a bounded queue. To be used on the event loop."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._max_tasks = threads + waiting
        self._pending = 0

    def check(self) -> None:
        """Raise Overloaded if the queue is too long to start new work."""
        if self._pending >= self._max_tasks:
            raise Overloaded(
                "The server is busy with other requests.", retry_after=RETRY_AFTER_SECONDS
            )

    def run(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        """Run ``work`` in a thread, even past the queue's limit, so that a request that has started
        can finish."""
        self._pending += 1
        given = asyncio.get_running_loop().run_in_executor(self._executor, work)
        given.add_done_callback(self._done)
        return given

    def _done(self, _pending: "asyncio.Future[None]") -> None:
        self._pending -= 1


class ThreadPools:
    """Chooses a request's pool by its path and method. ``threads`` is the size of the heavy
    pool."""

    def __init__(self, routes: Map, threads: int) -> None:
        self._routes = routes.bind("")
        self.heavy = WorkPool("heavy", threads, threads * HEAVY_PER_THREAD)
        self.health = WorkPool("health", HEALTH_THREADS, HEALTH_WAITING)
        self.light = WorkPool("light", max(2, threads // 2), LIGHT_WAITING)

    def of(self, method: str, path: str) -> WorkPool:
        try:
            endpoint, _ = self._routes.match(plain(path), method)
        except HTTPException:
            return self.light
        if endpoint in HEALTH:
            return self.health
        return self.heavy if endpoint in HEAVY else self.light
