"""A worker's acts on chain, as member and as attestor: seal, hand out, attest, hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

from steelyard.content import Cid
from steelyard.errors import NodeError
from steelyard.nodes.actions.training import own_update, seat_of
from steelyard.nodes.actions.types import Attest, Hold, Provide, Submit
from steelyard.nodes.context import NodeContext


class WorkerActions:
    """One worker's acts in one job."""

    def __init__(self, desk: NodeContext) -> None:
        self._desk = desk

    async def submit(self, action: Submit) -> None:
        """Seal the update that the journal holds."""
        desk, opening = self._desk, self._desk.opening(action.serial)
        intent = desk.journal.intent(f"update:{action.serial}")
        if intent is None or intent.body["parent"] != opening.parent.hex():
            desk.local.prepared.discard(action.serial)  # of another fork of the chain
            return
        cid, sealed = Cid.parse(intent.body["cid"]), bytes.fromhex(intent.body["sealed"])
        call = desk.coordinator.submit(desk.info.job, opening.serial, opening.parent, sealed, *cid.to_chain())
        name = desk.name("submit", opening.serial, opening.parent.hex()[:8])
        await desk.send(call, name, {"serial": opening.serial})

    async def provide(self, action: Provide) -> None:
        """Hand out the own update, once a confirmed block shows that submissions are over."""
        desk, opening = self._desk, self._desk.opening(action.serial)
        if action.not_before:
            await self._confirmed_past(action.not_before)
        path, sealed = own_update(desk, action.serial), desk.sealed(action.serial, seat_of(desk).slot)
        if not path.exists() or sealed.cid is None or await desk.store.cid_of(path) != sealed.cid:
            desk.local.provided.add(action.serial)
            raise NodeError(
                f"the update of serial {action.serial} is no longer in {path}",
                remedy="it counts as withheld in this round; check the disk",
            )
        link = desk.updates.path(action.serial, sealed)
        link.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(path, link)
        await desk.store.add(path, provide=True, pin_until=desk.info.unsettled_until)
        desk.local.provided.add(action.serial)
        desk.report.say("provided", serial=opening.serial, round_=opening.number, cid=str(sealed.cid))

    async def _confirmed_past(self, moment: int) -> None:
        """Wait until a block of that time has its confirmations."""
        client, confirmations = self._desk.client, self._desk.client.network.confirmations
        until = time.monotonic() + client.network.deadline_s
        first: int | None = None
        while True:
            if await client.clock.reach(moment, until):
                head = await client.head()
                first = head.number if first is None else first
                if head.number - first >= confirmations:
                    return
            if time.monotonic() > until:
                raise NodeError("no block comes", remedy="check the RPC")
            await asyncio.sleep(client.network.poll_s)

    async def attest(self, action: Attest) -> None:
        """Say which updates are held."""
        desk, opening = self._desk, self._desk.opening(action.serial)
        call = desk.coordinator.attest(
            desk.info.job, opening.serial, opening.parent, action.tries, action.bitmap
        )
        name = desk.name("attest", opening.serial, action.tries, opening.parent.hex()[:8])
        await desk.send(call, name, {"bitmap": hex(action.bitmap)}, not_before=action.not_before)

    async def hold(self, action: Hold) -> None:
        """Say that a result is held."""
        desk = self._desk
        call = desk.coordinator.hold(desk.info.job, action.serial, action.id)
        name = desk.name("hold", action.serial, action.id.hex()[:16], action.awaiting)
        await desk.send(call, name, {"id": action.id.hex()})
