# mypy: disable-error-code="no-any-return, assignment, arg-type, return-value, operator"
# Scalars are NumPy's inside a kernel and Python's outside; Numba checks them against the signatures.
"""The kernels that encode and decode blocks, compiled. `fallback.py` is their contract, equal bit for bit.

Sizes come from `encoding_spec`; to Numba they are constants. Widths 32, 8 and 4 have vector code; any other
is packed and unpacked bit by bit.

Inner loops run over the 32 values of a block, with unsigned offsets and a fixed count, so that LLVM turns
them into vector code; what would stop it (a division, an early exit, an index that may wrap) is kept out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import carray, types

from steelyard.core.encoding_spec import ENCODINGS, MAX_SHIFT, RAW_BITS, UNCLAMPED
from steelyard.core.kernels.arrays import Bools, Bytes, Int32, Int64, UInt64
from steelyard.core.kernels.jit import INT32_2D, INT64, READ_BYTES, compiled, inlined
from steelyard.core.kernels.words import (
    add8,
    add32,
    add32_be,
    any_lowest8,
    as_pointer,
    load_be32,
    prefetch,
    store_be32,
)

INT_MAX = 2**31 - 1
ONE = 65536
SIZES = tuple(spec.size for spec in ENCODINGS)
BITS = tuple(spec.bits for spec in ENCODINGS)
LARGEST = tuple(spec.largest for spec in ENCODINGS)
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
def _mantissas(data: Bytes, at: int, bits: int, out: Int32, to: int) -> bool:
    """Unpack 32 mantissas of any width. Returns True if one is refused."""
    half, lowest = 1 << (bits - 1), False
    for k in range(32):
        word = 0
        for bit in range(k * bits, (k + 1) * bits):
            byte = np.int64(data[at + np.uint64(1 + bit // 8)])
            word = word << 1 | byte >> (7 - bit % 8) & 1
        lowest |= word == half
        out[to + np.uint64(k)] = (word ^ half) - half
    return lowest


@inlined
def _scale(out: Int32, to: int, shift: int) -> None:
    """`clamp(m * 2^shift)` of 32 mantissas in place."""
    if shift < UNCLAMPED:
        for k in range(32):
            out[to + np.uint64(k)] <<= np.int32(shift)
    else:
        for k in range(32):
            wide = np.int64(out[to + np.uint64(k)]) << shift
            out[to + np.uint64(k)] = max(-INT_MAX, min(INT_MAX, wide))


@inlined
def decode_one(data: Bytes, at: int, bits: int, out: Int32, to: int) -> bool:
    """Decode one non-empty block into out[to : to + 32]. Returns True if it is refused (and then zeros)."""
    if bits == RAW_BITS:
        for k in range(32):
            out[to + np.uint64(k)] = load_be32(data, at + np.uint64(4 * k))
        return False
    refused = data[at] > MAX_SHIFT
    if bits == 8:
        refused |= any_lowest8(data, at + np.uint64(1))
    elif bits == 4:
        refused |= _refused4(data, at)
    else:
        refused |= _mantissas(data, at, bits, out, to)
    if refused:
        for k in range(32):
            out[to + np.uint64(k)] = 0
        return True
    if bits == 8:
        for k in range(32):
            out[to + np.uint64(k)] = np.int8(data[at + np.uint64(k + 1)])
    elif bits == 4:
        _mantissas4(data, at, out, to)
    _scale(out, to, np.int64(data[at]))
    return False


@compiled(types.void(READ_BYTES, _I64, _I64, INT64, types.int32[:, ::1], types.boolean[::1]))
def decode(data: Bytes, offset: int, encoding: int, where: Int64, out: Int32, refused: Bools) -> None:
    """See `fallback.decode`."""
    size, bits = SIZES[encoding], BITS[encoding]
    flat = out.reshape(-1)
    for i in range(where.shape[0]):
        at = np.uint64(offset + i * size)
        refused[where[i]] = decode_one(data, at, bits, flat, np.uint64(32 * where[i]))


@inlined
def _pack(row: Int32, bits: int, limit: int, largest: int, out: Bytes, at: int) -> None:
    shift, half = 0, np.int64(0)
    while (largest + half) >> shift > limit:
        half = np.int64(1) << shift
        shift += 1
    out[at] = shift
    mantissa = np.empty(32, np.int32)
    for k in range(32):
        magnitude = (abs(np.int64(row[k])) + half) >> shift
        mantissa[k] = magnitude if row[k] >= 0 else -magnitude
    if bits == 8:
        for k in range(32):
            out[at + 1 + k] = np.uint8(mantissa[k])
    elif bits == 4:
        for k in range(16):
            out[at + 1 + k] = np.uint8((mantissa[2 * k] & 15) << 4) | np.uint8(mantissa[2 * k + 1] & 15)
    else:
        out[at + 1 : at + 1 + 4 * bits] = 0
        for bit in range(32 * bits):
            chosen = mantissa[bit // bits] >> (bits - 1 - bit % bits) & 1
            out[at + 1 + bit // 8] |= np.uint8(chosen << (7 - bit % 8))


@compiled(_I64(INT32_2D, _I64, types.boolean[::1], types.uint8[::1]))
def _encode(values: Int32, encoding: int, send: Bools, out: Bytes) -> int:
    size, bits, limit = SIZES[encoding], BITS[encoding], LARGEST[encoding]
    at = 0
    row = np.empty(32, np.int32)
    for i in range(values.shape[0]):
        largest = np.int64(0)
        for k in range(32):
            row[k] = values[i, k]
            largest = max(largest, abs(np.int64(row[k])))
        send[i] = send[i] and largest > 0
        if not send[i]:
            continue
        if bits == RAW_BITS:
            for k in range(32):
                store_be32(out, at + 4 * k, row[k])
        else:
            _pack(row, bits, limit, largest, out, at)
        at += size
    return at


def encode(values: Int32, encoding: int, send: Bools, out: Bytes, decoded: Int32) -> int:
    """See `fallback.encode`."""
    written: int = _encode(values, encoding, send, out)
    decoded[:] = 0
    decode(out, 0, encoding, np.flatnonzero(send), decoded, np.empty(send.shape[0], np.bool_))
    return written


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
    bits: int,
    weight: int,
    factor: int,
    total: Int64,
    to: int,
    values: Int32,
) -> None:
    """Add `weight * clipped value` of any block to total[to : to + 32]; values is room for 32."""
    decode_one(data, np.uint64(at), bits, values, np.uint64(0))
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
    size, bits = SIZES[encoding], BITS[encoding]
    values = np.empty(32, np.int32)
    flat = total.reshape(-1)
    flat[:] = 0
    for tile in range(0, total.shape[0], TILE):
        end = min(tile + TILE, total.shape[0])
        for u in range(addresses.shape[0]):
            data = carray(as_pointer(addresses[u]), (1 << 62,), np.uint8)
            at, weight, factor = cursors[u], np.int32(weights[u]), factors[u]
            plain = bits if factor == ONE else -1
            for b in range(tile, end):
                bit = np.uint64(first + b)
                if not data[np.uint64(bitmap) + bit // np.uint64(8)] << (bit % np.uint64(8)) & np.uint64(128):
                    continue
                if plain == RAW_BITS:
                    prefetch(data, at + AHEAD)
                    prefetch(data, at + AHEAD + 64)
                    add32_be(data, at, flat, 32 * b, weight, 0)
                elif plain == 8 and data[np.uint64(at)] < UNCLAMPED:  # beyond, values may need the clamp
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
                    _add_clipped(data, at, bits, weight, factor, flat, 32 * b, values)
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
