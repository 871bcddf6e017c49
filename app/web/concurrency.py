"""Limits the heavy work of one web process, and shares it between organizations
(docs/decisions/021)."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

from app.errors import Overloaded

MAX_WAIT_SECONDS = 5.0
"""How long a request may wait in total, for its place and then for its turn in the pool. Meanwhile
it holds a thread without working."""
PLACE_SHARE = 0.8
"""The share of the wait that a request may spend on its place; the rest stays for its turn."""
RETRY_AFTER_SECONDS = 2


@dataclass(eq=False)
class _Caller:
    group: str
    inside: bool = False
    answered: Event = field(default_factory=Event)


class ConcurrencyLimiter:
    """Admits ``places`` callers at a time, at most half of them from one group; a few more wait for
    up to ``max_wait`` seconds.

    A free place goes to the group with the fewest callers inside, and within it to the one that
    came first. Callers inside and waiting number at most 1.5 times ``places``. Beyond that, the
    last caller of the largest group is refused, which need not be the newest caller. Thread-safe.
    """

    def __init__(self, places: int, max_wait: float = MAX_WAIT_SECONDS) -> None:
        self.places = places
        self.max_per_group = max(1, places // 2)
        self.max_wait = max_wait
        self._inside: Counter[str] = Counter()
        self._waiting: list[_Caller] = []
        self._lock = Lock()

    @contextmanager
    def admitted(self, group: str) -> Iterator[float]:
        """Hold a place for the length of the block. Yields how many seconds of ``max_wait`` are
        left.

        Raises Overloaded.
        """
        began = time.monotonic()
        caller = self._enter(group)
        try:
            caller.answered.wait(self.max_wait * PLACE_SHARE)
            if not caller.inside:
                raise Overloaded(
                    "The server is busy with other requests. Repeat this one shortly.",
                    retry_after=RETRY_AFTER_SECONDS,
                )
            yield self.max_wait - (time.monotonic() - began)
        finally:
            self._leave(caller)

    def _enter(self, group: str) -> _Caller:
        caller = _Caller(group)
        with self._lock:
            self._waiting.append(caller)
            self._admit_waiting()
            while (
                self._waiting
                and self._inside.total() + len(self._waiting) > self.places + self.max_per_group
            ):
                self._refuse_one()
        return caller

    def _leave(self, caller: _Caller) -> None:
        with self._lock:
            if caller.inside:
                self._inside[caller.group] -= 1
                self._inside = +self._inside
            elif caller in self._waiting:
                self._waiting.remove(caller)
            self._admit_waiting()

    def _admit_waiting(self) -> None:
        while self._inside.total() < self.places:
            admissible = [
                caller
                for caller in self._waiting
                if self._inside[caller.group] < self.max_per_group
            ]
            if not admissible:
                return
            caller = min(admissible, key=lambda caller: self._inside[caller.group])
            self._inside[caller.group] += 1
            caller.inside = True
            self._answer(caller)

    def _refuse_one(self) -> None:
        crowds = self._inside + Counter(caller.group for caller in self._waiting)
        self._answer(max(reversed(self._waiting), key=lambda caller: crowds[caller.group]))

    def _answer(self, caller: _Caller) -> None:
        self._waiting.remove(caller)
        caller.answered.set()
