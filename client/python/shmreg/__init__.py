"""Named shared memory with an owner, for Python: libshmreg, without a copy.

    import shmreg

    with shmreg.connect() as daemon, daemon.create("feed/prices", 1 << 20) as region:
        memoryview(region)[:5] = b"hello"

docs/python.md is the guide, shmreg.h the manual of what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from ._errors import AccessError, BlockedError, Error, ExistsError, LimitError, NotFoundError
from ._errors import RefusedError, StaleError, WaitError
from ._listing import Description
from ._news import News
from ._options import MappingOptions, OpenOptions, RegionOptions
from .connection import Connection, Path, default_connection
from .locks import Lock
from .region import Region
from .shared_memory import ShareableList, SharedMemory

if TYPE_CHECKING:
    from typing_extensions import Unpack

__version__ = "0.1.0"


def connect(path: Optional[Path] = None, admin_path: Optional[Path] = None) -> Connection:
    """Connects to a daemon: the one with that client socket, or the default one. `admin_path` is of
    list() alone, by default the admin socket beside it."""
    return Connection(path, admin_path)


def put_array(name: str, array: Any, **options: "Unpack[RegionOptions]") -> int:
    """Connection.put_array() on the default daemon."""
    return default_connection().put_array(name, array, **options)


__all__ = [
    "AccessError",
    "BlockedError",
    "Connection",
    "Description",
    "Error",
    "ExistsError",
    "LimitError",
    "Lock",
    "MappingOptions",
    "News",
    "NotFoundError",
    "OpenOptions",
    "RefusedError",
    "Region",
    "RegionOptions",
    "ShareableList",
    "SharedMemory",
    "StaleError",
    "WaitError",
    "connect",
    "default_connection",
    "put_array",
]
