"""The kernels in NumPy alone: slow, portable, and equal to the compiled ones bit for bit.

Used if Numba can't be imported, on big-endian machines, and with STEELYARD_KERNELS=numpy. The compiled
versions (`compiled.py`) have the same names, arguments and results; the docstrings here are the contract of
both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from steelyard.core.encoding_spec import ENCODINGS, MAX_SHIFT, EncodingSpec
from steelyard.core.kernels.arrays import Bools, Bytes, Int32, Int64, UInt64

NAME = "numpy"
RATE = 136
INT_MAX = 2**31 - 1
ONE = 65536

ROUND = [
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000,
    0x000000000000808B, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
    0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
]  # fmt: skip
ROTATE = [0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14]


class Kernels(Protocol):
    """The kernels that both implementations offer; the functions below document each."""

    NAME: str

    def hash_items(
        self, data: Bytes, offset: int, size: int, prefix: int, where: Int64, out: Bytes, column: int
    ) -> None: ...
    def decode(
        self, data: Bytes, offset: int, encoding: int, where: Int64, out: Int32, refused: Bools
    ) -> None: ...
    def energies(self, values: Int32, out: UInt64) -> None: ...
    def encode(self, values: Int32, encoding: int, send: Bools, out: Bytes, decoded: Int32) -> int: ...
    def weighted_sums(
        self,
        updates: Sequence[Bytes],
        bitmap: int,
        first: int,
        encoding: int,
        cursors: Int64,
        weights: Int64,
        factors: Int64,
        total: Int64,
    ) -> None: ...
    def clip(self, values: Int32, factor: int) -> None: ...
    def trimmed_sum(self, values: Int32, trim: int, network: Int32, total: Int64) -> None: ...
    def server_step(
        self,
        total: Int64,
        divisor: int,
        state: Bytes,
        momentum: Bytes,
        beta: int,
        lr: int,
        out: Bytes,
        out_momentum: Bytes,
    ) -> None: ...


# Where each word of a round's output comes from: the rotation's source, and its two right neighbours.
_SOURCE = np.empty(25, np.int64)
_SOURCE[[i // 5 + 5 * ((2 * (i % 5) + 3 * (i // 5)) % 5) for i in range(25)]] = np.arange(25)
_NEXT = np.array([i - i % 5 + (i + 1) % 5 for i in range(25)])
_AFTER = np.array([i - i % 5 + (i + 2) % 5 for i in range(25)])
_LEFT = np.array(ROTATE, np.uint64)[:, None]
_RIGHT = (np.uint64(64) - _LEFT) % np.uint64(64)
_COLUMN = np.arange(25) % 5


def _permute(a: UInt64) -> UInt64:
    """keccak-f[1600] of each column. a: (25, items)."""
    one, rest = np.uint64(1), np.uint64(63)
    for constant in ROUND:
        c = np.bitwise_xor.reduce(a.reshape(5, 5, -1), axis=0)
        turned = c[[1, 2, 3, 4, 0]]
        d = c[[4, 0, 1, 2, 3]] ^ ((turned << one) | (turned >> rest))
        a = a ^ d[_COLUMN]
        b = ((a << _LEFT) | (a >> _RIGHT))[_SOURCE]
        a = b ^ (~b[_NEXT] & b[_AFTER])
        a[0] ^= np.uint64(constant)
    return a


def hash_items(
    data: Bytes, offset: int, size: int, prefix: int, where: Int64, out: Bytes, column: int
) -> None:
    """keccak-256 of `prefix || item` for contiguous items of `size` bytes.

    data: flat bytes; item i starts at offset + i * size. Its digest goes to out[where[i], column : column +
    32].
    """
    items = where.shape[0]
    if items == 0:
        return
    padded = np.zeros((items, (size + 1) // RATE * RATE + RATE), np.uint8)
    padded[:, 0] = prefix
    padded[:, 1 : size + 1] = data[offset : offset + items * size].reshape(items, size)
    padded[:, size + 1] ^= 0x01
    padded[:, -1] ^= 0x80
    words = padded.view("<u8").astype(np.uint64).T
    state = np.zeros((25, items), np.uint64)
    for start in range(0, words.shape[0], RATE // 8):
        state[: RATE // 8] ^= words[start : start + RATE // 8]
        state = _permute(state)
    digest = np.ascontiguousarray(state[:4].T).astype("<u8").view(np.uint8)
    out[where, column : column + 32] = digest


def _values(data: Bytes, offset: int, items: int, spec: EncodingSpec) -> tuple[Int64, Bools]:
    """Decoded values (items, 32) and which blocks are refused; a refused block's values are zeros."""
    block = data[offset : offset + items * spec.size].reshape(items, spec.size)
    if spec.lossless:
        raw = np.ascontiguousarray(block).view(">i4").astype(np.int64)
        return raw, np.zeros(items, np.bool_)
    shift = block[:, 0].astype(np.int64)
    mantissa = _unpacked(np.ascontiguousarray(block[:, 1:]), spec.bits)
    refused = (shift > MAX_SHIFT) | (mantissa < -spec.largest).any(axis=1)
    values = np.clip(mantissa << np.minimum(shift, MAX_SHIFT)[:, None], -INT_MAX, INT_MAX)
    values[refused] = 0
    return values, refused


def _unpacked(body: Bytes, bits: int) -> Int64:
    """Mantissas of a width. body: (items, 4 * bits). Returns (items, 32)."""
    if bits == 8:
        return body.view(np.int8).astype(np.int64)
    digits = np.unpackbits(body, axis=1).reshape(-1, 32, bits).astype(np.int64)
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.int64)
    weights[0] = -weights[0]  # two's complement
    return digits @ weights


