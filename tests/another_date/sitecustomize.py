"""For every Python process below ``faketime``, which ``PYTHONPATH`` leads here.

Since 3.11 ``time.sleep`` waits for a moment of the monotonic clock, and faketime takes the faked
difference off that too, though it is told to leave this clock alone
(https://github.com/wolfcw/libfaketime/issues/426): EINVAL.
"""

import select
import time


def sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = sleep  # type: ignore[assignment]  # nobody waits for anything but a float
