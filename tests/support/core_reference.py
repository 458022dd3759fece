"""The protocol's numbers, blocks, trees and rules in plain Python integers.

Slow, obvious, and sharing no code with the package.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from Crypto.Hash import keccak as _keccak

MAX = 2**31 - 1
ONE = 1 << 16
SIZES = (128, 33, 17)


def keccak(data: bytes) -> bytes:
    return _keccak.new(data=data, digest_bits=256).digest()


def rdiv(a: int, d: int) -> int:
    nearest, rest = divmod(abs(a), d)
    nearest += 2 * rest >= d
    return nearest if a >= 0 else -nearest


def clamp(a: int) -> int:
    return a if -MAX <= a <= MAX else (MAX if a > 0 else -MAX)


def round_half_even(x: Fraction) -> int:
    return round(x)


def quantize(x: float, bits: int) -> int:
    return clamp(round_half_even(Fraction(x) * 2**bits))


def encode(values: Sequence[int], encoding: int) -> bytes:
    if not any(values):
        return b""
    if encoding == 0:
        return b"".join(v.to_bytes(4, "big", signed=True) for v in values)
    limit = 127 if encoding == 1 else 7
    shift = 0
    largest = max(abs(v) for v in values)
    while rdiv(largest, 2**shift) > limit:
        shift += 1
    mantissas = [rdiv(v, 2**shift) for v in values]
    if encoding == 1:
        return bytes([shift]) + b"".join(m.to_bytes(1, "big", signed=True) for m in mantissas)
    pairs = zip(mantissas[::2], mantissas[1::2], strict=True)
    return bytes([shift]) + bytes(16 * (high % 16) + low % 16 for high, low in pairs)


def decode(block: bytes, encoding: int) -> list[int] | None:
    """Values, or None where a decoder refuses the block."""
    if not block:
        return [0] * 32
    if len(block) != SIZES[encoding]:
        return None
    if encoding == 0:
        return [int.from_bytes(block[i : i + 4], "big", signed=True) for i in range(0, 128, 4)]
    shift = block[0]
    if encoding == 1:
        mantissas = [b - 256 if b > 127 else b for b in block[1:]]
        lowest = -128
    else:
        nibbles = [n for b in block[1:] for n in (b >> 4, b & 15)]
        mantissas = [n - 16 if n > 7 else n for n in nibbles]
        lowest = -8
    if shift > 31 or lowest in mantissas:
        return None
    return [clamp(m * 2**shift) for m in mantissas]


def counted(block: bytes, encoding: int) -> list[int]:
    values = decode(block, encoding)
    return [0] * 32 if values is None else values


def energy(values: Sequence[int]) -> int:
    return sum(v * v for v in values)


def leaf(block: bytes) -> bytes:
    return keccak(b"\x00" + block)


def state_levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Every level of a state or transcript tree, leaves first, padded."""
    width = 1
    while width < len(leaves):
        width *= 2
    levels = [list(leaves) + [leaf(b"")] * (width - len(leaves))]
    while len(levels[-1]) > 1:
        low = levels[-1]
        levels.append([keccak(b"\x01" + low[i] + low[i + 1]) for i in range(0, len(low), 2)])
    return levels


def state_root(leaves: Sequence[bytes]) -> bytes:
    return state_levels(leaves)[-1][0]


def path(levels: list[list[bytes]], index: int) -> list[bytes]:
    return [level[(index >> depth) ^ 1] for depth, level in enumerate(levels[:-1])]


def update_levels(nodes: Sequence[tuple[bytes, int]]) -> list[list[tuple[bytes, int]]]:
    """Every level of an update tree as (hash, energy), leaves first, padded."""
    width = 1
    while width < len(nodes):
        width *= 2
    levels = [list(nodes) + [(leaf(b""), 0)] * (width - len(nodes))]
    while len(levels[-1]) > 1:
        low = levels[-1]
        levels.append([update_node(low[i], low[i + 1]) for i in range(0, len(low), 2)])
    return levels


def update_node(left: tuple[bytes, int], right: tuple[bytes, int]) -> tuple[bytes, int]:
    energies = left[1].to_bytes(12, "big") + right[1].to_bytes(12, "big")
    return keccak(b"\x02" + left[0] + right[0] + energies), left[1] + right[1]


def update_root(tree: bytes, total: int, encoding: int, blocks: int) -> bytes:
    return keccak(b"\x03" + tree + total.to_bytes(12, "big") + bytes([encoding]) + blocks.to_bytes(4, "big"))


def transcript_leaf(parts: Sequence[bytes]) -> bytes:
    return keccak(b"\x04" + b"".join(leaf(p) for p in parts))


def table(weights: Sequence[int], factors: Sequence[int]) -> bytes:
    pairs = zip(weights, factors, strict=True)
    return keccak(b"\x05" + b"".join(w.to_bytes(3, "big") + f.to_bytes(3, "big") for w, f in pairs))


def factor(total: int, bound2: int) -> int:
    if bound2 == 0 or total <= bound2:
        return ONE
    return math.isqrt((bound2 << 32) // total)


def mean(rule: int, trim: int, column: Sequence[int], weights: Sequence[int], factors: Sequence[int]) -> int:
    pairs = zip(column, factors, strict=True)
    clipped = [x if f == ONE else rdiv(f * x, ONE) for x, f in pairs]
    if rule == 0:
        return rdiv(sum(w * x for w, x in zip(weights, clipped, strict=True)), sum(weights))
    if rule == 2:
        trim = (len(clipped) - 1) // 2
    rest = sorted(clipped)[trim : len(clipped) - trim]
    return rdiv(sum(rest), len(rest))


def step(beta: int, lr: int, w: int, m: int, average: int) -> tuple[int, int]:
    moved = clamp(rdiv(beta * m, ONE) + average)
    return clamp(w + rdiv(lr * moved, ONE)), moved
