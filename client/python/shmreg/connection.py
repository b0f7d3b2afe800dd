"""Connection: to a daemon, and everything that is asked of it."""

from __future__ import annotations

import asyncio
import builtins
import os
import threading
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Dict, Iterable, List, Mapping
from typing import Optional, Tuple, Union

from . import _listing, _options, _shmreg, arrays
from ._listing import Description
from ._news import News, Watcher, watcher
from .region import Region

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._options import MappingOptions, OpenOptions, RegionOptions

Path = Union[str, "os.PathLike[str]"]


class Connection(_shmreg.Connection):
    """One client of the daemon; a context manager. Any number of threads may use it, and a forked child
    may go on with it.

    close() ends no region: those stay as they are, and the socket ends with the last of them. Without a
    close(), it all ends when nothing leads to it any more.
    """

    def __init__(self, path: Optional[Path] = None, admin_path: Optional[Path] = None) -> None:
        self._watchers: Dict[asyncio.AbstractEventLoop, Watcher] = {}
        text = None if path is None else os.fspath(path)
        self._admin_path = _listing.admin_path(text) if admin_path is None else os.fspath(admin_path)
        super().__init__(*() if text is None else (text,))

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes no more calls."""
        super().close()
        for found in list(self._watchers.values()):
            found.fail()

    def _named(self, region: Any, name: str) -> Region:
        region.name = name
        region.connection = self
        return region  # type: ignore[no-any-return]

    def create(
        self, name: str, size: int, *, exist_ok: bool = False, **options: "Unpack[RegionOptions]"
    ) -> Region:
        """Creates a region of zeroes and maps it for writing. With exist_ok, one that exists is taken
        as it is. Options: shmreg.RegionOptions."""
        flags = _shmreg.EXISTING_OK if exist_ok else 0
        made = self._create(Region, name, size, _options.region_options(flags, **options))
        return self._named(made, name)

    def create_detached(self, name: str, size: int, **options: "Unpack[RegionOptions]") -> None:
        """Creates a region and maps nothing."""
        self._create(Region, name, size, _options.region_options(_shmreg.DETACHED, **options))

    def adopt(
        self, name: str, file: Union[int, Any], **options: "Unpack[RegionOptions]"
    ) -> Region:
        """Makes a region of memory that there is already: a memfd, shm object or file, given by its
        descriptor or by an object that has one. Nothing is copied."""
        fd = file if isinstance(file, int) else file.fileno()
        made = self._adopt(Region, name, fd, _options.region_options(**options))
        return self._named(made, name)

    def open(self, name: str, *, write: bool = False, **options: "Unpack[OpenOptions]") -> Region:
        """Opens a region and maps it, read-only unless `write`. Options: shmreg.OpenOptions."""
        made = self._open(Region, name, _options.open_access(write, **options))
        return self._named(made, name)

    def open_many(
        self, names: Iterable[str], *, write: bool = False, **options: "Unpack[OpenOptions]"
    ) -> List[Region]:
        """Opens up to 64 regions in one round trip: all of them, or none."""
        names = tuple(names)
        made = self._open_many(Region, names, _options.open_access(write, **options))
        return [self._named(region, name) for region, name in zip(made, names)]

    def stage(self, name: str, size: int, **options: "Unpack[RegionOptions]") -> Region:
        """Memory of zeroes that nobody else sees, to be filled at leisure and then published under that
        name, whether the region exists or not: publish(). Its close() without that discards it."""
        made = self._stage(Region, name, size, _options.region_options(**options))
        return self._named(made, name)

    def put(self, name: str, data: Any, *, mode: Optional[int] = None) -> None:
        """Makes bytes, at most 60 KiB, the whole content of a region, in one step. Creates it if it is
        not there, with that mode."""
        self._put(name, data, 2**32 - 1 if mode is None else mode)

    def snapshot(
        self,
        source: str,
        name: str,
        *,
        progress: Optional[Callable[[int, int], object]] = None,
        **options: "Unpack[RegionOptions]",
    ) -> None:
        """Makes a new region with the present content of another; progress(done, total) is called
        from time to time. An exception of it is raised when the copy has been made."""
        self._snapshot(source, name, _options.region_options(**options), progress)

    def renew(self, name: str, seconds: int = 0) -> None:
        """Lets a lease run for `seconds` from now on; 0: for the duration it has."""
        self._renew(name, seconds)

    def set_attributes(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Replaces the attributes."""
        self._set_attributes(name, _options.json_text(attributes))

    def set_access(
        self,
        name: str,
        *,
        mode: Optional[int] = None,
        acl: Union[None, str, Iterable[str]] = None,
    ) -> None:
        """Changes who may map the region from now on; None leaves what is."""
        rules = None if acl is None else _options.rules_text(acl)
        self._set_access(name, 2**32 - 1 if mode is None else mode, rules)

    def describe(self, name: str) -> Description:
        """What a region is."""
        return _listing.from_library(self._describe(name))

    def list(self, prefix: str = "") -> List[Description]:
        """The regions that the caller has any right to and whose names begin so, by name. Asks the
        daemon's admin socket, on a connection of its own."""
        return _listing.list_regions(self._admin_path, prefix)

    def put_array(
        self,
        name: str,
        array: Any,
        *,
        attributes: Optional[Dict[str, Any]] = None,
        **options: "Unpack[RegionOptions]",
    ) -> int:
        """Publishes an array, of NumPy's or anything with a buffer of numbers, with the attributes that
        ndarray() needs, and returns the version: readers see the whole old array or the whole new one.
        Further attributes and the options of a new region may be given."""
        return arrays.put_array(self, name, array, attributes, dict(options))

    def process(self) -> "builtins.list[Tuple[Region, News]]":
        """What has happened to the regions of this connection since it was last said, by now. For event
        loops other than asyncio's: call it when fileno() is readable. Never waits for news."""
        reports = [(region, News(what)) for region, what in self._process()]
        for found in list(self._watchers.values()):
            found.tell(reports)
        return reports

    def news(self) -> AsyncIterator[Tuple[Region, News]]:
        """`async for region, news in connection.news()`: all news of all its regions, as it comes."""
        return watcher(self).news()


_lock = threading.Lock()
_defaults: Dict[Optional[str], Connection] = {}


def default_connection() -> Connection:
    """The connection of the functions of the module: one for the process, to the default daemon."""
    path = os.environ.get("SHMREG_SOCKET")
    with _lock:
        found = _defaults.get(path)
        if found is None or found.closed:
            found = _defaults[path] = Connection()
        return found


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
