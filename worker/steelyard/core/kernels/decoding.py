# mypy: disable-error-code="no-any-return, assignment, arg-type, return-value, operator"
# Scalars are NumPy's inside a kernel and Python's outside; Numba checks them against the signatures.
"""The kernels that decode blocks, compiled. `fallback.py` says what each does; the two are equal bit for bit.

Inner loops run over the 32 values of a block, with unsigned offsets and a fixed count, so that LLVM turns
them into vector code; what would stop it (a division, an early exit, an index that may wrap) is kept out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import carray, types

from steelyard.core.kernels.arrays import Bools, Bytes, Int32, Int64, UInt64
from steelyard.core.kernels.jit import INT64, READ_BYTES, compiled, inlined
from steelyard.core.kernels.words import add8, add32, add32_be, any_lowest8, as_pointer, load_be32, prefetch

INT_MAX = 2**31 - 1
MAX_SHIFT = 31
ONE = 65536
AHEAD = 1024  # bytes: 32 files in turn are too many streams for the processor to foresee
TILE = 256  # blocks whose running sums, 64 KiB, stay close while every update is added to them

_I64 = types.int64


@inlined
def _refused4(data: Bytes, at: int) -> bool:
    found = np.uint8(0)
    for k in range(1, 17):
        byte = data[at + np.uint64(k)]
        found |= np.uint8(byte & 0xF0 == 0x80) | np.uint8(byte & 0x0F == 0x08)
    return found != 0


@inlined
def _mantissas4(data: Bytes, at: int, out: Int32, to: int) -> None:
    for k in range(16):
        byte = np.int8(data[at + np.uint64(k + 1)])
        out[to + np.uint64(2 * k)] = byte >> 4
        out[to + np.uint64(2 * k + 1)] = np.int8(byte << 4) >> 4


@inlined
def _scale(out: Int32, to: int, shift: int) -> None:
    """`clamp(m * 2^shift)` of 32 mantissas in place; only shifts above 23 can need the clamp."""
    if shift < 24:
        for k in range(32):
            out[to + np.uint64(k)] <<= np.int32(shift)
    else:
        for k in range(32):
            wide = np.int64(out[to + np.uint64(k)]) << shift
            out[to + np.uint64(k)] = max(-INT_MAX, min(INT_MAX, wide))


@inlined
def decode_one(data: Bytes, at: int, encoding: int, out: Int32, to: int) -> bool:
    """Decode one non-empty block into out[to : to + 32]. Returns whether it is refused (and then zeros)."""
    if encoding == 0:
        for k in range(32):
            out[to + np.uint64(k)] = load_be32(data, at + np.uint64(4 * k))
        return False
    refused = data[at] > MAX_SHIFT
    if encoding == 1:
        refused |= any_lowest8(data, at + np.uint64(1))
    else:
        refused |= _refused4(data, at)
    if refused:
        for k in range(32):
            out[to + np.uint64(k)] = 0
        return True
    if encoding == 1:
        for k in range(32):
            out[to + np.uint64(k)] = np.int8(data[at + np.uint64(k + 1)])
    else:
        _mantissas4(data, at, out, to)
    _scale(out, to, np.int64(data[at]))
    return False


@compiled(types.void(READ_BYTES, _I64, _I64, INT64, types.int32[:, ::1], types.boolean[::1]))
def decode(data: Bytes, offset: int, encoding: int, where: Int64, out: Int32, refused: Bools) -> None:
    """See `fallback.decode`."""
    size = 128 if encoding == 0 else (33 if encoding == 1 else 17)
    flat = out.reshape(-1)
    for i in range(where.shape[0]):
        at = np.uint64(offset + i * size)
        refused[where[i]] = decode_one(data, at, encoding, flat, np.uint64(32 * where[i]))


@inlined
def _clip(values: Int32, at: int, factor: int) -> None:
    for k in range(32):
        product = np.int64(values[at + np.uint64(k)]) * np.int64(np.int32(factor))
        magnitude = (abs(product) + 32768) >> 16
        values[at + np.uint64(k)] = np.int32(magnitude if product >= 0 else -magnitude)


@compiled(types.void(types.int32[:, ::1], _I64))
def clip(values: Int32, factor: int) -> None:
    """See `fallback.clip`."""
    flat = values.reshape(-1)
    for i in range(0, flat.shape[0], 32):
        _clip(flat, np.uint64(i), factor)


@inlined
def _add_clipped(
    data: Bytes,
    at: int,
    encoding: int,
    weight: int,
    factor: int,
    total: Int64,
    to: int,
    values: Int32,
) -> None:
    """Add `weight * clipped value` of any block to total[to : to + 32]; values is room for 32."""
    decode_one(data, np.uint64(at), encoding, values, np.uint64(0))
    if factor != ONE:
        _clip(values, np.uint64(0), factor)
    add32(values, 0, total, to, weight, 0)


@compiled(
    types.void(
        types.uint64[::1],
        _I64,
        _I64,
        _I64,
        types.int64[::1],
        INT64,
        INT64,
        types.int64[:, ::1],
    )
)
def _weighted_sums(
    addresses: UInt64,
    bitmap: int,
    first: int,
    encoding: int,
    cursors: Int64,
    weights: Int64,
    factors: Int64,
    total: Int64,
) -> None:
    """Sum in tiles that stay in the nearest caches while every update is added to them."""
    size = 128 if encoding == 0 else (33 if encoding == 1 else 17)
    values = np.empty(32, np.int32)
    flat = total.reshape(-1)
    flat[:] = 0
    for tile in range(0, total.shape[0], TILE):
        end = min(tile + TILE, total.shape[0])
        for u in range(addresses.shape[0]):
            data = carray(as_pointer(addresses[u]), (1 << 62,), np.uint8)
            at, weight, factor = cursors[u], np.int32(weights[u]), factors[u]
            plain = encoding if factor == ONE else -1
            for b in range(tile, end):
                bit = np.uint64(first + b)
                if not data[np.uint64(bitmap) + bit // np.uint64(8)] << (bit % np.uint64(8)) & np.uint64(128):
                    continue
                if plain == 0:
                    prefetch(data, at + AHEAD)
                    prefetch(data, at + AHEAD + 64)
                    add32_be(data, at, flat, 32 * b, weight, 0)
                elif plain == 1 and data[np.uint64(at)] < 24:  # beyond, values may need the clamp
                    if not any_lowest8(data, at + 1):
                        add8(
                            data,
                            at + 1,
                            flat,
                            32 * b,
                            weight,
                            np.int64(data[np.uint64(at)]),
                        )
                else:
                    _add_clipped(data, at, encoding, weight, factor, flat, 32 * b, values)
                at += size
            cursors[u] = at


def weighted_sums(
    updates: Sequence[Bytes],
    bitmap: int,
    first: int,
    encoding: int,
    cursors: Int64,
    weights: Int64,
    factors: Int64,
    total: Int64,
) -> None:
    """See `fallback.weighted_sums`."""
    addresses = np.array([data.ctypes.data for data in updates], np.uint64)
    _weighted_sums(addresses, bitmap, first, encoding, cursors, weights, factors, total)