def decode(data: Bytes, offset: int, encoding: int, where: Int64, out: Int32, refused: Bools) -> None:
    """Decode contiguous non-empty blocks.

    Block i goes to out[where[i]] (32 values; zeros and refused[where[i]] = True if a decoder refuses it).
    Rows of `out` and `refused` that are not in `where` are left alone.
    """
    values, bad = _values(data, offset, where.shape[0], ENCODINGS[encoding])
    out[where] = values
    refused[where] = bad


def energies(values: Int32, out: UInt64) -> None:
    """Sum of squares of each row. values: (rows, 32). out: (rows, 2), high and low 64 bits."""
    square = (values.astype(np.int64) ** 2).astype(np.uint64)
    low = (square & np.uint64(0xFFFFFFFF)).sum(axis=1, dtype=np.uint64)
    high = (square >> np.uint64(32)).sum(axis=1, dtype=np.uint64) + (low >> np.uint64(32))
    out[:, 0] = high >> np.uint64(32)
    out[:, 1] = (high << np.uint64(32)) | (low & np.uint64(0xFFFFFFFF))


def encode(values: Int32, encoding: int, send: Bools, out: Bytes, decoded: Int32) -> int:
    """Encode the rows that are not zeros and that `send` allows, one after the other.

    values: (rows, 32) within ±(2^31 - 1). send: (rows,), cleared where a block is empty. out: room for
    rows blocks. decoded: (rows, 32), what a decoder reads in each row. Returns the bytes written.
    """
    send &= values.any(axis=1)
    decoded[:] = 0
    rows = values[send].astype(np.int64)
    if rows.shape[0] == 0:
        return 0
    spec = ENCODINGS[encoding]
    block = rows.astype(">i4").view(np.uint8) if spec.lossless else _pack(rows, spec)
    flat = np.ascontiguousarray(block).reshape(-1)
    out[: flat.shape[0]] = flat
    decoded[send] = _values(flat, 0, rows.shape[0], spec)[0]
    return int(flat.shape[0])


def _pack(rows: Int64, spec: EncodingSpec) -> Bytes:
    magnitude = np.abs(rows)
    largest = magnitude.max(axis=1)
    shift = np.zeros(rows.shape[0], np.int64)
    for e in range(1, MAX_SHIFT + 1):
        half = (np.int64(1) << (e - 2)) if e > 1 else np.int64(0)
        shift[(largest + half) >> (e - 1) > spec.largest] = e
    halves: Int64 = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)[:, None]
    mantissa = np.sign(rows) * ((magnitude + halves) >> shift[:, None])
    places = np.arange(spec.bits - 1, -1, -1, dtype=np.int64)
    digits = (mantissa[:, :, None] >> places & 1).astype(np.uint8)
    body = np.packbits(digits.reshape(rows.shape[0], -1), axis=1)
    return np.concatenate([shift.astype(np.uint8)[:, None], body], axis=1)


def _clipped(values: Int64, factor: int) -> Int64:
    if factor == ONE:
        return values
    product = values * factor
    clipped: Int64 = np.sign(product) * ((np.abs(product) + 32768) >> 16)
    return clipped


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
    """Sum `weight * clipped value` over update files, for the blocks first, first + 1, ... of `total`.

    updates: each file's bytes, of a length that was checked. bitmap: offset of their bitmaps. cursors:
    (updates,), offset of each one's first non-empty block at or after `first`; moved past what was read.
    total: (rows, 32), set.
    """
    spec, count = ENCODINGS[encoding], total.shape[0]
    total[:] = 0
    for i, data in enumerate(updates):
        bits = np.unpackbits(data[bitmap + first // 8 : bitmap + (first + count + 7) // 8])
        where = np.flatnonzero(bits[first % 8 : first % 8 + count])
        values, _ = _values(data, int(cursors[i]), where.shape[0], spec)
        total[where] += _clipped(values, int(factors[i])) * weights[i]
        cursors[i] += where.shape[0] * spec.size


def clip(values: Int32, factor: int) -> None:
    """`rdiv(factor * x, ONE)` in place."""
    values[:] = _clipped(values.astype(np.int64), factor)


def trimmed_sum(values: Int32, trim: int, network: Int32, total: Int64) -> None:
    """Sum of each column without its `trim` lowest and highest values.

    values: (updates, columns), sorted in place.
    network: (comparators, 2), a sorting network for that many rows; unused here.
    """
    del network
    values.sort(axis=0)
    total[:] = values[trim : values.shape[0] - trim].sum(axis=0, dtype=np.int64)


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
    """Mean and server step of consecutive values.

    total: (values,) sums, each to be divided by `divisor`. state, momentum, out, out_momentum: big-endian
    int32 bytes, 4 a value; the two momenta are empty if beta is 0.
    """
    m = _rdiv(total, divisor)
    if beta > 0:
        m = m + _rdiv(momentum.view(">i4").astype(np.int64) * beta, ONE)
    m = np.clip(m, -INT_MAX, INT_MAX)
    w = state.view(">i4").astype(np.int64) + _rdiv(m * lr, ONE)
    out[:] = np.clip(w, -INT_MAX, INT_MAX).astype(">i4").view(np.uint8)
    if beta > 0:
        out_momentum[:] = m.astype(">i4").view(np.uint8)


def _rdiv(a: Int64, d: int) -> Int64:
    quotient: Int64 = np.sign(a) * ((2 * np.abs(a) + d) // (2 * d))
    return quotient
