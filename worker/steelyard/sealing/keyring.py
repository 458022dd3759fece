"""Encryption keys of this user: X25519, each in a file under the password of an account's keystore.

A folder beside the keystores holds `<public key>.json`, and in `owned/` the envelopes of what was sealed
here, by which its owner opens it again. The private half leaves no file unencrypted and is never sent.
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

from steelyard.content.cid import Cid
from steelyard.errors import ContentSealed, WalletError, WrongPassword
from steelyard.sealing.envelopes import Envelope
from steelyard.util.atomic import atomic

FOLDER = "encryption"  # in the folder of keystores
_OWNED = "owned"
_OPS, _MEMORY = 3, 64 << 20  # of Argon2id: the second choice of RFC 9106, 0.2 s and 64 MiB
_LIGHT_OPS, _LIGHT_MEMORY = 1, 1 << 20  # for throw-away accounts
_MOST_OPS, _MOST_MEMORY = 20, 1 << 30  # that a file may ask for


@dataclass(frozen=True)
class KeyFile:
    """A key as it lies on the disk."""

    public: bytes
    account: str  # whose keystore's password opens it
    path: Path


class SecretKeys:
    """Opened private keys. They show in no repr, log or error."""

    def __init__(self, keys: dict[bytes, PrivateKey] | None = None) -> None:
        self._keys = dict(keys or {})

    def __repr__(self) -> str:
        return f"SecretKeys({len(self._keys)})"

    def __reduce__(self) -> Any:
        raise WalletError("private keys are not pickled or copied", remedy="open the key files again")

    def open(self, envelope: Envelope) -> bytes:
        """The key in an envelope.  Raises ContentSealed where it is for nobody here."""
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
        """That of a folder of keystores."""
        return cls(keystores / FOLDER)

    def list(self, account: str | None = None) -> list[KeyFile]:
        """Keys of one account, or of all, oldest first."""
        found = [key for key in self._scan() if account in (None, key.account)]
        return sorted(found, key=lambda key: (key.path.stat().st_mtime_ns, key.public))

    def make(self, account: str, password: str, *, light: bool = False) -> bytes:
        """A fresh key under the password of `account`; the public half."""
        private, salt = PrivateKey.generate(), random(16)
        ops, memory = (_LIGHT_OPS, _LIGHT_MEMORY) if light else (_OPS, _MEMORY)
        box = SecretBox(_stretch(password, salt, ops, memory)).encrypt(bytes(private))
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

    def own(self, envelope: Envelope) -> None:
        """Keep the envelope by which the owner opens what was sealed here."""
        place = self.folder / _OWNED / f"{envelope.content}.json"
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic(place) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(envelope.encode())
            file.flush()
            os.fsync(file.fileno())

    def owned(self, content: Cid) -> Envelope | None:
        """The owner's envelope of a sealed file, or None where it was not sealed here."""
        place = self.folder / _OWNED / f"{content}.json"
        return Envelope.parse(place.read_bytes()) if place.is_file() else None

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
        raise WalletError(f"{path} is no file of an encryption key", remedy="use a backup")
    return document


def _open(key: KeyFile, password: str) -> PrivateKey:
    """The private key.  Raises WrongPassword, WalletError."""
    try:
        document = _read(key.path)
        kdf, box = document["kdf"], bytes.fromhex(document["private"])
        ops, memory, salt = int(kdf["ops"]), int(kdf["memory"]), bytes.fromhex(kdf["salt"])
        if not (1 <= ops <= _MOST_OPS and 1 << 13 <= memory <= _MOST_MEMORY and len(salt) == 16):
            raise ValueError("its cost is out of range")
        stretched = _stretch(password, salt, ops, memory)
    except (KeyError, TypeError, ValueError) as error:
        raise WalletError(f"{key.path} is damaged: {error!r}", remedy="use a backup") from None
    try:
        private = PrivateKey(SecretBox(stretched).decrypt(box))
    except CryptoError:
        raise WrongPassword(
            f"{key.path.name} does not open with the password of {key.account}",
            remedy="it was made under another password: move its file away if it is no longer needed",
        ) from None
    if bytes(private.public_key) != key.public:
        raise WalletError(f"{key.path} holds another key than it says", remedy="use a backup")
    return private


def _stretch(password: str, salt: bytes, ops: int, memory: int) -> bytes:

    stretched: bytes = argon2id.kdf(32, password.encode(), salt, opslimit=ops, memlimit=memory)
    return stretched
