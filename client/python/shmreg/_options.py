"""What a new region or a mapping may be told, in words, and the numbers of the library."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, TypedDict, Union

from . import _shmreg

BACKINGS = {None: 0, "shm": 1, "memfd": 2, "file": 3, "adopted": 4}
LIFETIMES = {"persistent": 1, "attached": 2, "owner": 3, "lease": 4, "cache": 5}
DURABILITIES = {None: 0, "none": 1, "interval": 2, "publish": 3}
HUGE_PAGES = {None: 0, "2M": _shmreg.HUGE_2M, "1G": _shmreg.HUGE_1G}

_MAPPING = {
    "private": _shmreg.PRIVATE,
    "populate": _shmreg.POPULATE,
    "huge": _shmreg.HUGE,
    "sequential": _shmreg.SEQUENTIAL,
    "random": _shmreg.RANDOM,
    "willneed": _shmreg.WILLNEED,
    "locked": _shmreg.LOCK,
    "no_dump": _shmreg.NO_DUMP,
}


class MappingOptions(TypedDict, total=False):
    """How a region is mapped: see SHMREG_POPULATE and its neighbours in shmreg.h.

    SHMREG_NO_FORK is not among them: in a forked child, buffers that exist would lead nowhere.
    """

    populate: bool
    huge: bool
    sequential: bool
    random: bool
    willneed: bool
    locked: bool
    no_dump: bool


class OpenOptions(MappingOptions, total=False):
    """For open(): as MappingOptions, and copy on write."""

    private: bool


class RegionOptions(MappingOptions, total=False):
    """What a new region is: see struct shmreg_options in shmreg.h."""

    backing: Optional[str]
    lifetime: str
    seconds: int
    mode: int
    max_size: int
    acl: Union[str, Iterable[str]]
    attributes: Optional[Mapping[str, Any]]
    durability: Optional[str]
    durability_seconds: int
    sync_block: bool
    huge_pages: Optional[str]


def _number(words: Mapping[Optional[str], int], word: Optional[str], what: str) -> int:
    try:
        return words[word]
    except KeyError:
        known = ", ".join(str(key) for key in words if key)
        raise ValueError(f"{word!r} is no {what}: {known}") from None


def map_flags(options: Dict[str, Any]) -> int:
    """Takes the options of a mapping out of `options`."""
    flags = 0
    for name, flag in _MAPPING.items():
        if options.pop(name, False):
            flags |= flag
    return flags


def rules_text(acl: Union[str, Iterable[str]]) -> str:
    """Access rules as the library has them."""
    return acl if isinstance(acl, str) else ",".join(acl)


def json_text(attributes: Mapping[str, Any]) -> str:
    """Attributes as the library has them."""
    return json.dumps(dict(attributes), separators=(",", ":"), ensure_ascii=False)


def region_options(flags: int = 0, **options: Any) -> Tuple[Any, ...]:
    """struct shmreg_options, in its order."""
    attributes = options.pop("attributes", None)
    acl = options.pop("acl", ())
    if options.pop("sync_block", False):
        flags |= _shmreg.SYNC_BLOCK
    flags |= _number(HUGE_PAGES, options.pop("huge_pages", None), "size of huge pages")
    result = (
        flags,
        _number(BACKINGS, options.pop("backing", None), "backing"),
        _number(LIFETIMES, options.pop("lifetime", "persistent"), "lifetime"),
        options.pop("seconds", 0),
        options.pop("mode", 0),
        map_flags(options),
        options.pop("max_size", 0),
        rules_text(acl) or None,
        None if attributes is None else json_text(attributes),
        _number(DURABILITIES, options.pop("durability", None), "durability"),
        options.pop("durability_seconds", 0),
    )
    if options:
        raise TypeError(f"{next(iter(options))!r} is no option of a region")
    return result


def open_access(write: bool, **options: Any) -> int:
    """The access of an open."""
    access = (_shmreg.WRITE if write else _shmreg.READ) | map_flags(options)
    if options:
        raise TypeError(f"{next(iter(options))!r} is no option of a mapping")
    return access
