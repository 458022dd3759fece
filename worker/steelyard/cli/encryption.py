"""Encryption keys of the session's accounts, stored beside the keystores."""

from __future__ import annotations

import json
import os
from pathlib import Path

from steelyard.chain.wallets import LIGHT_ROUNDS, KeystoreAccount
from steelyard.cli.session import Session
from steelyard.errors import AccountMissing, ConfigError
from steelyard.sealing.keyring import Keyring, SecretKeys

NEW = "new"


def ring_of(session: Session) -> Keyring:
    """The key ring beside this session's keystores."""
    return Keyring.beside(session.config.keystore_dir)


def chosen_key(session: Session, text: str, operator: str) -> bytes:
    """The key to register: hex digits, a fresh one for `new`, zeros for nothing.

    A fresh key is encrypted with the password of the operator's keystore, which the node uses; if that is not
    here, with that of the account that signs.  Raises ConfigError, WrongPassword.
    """
    if text != NEW:
        return _from_hex(text)
    if session.dry_run:
        return os.urandom(32)
    keystores = session.keystores()
    try:
        keeper = keystores.find(operator)
    except AccountMissing:
        keeper = keystores.find(session.account_name())
    return _make(session, keeper)


def own_key(session: Session) -> bytes:
    """The public key of the session's account; made if there is none."""
    account = session.keystores().find(session.account_name())
    there = ring_of(session).list(account.address) if account.address else []
    return there[-1].public if there else _make(session, account)


def own_secrets(session: Session) -> SecretKeys:
    """The private keys of the session's account.  Raises WrongPassword."""
    account = session.keystores().find(session.account_name())
    ring = ring_of(session)
    if account.address is None or not ring.list(account.address):
        return SecretKeys()
    return ring.unlock(account.address, session.passwords().get(account.name))


def _make(session: Session, keeper: KeystoreAccount) -> bytes:
    password = session.passwords().get(keeper.name)
    wallet = session.keystores().open(
        str(keeper.path), password
    )  # a mistyped password would lock the key forever
    ring = ring_of(session)
    public = ring.create(wallet.address, password, light=_is_light(keeper.path))
    session.out.say(
        f"made an encryption key under the password of {keeper.name}; keep a copy of {ring.folder}: data "
        "encrypted for a lost key cannot be read"
    )
    return public


def _is_light(path: Path) -> bool:
    """True if a keystore has weak key stretching, as a throw-away account."""
    try:
        rounds = json.loads(path.read_text("utf-8"))["crypto"]["kdfparams"]["n"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return isinstance(rounds, int) and rounds <= LIGHT_ROUNDS


def _from_hex(text: str) -> bytes:
    raw = text.removeprefix("0x")
    try:
        key = bytes.fromhex(raw) if raw else bytes(32)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ConfigError(
            f"the encryption key {text[:80]!r} is not 32 bytes in hex",
            remedy="give an X25519 public key, or `new` to have one made",
        )
    return key
