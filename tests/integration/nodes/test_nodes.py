"""Nodes in one process on anvil: a job runs by itself to its end, cheats and deaths included."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from steelyard.chain.generated.structs import Collateral
from steelyard.core.encodings import Encoding
from steelyard.core.numbers import ONE
from steelyard.core.rules import AggregationConfig
from steelyard.nodes.actions.common import CommonActions
from steelyard.nodes.claims import claim_posts, claim_shares, claimable, claimable_posts
from steelyard.nodes.config import Role
from steelyard.nodes.decisions.actions import Upkeep
from steelyard.nodes.runner import run_node
from support.chains import StartChain
from support.cheats import one_wrong_number
from support.fleet import ALL, BOND, FACTORIES, POOL, SHORT, run_all, staged


async def test_a_job_runs_from_its_first_opening_to_its_end(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1")) as fleet:
        ended = await run_all(fleet, ALL)
        assert set(ended.values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 3
        assert not fleet.reported("void")
        assert not fleet.reported("problem")


@pytest.mark.parametrize(
    "step",
    [
        AggregationConfig(block_count=5, encoding=Encoding.RAW32, beta=ONE // 2, bound2=10**9),
        AggregationConfig(block_count=1, encoding=Encoding.BFP4, lr=ONE // 3),
    ],
    ids=["momentum and clipping", "one block of 4 bits"],
)
async def test_every_arithmetic_is_rebuilt_by_all(
    start_chain: StartChain, tmp_path: Path, step: AggregationConfig
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), step=step, rounds=2) as fleet:
        ended = await run_all(fleet, ALL)
        assert set(ended.values()) == {"closed"}
        verdicts = {event.fields["verdict"] for event in fleet.reported("rebuilt")}
        assert verdicts == {"right"}


async def test_a_wrong_number_is_convicted_and_the_right_result_posted(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1")) as fleet:
        cheat = dataclasses.replace(FACTORIES, aggregator=one_wrong_number(2))
        ended = await run_all(fleet, ALL, {"agg0": cheat, "agg1": cheat})
        assert set(ended.values()) == {"closed"}
        convictions = {event.fields["tx"]: event for event in fleet.reported("convicted")}
        assert len(convictions) == 1
        (convicted,) = convictions.values()
        assert convicted.fields["prover"] == fleet.wallets["challenger"].address
        assert convicted.fields["rewarded"]
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 3
        async with fleet.client("sponsor") as client:
            contracts = client.contracts
            poster = str(convicted.fields["poster"])
            bond = await client.read(contracts.vault.balance_of(poster, Collateral.BOND))
            assert bond.free == 4 * BOND
            reward = await client.read(
                contracts.vault.credit_of(contracts.token.address, fleet.wallets["challenger"].address)
            )
            assert reward == BOND // 2


async def test_a_job_ends_though_what_is_anyones_is_always_done_late(
    start_chain: StartChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So late that the last result is posted before the holds of the one below it were counted."""

    async def late(self: CommonActions, action: Upkeep) -> None:
        await asyncio.sleep(1.5)
        await at_once(self, action)

    at_once = CommonActions.upkeep
    monkeypatch.setattr(CommonActions, "upkeep", late)
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=2) as fleet:
        assert set((await run_all(fleet, ALL)).values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 2


async def test_everything_earned_is_claimed_once(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1")) as fleet:
        await run_all(fleet, ALL)
        async with fleet.client("challenger") as client:
            shares = await claimable(client, fleet.job)
            assert len(shares) == 6
            await claim_shares(client, shares)
            await claim_posts(client, await claimable_posts(client, fleet.job))
            assert not await claimable(client, fleet.job)
            assert not await claimable_posts(client, fleet.job)
            token, vault = client.contracts.token.address, client.contracts.vault
            earned = [
                await client.read(vault.credit_of(token, fleet.wallets[name].address))
                for name in ("w0", "w1", "agg0", "agg1")
            ]
            assert earned[0] == earned[1] == 3 * POOL * 85 // 200
            assert sum(earned) == 3 * POOL
            assert (await client.read(vault.escrow_of(fleet.job))).amount == 0


async def test_a_worker_that_dies_permanently_after_attesting_does_not_stop_the_job(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), windows=SHORT, rounds=2) as fleet:
        stop = asyncio.Event()

        def die(event) -> None:  # type: ignore[no-untyped-def]
            fleet.listener("w1")(event)
            if event.kind == "tx" and event.fields["what"] == "attest":
                stop.set()

        dying = asyncio.create_task(
            run_node(fleet.config("w1", Role.WORKER), on_event=die, stop=stop, factories=FACTORIES)
        )
        roles = {name: roles for name, roles in ALL.items() if name != "w1"}
        ended = await run_all(fleet, roles, timeout_s=200)
        assert (await dying).status == "stopped"
        assert set(ended.values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 2


async def test_files_of_settled_rounds_leave_the_disk(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=6) as fleet:
        assert set((await run_all(fleet, ALL)).values()) == {"closed"}
        for name in ALL:
            (job,) = (fleet.root / "homes" / name).glob("job-*")
            kept = sorted(int(path.name) for path in (job / "updates").iterdir())
            results = {int(path.name.partition("-")[0]) for path in (job / "results").glob("[0-9]*-*")}
            assert min([*kept, *results]) >= 5
            if name.startswith("w"):
                own = {int(path.stem) for path in (job / "own").iterdir()}
                assert own == {5, 6}
                assert 6 in {int(path.stem) for path in (job / "kept").iterdir()}
