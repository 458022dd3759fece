"""Keystores: Ethereum's V3 JSON files, as `cast wallet` and geth write them.

No key is written to a file unencrypted.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account as Keys
from eth_account.datastructures import SignedTransaction
from eth_account.signers.local import LocalAccount
from eth_utils.address import is_address, to_checksum_address

from steelyard.errors import AccountMissing, WalletError, WrongPassword

LIGHT_ROUNDS = 2**12  # scrypt's n for test accounts: 15 ms and 4 MiB instead of 1 s and 256 MiB
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")


@dataclass(frozen=True)
class KeystoreAccount:
    """A keystore file. `address` is None if the file does not contain it."""

    name: str
    address: str | None
    path: Path


class Wallet:
    """An unlocked key. It signs; the key itself appears in no repr, log or error."""

    def __init__(self, account: LocalAccount, name: str = "") -> None:
        self._account = account
        self.address: str = account.address
        self.name = name or account.address

    def __repr__(self) -> str:
        return f"Wallet({self.name}, {self.address})"

    def __reduce__(self) -> Any:
        raise WalletError("a wallet cannot be pickled or copied", remedy="open its keystore again")

    def sign(self, transaction: dict[str, Any]) -> SignedTransaction:
        """The signed transaction: raw bytes and hash."""
        return self._account.sign_transaction(transaction)

    def sign_typed(
        self, domain: Mapping[str, Any], types: Mapping[str, Any], message: Mapping[str, Any]
    ) -> tuple[int, bytes, bytes]:
        """EIP-712 signature (v, r, s) of `message`, whose type is the last of `types`."""
        signed = self._account.sign_typed_data(dict(domain), dict(types), dict(message))
        return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


class Keystores:
    """A folder of keystore files; an account's name is the file name without `.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list(self) -> list[KeystoreAccount]:
        """All keystores of the folder, by name. Other files are skipped."""
        return sorted(self._scan(), key=lambda account: account.name)

    def find(self, which: str) -> KeystoreAccount:
        """Find a keystore by name, address or path.  Raises AccountMissing with the names that exist."""
        for account in self._scan():
            if which == account.name or (account.address and which.lower() == account.address.lower()):
                return account
        path = Path(which)
        if path.is_file():
            return KeystoreAccount(path.stem, _address(_read(path)), path)
        names = ", ".join(account.name for account in self.list()) or "none yet"
        raise AccountMissing(
            f"no account {which!r} in {self.folder}", remedy=f"there are: {names}; `account new` makes one"
        )

    def new(self, name: str, password: str, *, light: bool = False) -> KeystoreAccount:
        """Create a key from the system's randomness.  light: weak scrypt, for test accounts only."""
        return self._store(name, Keys.create(), password, light=light)

    def import_file(self, path: Path, password: str, name: str, *, light: bool = False) -> KeystoreAccount:
        """Import a V3 keystore of another program, under the same password.

        Raises WrongPassword, WalletError.
        """
        return self._store(name, _unlock(path, _read(path), password), password, light=light)

    def import_mnemonic(
        self, phrase: str, password: str, name: str, *, index: int = 0, light: bool = False
    ) -> KeystoreAccount:
        """Import account `index` of a BIP-39 phrase (m/44'/60'/0'/0/index); the phrase is not stored.

        Raises WalletError.
        """
        Keys.enable_unaudited_hdwallet_features()
        try:
            key = Keys.from_mnemonic(phrase, account_path=f"m/44'/60'/0'/0/{index}")
        except Exception as error:  # noqa: BLE001  # the cause may contain the phrase
            raise WalletError(
                f"not a BIP-39 phrase ({type(error).__name__})", remedy="check its words"
            ) from None
        return self._store(name, key, password, light=light)

    def open(self, which: str, password: str) -> Wallet:
        """Unlock by name, address or path.  Raises AccountMissing, WrongPassword."""
        account = self.find(which)
        key = _unlock(account.path, _read(account.path), password)
        return Wallet(key, account.name)

    def _store(self, name: str, key: LocalAccount, password: str, *, light: bool) -> KeystoreAccount:
        if not _NAME.match(name) or name.endswith(".json"):
            raise WalletError(
                f"{name!r} is not an account name", remedy="letters, digits, `.`, `_`, `-`; 64 at most"
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(account.name == name for account in self._scan()):
            raise WalletError(f"there is an account {name!r} already", remedy="choose another name")
        document = Keys.encrypt(key.key, password, kdf="scrypt", iterations=LIGHT_ROUNDS if light else None)
        path = self.folder / f"{name}.json"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        return KeystoreAccount(name, key.address, path)

    def _scan(self) -> Iterator[KeystoreAccount]:
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.is_file() and not path.name.startswith("."):
                try:
                    document = _read(path)
                except WalletError:
                    continue
                yield KeystoreAccount(path.name.removesuffix(".json"), _address(document), path)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WalletError(
            f"{path} is not a keystore: {error}", remedy="give a V3 keystore JSON file"
        ) from error
    if not isinstance(document, dict) or document.get("version") != 3:
        raise WalletError(
            f"{path} is not a V3 keystore", remedy="give a file of `cast wallet`, geth or Steelyard"
        )
    return document


def _address(document: Mapping[str, Any]) -> str | None:
    address = document.get("address")
    if not isinstance(address, str):
        return None
    address = address if address.startswith("0x") else f"0x{address}"
    return to_checksum_address(address) if is_address(address) else None


def _unlock(path: Path, document: dict[str, Any], password: str) -> LocalAccount:
    try:
        key = Keys.decrypt(document, password)
    except ValueError as error:
        if "MAC" in str(error):
            raise WrongPassword(f"wrong password for {path.name}", remedy="try again") from None
        raise WalletError(f"{path} cannot be opened: {error}", remedy="the file may be damaged") from None
    except (KeyError, TypeError, NotImplementedError) as error:
        raise WalletError(f"{path} is a damaged keystore: {error!r}", remedy="use a backup") from None
    account: LocalAccount = Keys.from_key(key)
    if _address(document) not in (None, account.address):
        raise WalletError(
            f"{path} says address {_address(document)}, and its key is that of {account.address}",
            remedy="the file was changed; use a backup",
        )
    return account
