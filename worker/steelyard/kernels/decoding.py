# mypy: disable-error-code="no-any-return, assignment, arg-type, return-value, operator"
# Scalars are NumPy's inside a kernel and Python's outside; Numba checks them against the signatures.
"""The kernels that decode blocks, compiled. `fallback.py` says what each does; the two are equal bit for bit.

Inner loops run over the 32 values of a block, with unsigned offsets and a fixed count, so that LLVM turns
them into vector code; what would stop it (a division, an early exit, an index that may wrap) is kept out.
"""

from __future__ import annotations

import numpy as np
from numba import types

from steelyard.kernels.arrays import Bools, Bytes, Int32, Int64
from steelyard.kernels.jit import INT64, READ_BYTES, compiled, inlined
from steelyard.kernels.words import load_be32

INT_MAX = 2**31 - 1
MAX_SHIFT = 31
ONE = 65536

_I64 = types.int64


@inlined
def _refused8(data: Bytes, at: int) -> bool:
    lowest = np.int8(0)
    for k in range(1, 33):
        lowest = min(lowest, np.int8(data[at + np.uint64(k)]))
    return data[at] > MAX_SHIFT or lowest == -128


@inlined
def _refused4(data: Bytes, at: int) -> bool:
    found = np.uint8(0)
    for k in range(1, 17):
        byte = data[at + np.uint64(k)]
        found |= np.uint8(byte & 0xF0 == 0x80) | np.uint8(byte & 0x0F == 0x08)
    return data[at] > MAX_SHIFT or found != 0


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
    if _refused8(data, at) if encoding == 1 else _refused4(data, at):
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
def _add_raw(data: Bytes, at: int, weight: int, total: Int64, to: int) -> None:
    for k in range(32):
        value = np.int64(load_be32(data, at + np.uint64(4 * k)))
        total[to + np.uint64(k)] += value * np.int64(weight)


@inlined
def _add8(data: Bytes, at: int, weight: int, total: Int64, to: int) -> bool:
    """Add a bfp8 block, nothing where it is refused. False, with nothing done, where it may clamp."""
    shift = np.int64(data[at])
    if _refused8(data, at):
        return True
    if shift >= 24:
        return False
    for k in range(32):
        value = np.int64(np.int8(data[at + np.uint64(k + 1)])) * np.int64(weight)
        total[to + np.uint64(k)] += value << shift
    return True


@compiled(types.void(READ_BYTES, _I64, _I64, INT64, _I64, _I64, types.int64[:, ::1]))
def accumulate(
    data: Bytes, offset: int, encoding: int, where: Int64, weight: int, factor: int, total: Int64
) -> None:
    """See `fallback.accumulate`."""
    size = 128 if encoding == 0 else (33 if encoding == 1 else 17)
    values = np.empty(32, np.int32)
    small = np.int32(weight)
    flat = total.reshape(-1)
    for i in range(where.shape[0]):
        at = np.uint64(offset + i * size)
        to = np.uint64(32 * where[i])
        if encoding == 0 and factor == ONE:
            _add_raw(data, at, small, flat, to)
            continue
        if encoding == 1 and factor == ONE and _add8(data, at, small, flat, to):
            continue
        decode_one(data, at, encoding, values, np.uint64(0))
        if factor != ONE:
            _clip(values, np.uint64(0), factor)
        for k in range(32):
            flat[to + np.uint64(k)] += np.int64(values[np.uint64(k)]) * np.int64(small)
