# mypy: disable-error-code="no-any-return, assignment, arg-type, return-value, operator, untyped-decorator"
# Scalars are NumPy's inside a kernel and Python's outside; Numba checks them against the signatures.
"""The arithmetic kernels, compiled. `fallback.py` says what each does; the two are equal bit for bit.

Inner loops run over the 32 values of a block or over consecutive values, so that LLVM turns them into vector
code; what would stop it (a division, an early exit) is kept out of them.
"""

from __future__ import annotations

import numpy as np
from numba import types

from steelyard.kernels.arrays import Bools, Bytes, Int32, Int64, UInt64
from steelyard.kernels.jit import INT32_2D, INT64, READ_BYTES, compiled
from steelyard.kernels.keccak import hash_items
from steelyard.kernels.words import load_be32, store_be32

NAME = "numba"
INT_MAX = 2**31 - 1
MAX_SHIFT = 31
ONE = 65536

__all__ = [
    "NAME",
    "accumulate",
    "clip",
    "decode",
    "encode",
    "energies",
    "hash_items",
    "server_step",
    "trimmed_sum",
]

_I64 = types.int64
_OUT = types.uint8[::1]
_U64 = types.uint64
_ROW = types.int32[::1]
_VALUES = types.int64[::1]


@compiled(types.boolean(READ_BYTES, _U64))
def _refused8(data: Bytes, at: int) -> bool:
    lowest = np.int8(0)
    for k in range(1, 33):
        lowest = min(lowest, np.int8(data[at + np.uint64(k)]))
    return data[at] > MAX_SHIFT or lowest == -128


@compiled(types.boolean(READ_BYTES, _U64))
def _refused4(data: Bytes, at: int) -> bool:
    found = np.uint8(0)
    for k in range(1, 17):
        byte = data[at + np.uint64(k)]
        found |= np.uint8(byte & 0xF0 == 0x80) | np.uint8(byte & 0x0F == 0x08)
    return data[at] > MAX_SHIFT or found != 0


@compiled(types.void(READ_BYTES, _U64, _ROW, _U64))
def _mantissas4(data: Bytes, at: int, out: Int32, to: int) -> None:
    for k in range(16):
        byte = np.int8(data[at + np.uint64(k + 1)])
        out[to + np.uint64(2 * k)] = byte >> 4
        out[to + np.uint64(2 * k + 1)] = np.int8(byte << 4) >> 4


@compiled(types.void(_ROW, _U64, _I64))
def _scale(out: Int32, to: int, shift: int) -> None:
    """`clamp(m * 2^shift)` of 32 mantissas in place; only shifts above 23 can need the clamp."""
    if shift < 24:
        for k in range(32):
            out[to + np.uint64(k)] <<= np.int32(shift)
    else:
        for k in range(32):
            wide = np.int64(out[to + np.uint64(k)]) << shift
            out[to + np.uint64(k)] = max(-INT_MAX, min(INT_MAX, wide))


@compiled(types.boolean(READ_BYTES, _U64, _I64, _ROW, _U64))
def _block(data: Bytes, at: int, encoding: int, out: Int32, to: int) -> bool:
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
        refused[where[i]] = _block(data, at, encoding, flat, np.uint64(32 * where[i]))


@compiled(types.void(_ROW, _U64, _I64))
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


@compiled(types.void(READ_BYTES, _U64, types.int32, types.int64[::1], _U64))
def _add_raw(data: Bytes, at: int, weight: int, total: Int64, to: int) -> None:
    for k in range(32):
        value = np.int64(load_be32(data, at + np.uint64(4 * k)))
        total[to + np.uint64(k)] += value * np.int64(weight)


@compiled(types.boolean(READ_BYTES, _U64, types.int32, types.int64[::1], _U64))
def _add8(data: Bytes, at: int, weight: int, total: Int64, to: int) -> bool:
    """Add a bfp8 block (nothing where it is refused). Returns False, with nothing done, where it may clamp."""
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
        _block(data, at, encoding, values, np.uint64(0))
        if factor != ONE:
            _clip(values, np.uint64(0), factor)
        for k in range(32):
            flat[to + np.uint64(k)] += np.int64(values[np.uint64(k)]) * np.int64(small)


@compiled(types.void(INT32_2D, types.uint64[:, ::1]))
def energies(values: Int32, out: UInt64) -> None:
    """See `fallback.energies`."""
    for i in range(values.shape[0]):
        low = np.uint64(0)
        high = np.uint64(0)
        for k in range(values.shape[1]):
            square = np.uint64(np.int64(values[i, k]) * np.int64(values[i, k]))
            low += square & np.uint64(0xFFFFFFFF)
            high += square >> np.uint64(32)
        high += low >> np.uint64(32)
        out[i, 0] = high >> np.uint64(32)
        out[i, 1] = (high << np.uint64(32)) | (low & np.uint64(0xFFFFFFFF))


