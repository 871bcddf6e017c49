"""The tests' time. It stands at a noon; who must have the machine's is named here, with the reason.

``./run dates`` shows that the tests pass on other days too.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from tempfile import TemporaryFile

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""Far from the borders of its month and its hour, and a week after it is too."""
TICK = timedelta(milliseconds=1)

REAL_TIME = {
    "tests/adapters/storage/test_interface.py": "the S3 server dates what was begun by its own "
    "clock",
    "tests/adapters/payments/test_stripe.py": "Stripe's library compares signatures with the "
    "machine's clock",
    "tests/api/test_on_s3.py": "the S3 server refuses URLs that its own clock finds too old",
    "tests/architecture/test_queues.py": "RQ plans its cron by the machine's clock",
    "tests/dev/stripe/test_deliveries.py": "Stripe's library compares signatures with the "
    "machine's clock",
    "tests/browser/door.py": "the service compares codes by its own clock",
    "tests/browser/test_second_factors.py": "the service compares codes by its own clock",
    "tests/delivery/conftest.py": "the S3 server refuses URLs that its own clock finds too old; "
    "ours promises the same",
    "tests/delivery/test_parts.py": "the S3 server refuses URLs that its own clock finds too old",
    "tests/delivery/test_signed_urls.py": "the S3 server refuses URLs that its own clock finds too "
    "old",
    "tests/services/test_inventory.py": "the S3 server dates objects by its own clock",
    "tests/test_worker.py": "RQ plans its cron by the machine's clock",
    "tests/web/test_limits.py": "Valkey and the limits library count real seconds",
    "tests/webhooks/events.py": "Stripe's library compares signatures with the machine's clock",
}
"""The files that use ``real_now`` or the fixture ``real_time``: all others have the fixture
``clock``.

The processes that tests start (whole services, workers, Valkey, PostgreSQL, the S3 server,
browsers) live on the machine's clock by themselves, and files are dated by the kernel.
"""


class Clock:
    """The time as the application sees it: at noon, until a test moves it.

    Each reading is a millisecond after the last, in any thread, so that what is made later sorts
    later, as in life.
    """

    def __init__(self) -> None:
        self.set(NOON)

    def __call__(self) -> datetime:
        return self._read() + self._offset

    def advance(self, **by: float) -> None:
        self._offset += timedelta(**by)

    def set(self, moment: datetime) -> None:
        """The next reading is ``moment``."""
        ticks = count()
        self._follow(lambda: moment + next(ticks) * TICK)

    def follow_the_machine(self) -> None:
        self._follow(real_now)

    def _follow(self, read: Callable[[], datetime]) -> None:
        self._read, self._offset = read, timedelta()


def real_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def file_now() -> datetime:
    """The kernel's clock, by which it dates files; ``./run dates`` does not move it."""
    with TemporaryFile() as file:
        return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)


def another_date() -> dict[str, str]:
    """What ``./run dates`` puts into the environment, for a process that inherits none."""
    names = ("LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC", "PYTHONPATH", "TZ")
    return {name: os.environ[name] for name in names if name in os.environ}
