"""SharedMemory: multiprocessing.shared_memory.SharedMemory on regions.

A block is a region of lifetime `attached`: it ends with unlink(), as everywhere, and else some seconds
after the last process that has it open ended, however that ended. So there is nothing to be tracked, and
no tracker to destroy what others use.
"""

from __future__ import annotations

import secrets
from functools import partial
from multiprocessing import shared_memory as _standard
from types import FunctionType
from typing import Any, Optional, Tuple, Type

from ._errors import ExistsError, NotFoundError
from .connection import default_connection
from .region import Region

LINGER_SECONDS = 10
"""How long a block that nobody has open is kept: time to hand its name over."""

_TRIES = 16


def _create(name: Optional[str], size: int) -> Region:
    connection = default_connection()
    for _ in range(_TRIES):
        try:
            return connection.create(
                name or "psm_" + secrets.token_hex(4),
                size,
                lifetime="attached",
                seconds=LINGER_SECONDS,
            )
        except ExistsError:
            if name is not None:
                raise
    raise FileExistsError("no free name was found")


class SharedMemory:
    """A block of shared memory; see Python's documentation of the class with the same name.

    `track` is accepted and changes nothing: nothing is ever tracked. `name` is the region's; one slash
    before it is dropped. Blocks made by others, in any language, are opened by their names too.
    """

    _region: Optional[Region]
    _buf: Optional[memoryview]

    def __init__(
        self, name: Optional[str] = None, create: bool = False, size: int = 0, *, track: bool = True
    ) -> None:
        self._region = None
        self._buf = None
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from zero")
        if name is None and not create:
            raise ValueError("'name' can only be None if create=True")
        if name is not None and name.startswith("/"):
            name = name[1:]
        region = _create(name, size) if create else default_connection().open(name or "", write=True)
        self._region = region
        self._connection = region.connection
        self._name = region.name
        self._size = region.size
        self._buf = memoryview(region)

    def __reduce__(self) -> Tuple[Type["SharedMemory"], Tuple[str, bool, int]]:
        return (self.__class__, (self.name, False, self.size))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.name!r}, size={self.size})"

    @property
    def buf(self) -> Optional[memoryview]:
        """The contents; None after close()."""
        return self._buf

    @property
    def name(self) -> str:
        """The unique name by which others open the block."""
        return self._name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    def close(self) -> None:
        """Gives up access through this instance. What was made of `buf` stays good, and keeps the
        memory, where Python's own class fails or unmaps it."""
        if self._buf is not None:
            try:
                self._buf.release()
            except BufferError:
                pass  # an array was made of it
            self._buf = None
        if self._region is not None:
            self._region.close()
            self._region = None

    def unlink(self) -> None:
        """Frees the name; the memory goes when nobody has the block open any more. Called once, by any
        of those who have or had it open. A block that was closed and has ended already is no error."""
        try:
            self._connection.destroy(self._name)
        except NotFoundError:
            if self._region is not None or self._unlinked:
                raise
        self._unlinked = True

    _unlinked = False


def _on_regions(function: Any) -> Any:
    """The same function, whose SharedMemory is the one above."""
    names = {**function.__globals__, "SharedMemory": SharedMemory}
    copy = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__doc__ = function.__doc__
    return copy


class ShareableList(_standard.ShareableList):  # type: ignore[type-arg]
    """Python's own ShareableList, in a block of the class above."""

    __init__ = _on_regions(_standard.ShareableList.__init__)

    def __reduce__(self) -> Tuple[Any, Tuple[()]]:
        return partial(self.__class__, name=self.shm.name), ()
