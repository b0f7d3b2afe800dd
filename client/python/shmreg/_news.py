"""News in an asyncio loop.

The library has one descriptor for the news of a connection. A loop watches it while somebody there waits,
and whoever reads the news, in whatever thread, tells all loops that do. Who waits for a region registers
first and looks at the region then, so no news falls in between.
"""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, AsyncIterator, Dict, List, Set, Tuple

from . import _shmreg
from ._errors import Error

if TYPE_CHECKING:
    from .connection import Connection
    from .region import Region


class News(enum.IntFlag):
    """What has happened to a region, more than one at once if so much has."""

    PUBLISHED = _shmreg.NEWS_PUBLISHED
    RESIZED = _shmreg.NEWS_RESIZED
    SEALED = _shmreg.NEWS_SEALED
    DESTROYED = _shmreg.NEWS_DESTROYED


Reports = List[Tuple["Region", News]]


class Watcher:
    """One loop's interest in one connection."""

    def __init__(self, connection: "Connection", loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._fd = -1
        self._waiters: Dict["Region", Set["asyncio.Future[None]"]] = {}
        self._queues: Set["asyncio.Queue[Reports]"] = set()

    def _begin(self) -> None:
        if self._fd < 0:
            self._fd = self._connection.fileno()
            self._loop.add_reader(self._fd, self._readable)

    def _end(self) -> None:
        if self._fd >= 0 and not self._waiters and not self._queues:
            self._loop.remove_reader(self._fd)
            self._fd = -1
            self._connection._watchers.pop(self._loop, None)

    def _readable(self) -> None:
        if self._connection.closed:
            return
        try:
            self._connection.process()
        except Error:
            pass  # no daemon just now: the descriptor becomes readable when it is time to look again

    def tell(self, reports: Reports) -> None:
        """Called by any thread."""
        self._loop.call_soon_threadsafe(self._take, reports)

    def _take(self, reports: Reports) -> None:
        for region, _ in reports:
            for future in self._waiters.get(region, ()):
                if not future.done():
                    future.set_result(None)
        for queue in self._queues:
            queue.put_nowait(reports)

    def fail(self) -> None:
        """The connection is closed: nobody hears any more. Called by any thread."""

        def end() -> None:
            for futures in self._waiters.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(ValueError("the connection is closed"))
            for queue in self._queues:
                queue.put_nowait([])

        if self._fd >= 0:
            try:
                self._loop.call_soon_threadsafe(end)
            except RuntimeError:
                pass  # the loop is closed, and with it all who waited there

    async def changed(self, region: "Region") -> None:
        """Returns when the region is not current."""
        while region.is_current:
            future: "asyncio.Future[None]" = self._loop.create_future()
            futures = self._waiters.setdefault(region, set())
            futures.add(future)
            try:
                self._begin()
                if region.is_current:
                    await future
            finally:
                futures.discard(future)
                if not futures:
                    self._waiters.pop(region, None)
                self._end()

    async def news(self) -> AsyncIterator[Tuple["Region", News]]:
        """All news of the connection."""
        queue: "asyncio.Queue[Reports]" = asyncio.Queue()
        self._queues.add(queue)
        try:
            self._begin()
            self._readable()
            while not self._connection.closed:
                for report in await queue.get():
                    yield report
        finally:
            self._queues.discard(queue)
            self._end()


def watcher(connection: "Connection") -> Watcher:
    """The one of the running loop."""
    loop = asyncio.get_running_loop()
    found = connection._watchers.get(loop)
    if found is None:
        found = connection._watchers[loop] = Watcher(connection, loop)
    return found

