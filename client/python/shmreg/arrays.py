"""Arrays in regions: the convention of docs/attributes.md, with NumPy or without."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from .connection import Connection
    from .region import Region

MEDIA_TYPE = "application/x-ndarray"

# The name, the short form that NumPy calls a type string, the format of struct and memoryview.
_TYPES = (
    ("bool", "|b1", "?"),
    ("int8", "|i1", "b"),
    ("uint8", "|u1", "B"),
    ("int16", "<i2", "h"),
    ("uint16", "<u2", "H"),
    ("int32", "<i4", "i"),
    ("uint32", "<u4", "I"),
    ("int64", "<i8", "q"),
    ("uint64", "<u8", "Q"),
    ("float32", "<f4", "f"),
    ("float64", "<f8", "d"),
)
_FORMATS = {name: letter for name, _, letter in _TYPES}
_NAMES = {key: name for name, short, _ in _TYPES for key in (name, short)}


class Layout(NamedTuple):
    """How an array lies in its region."""

    dtype: str
    shape: Tuple[int, ...]
    order: str

    @property
    def size(self) -> int:
        """Bytes."""
        size = struct.calcsize("=" + _FORMATS[self.dtype])
        for length in self.shape:
            size *= length
        return size

    @property
    def attributes(self) -> Dict[str, Any]:
        """What attributes say of it."""
        return {
            "media_type": MEDIA_TYPE,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "order": self.order,
        }


def layout_of(attributes: Dict[str, Any], size: int) -> Layout:
    """The array that attributes tell of, if it fits into `size` bytes."""
    dtype = attributes.get("dtype", "uint8")
    name = _NAMES.get(dtype) if isinstance(dtype, str) else None
    if name is None:
        raise ValueError(f"the attributes name an unknown dtype: {dtype!r}")
    width = struct.calcsize("=" + _FORMATS[name])
    shape = attributes.get("shape", [size // width])
    if not isinstance(shape, (list, tuple)) or not all(
        type(length) is int and length >= 0 for length in shape
    ):
        raise ValueError(f"the attributes have no valid shape: {shape!r}")
    order = attributes.get("order", "C")
    if order not in ("C", "F"):
        raise ValueError(f"the attributes have no valid order: {order!r}")
    layout = Layout(name, tuple(shape), order)
    if layout.size > size:
        raise ValueError(f"an array of {layout.size} bytes is not in a region of {size} bytes")
    return layout


def numpy_or_none() -> Any:
    """The module numpy, which is optional."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def as_view(region: "Region", layout: Layout) -> memoryview:
    """A memoryview of the array's type and shape."""
    if sys.byteorder != "little":
        raise ValueError("arrays in regions are little-endian: NumPy is needed here")
    if layout.order == "F" and len(layout.shape) > 1:
        raise ValueError("a memoryview has order C: NumPy is needed for order F")
    view = memoryview(region)[: layout.size]
    if 0 in layout.shape:  # a memoryview without elements has one dimension
        return view.cast(_FORMATS[layout.dtype])
    return view.cast("B").cast(_FORMATS[layout.dtype], layout.shape)


def as_array(region: "Region", layout: Layout) -> Any:
    """numpy.ndarray if there is NumPy, else a memoryview. Nothing is copied."""
    numpy = numpy_or_none()
    if numpy is None:
        return as_view(region, layout)
    dtype = numpy.dtype(layout.dtype).newbyteorder("<")
    return numpy.ndarray(layout.shape, dtype, memoryview(region), order=layout.order)


def _numpy_layout(array: Any) -> Layout:
    name = _NAMES.get(array.dtype.name)
    if name is None:
        raise ValueError(f"arrays of {array.dtype} have no place in the convention")
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    return Layout(name, array.shape, order)


def _view_layout(view: memoryview) -> Layout:
    letter = view.format.lstrip("@=<" if sys.byteorder == "little" else "@=")
    # l and L are as wide as the machine has them.
    if letter in ("l", "L", "n", "N"):
        letter = {"l": "iq", "n": "iq", "L": "IQ", "N": "IQ"}[letter][view.itemsize == 8]
    if letter == "c":
        letter = "B"
    name = next((key for key, value in _FORMATS.items() if value == letter), None)
    if name is None or not view.c_contiguous:
        raise ValueError(f"not a contiguous array of a known type: {view.format!r}")
    return Layout(name, tuple(view.shape or ()), "C")


def put_array(
    connection: "Connection",
    name: str,
    array: Any,
    attributes: Optional[Dict[str, Any]],
    options: Dict[str, Any],
) -> int:
    """See Connection.put_array()."""
    numpy = numpy_or_none()
    is_numpy = numpy is not None and isinstance(array, (numpy.ndarray, numpy.generic))
    array = numpy.asarray(array) if is_numpy else memoryview(array)
    layout = _numpy_layout(array) if is_numpy else _view_layout(array)
    options["attributes"] = {**(attributes or {}), **layout.attributes}
    with connection.stage(name, max(layout.size, 1), **options) as stage:
        if is_numpy:
            as_array(stage, layout)[...] = array
        elif layout.size:
            with memoryview(stage) as target:
                target[: layout.size] = array.cast("B")
        return stage.publish()
