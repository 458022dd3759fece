"""The table of update encodings (protocol.md section 2): one entry each, from which every size is derived.

Kernels, `blocks`, files and proofs read their sizes here. An encoding is either raw int32 or block floating
point: a shift byte, then 32 mantissas of a fixed width in two's complement, most significant bit first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from steelyard.errors import FormatError

__all__ = ["BLOCK_VALUES", "ENCODINGS", "MAX_SHIFT", "RAW_BITS", "UNCLAMPED", "Encoding", "EncodingSpec"]

BLOCK_VALUES = 32
"""Values in a block, the unit of commitment and dispute."""

RAW_BITS = 32
"""Width of a value that is stored as it is."""

MAX_SHIFT = 31
"""Largest shift of a block in block floating point."""


class Encoding(IntEnum):
    """How a job's updates are written. The numbers are the protocol's."""

    RAW32 = 0
    BFP8 = 1
    BFP4 = 2

    @property
    def spec(self) -> EncodingSpec:
        """Its entry in the table."""
        return ENCODINGS[self]

    @property
    def size(self) -> int:
        """Bytes of a non-empty block."""
        return ENCODINGS[self].size

    @classmethod
    def from_name(cls, name: str) -> Encoding:
        """The encoding of this name, in any case. Raises FormatError."""
        try:
            return cls[name.upper()]
        except KeyError:
            names = [spec.name for spec in ENCODINGS]
            raise FormatError(
                f"{name!r} is not an encoding", remedy=f"use {', '.join(names[:-1])} or {names[-1]}"
            ) from None


@dataclass(frozen=True, kw_only=True)
class EncodingSpec:
    """One encoding. Everything but its number and the width of a value is derived."""

    encoding: Encoding
    bits: int  # of a stored value: 32 = raw int32, fewer = mantissas of block floating point

    @property
    def name(self) -> str:
        """Its name in manifests and on the command line."""
        return self.encoding.name.lower()

    @property
    def lossless(self) -> bool:
        """True if every int32 is stored exactly, so that there is no residual."""
        return self.bits == RAW_BITS

    @property
    def header_bytes(self) -> int:
        """Bytes of a block before its values: the shift, or none."""
        return 0 if self.lossless else 1

    @property
    def size(self) -> int:
        """Bytes of a non-empty block."""
        return self.header_bytes + BLOCK_VALUES * self.bits // 8

    @property
    def largest(self) -> int:
        """Largest magnitude of a stored value; a decoder refuses the mantissa below its negative."""
        return int(2 ** (self.bits - 1) - 1)

    @property
    def max_shift(self) -> int:
        """Largest shift that a decoder accepts; 0 without a shift."""
        return 0 if self.lossless else MAX_SHIFT


ENCODINGS = (
    EncodingSpec(encoding=Encoding.RAW32, bits=RAW_BITS),
    EncodingSpec(encoding=Encoding.BFP8, bits=8),
    EncodingSpec(encoding=Encoding.BFP4, bits=4),
)
"""All encodings, by their number."""

UNCLAMPED = RAW_BITS - max(spec.bits for spec in ENCODINGS if not spec.lossless)
"""No mantissa of any encoding, shifted by fewer bits than this, can need the clamp."""
