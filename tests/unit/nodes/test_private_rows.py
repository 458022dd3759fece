"""A worker's encrypted rows: decrypted with a grant, refused without, removed when access is withdrawn."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steelyard.chain.generated.events import AccessGranted, AccessWithdrawn
from steelyard.chain.types import LogPosition
from steelyard.content import Cid, EmbeddedStore, StoreConfig
from steelyard.errors import ContentCorrupt, ContentSealed, NodeError
from steelyard.nodes.private_rows import PrivateRows
from steelyard.nodes.state.folding import fold
from steelyard.nodes.state.view import MemberSeat, View
from steelyard.sealing.envelopes import Envelope
from steelyard.sealing.keyring import Keyring, SecretKeys
from steelyard.sealing.stream import reseal_file, seal_file

ME, OTHER, SPONSOR = ("0x" + letter * 40 for letter in "abc")
ROWS = b"rows that nobody else reads" * 1000
PASSWORD = "p"


@dataclass(kw_only=True)
class ShardSetup:
    """An encrypted shard in a store, a worker with a key, and the chain events so far."""

    folder: Path
    store: EmbeddedStore
    ring: Keyring
    public: bytes
    sealed: Path
    key: bytes
    cid: Cid
    log: list[Any] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def context(self) -> Any:
        shard = SimpleNamespace(cid=str(self.cid), size=self.sealed.stat().st_size)
        return SimpleNamespace(
            folder=self.folder / "node",
            store=self.store,
            fetch_s=0.3,
            keys=self.ring.unlock(ME, PASSWORD),
            config=SimpleNamespace(keystores=self.ring.folder.parent),
            local=SimpleNamespace(identity=ME),
            view=self.view,
            info=SimpleNamespace(
                job=1,
                sponsor=SPONSOR,
                manifest=SimpleNamespace(shards=[shard]),
                unsettled_until=time.time() + 60,
            ),
            report=SimpleNamespace(emit=lambda kind, **fields: self.events.append((kind, fields))),
        )

    @property
    def view(self) -> View:
        return fold(1, self.log)

    @property
    def seat(self) -> MemberSeat:
        return MemberSeat(worker=ME, operator=ME, slot=0, weight=1, shard=0, cid=self.cid, block=1)

    @property
    def opened(self) -> list[Path]:
        private = self.folder / "node" / "private"
        return list(private.iterdir()) if private.exists() else []

    async def grant(self, content: Cid, key: bytes, size: int, recipient: bytes | None = None) -> None:
        envelope = Envelope.seal(key, content=content, size=size, recipient=recipient or self.public)
        cid = await self.store.add_bytes(envelope.encode())
        self.granted(cid)

    def granted(self, cid: Cid, worker: str = ME) -> None:
        codec, digest = cid.to_chain()
        self.log.append(
            AccessGranted(
                job=1, worker=worker, shard=0, codec=codec, digest=digest, position=self._position()
            )
        )

    def withdrawn(self, worker: str = ME) -> None:
        self.log.append(AccessWithdrawn(job=1, worker=worker, shard=0, position=self._position()))

    def _position(self) -> LogPosition:
        block = len(self.log) + 1
        return LogPosition(block=block, block_hash="0x", transaction=f"0x{block}", index=0, address="0x")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[ShardSetup]:
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(ROWS)
    key = seal_file(plain, sealed)
    plain.unlink()
    ring = Keyring.beside(tmp_path / "keys")
    public = ring.create(ME, PASSWORD, light=True)
    (tmp_path / "node").mkdir()
    async with EmbeddedStore(StoreConfig(root=tmp_path / "content", serve=False)) as store:
        cid = await store.add(sealed)
        yield ShardSetup(
            folder=tmp_path, store=store, ring=ring, public=public, sealed=sealed, key=key, cid=cid
        )


async def test_a_granted_shard_is_opened_to_a_private_file(place: ShardSetup) -> None:
    await place.grant(place.cid, place.key, place.sealed.stat().st_size)

    rows = await PrivateRows(place.context()).path_for(place.seat)

    assert rows.read_bytes() == ROWS
    assert rows.stat().st_mode & 0o777 == 0o600
    assert rows.parent.stat().st_mode & 0o777 == 0o700
    assert [kind for kind, _ in place.events] == ["unsealed"]


async def test_it_is_opened_once_for_all_rounds(place: ShardSetup) -> None:
    await place.grant(place.cid, place.key, place.sealed.stat().st_size)
    private = PrivateRows(place.context())

    first, second = await private.path_for(place.seat), await private.path_for(place.seat)

    assert first == second
    assert len(place.events) == 1


async def test_without_a_grant_it_says_whom_to_ask(place: ShardSetup) -> None:
    with pytest.raises(NodeError, match="is encrypted") as caught:
        await PrivateRows(place.context()).path_for(place.seat)

    assert SPONSOR in caught.value.remedy
    assert f"job grant 1 --worker {ME}" in caught.value.remedy
    assert not place.opened


async def test_a_grant_that_comes_later_is_used(place: ShardSetup) -> None:
    context = place.context()
    private = PrivateRows(context)
    with pytest.raises(NodeError):
        await private.path_for(place.seat)

    await place.grant(place.cid, place.key, place.sealed.stat().st_size)
    context.view = place.view

    assert (await private.path_for(place.seat)).read_bytes() == ROWS


async def test_what_was_opened_goes_when_access_is_withdrawn(place: ShardSetup) -> None:
    await place.grant(place.cid, place.key, place.sealed.stat().st_size)
    context = place.context()
    private = PrivateRows(context)
    await private.path_for(place.seat)

    place.withdrawn()
    context.view = place.view
    private.remove_withdrawn()

    assert not place.opened
    with pytest.raises(NodeError, match="may no longer read it since block 2"):
        await private.path_for(place.seat)


async def test_a_withdrawal_from_another_worker_changes_nothing(place: ShardSetup) -> None:
    await place.grant(place.cid, place.key, place.sealed.stat().st_size)
    place.granted(place.cid, worker=OTHER)
    context = place.context()
    private = PrivateRows(context)
    rows = await private.path_for(place.seat)

    place.withdrawn(OTHER)
    context.view = place.view
    private.remove_withdrawn()

    assert rows.exists()


async def test_reencrypted_content_replaces_the_old(place: ShardSetup) -> None:
    await place.grant(place.cid, place.key, place.sealed.stat().st_size)
    context = place.context()
    private = PrivateRows(context)
    before = await private.path_for(place.seat)
    renewed = place.folder / "renewed"
    key = reseal_file(place.sealed, place.key, renewed)

    await place.grant(await place.store.add(renewed), key, renewed.stat().st_size)
    context.view = place.view
    after = await private.path_for(place.seat)

    assert (before.exists(), after.read_bytes() == ROWS) == (False, True)
    assert place.opened == [after]


async def test_nothing_opened_survives_the_node_or_its_death(place: ShardSetup) -> None:
    await place.grant(place.cid, place.key, place.sealed.stat().st_size)
    private = PrivateRows(place.context())
    await private.path_for(place.seat)
    private.close()
    assert not place.opened

    await private.path_for(place.seat)  # and now it is killed
    PrivateRows(place.context())

    assert not place.opened


async def test_what_was_opened_is_in_no_store(place: ShardSetup) -> None:
    await place.grant(place.cid, place.key, place.sealed.stat().st_size)
    rows = await PrivateRows(place.context()).path_for(place.seat)

    assert not await place.store.has(await place.store.cid_of(rows))


async def test_an_envelope_for_another_key_names_the_key_that_is_missing(place: ShardSetup) -> None:
    theirs = Keyring.beside(place.folder / "theirs").create(OTHER, PASSWORD, light=True)
    await place.grant(place.cid, place.key, place.sealed.stat().st_size, recipient=theirs)

    with pytest.raises(ContentSealed, match=theirs.hex()[:16]):
        await PrivateRows(place.context()).path_for(place.seat)


async def test_a_grant_of_something_else_is_refused(place: ShardSetup) -> None:
    place.granted(await place.store.add_bytes(b"no envelope"))

    with pytest.raises(ContentCorrupt, match="not an envelope"):
        await PrivateRows(place.context()).path_for(place.seat)


async def test_an_envelope_cannot_make_a_worker_fetch_without_end(place: ShardSetup) -> None:
    await place.grant(place.cid, place.key, 1 << 40)

    with pytest.raises(ContentCorrupt, match="more than"):
        await PrivateRows(place.context()).path_for(place.seat)


async def test_a_worker_opens_what_it_sealed_itself(place: ShardSetup) -> None:
    size = place.sealed.stat().st_size
    place.ring.save_envelope(Envelope.seal(place.key, content=place.cid, size=size, recipient=place.public))

    rows = await PrivateRows(place.context()).path_for(place.seat)

    assert rows.read_bytes() == ROWS


async def test_open_rows_are_used_as_they_were_published(place: ShardSetup) -> None:
    plain = place.folder / "open"
    plain.write_bytes(ROWS)
    place.cid, place.sealed = await place.store.add(plain), plain
    context = place.context()
    context.keys = SecretKeys()

    rows = await PrivateRows(context).path_for(place.seat)

    assert rows.read_bytes() == ROWS
    assert not place.opened
