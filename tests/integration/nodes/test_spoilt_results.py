"""Results whose files do not have what was posted: no honest node holds them, and each becomes void."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.chain.calls import Call
from steelyard.chain.client import ChainClient
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.generated import events as ev
from steelyard.chain.generated.structs import Collateral, Result
from steelyard.chain.types import Event
from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.core.encodings import Encoding
from steelyard.core.numbers import ONE
from steelyard.core.rules import AggregationConfig
from steelyard.errors import ContentMissing
from steelyard.nodes.config import Role
from steelyard.nodes.decisions.actions import Convict, Hold, Publish, Submit, Train
from steelyard.nodes.decisions.aggregator import aggregator_actions
from steelyard.nodes.decisions.challenger import challenger_actions
from steelyard.nodes.decisions.common import Snapshot
from steelyard.nodes.decisions.worker import worker_actions
from steelyard.nodes.files.results import Results
from steelyard.nodes.files.updates import Updates
from steelyard.nodes.job_info import JobInfo
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import run_node
from steelyard.nodes.state.folding import concerns, fold
from steelyard.nodes.state.local import LocalState, ResultVerdict
from steelyard.nodes.state.view import NOT_HELD, View
from support.chains import StartChain
from support.crashing import log_of
from support.fleet import BOND, FACTORIES, Fleet, Windows, open_first, staged
from support.spoiling import SPOILERS, Right, Spoilt

WORKERS = ("w0", "w1", "w2")
WINDOWS = Windows(submit=300, attest=300, turn=300, post=600, challenge=300)  # not waited for
COUNT = int(os.environ.get("STEELYARD_SPOILT", "1000"))  # of each kind of job
WITHHELD_S = 0.1  # seconds to wait for a file that no peer serves
STEPS = [
    pytest.param(
        AggregationConfig(block_count=5, encoding=Encoding.BFP8, beta=ONE // 2, bound2=10**9),
        id="momentum and clipping",
    ),
    pytest.param(AggregationConfig(block_count=6, encoding=Encoding.RAW32), id="plain"),
]


@dataclass(frozen=True, kw_only=True)
class Court:
    """A round that waits for its post, a cheating poster, and the components of an honest node."""

    fleet: Fleet
    client: ChainClient
    chain: DevChain
    info: JobInfo
    liar: EmbeddedStore
    updates: Updates
    results: Results
    local: LocalState
    log: Sequence[Event]  # so far
    right: Right
    poster: str
    now: int

    async def spoilt_is_refused(self, spoilt: Spoilt) -> None:
        """Post one result on chain, run it to its end, and revert the chain."""
        result = spoilt.result
        if spoilt.file is not None:
            codec, digest = (await self.liar.add_bytes(spoilt.file)).to_chain()
            result = dataclasses.replace(result, codec=codec, digest=digest)
        assert result != self.right.result
        snapshot = self.chain.rpc("evm_snapshot")
        self.local.rebuilt = {self.right.result.parent: self.local.rebuilt[self.right.result.parent]}
        try:
            told = self._send(self.client.contracts.coordinator.post(result), self.now + 1)
            (post,) = (event for event in told if isinstance(event, ev.Posted))
            assert await self.verdict(post, told) is not ResultVerdict.RIGHT
            self._ends_void(post)
        finally:
            assert self.chain.rpc("evm_revert", snapshot)

    async def verdict(self, post: ev.Posted, told: Sequence[Event]) -> ResultVerdict | None:
        """The verdict on a post. A node wants no action about one that it cannot rebuild."""
        view = fold(self.info.job, [*self.log, *told])
        with contextlib.suppress(ContentMissing):
            await self.results.rebuild(view, post.id, WITHHELD_S)
        rebuilt = self.local.rebuilt.get(post.id)
        if rebuilt is None or rebuilt.verdict is not ResultVerdict.RIGHT:
            assert rebuilt is None or rebuilt.verdict is ResultVerdict.UNBUILDABLE
            for now in (self.now + 1, (self.now + post.hold_by) // 2, post.hold_by - 1):
                assert not self.wanted_actions(view, now)
        return None if rebuilt is None else rebuilt.verdict

    def wanted_actions(self, view: View, now: int) -> list[Any]:
        """Actions that a node of all roles wants about a result."""
        snapshot = Snapshot(
            view=view, local=self.local, terms=self.info.terms, now=now, block=view.openings[1].block
        )
        wanted = [
            *worker_actions(snapshot),
            *aggregator_actions(snapshot, enlist=False),
            *challenger_actions(snapshot),
        ]
        return [act for act in wanted if isinstance(act, Hold | Train | Submit | Publish | Convict)]

    def _ends_void(self, post: ev.Posted) -> None:
        told = self._send(self.client.contracts.coordinator.retry(self.info.job, post.serial), post.hold_by)
        ends = [event for event in told if isinstance(event, ev.ResultVoid)]
        assert [(event.id, event.cause) for event in ends] == [(post.id, NOT_HELD)]
        assert not [event for event in told if isinstance(event, ev.Slashed | ev.Convicted)]
        assert self._bond() == 5 * BOND

    def _bond(self) -> int:
        """The poster's free and locked bond."""
        call = self.client.contracts.vault.balance_of(self.poster, Collateral.BOND)
        balance = call.decode(bytes.fromhex(self.chain.rpc("eth_call", call.fields(), "latest")[2:]))
        return balance.free + balance.locked

    def _pooled(self) -> int:
        """Number of pending transactions."""
        return int(self.chain.rpc("txpool_status")["pending"], 16)

    def _send(self, call: Call[Any], at: int) -> tuple[Event, ...]:
        """Mine a call of the poster in a block of that time. Returns its events."""
        self.chain.rpc("evm_setNextBlockTimestamp", at)
        sent = self.chain.rpc("eth_sendTransaction", {**call.fields(self.poster), "gas": hex(2_000_000)})
        until = time.monotonic() + 60
        # anvil clears its pool shortly after the receipt is there. If it is reverted in between, it takes the
        # next transaction with that nonce for the mined one.
        while (receipt := self.chain.rpc("eth_getTransactionReceipt", sent)) is None or self._pooled():
            assert time.monotonic() < until, "nothing was mined"
            time.sleep(0.001)
        assert receipt["status"] == "0x1"
        return self.client.decoder.events(receipt["logs"])


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
async def test_no_honest_node_holds_what_fits_no_files_and_it_ends_void_with_nobody_slashed(
    start_chain: StartChain, tmp_path: Path, step: AggregationConfig
) -> None:
    async with court(start_chain("anvil"), tmp_path, step) as seat:
        kinds: Counter[str] = Counter()
        for index in range(COUNT):
            random = np.random.default_rng(index)
            spoiler = SPOILERS[index % len(SPOILERS)]
            try:
                await seat.spoilt_is_refused(spoiler(random, seat.right))
            except AssertionError as error:
                raise AssertionError(f"{spoiler.__name__} of seed {index}: {error}") from error
            kinds[spoiler.__name__] += 1
        assert min(kinds.values()) >= COUNT // len(SPOILERS)


