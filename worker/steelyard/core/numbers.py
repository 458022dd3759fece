"""Fixed-point numbers: quantization and exact rounding (protocol.md section 1).

A weight vector is int32. Every function here gives the same bits on every machine: products by powers of two
are exact in float64, and everything else is integer arithmetic.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from steelyard.core.encoding_spec import BLOCK_VALUES
from steelyard.core.kernels.arrays import Float32, Int32, Int64
from steelyard.errors import QuantizeError, RuleError

ONE = 65536
"""1.0 in 16.16 fixed point."""

INT_MAX = 2**31 - 1
"""Largest magnitude of a clamped value."""

STATE_BLOCK = 4 * BLOCK_VALUES
"""Bytes of a block of a state or momentum file."""

MAX_BLOCKS = 2**28
MAX_SCALE_BITS = 30
MAX_WEIGHT = 2**20 - 1  # of a member
CHUNK_BLOCKS = 4096
"""Blocks processed at a time, so that what a chunk needs stays within a processor's second-level cache."""

_CHUNK = 1 << 18  # values at a time, to bound the memory of the float64 copy

__all__ = [
    "BLOCK_VALUES",
    "CHUNK_BLOCKS",
    "INT_MAX",
    "MAX_BLOCKS",
    "MAX_SCALE_BITS",
    "MAX_WEIGHT",
    "ONE",
    "STATE_BLOCK",
    "block_count",
    "clamp",
    "clamp_array",
    "clip_factor",
    "dequantize",
    "feedback_delta",
    "isqrt",
    "quantize",
    "rdiv",
    "rdiv_array",
]


def rdiv(a: int, d: int) -> int:
    """`a / d` rounded half away from zero, any size. Raises RuleError if d <= 0."""
    if d <= 0:
        raise RuleError(
            f"rdiv by {d}: only divisors above zero are defined", remedy="check the sum of the weights"
        )
    quotient = (2 * abs(a) + d) // (2 * d)
    return quotient if a >= 0 else -quotient


def rdiv_array(a: Int64, d: int) -> Int64:
    """`rdiv` of each element; |a| < 2^61 and 0 < d < 2^60."""
    if d <= 0:
        raise RuleError(
            f"rdiv by {d}: only divisors above zero are defined", remedy="check the sum of the weights"
        )
    magnitude = (2 * np.abs(a) + d) // (2 * d)
    return np.where(a >= 0, magnitude, -magnitude)


def clamp(a: int) -> int:
    """Nearest value within ±(2^31 - 1)."""
    return max(-INT_MAX, min(INT_MAX, a))


def clamp_array(a: NDArray[np.int64] | Int32) -> Int32:
    """`clamp` of each element."""
    return np.clip(a, -INT_MAX, INT_MAX).astype(np.int32)


def clip_factor(energy: int, bound2: int) -> int:
    """16.16 factor that brings an update within the bound; ONE without a bound (protocol.md section 4)."""
    if bound2 == 0 or energy <= bound2:
        return ONE
    return isqrt((bound2 << 32) // energy)


def block_count(values: int) -> int:
    """Number of blocks that hold this many values, at least one. Raises QuantizeError above 2^28 blocks."""
    blocks = max(1, -(-values // BLOCK_VALUES))
    if blocks > MAX_BLOCKS:
        raise QuantizeError(
            f"{values} values take {blocks} blocks, more than the {MAX_BLOCKS} of a job",
            remedy="train a smaller model or fewer of its tensors",
        )
    return blocks


def quantize(x: Float32, scale_bits: int, name: str = "tensor") -> Int32:
    """`clamp(round_half_even(x * 2^scale_bits))` of each element, flat in C order.

    x: float32, any shape. Returns int32 (x.size,). Raises QuantizeError, naming the tensor, at a NaN, an
    infinity or scale_bits outside 0 to 30.
    """
    _check_scale(scale_bits, name)
    flat = np.ascontiguousarray(x, dtype=np.float32).reshape(-1)
    out = np.empty(flat.shape[0], np.int32)
    for start in range(0, flat.shape[0], _CHUNK):
        part = flat[start : start + _CHUNK]
        finite = np.isfinite(part)
        if not finite.all():
            first = int(np.argmin(finite))
            raise QuantizeError(
                f"{name}[{start + first}] is {part[first]}, which cannot be quantized",
                remedy="training diverged: lower the learning rate or clip gradients",
            )
        scaled = np.rint(np.ldexp(part.astype(np.float64), scale_bits))
        out[start : start + _CHUNK] = np.clip(scaled, -INT_MAX, INT_MAX)
    return out


def dequantize(q: Int32, scale_bits: int, name: str = "tensor") -> Float32:
    """`q * 2^-scale_bits` rounded half to even to float32.

    q: int32, any shape. Returns float32 of that shape. Raises QuantizeError if scale_bits is not 0 to 30.
    """
    _check_scale(scale_bits, name)
    return np.ldexp(q.astype(np.float64), -scale_bits).astype(np.float32)


def feedback_delta(local: Int32, base: Int32, residual: Int32 | None) -> Int32:
    """`clamp(local - base + residual)`, which a worker encodes. None means zeros (the first round)."""
    delta = local.astype(np.int64) - base
    if residual is not None:
        delta += residual
    return clamp_array(delta)


def _check_scale(scale_bits: int, name: str) -> None:
    if not 0 <= scale_bits <= MAX_SCALE_BITS:
        raise QuantizeError(
            f"{name} has {scale_bits} scale bits, not 0 to {MAX_SCALE_BITS}", remedy="correct the manifest"
        )
