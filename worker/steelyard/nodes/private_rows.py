"""A worker's encrypted rows: found by the sponsor's grant and decrypted while the node runs."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from steelyard.chain.generated.events import AccessGranted
from steelyard.content import Cid
from steelyard.errors import ContentCorrupt, NodeError
from steelyard.nodes.context import NodeContext
from steelyard.nodes.job_info import fetch
from steelyard.nodes.state.view import MemberSeat, envelope_cid
from steelyard.sealing.envelopes import MAX_BYTES, Envelope
from steelyard.sealing.keyring import Keyring
from steelyard.sealing.stream import is_sealed, open_file

SPARE = 1 << 20  # bytes by which a re-encrypted shard may be longer than in the manifest


class PrivateRows:
    """Decrypts a seat's shard to a file that only this user can read, and removes it again.

    The decrypted file is in no store and has no CID. It is removed when access is withdrawn, when the node
    ends and, after a crash, when the node starts again.
    """

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._folder = context.folder / "private"
        self._open: dict[tuple[str, int], Path] = {}  # by envelope and shard
        self.close()

    async def path_for(self, seat: MemberSeat) -> Path:
        """Path of the seat's rows, decrypted if necessary.

        Raises NodeError if they are encrypted and this member may not read them, ContentSealed if its key is
        missing, ContentError if no peer serves a file.
        """
        context, shard = self._context, seat.shard or 0
        self.remove_withdrawn()
        grant = context.view.access.live(context.local.identity, shard)
        if grant is not None:
            return await self._granted(envelope_cid(grant), seat, shard)
        if seat.cid is None:
            raise NodeError("this seat names no data", remedy="give --data <rows.safetensors>")
        path = await self._fetched(seat.cid, self._size(seat.cid))
        if not await asyncio.to_thread(is_sealed, path):
            return path
        owned = Keyring.beside(context.config.keystores).saved_envelope(seat.cid)
        if owned is None:
            raise self._refused(shard)
        return await self._opened(owned, path, str(seat.cid), shard)

    def remove_withdrawn(self) -> None:
        """Remove decrypted files to which access was withdrawn."""
        for (name, shard), path in list(self._open.items()):
            entry = self._context.view.access.last(self._context.local.identity, shard)
            if entry is None:
                continue  # encrypted here by its owner
            if not isinstance(entry, AccessGranted) or str(envelope_cid(entry)) != name:
                path.unlink(missing_ok=True)
                del self._open[name, shard]

    def close(self) -> None:
        """Remove all decrypted files."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._open.clear()

    async def _granted(self, cid: Cid | None, seat: MemberSeat, shard: int) -> Path:
        context = self._context
        if cid is None:
            raise NodeError(
                f"the grant of shard {shard} does not name an envelope",
                remedy=f"ask the sponsor {context.info.sponsor} to grant access again",
            )
        if (done := self._open.get((str(cid), shard))) is not None:
            return done
        path = await self._fetched(cid, MAX_BYTES)
        envelope = Envelope.parse(await asyncio.to_thread(path.read_bytes))
        limit = self._size(seat.cid) + SPARE
        if envelope.size > limit:
            raise ContentCorrupt(
                f"the envelope of shard {shard} names a file of {envelope.size} bytes, more than {limit}",
                remedy=f"ask the sponsor {context.info.sponsor} to grant access again",
            )
        sealed = await self._fetched(envelope.content, envelope.size)
        return await self._opened(envelope, sealed, str(cid), shard)

    async def _opened(self, envelope: Envelope, sealed: Path, name: str, shard: int) -> Path:
        if (done := self._open.get((name, shard))) is not None:
            return done
        key = self._context.keys.open(envelope)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._folder / f"{name}.safetensors"
        await asyncio.to_thread(open_file, sealed, key, target)
        self._open[name, shard] = target
        self._context.report.emit("unsealed", shard=shard, content=str(envelope.content), bytes=envelope.size)
        return target

    async def _fetched(self, cid: Cid, max_bytes: int) -> Path:
        context = self._context
        return await fetch(
            context.store,
            cid,
            context.folder / "data" / str(cid),
            max_bytes=max_bytes,
            timeout_s=context.fetch_s,
            pin_until=context.info.unsettled_until,
        )

    def _size(self, cid: Cid | None) -> int:
        """Greatest size of the seat's file in bytes."""
        sizes = {shard.cid: shard.size for shard in self._context.info.manifest.shards}
        return sizes.get(str(cid), 1 << 40)

    def _refused(self, shard: int) -> NodeError:
        context = self._context
        me, sponsor = context.local.identity, context.info.sponsor
        entry = context.view.access.last(me, shard)
        why = (
            "may not read it"
            if entry is None
            else f"may no longer read it since block {entry.position.block}"
        )
        return NodeError(
            f"shard {shard} of job {context.info.job} is encrypted, and {me} {why}",
            remedy=f"ask the sponsor {sponsor} for `steelyard job grant {context.info.job} --worker {me}`; "
            "this node tries again until submissions close",
        )
