"""Encoding and decoding of an update's blocks (protocol.md section 2).

A block is 32 int32 values. Zeros are the empty string; anything else has the fixed length of its encoding
(`encoding_spec`). A block that a decoder refuses counts as zeros in every update that was included with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steelyard.core import kernels
from steelyard.core.encoding_spec import BLOCK_VALUES, ENCODINGS, MAX_SHIFT, Encoding, EncodingSpec
from steelyard.core.kernels.arrays import Bools, Bytes, Int32, Int64, UInt64
from steelyard.errors import FormatError

__all__ = [
    "ENCODINGS",
    "ZEROS",
    "Encoded",
    "Encoding",
    "EncodingSpec",
    "counted_values",
    "decode_block",
    "decode_present",
    "encode",
    "encode_block",
    "energies",
    "energy_of",
]

ZEROS: tuple[int, ...] = (0,) * BLOCK_VALUES


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Rows of values as the wire and as a decoder see them."""

    present: Bools  # (rows,): which blocks are not empty
    payload: Bytes  # the non-empty blocks, joined
    decoded: Int32  # (rows, 32): what everyone will read


def encode(values: Int32, encoding: Encoding, send: Bools | None = None) -> Encoded:
    """Encode rows with the smallest shift that fits each.

    values: (rows, 32), within ±(2^31 - 1). send: (rows,), False drops that block (block top-k); None sends
    all. Raises FormatError for another shape or for -2^31, which no clamped update holds.
    """
    if values.ndim != 2 or values.shape[1] != BLOCK_VALUES:
        raise FormatError(
            f"blocks of shape {values.shape}, not (rows, {BLOCK_VALUES})", remedy="pad and reshape first"
        )
    rows = np.ascontiguousarray(values, dtype=np.int32)
    if rows.size and int(rows.min()) == -(2**31):
        raise FormatError("an update holds -2^31", remedy="clamp it to ±(2^31 - 1) first")
    present = np.ones(rows.shape[0], np.bool_) if send is None else send.astype(np.bool_)
    payload = np.empty(rows.shape[0] * encoding.size, np.uint8)
    decoded = np.empty_like(rows)
    written = kernels.get().encode(rows, int(encoding), present, payload, decoded)
    return Encoded(present=present, payload=payload[:written], decoded=decoded)


def encode_block(values: Int32, encoding: Encoding) -> bytes:
    """One block of int32 values, (32,), as bytes; empty for zeros.

    Returns 0 or `encoding.size` bytes. Raises FormatError for another shape or for -2^31.
    """
    return encode(np.asarray(values, np.int32).reshape(1, -1), encoding).payload.tobytes()


def decode_block(block: bytes, encoding: Encoding) -> tuple[int, ...]:
    """The 32 values of a block. Raises FormatError if a decoder refuses it."""
    if not block:
        return ZEROS
    if len(block) != encoding.size:
        raise FormatError(
            f"{encoding.spec.name} block of {len(block)} bytes, not 0 or {encoding.size}",
            remedy="reject the update",
        )
    values, refused = decode_present(np.frombuffer(block, np.uint8), encoding, 1)
    if refused[0]:
        raise FormatError(
            f"{encoding.spec.name} block 0x{block.hex()} has a refused mantissa or a shift over {MAX_SHIFT}",
            remedy="reject the update",
        )
    return tuple(int(v) for v in values[0])


def counted_values(block: bytes, encoding: Encoding) -> tuple[int, ...]:
    """The 32 values that a block counts for: zeros if a decoder refuses it."""
    try:
        return decode_block(block, encoding)
    except FormatError:
        return ZEROS


def decode_present(payload: Bytes, encoding: Encoding, rows: int) -> tuple[Int32, Bools]:
    """Decode `rows` joined non-empty blocks into (rows, 32) values, and which of them are refused (zeros)."""
    values = np.zeros((rows, BLOCK_VALUES), np.int32)
    refused = np.zeros(rows, np.bool_)
    where: Int64 = np.arange(rows, dtype=np.int64)
    kernels.get().decode(payload, 0, int(encoding), where, values, refused)
    return values, refused


def energies(values: Int32) -> UInt64:
    """Sum of squares of each row, as (rows, 2): high and low 64 bits."""
    out = np.empty((values.shape[0], 2), np.uint64)
    kernels.get().energies(np.ascontiguousarray(values), out)
    return out


def energy_of(values: tuple[int, ...]) -> int:
    """Sum of squares of one block's values."""
    return sum(v * v for v in values)
