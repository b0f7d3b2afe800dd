"""Seconds of Python to milliseconds of the library, and Ctrl-C in between.

A sleep in the library goes on after a signal, and Python runs its handlers in the main thread only once
that comes back. So the main thread sleeps for short whiles, and no other thread does.
"""

from __future__ import annotations

import threading
import time
from math import ceil
from typing import Callable, Optional, TypeVar

_WHILE_MSEC = 200
_MOST_MSEC = 2**31 - 1

T = TypeVar("T")


def wait_for(attempt: Callable[[int], Optional[T]], timeout: Optional[float]) -> Optional[T]:
    """Calls `attempt(msec)` until it gives something, or None when `timeout` seconds have passed."""
    end = None if timeout is None else time.monotonic() + timeout
    in_main = threading.current_thread() is threading.main_thread()
    while True:
        left = None if end is None else max(0, ceil((end - time.monotonic()) * 1000))
        msec = -1 if left is None else min(left, _MOST_MSEC)
        if in_main:
            msec = _WHILE_MSEC if left is None else min(left, _WHILE_MSEC)
        result = attempt(msec)
        if result is not None or msec == left:
            return result
