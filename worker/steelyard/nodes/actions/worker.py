"""A worker's actions on chain, as member and as attestor: submit, provide, attest, hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

from steelyard.content import Cid
from steelyard.errors import NodeError
from steelyard.nodes.actions.dispatch import Handlers
from steelyard.nodes.actions.training import own_update, seat_of
from steelyard.nodes.context import NodeContext
from steelyard.nodes.decisions.actions import Attest, Hold, Provide, Submit
from steelyard.nodes.state.view import update_cid


class WorkerActions:
    """The actions of one worker in one job."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def handlers(self) -> Handlers:
        """The method for each action type."""
        return {Submit: self.submit, Provide: self.provide, Attest: self.attest, Hold: self.hold}

    async def submit(self, action: Submit) -> None:
        """Submit the commitment of the journaled update."""
        context, opening = self._context, self._context.opening(action.serial)
        intent = context.journal.intent(f"update:{action.serial}")
        if intent is None or intent.body["parent"] != opening.parent.hex():
            context.local.prepared.discard(action.serial)  # trained before a reorganisation
            return
        cid, sealed_root = Cid.parse(intent.body["cid"]), bytes.fromhex(intent.body["sealed"])
        call = context.coordinator.submit(
            context.info.job, opening.serial, opening.parent, sealed_root, *cid.to_chain()
        )
        name = context.intent_name("submit", opening.serial, opening.parent.hex()[:8])
        await context.send(call, name, {"serial": opening.serial})

    async def provide(self, action: Provide) -> None:
        """Serve the own update, once a confirmed block shows that submissions are over."""
        context, opening = self._context, self._context.opening(action.serial)
        if action.not_before:
            await self._confirmed_past(action.not_before)
        submission = context.submission(action.serial, seat_of(context).slot)
        path, cid = own_update(context, action.serial), update_cid(submission)
        if not path.exists() or cid is None or await context.store.cid_of(path) != cid:
            context.local.provided.add(action.serial)
            raise NodeError(
                f"{path} is missing or is not the update submitted for serial {action.serial}",
                remedy="it counts as withheld in this round; check the disk",
            )
        link = context.updates.path(submission)
        link.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(path, link)
        await context.store.add(path, provide=True, pin_until=context.info.unsettled_until)
        context.local.provided.add(action.serial)
        context.report.emit("provided", serial=opening.serial, round_=opening.number, cid=str(cid))

    async def _confirmed_past(self, time_: int) -> None:
        """Wait until a block of this time (unix seconds) is confirmed. Raises NodeError if none comes."""
        client, confirmations = self._context.client, self._context.client.network.confirmations
        until = time.monotonic() + client.network.deadline_s
        first: int | None = None
        while True:
            if await client.clock.wait_until(time_, until):
                head = await client.head()
                first = head.number if first is None else first
                if head.number - first >= confirmations:
                    return
            if time.monotonic() > until:
                raise NodeError(
                    f"no block with a time past {time_} was confirmed within {client.network.deadline_s:g} s",
                    remedy="check the RPC server",
                )
            await asyncio.sleep(client.network.poll_s)

    async def attest(self, action: Attest) -> None:
        """Attest which updates are held."""
        context, opening = self._context, self._context.opening(action.serial)
        call = context.coordinator.attest(
            context.info.job, opening.serial, opening.parent, action.tries, action.bitmap
        )
        name = context.intent_name("attest", opening.serial, action.tries, opening.parent.hex()[:8])
        await context.send(call, name, {"bitmap": hex(action.bitmap)}, not_before=action.not_before)

    async def hold(self, action: Hold) -> None:
        """Record on chain that this member holds a result."""
        context = self._context
        call = context.coordinator.hold(context.info.job, action.serial, action.id)
        name = context.intent_name("hold", action.serial, action.id.hex()[:16], action.awaiting)
        await context.send(call, name, {"id": action.id.hex()})
