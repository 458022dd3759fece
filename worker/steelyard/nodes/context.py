"""What the parts of one node share: its job, its files, its journal, and the way to the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.chain.calls import Call
from steelyard.chain.client import ChainClient
from steelyard.chain.generated.coordinator import Coordinator
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
from steelyard.nodes.state.view import Opening, Post, Sealed, View
from steelyard.sealing.keyring import SecretKeys

_FORKED = "it was reorganised; the node goes on with what it shows now"


@dataclass(kw_only=True)
class NodeContext:
    """One node's tools. `view` is replaced at a rollback; everything else stays."""

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
    seen: int = 0  # the last block that `view` knows

    @property
    def coordinator(self) -> Coordinator:
        """Typed calls."""
        return self.info.contracts.coordinator

    @property
    def fetch_s(self) -> float:
        """Seconds that one attempt to get a file may take."""
        return self.config.fetch_s

    def opening(self, serial: int) -> Opening:
        """An opening of the chain as it is now. Raises NodeError where a reorganisation took it away."""
        found = self.view.openings.get(serial)
        if found is None:
            raise NodeError(f"the chain shows no opening {serial} any more", remedy=_FORKED)
        return found

    def post(self, id_: bytes) -> Post:
        """A posted result, likewise."""
        found = self.view.posts.get(id_)
        if found is None:
            raise NodeError(f"the chain shows no result 0x{id_.hex()} any more", remedy=_FORKED)
        return found

    def sealed(self, serial: int, slot: int) -> Sealed:
        """A submission, likewise."""
        found = self.opening(serial).submissions.get(slot)
        if found is None:
            raise NodeError(f"the chain shows no submission {serial}/{slot} any more", remedy=_FORKED)
        return found

    async def ask_round(self, opening: Opening, block: int) -> None:
        """Fill in what no event carries, as of `block`; the next look asks again where that fails.

        A server may lack the block: after a reorganisation, or as the late one of several behind the URL.
        Raises Unreachable.
        """
        call = self.coordinator.round_of(self.info.job, opening.serial)
        try:
            found = await self.client.read(call, block=block)
        except RpcRefused as error:
            self.report.say("problem", what="round", error=type(error).__name__, message=error.message)
            return
        opening.clock = found.round.clock
        opening.seeded = opening.seeded or bool(found.round.flags & SEEDED)

    def name(self, act: str, *parts: object) -> str:
        """An intent's name; it is unique among all contracts, since the client adds the address."""
        return ":".join((act, str(self.info.job), *map(str, parts)))

    async def send(
        self, call: Call[Any], intent: str, body: Mapping[str, Any], *, not_before: int | None = None
    ) -> Receipt:
        """Write the intent down, send it, and say so. The same intent again is the same transaction."""
        self.journal.write(intent, body)
        crashpoint("send.before")
        receipt = await self.client.send(call, intent=intent, not_before=not_before)
        crashpoint("send.after")
        self.journal.mark_done(intent)
        self.report.say(
            "tx",
            what=call.function,
            intent=intent,
            hash=receipt.hash,
            block=receipt.block,
            gas_used=receipt.gas_used,
            cost_wei=str(receipt.cost_wei),
        )
        return receipt
