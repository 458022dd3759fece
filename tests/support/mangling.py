"""Ways to spoil bytes."""

from __future__ import annotations

from collections.abc import Callable

from support.rounds import Random

Mangler = Callable[[Random, bytes, bytes], bytes]
"""(random, the bytes to spoil, the bytes of another proof) -> spoilt bytes, now and then the same."""


def flip_bits(random: Random, data: bytes, _other: bytes) -> bytes:
    """Flip one to three bits."""
    spoilt = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        spoilt[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    return bytes(spoilt)


def cut(random: Random, data: bytes, _other: bytes) -> bytes:
    """Leave bytes out, at the end or anywhere."""
    start, end = _range(random, data)
    return data[:start] + (data[end:] if random.integers(2) else b"")


def insert(random: Random, data: bytes, other: bytes) -> bytes:
    """Put in bytes, of another proof or this one, at the end or anywhere."""
    source = other if random.integers(2) else data
    start, end = _range(random, source)
    at = int(random.integers(len(data))) if random.integers(2) else len(data)
    return data[:at] + source[start:end] + data[at:]


def overwrite(random: Random, data: bytes, other: bytes) -> bytes:
    """Replace a range by zeros, ones, noise, or what another proof has there."""
    start, end = _range(random, data)
    size = end - start
    noise = [bytes(size), b"\xff" * size, random.bytes(size), other[start:end].ljust(size, b"\0")]
    return data[:start] + noise[int(random.integers(4))] + data[end:]


def swap(random: Random, data: bytes, _other: bytes) -> bytes:
    """Exchange two words, aligned as proofs are or not."""
    size = int(random.choice([1, 3, 6, 12, 32, 56, 128]))
    if len(data) < 2 * size:
        return data[::-1]
    a, b = sorted(int(i) for i in random.integers(0, len(data) - size + 1, 2))
    if b < a + size:
        return data[size:] + data[:size]
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


MANGLERS: tuple[Mangler, ...] = (flip_bits, cut, insert, overwrite, swap)


def _range(random: Random, data: bytes) -> tuple[int, int]:
    start = int(random.integers(len(data)))
    size = int(random.choice([1, 2, 6, 12, 32, 56, 128, 130]))
    return start, min(start + size, len(data))
