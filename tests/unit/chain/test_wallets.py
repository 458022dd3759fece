"""Keystores and passwords: storage, refusals, and secrecy of keys."""

from __future__ import annotations

import copy
import getpass
import json
import logging
import pickle
import stat
from pathlib import Path

import pytest
from eth_account import Account

from steelyard.chain.passwords import VARIABLE, Passwords
from steelyard.chain.wallets import Keystores, Wallet
from steelyard.errors import AccountMissing, WalletError, WrongPassword

PHRASE = "test test test test test test test test test test test junk"


@pytest.fixture
def store(tmp_path: Path) -> Keystores:
    return Keystores(tmp_path / "keys")


def test_a_new_account_opens_with_its_password_alone(store: Keystores) -> None:
    made = store.new("alice", "secret", light=True)
    assert store.open("alice", "secret").address == made.address
    assert made.address is not None
    assert store.open(made.address.lower(), "secret").address == made.address
    assert store.open(str(made.path), "secret").address == made.address
    with pytest.raises(WrongPassword, match="alice"):
        store.open("alice", "Secret")


def test_the_default_strength_is_the_standard_one(store: Keystores, monkeypatch: pytest.MonkeyPatch) -> None:
    weak = json.loads(store.new("weak", "x", light=True).path.read_text())
    strong = json.loads(store.new("strong", "x").path.read_text())
    assert strong["crypto"]["kdfparams"]["n"] >= 2**17
    assert weak["crypto"]["kdfparams"]["n"] == 2**12


def test_keystores_are_for_their_owner_alone(store: Keystores) -> None:
    made = store.new("alice", "secret", light=True)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_no_account_is_overwritten(store: Keystores) -> None:
    made = store.new("alice", "one", light=True)
    with pytest.raises(WalletError, match="already"):
        store.new("alice", "two", light=True)
    assert store.open("alice", "one").address == made.address


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "a.json", "a b"])
def test_names_that_are_no_file_names_are_refused(store: Keystores, name: str) -> None:
    with pytest.raises(WalletError, match="account name"):
        store.new(name, "secret", light=True)


def test_an_unknown_account_names_those_that_exist(store: Keystores) -> None:
    with pytest.raises(AccountMissing, match="none yet"):
        store.open("bob", "x")
    store.new("alice", "x", light=True)
    with pytest.raises(AccountMissing, match="alice"):
        store.open("bob", "x")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"version": 3}', '{"version": 3, "crypto": {"kdf": "md5"}}']
)
def test_a_damaged_keystore_is_reported_as_such(store: Keystores, tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(WalletError) as caught:
        store.open(str(path), "x")
    assert not isinstance(caught.value, WrongPassword)
    assert "broken.json" in str(caught.value)


def test_other_files_in_the_folder_are_passed_over(store: Keystores) -> None:
    store.new("alice", "x", light=True)
    (store.folder / "notes.txt").write_text("hello")
    (store.folder / "binary").write_bytes(b"\xff\xfe\x00")
    assert [account.name for account in store.list()] == ["alice"]


def test_a_phrase_gives_the_well_known_account(store: Keystores) -> None:
    made = store.import_mnemonic(PHRASE, "x", "first", light=True)
    assert made.address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    second = store.import_mnemonic(PHRASE, "x", "second", index=1, light=True)
    assert second.address == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def test_a_wrong_phrase_is_not_repeated(store: Keystores) -> None:
    with pytest.raises(WalletError) as caught:
        store.import_mnemonic("correct horse battery staple", "x", "first", light=True)
    assert "horse" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_unlocked_key_shows_nowhere(store: Keystores, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = Account.create()
    wallet = Wallet(key, "alice")
    hidden = bytes(key.key).hex()
    for text in (repr(wallet), str(wallet), f"{wallet!r}", repr(vars(wallet)), caplog.text):
        assert hidden not in text
    with pytest.raises(WalletError):
        pickle.dumps(wallet)
    with pytest.raises(WalletError):
        copy.deepcopy(wallet)


def test_passwords_come_from_the_file_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "from environment")
    assert Passwords(prompt=False).get("alice") == "from environment"
    path = tmp_path / "password"
    path.write_text("from file \n")
    assert Passwords(file=path, prompt=False).get("alice") == "from file "


def test_without_any_source_the_password_is_missed_and_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(WalletError, match="--password-file"):
        Passwords(prompt=False).get("alice")


def test_a_known_password_is_of_one_account_and_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "from environment")
    known = Passwords.known("alice", "in memory")
    assert (known.get("alice"), known.get("bob")) == ("in memory", "from environment")
    assert "in memory" not in repr(known)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(WalletError, match="no password for bob"):
        known.get("bob")


def test_a_prompt_asks_twice_for_a_new_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    answers = iter(["one", "one", "one", "two"])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(answers))
    assert Passwords(prompt=True).get("alice", confirm=True) == "one"
    with pytest.raises(WalletError, match="differ"):
        Passwords(prompt=True).get("alice", confirm=True)


def test_a_password_is_asked_for_once_for_each_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    asked: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or f"secret {len(asked)}")
    passwords = Passwords(prompt=True)
    assert [passwords.get(name) for name in ("alice", "bob", "alice")] == ["secret 1", "secret 2", "secret 1"]
    assert asked == ["Password of alice: ", "Password of bob: "]
    assert "secret" not in repr(passwords)


def test_an_unreadable_password_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WalletError, match="missing"):
        Passwords(file=tmp_path / "missing").get("alice")
