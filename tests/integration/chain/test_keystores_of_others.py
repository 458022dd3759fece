"""Keystores go both ways between Steelyard and `cast wallet`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from eth_account import Account

from steelyard.chain.dev.tools import program
from steelyard.chain.wallets import Keystores
from steelyard.errors import WalletError, WrongPassword

PASSWORD = "correct horse: battery 'staple' ü"


def cast(*arguments: str) -> str:
    ran = subprocess.run(
        [*program("cast"), "wallet", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_cast_opens_what_steelyard_made(tmp_path: Path) -> None:
    made = Keystores(tmp_path).new("alice", PASSWORD)
    said = cast("address", "--keystore", str(made.path), "--password", PASSWORD)
    assert said.strip() == made.address
    signature = cast("sign", "--keystore", str(made.path), "--password", PASSWORD, "hello").strip()
    verified = cast("verify", "--address", str(made.address), "hello", signature)
    assert "succeeded" in verified


def test_steelyard_opens_what_cast_made(tmp_path: Path) -> None:
    said = cast("new", str(tmp_path), "bob", "--unsafe-password", PASSWORD)
    address = next(word for word in said.split() if word.startswith("0x"))
    store = Keystores(tmp_path)
    assert store.open("bob", PASSWORD).address == address
    [listed] = store.list()
    assert listed.name == "bob"
    with pytest.raises(WrongPassword):
        store.open("bob", PASSWORD + " ")


def test_an_imported_keystore_keeps_key_and_password(tmp_path: Path) -> None:
    cast("new", str(tmp_path), "carol", "--unsafe-password", PASSWORD)
    store = Keystores(tmp_path / "mine")
    imported = store.import_file(tmp_path / "carol", PASSWORD, "carol", light=True)
    assert imported.address == store.open("carol", PASSWORD).address
    assert store.open(str(imported.address), PASSWORD).name == "carol"
    assert (
        cast("address", "--keystore", str(imported.path), "--password", PASSWORD).strip() == imported.address
    )


def test_a_pbkdf2_keystore_of_another_program_opens(tmp_path: Path) -> None:
    key = Account.create()
    path = tmp_path / "old"
    path.write_text(json.dumps(Account.encrypt(key.key, PASSWORD, kdf="pbkdf2", iterations=1000)))
    assert Keystores(tmp_path).open("old", PASSWORD).address == key.address


def test_a_keystore_whose_address_is_not_its_keys_is_refused(tmp_path: Path) -> None:
    store = Keystores(tmp_path)
    made = store.new("mallory", PASSWORD, light=True)
    document = json.loads(made.path.read_text("utf-8"))
    made.path.write_text(json.dumps({**document, "address": "11" * 20}))
    with pytest.raises(WalletError, match="address"):
        store.open("mallory", PASSWORD)
