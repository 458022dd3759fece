"""Sealed files, envelopes and the keyring: what opens, and what is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from steelyard.content import Cid, cid_of_path
from steelyard.errors import ConfigError, ContentCorrupt, ContentSealed, WalletError, WrongPassword
from steelyard.sealing import stream
from steelyard.sealing.envelopes import Envelope
from steelyard.sealing.keyring import Keyring, SecretKeys

BODY = 8 + 24  # where the first chunk begins
STEP = stream.CHUNK + 17  # from one sealed chunk to the next
BIG_MB = 200
ACCOUNT = "0x" + "ab" * 20


def _content(size: int) -> bytes:
    return hashlib.shake_128(b"rows").digest(size)


def _sealed(folder: Path, size: int) -> tuple[Path, bytes, bytes]:
    plain, sealed = folder / "plain", folder / "sealed"
    plain.write_bytes(_content(size))
    return sealed, stream.seal_file(plain, sealed), plain.read_bytes()


@pytest.mark.parametrize(
    "size", [0, 1, 5000, stream.CHUNK - 1, stream.CHUNK, stream.CHUNK + 1, 3 * stream.CHUNK]
)
def test_what_was_sealed_opens_again(tmp_path: Path, size: int) -> None:
    sealed, key, plain = _sealed(tmp_path, size)

    stream.open_file(sealed, key, tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == plain
    assert sealed.stat().st_size == stream.sealed_size(size)
    assert stream.is_sealed(sealed)
    assert not stream.is_sealed(tmp_path / "out")


def test_an_opened_file_is_its_owners_alone(tmp_path: Path) -> None:
    sealed, key, _ = _sealed(tmp_path, 100)

    stream.open_file(sealed, key, tmp_path / "out")

    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_a_sealed_file_shows_nothing_of_what_it_holds_and_is_new_each_time(tmp_path: Path) -> None:
    sealed, key, plain = _sealed(tmp_path, 4096)
    again = tmp_path / "again"

    other = stream.seal_file(tmp_path / "plain", again)

    assert other != key
    for start in range(0, 4096 - 16, 16):
        assert plain[start : start + 16] not in sealed.read_bytes()
    assert again.read_bytes()[32:] != sealed.read_bytes()[32:]


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _swap(data: bytes) -> bytes:
    first, second = data[BODY : BODY + STEP], data[BODY + STEP : BODY + 2 * STEP]
    return data[:BODY] + second + first + data[BODY + 2 * STEP :]


MANGLED = {
    "magic": lambda data: _flip(data, 0),
    "header": lambda data: _flip(data, 9),
    "first chunk": lambda data: _flip(data, BODY + 3),
    "second chunk": lambda data: _flip(data, BODY + STEP + 3),
    "last byte": lambda data: _flip(data, len(data) - 1),
    "chunks swapped": _swap,
    "a chunk left out": lambda data: data[: BODY + STEP] + data[BODY + 2 * STEP :],
    "a chunk twice": lambda data: data[: BODY + STEP] + data[BODY:],
    "last chunk gone": lambda data: data[: BODY + 3 * STEP],
    "cut in a chunk": lambda data: data[:-1],
    "cut in a tag": lambda data: data[: BODY + 5],
    "cut behind the header": lambda data: data[:BODY],
    "cut in the header": lambda data: data[:20],
    "empty": lambda data: data[:0],
    "lengthened": lambda data: data + bytes(1),
    "lengthened by a chunk": lambda data: data + data[BODY : BODY + STEP],
}


@pytest.mark.parametrize("how", MANGLED)
def test_a_mangled_file_is_refused_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    sealed, key, _ = _sealed(tmp_path, 3 * stream.CHUNK + 100)
    sealed.write_bytes(MANGLED[how](sealed.read_bytes()))

    with pytest.raises((ContentCorrupt, ContentSealed)):
        stream.open_file(sealed, key, tmp_path / "out")
    with pytest.raises((ContentCorrupt, ContentSealed)):
        stream.reseal_file(sealed, key, tmp_path / "out")

    assert {path.name for path in tmp_path.iterdir()} == {"plain", "sealed"}


def test_another_files_key_is_refused(tmp_path: Path) -> None:
    sealed, _, _ = _sealed(tmp_path, 1000)
    other = stream.seal_file(tmp_path / "plain", tmp_path / "again")

    with pytest.raises(ContentSealed, match="does not open with this key"):
        stream.open_file(sealed, other, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_resealed_content_opens_with_the_new_key_alone(tmp_path: Path) -> None:
    sealed, old, plain = _sealed(tmp_path, 2 * stream.CHUNK + 7)
    renewed = tmp_path / "renewed"

    new = stream.reseal_file(sealed, old, renewed)

    with pytest.raises(ContentSealed):
        stream.open_file(renewed, old, tmp_path / "out")
    stream.open_file(renewed, new, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == plain


def test_a_withdrawn_reader_opens_the_old_file_and_not_the_new_one(tmp_path: Path) -> None:
    sealed, old, plain = _sealed(tmp_path, 5000)
    stays, goes = PrivateKey.generate(), PrivateKey.generate()
    before = {reader: _wrapped(sealed, old, reader) for reader in (stays, goes)}
    new = stream.reseal_file(sealed, old, tmp_path / "renewed")
    after = _wrapped(tmp_path / "renewed", new, stays)

    for reader in (stays, goes):
        assert before[reader].unwrap(reader) == old
    assert after.unwrap(stays) == new
    with pytest.raises(ContentSealed):
        after.unwrap(goes)
    with pytest.raises(ContentSealed):
        stream.open_file(tmp_path / "renewed", before[goes].unwrap(goes), tmp_path / "out")
    stream.open_file(tmp_path / "renewed", after.unwrap(stays), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == plain


def _wrapped(sealed: Path, key: bytes, reader: PrivateKey) -> Envelope:
    return Envelope.seal(
        key, content=cid_of_path(sealed), size=sealed.stat().st_size, recipient=bytes(reader.public_key)
    )


def test_an_envelope_is_read_as_it_was_written(tmp_path: Path) -> None:
    sealed, key, _ = _sealed(tmp_path, 10)
    reader = PrivateKey.generate()
    envelope = _wrapped(sealed, key, reader)

    again = Envelope.parse(envelope.encode())

    assert again == envelope
    assert again.unwrap(reader) == key
    assert key.hex().encode() not in envelope.encode()


def test_an_envelope_fits_no_other_file(tmp_path: Path) -> None:
    sealed, key, _ = _sealed(tmp_path, 10)
    reader = PrivateKey.generate()
    document = json.loads(_wrapped(sealed, key, reader).encode())
    document["content"] = str(cid_of_path(tmp_path / "plain"))
    moved = Envelope.parse(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())

    with pytest.raises(ContentSealed, match="is not that of"):
        moved.unwrap(reader)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "00" * 112},
        {"key": "zz" * 112},
        {"key": "00"},
        {"content": "nothing"},
        {"recipient": "AB" * 32},
        {"size": 0},
        {"size": "9"},
        {"version": 2},
        {"more": 1},
    ],
)
def test_a_hostile_envelope_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    sealed, key, _ = _sealed(tmp_path, 10)
    reader = PrivateKey.generate()
    document = {**json.loads(_wrapped(sealed, key, reader).encode()), **change}

    with pytest.raises((ContentCorrupt, ContentSealed)):
        Envelope.parse(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).unwrap(reader)


@pytest.mark.parametrize("registered", [bytes(32), b"\x01" + bytes(31), b"short"])
def test_nobody_is_given_a_key_who_registered_none_that_can_be_used(registered: bytes) -> None:
    with pytest.raises(ConfigError, match=r"encryption key|X25519"):
        Envelope.seal(bytes(32), content=_cid(), size=1, recipient=registered)


def _cid() -> Cid:
    return Cid.from_chain(0x55, hashlib.sha256(b"x").digest())


def test_a_key_opens_with_its_password_and_leaves_no_trace_of_itself(tmp_path: Path) -> None:
    ring = Keyring.beside(tmp_path)

    public = ring.create(ACCOUNT, "correct", light=True)

    keys = ring.unlock(ACCOUNT, "correct")
    envelope = Envelope.seal(bytes(range(32)), content=_cid(), size=9, recipient=public)
    assert keys.open(envelope) == bytes(range(32))
    (file,) = ring.folder.glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert repr(keys) == "SecretKeys(1)"
    with pytest.raises(WalletError):
        pickle.dumps(keys)


def test_a_wrong_password_and_a_damaged_file_are_distinguished(tmp_path: Path) -> None:
    ring = Keyring.beside(tmp_path)
    ring.create(ACCOUNT, "correct", light=True)
    (file,) = ring.folder.glob("*.json")

    with pytest.raises(WrongPassword):
        ring.unlock(ACCOUNT, "wrong")
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "kdf": {**document["kdf"], "memory": 1 << 40}}))
    with pytest.raises(WalletError, match="damaged"):
        ring.unlock(ACCOUNT, "correct")


def test_only_the_accounts_own_keys_are_opened(tmp_path: Path) -> None:
    ring = Keyring.beside(tmp_path)
    ring.create(ACCOUNT, "mine", light=True)
    theirs = ring.create("0x" + "cd" * 20, "another password", light=True)

    keys = ring.unlock(ACCOUNT, "mine")

    with pytest.raises(ContentSealed, match="whose private half is not here"):
        keys.open(Envelope.seal(bytes(32), content=_cid(), size=9, recipient=theirs))


def test_the_owner_finds_what_was_sealed_here(tmp_path: Path) -> None:
    ring = Keyring.beside(tmp_path)
    envelope = Envelope.seal(
        bytes(32), content=_cid(), size=9, recipient=ring.create(ACCOUNT, "p", light=True)
    )

    ring.save_envelope(envelope)

    assert ring.saved_envelope(_cid()) == envelope
    assert ring.saved_envelope(Cid.from_chain(0x55, bytes(32))) is None
    assert len(ring.list()) == 1  # envelopes are no keys


def test_no_key_opens_nothing() -> None:
    with pytest.raises(ContentSealed):
        SecretKeys().open(Envelope.seal(bytes(32), content=_cid(), size=9, recipient=b"\x09" + bytes(31)))


PEAK = """
import resource, sys
from pathlib import Path
from steelyard.sealing import stream
folder = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
key = stream.seal_file(folder / "plain", folder / "sealed")
again = stream.reseal_file(folder / "sealed", key, folder / "renewed")
stream.open_file(folder / "renewed", again, folder / "out")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    piece = _content(1 << 20)
    with (tmp_path / "plain").open("wb") as file:
        for _ in range(BIG_MB):
            file.write(piece)

    grown = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path)], check=True, capture_output=True, text=True, timeout=60
    )

    assert (tmp_path / "out").stat().st_size == BIG_MB << 20
    assert int(grown.stdout) < 16 << 10  # KiB, for files of 200 MiB
    for path in tmp_path.iterdir():
        path.unlink()
