"""Safetensors files: identical bytes on every machine, and untrusted files are checked when read.

A file is 8 bytes of header length (little-endian), the header (JSON: name -> dtype, shape, data_offsets) and
the data. The safetensors package writes the same format, but its order of tensors may change with its
version; a published model must have one CID.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steelyard.errors import FormatError
from steelyard.jobs.canonical_json import check_depth
from steelyard.util.atomic import atomic

DTYPES: Mapping[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "U8": np.dtype("u1")}
MAX_HEADER = 1 << 20
MAX_DIMENSIONS = 8

_CODES = {dtype: code for code, dtype in DTYPES.items()}
_ALIGN = 8

Layout = tuple[str, str, tuple[int, ...]]
"""Name, dtype code and shape of a tensor."""


def write_stream(path: Path, layout: Sequence[Layout], arrays: Iterable[NDArray[Any]]) -> None:
    """Write tensors one by one, so that memory holds at most one.

    Raises FormatError if an array does not have the layout's dtype and size, DiskFull.
    """
    with atomic(path) as file:
        file.write(header_of(layout))
        for (name, code, shape), values in zip(layout, arrays, strict=True):
            if values.dtype != DTYPES[code] or values.size != math.prod(shape):
                raise FormatError(
                    f"tensor {name!r} is {values.dtype} {values.shape}, not {code} {shape}",
                    remedy="give the tensors in the order and with the types of the layout",
                )
            file.write(np.ascontiguousarray(values).data)


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write float32 and uint8 arrays in the mapping's order. Raises FormatError for another type."""
    layout = [(name, _CODES.get(array.dtype, "F32"), array.shape) for name, array in tensors.items()]
    write_stream(path, layout, tensors.values())


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Map the file's tensors into memory, read-only, in the order of their bytes.

    Raises FormatError unless the file is exactly a header and the tensors that it describes, without gaps or
    overlaps.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(MAX_HEADER, size - 8):
            raise _malformed(path, f"a header of {length} bytes in a file of {size}")
        entries = _entries(path, file.read(length))
    data = np.memmap(path, np.uint8, "r", offset=8 + length) if size > 8 + length else np.empty(0, np.uint8)
    tensors: dict[str, NDArray[Any]] = {}
    end = 0
    for name, code, shape, begin, stop in sorted(entries, key=lambda entry: entry[3:]):
        if begin != end or stop - begin != math.prod(shape) * DTYPES[code].itemsize or stop > data.size:
            raise _malformed(path, f"tensor {name[:40]!a} has offsets that do not match its shape")
        tensors[name] = data[begin:stop].view(DTYPES[code]).reshape(shape)
        end = stop
    if end != data.size:
        raise _malformed(path, f"{data.size - end} bytes that belong to no tensor")
    return tensors


def header_of(layout: Sequence[Layout]) -> bytes:
    """The bytes before the data: length and JSON. The tensors follow in the layout's order."""
    entries, offset = {}, 0
    for name, code, shape in layout:
        stop = offset + math.prod(shape) * DTYPES[code].itemsize
        entries[name] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, stop]}
        offset = stop
    header = json.dumps(entries, separators=(",", ":")).encode()
    padded = header + b" " * (-len(header) % _ALIGN)
    return len(padded).to_bytes(8, "little") + padded


def _entries(path: Path, header: bytes) -> Iterator[tuple[str, str, tuple[int, ...], int, int]]:
    try:
        check_depth(header)
        fields = json.loads(header.decode("utf-8"))  # json would also accept UTF-16 bytes
    except ValueError as error:
        raise _malformed(path, f"a header that is not JSON ({error})") from None
    if not isinstance(fields, dict):
        raise _malformed(path, "a header that is not an object")
    return (_entry(path, name, entry) for name, entry in fields.items() if name != "__metadata__")


def _entry(path: Path, name: str, entry: object) -> tuple[str, str, tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _malformed(path, f"tensor {name[:40]!a} without dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise _malformed(path, f"tensor {name[:40]!a} of a dtype that is not {' or '.join(DTYPES)}")
    if not _whole_numbers(shape, MAX_DIMENSIONS) or not _whole_numbers(offsets, 2) or len(offsets) != 2:
        raise _malformed(path, f"tensor {name[:40]!a} with an impossible shape or offset")
    return name, code, tuple(shape), offsets[0], offsets[1]


def _whole_numbers(values: object, most: int) -> bool:
    """Whether this is a list of at most `most` integers from 0 to 2^40."""
    if not isinstance(values, list) or len(values) > most:
        return False
    return all(type(value) is int and 0 <= value <= 1 << 40 for value in values)


def _malformed(path: Path, cause: str) -> FormatError:
    return FormatError(
        f"{path} is not an acceptable safetensors file: {cause}", remedy="fetch it again by its CID"
    )
