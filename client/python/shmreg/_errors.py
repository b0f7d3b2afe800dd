"""The exceptions: what the daemon or the library said, with its errno.

The classes also are Python's own for the same errno, so that `except FileNotFoundError` works.
"""

from __future__ import annotations

import errno
import os


class Error(OSError):
    """A call failed: `errno` says how, `strerror` is the sentence with the name, limit or right."""


class NotFoundError(Error, FileNotFoundError):
    """There is no region of that name, or no daemon's socket."""


class ExistsError(Error, FileExistsError):
    """The name is taken."""


class AccessError(Error, PermissionError):
    """A right is missing, which the text names."""


class WaitError(Error, TimeoutError):
    """Time has passed: a lock was not free, or the daemon did not come back."""


class BlockedError(Error, BlockingIOError):
    """Somebody else has locked it."""


class RefusedError(Error, ConnectionRefusedError):
    """No daemon listens on the socket."""


class StaleError(Error):
    """Another publisher was first."""


class LimitError(Error):
    """A limit, which the text names, is reached."""


_CLASSES = {
    errno.ENOENT: NotFoundError,
    errno.EEXIST: ExistsError,
    errno.EACCES: AccessError,
    errno.EPERM: AccessError,
    errno.ETIMEDOUT: WaitError,
    errno.EAGAIN: BlockedError,
    errno.ECONNREFUSED: RefusedError,
    errno.ESTALE: StaleError,
    errno.EDQUOT: LimitError,
}


def make_error(code: int, text: str) -> Error:
    """The exception for a positive errno."""
    return _CLASSES.get(code, Error)(code, text or os.strerror(code))
