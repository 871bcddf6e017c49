"""Leases that are renewed during work, by one thread per process for all claims of a kind."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()
Claim = TypeVar("Claim", bound=Hashable)


class Heartbeat(Generic[Claim]):
    """Calls ``renew`` every ``seconds`` with all current claims, in a thread that runs as long as
    there are any.

    Its exceptions are logged, and it is called again at the next heartbeat.
    """

    def __init__(
        self, name: str, seconds: float, renew: Callable[[frozenset[Claim]], None]
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._renew = renew
        self._claims: set[Claim] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, claim: Claim) -> None:
        with self._changed:
            self._claims.add(claim)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def discard(self, claim: Claim) -> None:
        with self._changed:
            self._claims.discard(claim)
            self._changed.notify()

    @contextmanager
    def renewing(self, claim: Claim) -> Iterator[None]:
        """Renew a claim until the block ends."""
        self.add(claim)
        try:
            yield
        finally:
            self.discard(claim)

    def _run(self) -> None:
        while claims := self._next():
            try:
                self._renew(claims)
            except Exception:
                log.exception("heartbeat.failed", claims=self._name)

    def _next(self) -> frozenset[Claim]:
        """Wait for the next heartbeat and return the current claims. The result is empty once all
        work has ended; then the thread ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._claims, self._seconds)
            if not self._claims:
                self._thread = None
            return frozenset(self._claims)
