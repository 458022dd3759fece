# mypy: disable-error-code="no-any-return, assignment, arg-type, return-value, operator, untyped-decorator"
# Scalars are NumPy's inside a kernel and Python's outside; Numba checks them against the signatures.
"""The compiled kernels; those that encode and decode are in `block_codec.py`.

`fallback.py` says what each does; the two are equal bit for bit.

Inner loops run over the 32 values of a block or over consecutive values, so that LLVM turns them into vector
code; what would stop it (a division, an early exit) is kept out of them.
"""

from __future__ import annotations

import numpy as np
from numba import types

from steelyard.core.kernels.arrays import Bytes, Int32, Int64, UInt64
from steelyard.core.kernels.block_codec import clip, decode, encode, weighted_sums
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
