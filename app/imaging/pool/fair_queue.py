"""A queue that serves groups in turn, so that no large group keeps the others waiting."""

from collections import Counter, deque
from threading import Condition
from typing import Generic, Protocol, TypeVar

LEAST_SECONDS = 1e-6
"""Any work counts as at least this long, so that each piece changes its group's rank."""


class Grouped(Protocol):
    @property
    def group(self) -> str: ...


Item = TypeVar("Item", bound=Grouped)


class FairQueue(Generic[Item]):
    """First in, first out within a group. Thread-safe; takers never wait while something is in the
    queue.

    Among the groups that wait, the next is the one with the fewest items at work, then the one
    whose items have taken the least time, then the one with fewer items waiting, then the one that
    came first. So groups take turns when their work is of equal length, and otherwise each gets the
    same share of the takers' time. A new group starts level with the least served one: no group
    saves up turns, and a group that has taken more than the rest keeps that while it is briefly
    away.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: dict[str, deque[Item]] = {}
        self._at_work: Counter[str] = Counter()
        self._taken: dict[str, float] = {}
        """Seconds by group: those that wait or are at work, and those that left after taking more
        than the least served."""
        self._closed = False

    def put(self, item: Item) -> None:
        with self._changed:
            if item.group not in self._present():
                self._taken[item.group] = max(self._taken.get(item.group, 0.0), self._level())
            self._waiting.setdefault(item.group, deque()).append(item)
            self._changed.notify()

    def take(self) -> Item | None:
        """Wait for the next item; it is at work until ``done``. None once the queue is closed and
        empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            group = min(self._waiting, key=self._rank)
            item = self._waiting[group].popleft()
            if not self._waiting[group]:
                del self._waiting[group]
            self._at_work[group] += 1
            return item

    def done(self, item: Item, seconds: float) -> None:
        """Report that the taker has finished an item, and how long that took."""
        with self._changed:
            self._taken[item.group] += max(seconds, LEAST_SECONDS)
            self._at_work[item.group] -= 1
            present, level = self._present(), self._level()
            self._at_work = +self._at_work
            self._taken = {
                group: taken
                for group, taken in self._taken.items()
                if group in present or (present and taken > level)
            }

    def close(self) -> None:
        """Takers get what is in the queue, and then None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _rank(self, group: str) -> tuple[int, float, int]:
        return self._at_work[group], self._taken[group], len(self._waiting[group])

    def _present(self) -> set[str]:
        """Groups that wait or are at work."""
        return self._waiting.keys() | +self._at_work

    def _level(self) -> float:
        """What the least served of those present has taken."""
        return min((self._taken[group] for group in self._present()), default=0.0)
