"""keccak-256 of one message. `kernels.hash_items` hashes many at once."""

from __future__ import annotations

from Crypto.Hash import keccak as _keccak


def keccak(data: bytes) -> bytes:
    """keccak-256 (Ethereum's, not SHA-3's)."""
    return _keccak.new(data=data, digest_bits=256).digest()