@compiled(types.void(types.int32[::1], _I64, _I64, types.uint8[::1], _I64))
def _pack(row: Int32, encoding: int, largest: int, out: Bytes, at: int) -> None:
    limit = 127 if encoding == 1 else 7
    shift, half = 0, np.int64(0)
    while (largest + half) >> shift > limit:
        half = np.int64(1) << shift
        shift += 1
    out[at] = shift
    mantissa = np.empty(32, np.int8)
    for k in range(32):
        magnitude = (abs(np.int64(row[k])) + half) >> shift
        mantissa[k] = magnitude if row[k] >= 0 else -magnitude
    if encoding == 1:
        for k in range(32):
            out[at + 1 + k] = np.uint8(mantissa[k])
    else:
        for k in range(16):
            out[at + 1 + k] = np.uint8((mantissa[2 * k] & 15) << 4) | np.uint8(mantissa[2 * k + 1] & 15)


@compiled(_I64(INT32_2D, _I64, types.boolean[::1], types.uint8[::1], types.int32[:, ::1]))
def encode(values: Int32, encoding: int, send: Bools, out: Bytes, decoded: Int32) -> int:
    """See `fallback.encode`."""
    size = 128 if encoding == 0 else (33 if encoding == 1 else 17)
    at = 0
    row = np.empty(32, np.int32)
    for i in range(values.shape[0]):
        largest = np.int64(0)
        for k in range(32):
            row[k] = values[i, k]
            largest = max(largest, abs(np.int64(row[k])))
        decoded[i] = 0
        send[i] = send[i] and largest > 0
        if not send[i]:
            continue
        if encoding == 0:
            for k in range(32):
                store_be32(out, at + 4 * k, row[k])
            decoded[i] = row
        else:
            _pack(row, encoding, largest, out, at)
            _block(out, np.uint64(at), encoding, decoded[i], np.uint64(0))
        at += size
    return at


@compiled(types.void(types.int32[:, ::1], _I64, INT32_2D, _VALUES))
def trimmed_sum(values: Int32, trim: int, network: Int32, total: Int64) -> None:
    """See `fallback.trimmed_sum`."""
    for c in range(network.shape[0]):
        low, high = values[network[c, 0]], values[network[c, 1]]
        for k in range(values.shape[1]):
            a, b = low[k], high[k]
            low[k], high[k] = min(a, b), max(a, b)
    total[:] = 0
    for i in range(trim, values.shape[0] - trim):
        for k in range(values.shape[1]):
            total[k] += values[i, k]


@compiled(_I64(_I64, _I64, types.float64))
def _rdiv(a: int, d: int, inverse: float) -> int:
    """`rdiv` for |a| < 2^60, d < 2^29 and a quotient below 2^32; inverse is 1 / (2 * d).

    The float quotient is off by one at most, and the remainder says which way: vector units have no integer
    division.
    """
    numerator = 2 * abs(a) + d
    quotient = np.int64(np.float64(numerator) * inverse)
    rest = numerator - quotient * (2 * d)
    quotient += np.int64(rest >= 2 * d) - np.int64(rest < 0)
    return quotient if a >= 0 else -quotient


@compiled(_I64(_I64, _I64))
def _scaled(a: int, factor: int) -> int:
    """`rdiv(factor * a, ONE)`."""
    product = a * factor
    magnitude = (abs(product) + 32768) >> 16
    return magnitude if product >= 0 else -magnitude


@compiled(_I64(_I64))
def _clamp(a: int) -> int:
    return max(-INT_MAX, min(INT_MAX, a))


@compiled(types.void(INT64, _I64, READ_BYTES, READ_BYTES, _I64, _I64, _OUT, _OUT))
def server_step(
    total: Int64,
    divisor: int,
    state: Bytes,
    momentum: Bytes,
    beta: int,
    lr: int,
    out: Bytes,
    out_momentum: Bytes,
) -> None:
    """See `fallback.server_step`."""
    inverse = 1.0 / np.float64(2 * divisor)
    if beta == 0:
        for k in range(total.shape[0]):
            at = np.uint64(4) * np.uint64(k)
            m = _clamp(_rdiv(total[np.uint64(k)], divisor, inverse))
            w = np.int64(load_be32(state, at)) + _scaled(m, lr)
            store_be32(out, at, np.int32(_clamp(w)))
        return
    for k in range(total.shape[0]):
        at = np.uint64(4) * np.uint64(k)
        before = np.int64(load_be32(momentum, at))
        m = _clamp(_rdiv(total[np.uint64(k)], divisor, inverse) + _scaled(before, beta))
        w = np.int64(load_be32(state, at)) + _scaled(m, lr)
        store_be32(out, at, np.int32(_clamp(w)))
        store_be32(out_momentum, at, np.int32(m))
