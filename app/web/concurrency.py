"""How much heavy work one web process takes on at one time, and for whom (docs/decisions/021)."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

from app.errors import Overloaded

PATIENCE_SECONDS = 5.0
"""How long a request may wait for its place and its turn together: so long it holds a thread
without working."""
PLACE_SHARE = 0.8
"""Of its patience, what a request may spend on its place; the rest is for its turn at least."""
RETRY_AFTER_SECONDS = 2


@dataclass(eq=False)
class _Caller:
    group: str
    inside: bool = False
    answered: Event = field(default_factory=Event)


class ConcurrencyLimiter:
    """Admits ``places`` callers at one time, half of them of one group at most; a few more wait for
    a moment.

    A place that becomes free goes to the group with the fewest inside, and there to who came first.
    Inside and waiting together are at most half as many again as there are places. Past that the
    last comer of the largest crowd is turned away, which need not be who comes now. Thread-safe.
    """

    def __init__(self, places: int, patience: float = PATIENCE_SECONDS) -> None:
        self.places = places
        self.most = max(1, places // 2)
        self.patience = patience
        self._inside: Counter[str] = Counter()
        self._waiting: list[_Caller] = []
        self._lock = Lock()

    @contextmanager
    def admitted(self, group: str) -> Iterator[float]:
        """Take a place for the length of the block, which is told how many seconds of patience are
        left.

        Raises Overloaded.
        """
        began = time.monotonic()
        caller = self._come(group)
        try:
            caller.answered.wait(self.patience * PLACE_SHARE)
            if not caller.inside:
                raise Overloaded(
                    "The server is busy with other requests. Repeat this one shortly.",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            yield self.patience - (time.monotonic() - began)
        finally:
            self._go(caller)

    def _come(self, group: str) -> _Caller:
        caller = _Caller(group)
        with self._lock:
            self._waiting.append(caller)
            self._let_in()
            while (
                self._waiting
                and self._inside.total() + len(self._waiting) > self.places + self.most
            ):
                self._turn_away()
        return caller

    def _go(self, caller: _Caller) -> None:
        with self._lock:
            if caller.inside:
                self._inside[caller.group] -= 1
                self._inside = +self._inside
            elif caller in self._waiting:
                self._waiting.remove(caller)
            self._let_in()

    def _let_in(self) -> None:
        while self._inside.total() < self.places:
            admissible = [
                caller for caller in self._waiting if self._inside[caller.group] < self.most
            ]
            if not admissible:
                return
            caller = min(admissible, key=lambda caller: self._inside[caller.group])
            self._inside[caller.group] += 1
            caller.inside = True
            self._answer(caller)

    def _turn_away(self) -> None:
        crowds = self._inside + Counter(caller.group for caller in self._waiting)
        self._answer(max(reversed(self._waiting), key=lambda caller: crowds[caller.group]))

    def _answer(self, caller: _Caller) -> None:
        self._waiting.remove(caller)
        caller.answered.set()
