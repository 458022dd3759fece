"""Content identifiers: CIDv1, sha2-256, of a raw block or a dag-pb node (protocol.md section 9)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from steelyard.errors import CidError

RAW = 0x55
DAG_PB = 0x70
_PREFIX_TAIL = b"\x12\x20"  # sha2-256, 32 bytes
_BINARY_LENGTH = 36
_TEXT_LENGTH = 59
_REMEDY = "give a CIDv1 in base32 with sha2-256, as `steelyard content cid` prints it (bafk... or bafy...)"


@dataclass(frozen=True, order=True, slots=True)
class Cid:
    """The name of a file or directory. On chain it is `uint8 codec` and `bytes32 digest`.

    Raises CidError if the codec is neither raw nor dag-pb or the digest is not 32 bytes.
    """

    codec: int
    digest: bytes

    def __post_init__(self) -> None:
        if self.codec not in (RAW, DAG_PB):
            raise CidError(f"codec {self.codec!r} is neither raw (0x55) nor dag-pb (0x70)", remedy=_REMEDY)
        if len(self.digest) != 32:
            raise CidError(f"digest 0x{self.digest[:40].hex()} is not 32 bytes", remedy=_REMEDY)

    @classmethod
    def parse(cls, text: str) -> Cid:
        """The CID that `text` spells; its one canonical spelling only. Raises CidError."""
        if len(text) != _TEXT_LENGTH or not text.startswith("b"):
            raise CidError(f"{text[:80]!r} is not a CID that this network uses", remedy=_REMEDY)
        try:
            binary = base64.b32decode(text[1:].upper() + "======")
        except (binascii.Error, ValueError) as error:
            raise CidError(f"{text!r} is not base32", remedy=_REMEDY) from error
        cid = cls.from_bytes(binary)
        if str(cid) != text:
            raise CidError(f"{text!r} is not the canonical spelling of {cid}", remedy=_REMEDY)
        return cid

    @classmethod
    def from_bytes(cls, binary: bytes) -> Cid:
        """The CID in its 36-byte binary form. Raises CidError."""
        if len(binary) != _BINARY_LENGTH or binary[0] != 1 or binary[2:4] != _PREFIX_TAIL:
            raise CidError(f"0x{binary[:40].hex()} is not a CIDv1 with sha2-256", remedy=_REMEDY)
        return cls(binary[1], bytes(binary[4:]))

    @classmethod
    def from_chain(cls, codec: int, digest: bytes) -> Cid:
        """The CID that a contract stores as `uint8 codec` and `bytes32 digest`. Raises CidError."""
        return cls(int(codec), bytes(digest))

    @classmethod
    def of_block(cls, codec: int, block: bytes | bytearray | memoryview) -> Cid:
        """The CID of one block's bytes."""
        return cls(codec, hashlib.sha256(block).digest())

    def to_bytes(self) -> bytes:
        """The 36-byte binary form, as inside a dag-pb link."""
        return bytes((1, self.codec)) + _PREFIX_TAIL + self.digest

    def to_chain(self) -> tuple[int, bytes]:
        """(codec, digest), in the order of the contracts' arguments."""
        return self.codec, self.digest

    def matches(self, block: bytes | bytearray | memoryview) -> bool:
        """Whether `block` is the block that this CID names."""
        return hashlib.sha256(block).digest() == self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.to_bytes()).decode("ascii").rstrip("=").lower()

    def __repr__(self) -> str:
        return f"Cid({self})"