async def test_the_same_court_holds_the_right_result(start_chain: StartChain, tmp_path: Path) -> None:
    step = AggregationConfig(block_count=5, encoding=Encoding.BFP8, beta=ONE // 2, bound2=10**9)
    async with court(start_chain("anvil"), tmp_path, step) as seat:
        await seat.liar.add(seat.right.computed.published)
        told = seat._send(seat.client.contracts.coordinator.post(seat.right.result), seat.now + 1)
        (post,) = (event for event in told if isinstance(event, ev.Posted))
        assert await seat.verdict(post, told) is ResultVerdict.RIGHT
        view = fold(seat.info.job, [*seat.log, *told])
        assert [type(act) for act in seat.wanted_actions(view, seat.now + 1)] == [Train]


@contextlib.asynccontextmanager
async def court(chain: DevChain, root: Path, step: AggregationConfig) -> AsyncIterator[Court]:
    """A round with three attested updates and without a post."""
    async with staged(
        chain, root, workers=WORKERS, aggregators=("agg0",), others=(), windows=WINDOWS, step=step
    ) as fleet:
        async with fleet.client("agg0") as client:
            await client.send(client.contracts.coordinator.enlist(fleet.job))
        await all_attest(fleet)
        homes = root / "homes"
        liar = EmbeddedStore(StoreConfig(root=root / "liar", allow_private=True))
        async with fleet.client("agg0") as client, liar:
            peers = (fleet.bootstrap, str(liar.url))
            config = StoreConfig(root=homes / "w0" / "content", peers=peers, allow_private=True)
            async with EmbeddedStore(config) as store:
                yield await _seated(fleet, client, chain, store, liar)


async def all_attest(fleet: Fleet) -> None:
    """Run the workers until each has attested, then stop them."""
    stop, attested = asyncio.Event(), set()

    def listen(event: NodeEvent) -> None:
        if event.kind == "tx" and event.fields["what"] == "attest":
            attested.add(event.account)
        if len(attested) == len(WORKERS):
            stop.set()

    nodes = [
        asyncio.create_task(
            run_node(fleet.config(name, Role.WORKER), on_event=listen, stop=stop, factories=FACTORIES)
        )
        for name in WORKERS
    ]
    await open_first(fleet)
    async with asyncio.timeout(60):
        await asyncio.gather(*nodes)


async def _seated(
    fleet: Fleet, client: ChainClient, chain: DevChain, store: EmbeddedStore, liar: EmbeddedStore
) -> Court:
    """Compute the right result from the files of node w0."""
    place = fleet.root / "court"
    info = await JobInfo.load(client, store, fleet.job, scratch=place / "data", timeout_s=60)
    log = [event for event in await log_of(client) if concerns(fleet.job, event)]
    view, local = fold(fleet.job, log), LocalState(identity=fleet.wallets["w0"].address)
    updates = Updates(info, store, place / "updates")
    results = Results(info, store, updates, local, place / "results")
    opening = view.openings[1]
    for slot in opening.submissions:
        local.checked[1, slot] = await updates.check(opening, slot, 5)
    now = (await client.head(fresh=True)).timestamp
    parent = await results.rebuild(view, opening.parent, 5)
    computed = await results.compute(opening, opening.submitted, parent, 5)
    inputs = await results.inputs(opening, opening.submitted, parent, 5)
    codec, digest = computed.cid.to_chain()
    result = Result(
        job=fleet.job, serial=1, attempt=0, parent=opening.parent, included=opening.submitted,
        state_root=computed.roots.state, momentum_root=computed.roots.momentum,
        transcript_root=computed.roots.transcript, table=computed.table_hash, codec=codec, digest=digest,
        poster=client.address,
    )  # fmt: skip
    files = [parent.state, *(one.path for one in local.checked.values())]
    right = Right(
        inputs=inputs, computed=computed, result=result, published=computed.published.read_bytes(),
        public=tuple(path.read_bytes() for path in files if path is not None),
    )  # fmt: skip
    chain.rpc("anvil_impersonateAccount", client.address)
    return Court(
        fleet=fleet, client=client, chain=chain, info=info, liar=liar, updates=updates, results=results,
        local=local, log=log, right=right, poster=client.address, now=now,
    )  # fmt: skip
