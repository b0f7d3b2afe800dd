"""Listing and describing regions.

The library describes one region that the caller names. Only the admin socket lists them: its interface
is Varlink, made to be called by anyone with a socket and JSON, and that is all that is done here.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

from . import _options, _shmreg
from ._errors import make_error

_RIGHTS = ((1, "r"), (2, "w"), (4, "m"))
_NONE_RUNNING = 2**32 - 1


@dataclass(frozen=True)
class Description:
    """What a region is. Times are seconds since 1970."""

    name: str
    id: int
    version: int
    size: int
    max_size: int
    backing: str
    lifetime: str
    seconds: int
    remaining_seconds: Optional[int]
    mode: int
    acl: List[str]
    attributes: Dict[str, Any]
    owner_uid: int
    owner_gid: int
    rights: Optional[str]
    """The caller's, of "rwm"; None in a list."""
    readers: int
    writers: int
    created: float
    changed: float
    sync_block: bool
    sealed: bool
    huge_pages: Optional[str]
    durability: str
    durability_seconds: int


_SAME = (
    *("name", "id", "version", "size", "max_size", "seconds", "owner_uid", "owner_gid"),
    *("readers", "writers", "sealed", "durability_seconds"),
)


def _word(words: Mapping[Optional[str], int], number: int) -> str:
    return next((word for word, value in words.items() if word and value == number), str(number))


def from_library(it: Dict[str, Any]) -> Description:
    """Of shmreg_describe()."""
    flags = it["flags"]
    remaining = it["remaining_seconds"]
    return Description(
        **{key: it[key] for key in _SAME},
        backing=_word(_options.BACKINGS, it["backing"]),
        lifetime=_word(_options.LIFETIMES, it["lifetime"]),
        remaining_seconds=None if remaining == _NONE_RUNNING else remaining,
        mode=it["mode"],
        acl=it["acl"].split(",") if it["acl"] else [],
        attributes=json.loads(it["attributes"] or "{}"),
        rights="".join(letter for bit, letter in _RIGHTS if it["rights"] & bit),
        created=it["created_usec"] / 1e6,
        changed=it["changed_usec"] / 1e6,
        sync_block=bool(flags & _shmreg.SYNC_BLOCK),
        huge_pages="1G" if flags & _shmreg.HUGE_1G else "2M" if flags & _shmreg.HUGE_2M else None,
        durability=_word(_options.DURABILITIES, it["durability"]),
    )


def _from_varlink(it: Dict[str, Any]) -> Description:
    return Description(
        **{key: it[key] for key in _SAME},
        backing=it["backing"],
        lifetime=it["lifetime"],
        remaining_seconds=it.get("remaining_seconds"),
        mode=int(it["mode"], 8),
        acl=it["acl"],
        attributes=it["attributes"],
        rights=None,
        created=it["created_usec"] / 1e6,
        changed=it["changed_usec"] / 1e6,
        sync_block=it["sync_block"],
        huge_pages=it.get("huge_pages"),
        durability=it["durability"],
    )


def admin_path(client_path: Optional[str]) -> str:
    """The admin socket of the daemon with that client socket, or of the default daemon."""
    if client_path is None:
        client_path = os.environ.get("SHMREG_SOCKET") or None
        named = os.environ.get("SHMREG_ADMIN_SOCKET")
        if named:
            return named
    if client_path is not None:
        return os.path.join(os.path.dirname(client_path), "admin.sock")
    directory = os.environ.get("XDG_RUNTIME_DIR", "")
    path = os.path.join(directory, "shmregd", "admin.sock")
    if os.getuid() != 0 and directory.startswith("/") and os.path.exists(path):
        return path
    return "/run/shmregd/admin.sock"


def _call(path: str, method: str, parameters: Dict[str, Any]) -> Dict[str, Any]:
    request = json.dumps({"method": method, "parameters": parameters}).encode() + b"\0"
    reply = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        try:
            stream.connect(path)
            stream.sendall(request)
            while not reply.endswith(b"\0"):
                data = stream.recv(1 << 16)
                if not data:
                    raise ConnectionResetError(errno.ECONNRESET, "the daemon hung up")
                reply += data
        except OSError as error:
            raise make_error(error.errno or errno.EIO, f"{path}: {error.strerror}") from error
    answer = json.loads(reply[:-1])
    if "error" in answer:
        detail = answer.get("parameters", {})
        raise make_error(detail.get("errno", errno.EPROTO), detail.get("message", answer["error"]))
    return dict(answer.get("parameters", {}))


def list_regions(path: str, prefix: str) -> List[Description]:
    """The regions the caller has any right to, by name."""
    parameters = {"prefix": prefix} if prefix else {}
    reply = _call(path, "io.shmreg.Admin.ListRegions", parameters)
    return [_from_varlink(region) for region in reply["regions"]]
