"""The context that all components of a node share: job, chain client, store, journal and state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.chain.calls import Call
from steelyard.chain.client import ChainClient
from steelyard.chain.generated.coordinator import Coordinator
from steelyard.chain.generated.structs import Submission
from steelyard.chain.rpc import RpcRefused
from steelyard.chain.types import Receipt
from steelyard.content import ContentStore
from steelyard.errors import NodeError
from steelyard.nodes.config import NodeConfig
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.files.results import Results
from steelyard.nodes.files.updates import Updates
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.journal import Journal
from steelyard.nodes.reporting import Reporter
from steelyard.nodes.state.committee import SEEDED
from steelyard.nodes.state.local import LocalState
from steelyard.nodes.state.view import Opening, Post, View
from steelyard.sealing.keyring import SecretKeys

_REORGANISED = "nothing to do: the chain was reorganised, and the node goes on with its present state"


@dataclass(kw_only=True)
class NodeContext:
    """Shared by the components of one node. Only `view` is replaced, at a rollback."""

    config: NodeConfig
    client: ChainClient
    store: ContentStore
    info: JobInfo
    journal: Journal
    local: LocalState
    updates: Updates
    results: Results
    report: Reporter
    folder: Path
    keys: SecretKeys = field(default_factory=SecretKeys)  # a worker's encryption keys
    view: View = field(default_factory=lambda: View(0))
    last_block: int = 0  # the last block applied to `view`

    @property
    def coordinator(self) -> Coordinator:
        """Typed calls of the Coordinator contract."""
        return self.info.contracts.coordinator

    @property
    def fetch_s(self) -> float:
        """Seconds that one attempt to fetch a file may take."""
        return self.config.fetch_s

    def opening(self, serial: int) -> Opening:
        """An opening by serial. Raises NodeError if a reorganisation removed it."""
        found = self.view.openings.get(serial)
        if found is None:
            raise NodeError(f"opening {serial} is no longer on chain", remedy=_REORGANISED)
        return found

    def post(self, id_: bytes) -> Post:
        """A posted result by id. Raises NodeError if a reorganisation removed it."""
        found = self.view.posts.get(id_)
        if found is None:
            raise NodeError(f"result 0x{id_.hex()} is no longer on chain", remedy=_REORGANISED)
        return found

    def submission(self, serial: int, slot: int) -> Submission:
        """A submission by serial and slot. Raises NodeError if a reorganisation removed it."""
        found = self.opening(serial).submissions.get(slot)
        if found is None:
            raise NodeError(f"submission {serial}/{slot} is no longer on chain", remedy=_REORGANISED)
        return found

    async def refresh_round(self, opening: Opening, block: int) -> None:
        """Read the fields of a round that no event carries, as of `block`.

        An RPC server may not have the block, after a reorganisation or behind a load balancer. This is
        reported, and the next poll tries again. Raises Unreachable.
        """
        call = self.coordinator.round_of(self.info.job, opening.serial)
        try:
            found = await self.client.read(call, block=block)
        except RpcRefused as error:
            self.report.emit("problem", what="round", error=type(error).__name__, message=error.message)
            return
        opening.clock = found.round.clock
        opening.seed_recorded = opening.seed_recorded or bool(found.round.flags & SEEDED)

    def intent_name(self, function: str, *parts: object) -> str:
        """Name of an intent, unique within the contract; the client adds the contract's address."""
        return ":".join((function, str(self.info.job), *map(str, parts)))

    async def send(
        self, call: Call[Any], intent: str, body: Mapping[str, Any], *, not_before: int | None = None
    ) -> Receipt:
        """Journal an intent, send its transaction and report it. The same intent is never sent twice."""
        self.journal.write(intent, body)
        crashpoint("send.before")
        receipt = await self.client.send(call, intent=intent, not_before=not_before)
        crashpoint("send.after")
        self.journal.mark_done(intent)
        self.report.emit(
            "tx",
            what=call.function,
            intent=intent,
            hash=receipt.hash,
            block=receipt.block,
            gas_used=receipt.gas_used,
            cost_wei=str(receipt.cost_wei),
        )
        return receipt
