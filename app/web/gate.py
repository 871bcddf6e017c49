"""How much heavy work one web process takes on at one time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from app.errors import Overloaded

RETRY_AFTER_SECONDS = 2


class Gate:
    """Admits ``capacity`` callers at one time and turns the others away at once."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._inside = 0
        self._lock = Lock()

    def check(self) -> None:
        """Raise Overloaded when there is no place, before a caller reads a large body in vain."""
        if self._inside >= self.capacity:
            raise Overloaded("The server is busy with other requests.", retry_after=RETRY_AFTER_SECONDS)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Take a place for the length of the block. Raises Overloaded."""
        with self._lock:
            self.check()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
