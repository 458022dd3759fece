"""Sealed files: XChaCha20-Poly1305 in chunks, streamed one chunk at a time.

    8 bytes    MAGIC
    24 bytes   header of libsodium's crypto_secretstream_xchacha20poly1305
    chunks     CHUNK bytes of content each and 17 more, the last one shorter (perhaps empty) and tagged FINAL

MAGIC is authenticated with every chunk. A file that was changed, truncated, extended, or whose chunks were
reordered does not open: each chunk depends on all before it, and the last one is tagged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from nacl import bindings
from nacl.exceptions import CryptoError

from steelyard.errors import ContentCorrupt, ContentSealed
from steelyard.util.atomic import atomic

MAGIC = b"STYSEAL1"  # not a plausible length of a safetensors header
CHUNK = 1 << 18  # bytes of content
KEY_BYTES = bindings.crypto_secretstream_xchacha20poly1305_KEYBYTES
_HEADER = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_OVERHEAD = bindings.crypto_secretstream_xchacha20poly1305_ABYTES
_FINAL = bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MESSAGE = bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE


def is_sealed(path: Path) -> bool:
    """Whether a file starts with MAGIC."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def sealed_size(size: int) -> int:
    """Bytes of the sealed file of `size` bytes of content."""
    return len(MAGIC) + _HEADER + size + _OVERHEAD * max(1, -(-size // CHUNK))


def seal_file(source: Path, target: Path) -> bytes:
    """Write `target`, the sealed form of `source`, and return the fresh key that opens it.

    The same content sealed twice gives different files and keys.  Raises DiskFull.
    """
    with source.open("rb") as file:
        return _encrypt(_chunks(file, CHUNK), target)


def open_file(source: Path, key: bytes, target: Path) -> None:
    """Decrypt `source` to `target`, which only this user may read.

    Raises ContentCorrupt if it is not a sealed file, or was changed or truncated, ContentSealed if the key is
    another file's, DiskFull; then `target` is not written.
    """
    with source.open("rb") as file, atomic(target) as output:
        os.fchmod(output.fileno(), 0o600)
        for chunk in _decrypted(file, key, source.name):
            output.write(chunk)


def reseal_file(source: Path, key: bytes, target: Path) -> bytes:
    """Re-encrypt a sealed file and return the new key; the plain content is not written to disk.

    Raises as `open_file`.
    """
    with source.open("rb") as file:
        return _encrypt(_decrypted(file, key, source.name), target)


def _encrypt(content: Iterable[bytes], target: Path) -> bytes:
    key: bytes = bindings.crypto_secretstream_xchacha20poly1305_keygen()
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    with atomic(target) as output:
        output.write(MAGIC + bindings.crypto_secretstream_xchacha20poly1305_init_push(state, key))
        for chunk, last in _with_last(content):
            tag = _FINAL if last else _MESSAGE
            output.write(bindings.crypto_secretstream_xchacha20poly1305_push(state, chunk, MAGIC, tag))
    return key


def _decrypted(file: BinaryIO, key: bytes, name: str) -> Iterator[bytes]:
    """The content in chunks, each authenticated before it is yielded."""
    if file.read(len(MAGIC)) != MAGIC:
        raise ContentCorrupt(f"{name} is not a sealed file", remedy="fetch it again by its CID")
    header = file.read(_HEADER)
    if len(header) != _HEADER:
        raise ContentCorrupt(f"{name} is truncated in its header", remedy="fetch it again by its CID")
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
    for position, (chunk, last) in enumerate(_with_last(_chunks(file, CHUNK + _OVERHEAD))):
        if len(chunk) < _OVERHEAD:
            raise ContentCorrupt(
                f"{name} is truncated in chunk {position}", remedy="fetch it again by its CID"
            )
        try:
            content, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, chunk, MAGIC)
        except CryptoError as error:
            raise _refusal(name, position) from error
        if (tag == _FINAL) != last:
            problem = "continues after its last chunk" if tag == _FINAL else "ends before its last chunk"
            raise ContentCorrupt(f"{name} {problem}", remedy="fetch it again by its CID")
        yield content


def _refusal(name: str, position: int) -> ContentSealed | ContentCorrupt:
    """A first chunk that does not open most likely has another key; a later one was changed."""
    if position == 0:
        return ContentSealed(
            f"{name} does not open with this key",
            remedy="ask whoever granted access for the key of this file, or fetch the file again",
        )
    return ContentCorrupt(
        f"{name} was changed in or before its chunk {position}", remedy="fetch it again by its CID"
    )


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The rest of a file in pieces of `size` bytes; one empty piece if nothing is left."""
    piece = file.read(size)
    yield piece
    while len(piece) == size and (piece := file.read(size)):
        yield piece


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each piece, with True for the last."""
    before: bytes | None = None
    for piece in pieces:
        if before is not None:
            yield before, False
        before = piece
    if before is not None:
        yield before, True
