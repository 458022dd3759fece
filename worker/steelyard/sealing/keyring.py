"""The user's X25519 encryption keys, each in a file encrypted under the password of an account's keystore.

A folder beside the keystores has `<public key>.json`, and in `owned/` the owner's envelopes of the files that
were sealed here. A private key is never written unencrypted and never sent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey
from nacl.pwhash import argon2id
from nacl.secret import SecretBox
from nacl.utils import random

from steelyard.core.cid import Cid
from steelyard.errors import ContentSealed, WalletError, WrongPassword
from steelyard.sealing.envelopes import Envelope
from steelyard.util.atomic import atomic

FOLDER = "encryption"  # in the folder of keystores
_OWNED = "owned"
_OPS, _MEMORY = 3, 64 << 20  # of Argon2id: the second choice of RFC 9106, 0.2 s and 64 MiB
_LIGHT_OPS, _LIGHT_MEMORY = 1, 1 << 20  # for test accounts
_MOST_OPS, _MOST_MEMORY = 20, 1 << 30  # that a file may require


@dataclass(frozen=True)
class KeyFile:
    """A key file."""

    public: bytes
    account: str  # the password of its keystore opens the file
    path: Path


class SecretKeys:
    """Unlocked private keys. They appear in no repr, log or error."""

    def __init__(self, keys: dict[bytes, PrivateKey] | None = None) -> None:
        self._keys = dict(keys or {})

    def __repr__(self) -> str:
        return f"SecretKeys({len(self._keys)})"

    def __reduce__(self) -> Any:
        raise WalletError("private keys cannot be pickled or copied", remedy="open the key files again")

    def open(self, envelope: Envelope) -> bytes:
        """The key in an envelope.  Raises ContentSealed if none of these keys is its recipient."""
        private = self._keys.get(envelope.recipient)
        if private is None:
            raise ContentSealed(
                f"the key of {envelope.content} is wrapped for the encryption key "
                f"{envelope.recipient.hex()[:16]}…, whose private half is not here",
                remedy="copy its file from where it was made, or register another (`steelyard worker update "
                "--encryption-key new`) and ask the sponsor to grant access again",
            )
        return envelope.unwrap(private)


@dataclass(frozen=True)
class Keyring:
    """A folder of encryption keys."""

    folder: Path

    @classmethod
    def beside(cls, keystores: Path) -> Keyring:
        """The keyring of a folder of keystores."""
        return cls(keystores / FOLDER)

    def list(self, account: str | None = None) -> list[KeyFile]:
        """The key files of one account, or of all, oldest first."""
        found = [key for key in self._scan() if account in (None, key.account)]
        return sorted(found, key=lambda key: (key.path.stat().st_mtime_ns, key.public))

    def create(self, account: str, password: str, *, light: bool = False) -> bytes:
        """Create a key under the password of `account`; returns the public key.

        light: a weak key derivation, for test accounts only.
        """
        private, salt = PrivateKey.generate(), random(16)
        ops, memory = (_LIGHT_OPS, _LIGHT_MEMORY) if light else (_OPS, _MEMORY)
        box = SecretBox(_derive_key(password, salt, ops, memory)).encrypt(bytes(private))
        public = bytes(private.public_key)
        document = {
            "account": account,
            "kdf": {"memory": memory, "name": "argon2id", "ops": ops, "salt": salt.hex()},
            "private": bytes(box).hex(),
            "public": public.hex(),
            "version": 1,
        }
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / f"{public.hex()}.json"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        return public

    def unlock(self, account: str, password: str) -> SecretKeys:
        """All keys of an account.  Raises WrongPassword, WalletError for a damaged file."""
        return SecretKeys({key.public: _open(key, password) for key in self.list(account)})

    def save_envelope(self, envelope: Envelope) -> None:
        """Store the owner's envelope of a file that was sealed here."""
        path = self.folder / _OWNED / f"{envelope.content}.json"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic(path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(envelope.encode())
            file.flush()
            os.fsync(file.fileno())

    def saved_envelope(self, content: Cid) -> Envelope | None:
        """The owner's envelope of a sealed file, or None if it was not sealed here."""
        path = self.folder / _OWNED / f"{content}.json"
        return Envelope.parse(path.read_bytes()) if path.is_file() else None

    def _scan(self) -> Iterator[KeyFile]:
        for path in self.folder.glob("*.json") if self.folder.is_dir() else ():
            try:
                document = _read(path)
                public = bytes.fromhex(document["public"])
                yield KeyFile(public, str(document["account"]), path)
            except (WalletError, KeyError, TypeError, ValueError):
                continue


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WalletError(f"{path} cannot be read: {error}", remedy="use a backup") from error
    if not isinstance(document, dict) or document.get("version") != 1:
        raise WalletError(f"{path} is not an encryption key file", remedy="use a backup")
    return document


def _open(key: KeyFile, password: str) -> PrivateKey:
    """The private key.  Raises WrongPassword, WalletError."""
    try:
        document = _read(key.path)
        kdf, box = document["kdf"], bytes.fromhex(document["private"])
        ops, memory, salt = int(kdf["ops"]), int(kdf["memory"]), bytes.fromhex(kdf["salt"])
        if not (1 <= ops <= _MOST_OPS and 1 << 13 <= memory <= _MOST_MEMORY and len(salt) == 16):
            raise ValueError("its cost is out of range")
        derived = _derive_key(password, salt, ops, memory)
    except (KeyError, TypeError, ValueError) as error:
        raise WalletError(f"{key.path} is damaged: {error!r}", remedy="use a backup") from None
    try:
        private = PrivateKey(SecretBox(derived).decrypt(box))
    except CryptoError:
        raise WrongPassword(
            f"{key.path.name} does not open with the password of {key.account}",
            remedy="it was made under another password: move its file away if it is no longer needed",
        ) from None
    if bytes(private.public_key) != key.public:
        raise WalletError(f"{key.path} contains another key than its public key", remedy="use a backup")
    return private


def _derive_key(password: str, salt: bytes, ops: int, memory: int) -> bytes:
    derived: bytes = argon2id.kdf(32, password.encode(), salt, opslimit=ops, memlimit=memory)
    return derived
