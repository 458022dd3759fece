# mypy: disable-error-code="no-any-return, assignment, arg-type, return-value, operator, untyped-decorator"
# Scalars are NumPy's inside a kernel and Python's outside; Numba checks them against the signatures.
"""The compiled kernels; those that decode are in `decoding.py`.

`fallback.py` says what each does; the two are equal bit for bit.

Inner loops run over the 32 values of a block or over consecutive values, so that LLVM turns them into vector
code; what would stop it (a division, an early exit) is kept out of them.
"""

from __future__ import annotations

import numpy as np
from numba import types

from steelyard.core.kernels.arrays import Bools, Bytes, Int32, Int64, UInt64
from steelyard.core.kernels.decoding import clip, decode, weighted_sums
from steelyard.core.kernels.jit import INT32_2D, INT64, READ_BYTES, compiled, inlined
from steelyard.core.kernels.keccak import hash_items
from steelyard.core.kernels.words import load_be32, store_be32

NAME = "numba"
INT_MAX = 2**31 - 1

__all__ = [
    "NAME",
    "clip",
    "decode",
    "encode",
    "energies",
    "hash_items",
    "server_step",
    "trimmed_sum",
    "weighted_sums",
]

_I64 = types.int64
_OUT = types.uint8[::1]
_VALUES = types.int64[::1]


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


@inlined
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


@compiled(_I64(INT32_2D, _I64, types.boolean[::1], types.uint8[::1]))
def _encode(values: Int32, encoding: int, send: Bools, out: Bytes) -> int:
    size = 128 if encoding == 0 else (33 if encoding == 1 else 17)
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
        if encoding == 0:
            for k in range(32):
                store_be32(out, at + 4 * k, row[k])
        else:
            _pack(row, encoding, largest, out, at)
        at += size
    return at


def encode(values: Int32, encoding: int, send: Bools, out: Bytes, decoded: Int32) -> int:
    """See `fallback.encode`."""
    written: int = _encode(values, encoding, send, out)
    decoded[:] = 0
    decode(out, 0, encoding, np.flatnonzero(send), decoded, np.empty(send.shape[0], np.bool_))
    return written


@compiled(types.void(types.int32[:, ::1], _I64, INT32_2D, _VALUES))
def trimmed_sum(values: Int32, trim: int, network: Int32, total: Int64) -> None:
    """See `fallback.trimmed_sum`."""
    for c in range(network.shape[0]):
        low, high = values[network[c, 0]], values[network[c, 1]]
        for k in range(values.shape[1]):
            a, b = low[np.uint64(k)], high[np.uint64(k)]
            low[np.uint64(k)] = min(a, b)
            high[np.uint64(k)] = max(a, b)
    total[:] = 0
    for i in range(trim, values.shape[0] - trim):
        for k in range(values.shape[1]):
            total[np.uint64(k)] += values[np.uint64(i), np.uint64(k)]


@inlined
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


@inlined
def _scaled(a: int, factor: int) -> int:
    """`rdiv(factor * a, ONE)`."""
    product = a * factor
    magnitude = (abs(product) + 32768) >> 16
    return magnitude if product >= 0 else -magnitude


@inlined
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
