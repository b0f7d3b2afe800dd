"""Region: a handle to named shared memory that is mapped into this process."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any, ContextManager, Dict, Optional, Sequence, Tuple

from . import _shmreg, arrays, locks
from ._errors import WaitError, make_error
from ._listing import Description
from ._news import watcher
from ._waiting import wait_for

if TYPE_CHECKING:
    from .connection import Connection


class Region(_shmreg.Region):
    """What open(), create(), stage() and adopt() give: a context manager with the buffer protocol.

    `memoryview(region)` is the memory itself, read-only if the region was opened for reading. A
    memoryview, an array or anything else made of it stays good after close(), after refresh(), after the
    connection is closed: the memory is unmapped when nothing leads to it any more.
    """

    name: str
    connection: "Connection"
    _layout: Optional[Tuple[int, Dict[str, Any]]] = None

    def __enter__(self) -> "Region":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"version {self.version}, {self.size} bytes"
        return f"<shmreg.Region {self.name!r}: {state}>"

    @property
    def data(self) -> memoryview:
        """The memory, as a new memoryview of bytes."""
        return memoryview(self)

    def copy(self, offset: int = 0, size: Optional[int] = None) -> bytes:
        """A copy of some bytes. A page that a writer took away is an Error (EFAULT), not the SIGBUS that
        ends a process which meets it through a buffer; the first call installs a handler for that."""
        return self._copy(offset, self.size - offset if size is None else size)

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Sleeps until the region is not current any more: at once if it is not. False when `timeout`
        seconds have passed; None is without end. Then refresh()."""
        return wait_for(lambda msec: self._wait(msec) or None, timeout) is not None

    async def wait_async(self, timeout: Optional[float] = None) -> bool:
        """wait() for asyncio: other tasks run meanwhile."""
        try:
            await asyncio.wait_for(watcher(self.connection).changed(self), timeout)
        except asyncio.TimeoutError:
            return not self.is_current
        return True

    def publish(self, expected_version: int = 0) -> int:
        """Makes a stage the region's current version, and returns that. StaleError if the region is not
        at `expected_version` (0: any)."""
        return self._publish(expected_version)

    def describe(self) -> Description:
        """What the region is now; one round trip."""
        return self.connection.describe(self.name)

    def flush(self, offset: int = 0, length: Optional[int] = None) -> None:
        """Puts bytes of a file region on disk."""
        self._flush(offset, self.size - offset if length is None else length)

    def lock(self, timeout: Optional[float] = None) -> locks.Lock:
        """The region's lock, for a `with`; WaitError when `timeout` seconds have passed."""
        return locks.Lock(self, timeout)

    def writing(self, timeout: Optional[float] = None) -> ContextManager[locks.Lock]:
        """The lock, and the sequence at writing: readers that use read() see all of it or nothing."""
        return locks.writing(self, timeout)

    def range_lock(
        self, offset: int = 0, length: int = 0, *, exclusive: bool = True, wait: bool = True
    ) -> ContextManager[None]:
        """Locks a range of bytes (length 0: to the end) against other mappings, for a `with`."""
        return locks.range_lock(self, offset, length, exclusive, wait)

    def read_begin(self, timeout: Optional[float] = 1.0) -> int:
        """Waits while a writer writes; what it returns is for read_retry()."""
        begun = wait_for(self._read_begin, timeout)
        if begun is None:
            raise make_error(errno.ETIMEDOUT, f"a writer of region '{self.name}' does not come to an end")
        return begun

    def read(
        self, offset: int = 0, size: Optional[int] = None, timeout: Optional[float] = 1.0
    ) -> bytes:
        """A copy that no writer changed meanwhile, by the region's sequence: the writers have to use
        writing(). Without a lock, and without a system call if nobody writes."""
        while True:
            begun = self.read_begin(timeout)
            content = bytes(self.data[offset : None if size is None else offset + size])
            if not self.read_retry(begun):
                return content

    def wait_event(self, last: int, timeout: Optional[float] = None) -> int:
        """Sleeps until the region's event is another than `last`, and returns it: `last` of the next
        call. WaitError when `timeout` seconds have passed."""
        event = wait_for(lambda msec: self._event_after(last, msec), timeout)
        if event is None:
            raise WaitError(errno.ETIMEDOUT, f"nobody has notified region '{self.name}'")
        return event

    def _event_after(self, last: int, msec: int) -> Optional[int]:
        is_another, event = self._wait_event(last, msec)
        return event if is_another else None

    def _attributes(self) -> Dict[str, Any]:
        """Of the version that is mapped; if that was replaced before they were ever asked for, the
        handle goes to the present one."""
        while True:
            if self._layout is not None and self._layout[0] == self.version:
                return self._layout[1]
            description = self.describe()
            if description.version == self.version and self.is_current:
                self._layout = (self.version, description.attributes)
            else:
                self.refresh()

    def ndarray(
        self,
        dtype: Optional[str] = None,
        shape: Optional[Sequence[int]] = None,
        order: Optional[str] = None,
    ) -> Any:
        """The array that the attributes tell of, without a copy: a numpy.ndarray, or a memoryview of
        that type and shape where there is no NumPy. What is given here is not looked up."""
        return arrays.as_array(self, self._array_layout(dtype, shape, order))

    def view(
        self,
        dtype: Optional[str] = None,
        shape: Optional[Sequence[int]] = None,
        order: Optional[str] = None,
    ) -> memoryview:
        """As ndarray(), and always a memoryview."""
        return arrays.as_view(self, self._array_layout(dtype, shape, order))

    def _array_layout(
        self, dtype: Optional[str], shape: Optional[Sequence[int]], order: Optional[str]
    ) -> arrays.Layout:
        given: Dict[str, Any] = {"dtype": dtype, "order": order}
        given["shape"] = None if shape is None else [int(length) for length in shape]
        given = {key: value for key, value in given.items() if value is not None}
        attributes = {} if dtype is not None else self._attributes()
        return arrays.layout_of({**attributes, **given}, self.size)
