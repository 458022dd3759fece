"""An envelope: the key of one sealed file, wrapped for one reader. It may be public and has a CID.

Canonical JSON: `content` (CID of the sealed file), `size` (its bytes), `recipient` (X25519 public key), `key`
(libsodium sealed box of the file's key and the digest of `content`, so that it fits no other file) and
`version`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from steelyard.core.cid import Cid
from steelyard.errors import CidError, ConfigError, ContentCorrupt, ContentSealed, ManifestError
from steelyard.jobs import canonical_json
from steelyard.sealing.stream import KEY_BYTES

MAX_BYTES = 4096
_VERSION = 1
_REGISTER = "ask it to run `steelyard worker update --encryption-key new`"
_DIGEST_BYTES = 32
_PUBLIC = re.compile(r"[0-9a-f]{64}")
_BOX = re.compile(r"[0-9a-f]{224}")  # hex of 32 bytes of the ephemeral key, 16 of the tag, 64 of content
_CID = re.compile(r"[a-z2-7]{1,100}")


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A wrapped key."""

    content: Cid  # of the sealed file
    size: int  # bytes of the sealed file
    recipient: bytes  # X25519 public key
    box: bytes

    @classmethod
    def seal(cls, key: bytes, *, content: Cid, size: int, recipient: bytes) -> Envelope:
        """Wrap the key of a sealed file for one reader.  Raises ConfigError if it has no usable key."""
        if len(recipient) != PublicKey.SIZE or not any(recipient):
            raise ConfigError("this account has registered no encryption key", remedy=_REGISTER)
        try:
            box: bytes = SealedBox(PublicKey(recipient)).encrypt(key + content.digest)
        except CryptoError as error:
            raise ConfigError(
                f"{recipient.hex()} is not a usable X25519 public key", remedy=_REGISTER
            ) from error
        return cls(content=content, size=size, recipient=recipient, box=box)

    @classmethod
    def parse(cls, data: bytes) -> Envelope:
        """Parse an untrusted envelope.  Raises ContentCorrupt."""
        try:
            fields = canonical_json.load(data, what="the envelope", max_bytes=MAX_BYTES).fields(
                ("content", "key", "recipient", "size", "version")
            )
            fields["version"].integer(_VERSION, _VERSION)
            return cls(
                content=Cid.parse(fields["content"].text(_CID, "a CID")),
                size=fields["size"].integer(1, 1 << 50),
                recipient=bytes.fromhex(fields["recipient"].text(_PUBLIC, "an X25519 public key in hex")),
                box=bytes.fromhex(fields["key"].text(_BOX, "a sealed box in hex")),
            )
        except (ManifestError, CidError) as error:
            raise ContentCorrupt(
                f"this is not an envelope: {error.message}",
                remedy="ask the sponsor to grant access again",
            ) from error

    def encode(self) -> bytes:
        """The bytes that `parse` reads."""
        return canonical_json.dump(
            {
                "content": str(self.content),
                "key": self.box.hex(),
                "recipient": self.recipient.hex(),
                "size": self.size,
                "version": _VERSION,
            }
        )

    def unwrap(self, private: PrivateKey) -> bytes:
        """The sealed file's key.  Raises ContentSealed if it is for another reader, or was changed."""
        try:
            inside: bytes = SealedBox(private).decrypt(self.box)
        except CryptoError as error:
            raise ContentSealed(
                f"the key of {self.content} was wrapped for another reader, or the envelope was changed",
                remedy="ask the sponsor to grant access again",
            ) from error
        if len(inside) != KEY_BYTES + _DIGEST_BYTES or inside[KEY_BYTES:] != self.content.digest:
            raise ContentSealed(
                f"the key in this envelope is not that of {self.content}",
                remedy="ask the sponsor to grant access again",
            )
        return inside[:KEY_BYTES]
