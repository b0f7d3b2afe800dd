"""The lock of a region's sync block, and locks on ranges of bytes, as context managers."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator, Optional

from ._errors import make_error
from ._waiting import wait_for

if TYPE_CHECKING:
    from .region import Region


class Lock:
    """A region's lock, for one thread of all that use it anywhere: `with region.lock() as lock:`.

    Whoever gets it after its owner died has it all the same, with `owner_died` set: the data may be half
    changed. Make it whole and call recovered(). A lock that is given back without that is of no use to
    anybody any more: the next one is told so by an Error (ENOTRECOVERABLE).
    """

    def __init__(self, region: "Region", timeout: Optional[float]) -> None:
        self.region = region
        self.timeout = timeout
        self.owner_died = False

    def _attempt(self, msec: int) -> Optional[int]:
        result = self.region._lock(msec)
        return None if result == 2 else result

    def acquire(self) -> bool:
        """Takes the lock: False when `timeout` seconds have passed."""
        result = wait_for(self._attempt, self.timeout)
        self.owner_died = result == 1
        return result is not None

    def recovered(self) -> None:
        """After `owner_died`: the data is whole again."""
        self.region._lock_recovered()
        self.owner_died = False

    def release(self) -> None:
        """Gives the lock back, and ends what write_begin() began."""
        self.region._unlock()

    def __enter__(self) -> "Lock":
        if not self.acquire():
            raise make_error(
                errno.ETIMEDOUT, f"the lock of region '{self.region.name}' is somebody else's"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextmanager
def writing(region: "Region", timeout: Optional[float]) -> Iterator[Lock]:
    """See Region.writing()."""
    with Lock(region, timeout) as lock:
        region.write_begin()
        try:
            yield lock
        finally:
            region.write_end()


@contextmanager
def range_lock(
    region: "Region", offset: int, length: int, exclusive: bool, wait: bool
) -> Iterator[None]:
    """See Region.range_lock()."""
    region._lock_range(offset, length, exclusive, wait)
    try:
        yield
    finally:
        region._unlock_range(offset, length)
