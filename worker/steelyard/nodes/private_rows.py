"""A worker's rows where they are sealed: found by the sponsor's grant, open for as long as the node runs."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from steelyard.chain.generated.events import AccessGranted
from steelyard.content import Cid
from steelyard.errors import ContentCorrupt, NodeError
from steelyard.nodes.context import NodeContext
from steelyard.nodes.job_info import fetch
from steelyard.nodes.state.access import envelope_of
from steelyard.nodes.state.view import MemberSeat
from steelyard.sealing.envelopes import MAX_BYTES, Envelope
from steelyard.sealing.keyring import Keyring
from steelyard.sealing.stream import is_sealed, open_file

SPARE = 1 << 20  # bytes by which a shard that was sealed anew may be longer than the manifest says


class PrivateRows:
    """Opens a seat's sealed shard to a file that only this user reads, and removes it again.

    The opened file is in no store and has no CID. It is gone when access is withdrawn, when the node ends,
    and before it works again where it was killed.
    """

    def __init__(self, desk: NodeContext) -> None:
        self._desk = desk
        self._folder = desk.folder / "private"
        self._open: dict[tuple[str, int], Path] = {}  # by envelope and shard
        self.close()

    async def of(self, seat: MemberSeat) -> Path:
        """The seat's rows: as published, or opened.

        Raises NodeError where they are sealed and this member may not read them, ContentSealed where its key
        is missing, ContentError where nobody hands a file out.
        """
        desk, shard = self._desk, seat.shard or 0
        self.tidy()
        grant = desk.view.access.live(desk.local.identity, shard)
        if grant is not None:
            return await self._granted(envelope_of(grant), seat, shard)
        if seat.cid is None:
            raise NodeError("this seat names no data", remedy="give --data <rows.safetensors>")
        path = await self._fetched(seat.cid, self._size(seat.cid))
        if not await asyncio.to_thread(is_sealed, path):
            return path
        owned = Keyring.beside(desk.config.keystores).owned(seat.cid)
        if owned is None:
            raise self._refused(shard)
        return await self._opened(owned, path, str(seat.cid), shard)

    def tidy(self) -> None:
        """Remove what may no longer be read."""
        for (name, shard), path in list(self._open.items()):
            said = self._desk.view.access.last(self._desk.local.identity, shard)
            if said is None:
                continue  # sealed here by its owner
            if not isinstance(said, AccessGranted) or str(envelope_of(said)) != name:
                path.unlink(missing_ok=True)
                del self._open[name, shard]

    def close(self) -> None:
        """Remove everything opened."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._open.clear()

    async def _granted(self, cid: Cid | None, seat: MemberSeat, shard: int) -> Path:
        desk = self._desk
        if cid is None:
            raise NodeError(
                f"the grant of shard {shard} names no envelope",
                remedy=f"ask the sponsor {desk.info.sponsor} to grant access again",
            )
        if (done := self._open.get((str(cid), shard))) is not None:
            return done
        place = await self._fetched(cid, MAX_BYTES)
        envelope = Envelope.parse(await asyncio.to_thread(place.read_bytes))
        most = self._size(seat.cid) + SPARE
        if envelope.size > most:
            raise ContentCorrupt(
                f"the envelope of shard {shard} names a file of {envelope.size} bytes, more than {most}",
                remedy=f"ask the sponsor {desk.info.sponsor} to grant access again",
            )
        sealed = await self._fetched(envelope.content, envelope.size)
        return await self._opened(envelope, sealed, str(cid), shard)

    async def _opened(self, envelope: Envelope, sealed: Path, name: str, shard: int) -> Path:
        if (done := self._open.get((name, shard))) is not None:
            return done
        key = self._desk.keys.open(envelope)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._folder / f"{name}.safetensors"
        await asyncio.to_thread(open_file, sealed, key, target)
        self._open[name, shard] = target
        self._desk.report.say("unsealed", shard=shard, content=str(envelope.content), bytes=envelope.size)
        return target

    async def _fetched(self, cid: Cid, most: int) -> Path:
        desk = self._desk
        return await fetch(
            desk.store,
            cid,
            desk.folder / "data" / str(cid),
            max_bytes=most,
            timeout_s=desk.fetch_s,
            pin_until=desk.info.unsettled_until,
        )

    def _size(self, cid: Cid | None) -> int:
        """Bytes that the seat's file may have."""
        sizes = {shard.cid: shard.size for shard in self._desk.info.manifest.shards}
        return sizes.get(str(cid), 1 << 40)

    def _refused(self, shard: int) -> NodeError:
        desk = self._desk
        me, sponsor = desk.local.identity, desk.info.sponsor
        said = desk.view.access.last(me, shard)
        why = "may not read it" if said is None else f"may no longer read it since block {said.at.block}"
        return NodeError(
            f"shard {shard} of job {desk.info.job} is encrypted, and {me} {why}",
            remedy=f"ask the sponsor {sponsor} for `steelyard job grant {desk.info.job} --worker {me}`; this "
            "node tries again until submissions close",
        )
