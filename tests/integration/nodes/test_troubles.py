"""Nodes in trouble: malformed updates, late starters, reorganisations, idle chains."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from steelyard.chain.generated.structs import Collateral
from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.errors import ConfigError, NodeError
from steelyard.nodes.config import Role
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import run_node
from steelyard.nodes.verify import pull_model, verify_round
from support.chains import StartChain
from support.cheats import RefusedBlock, Unholdable, one_wrong_number
from support.fleet import ALL, BOND, FACTORIES, SHORT, STAKE, Fleet, Windows, open_first, run_all, staged


async def dying(fleet: Fleet, name: str, role: Role, last_event: str, **wanted: object) -> str:
    """Run a node until it reports `last_event` with these fields."""
    stop = asyncio.Event()

    def listen(event: NodeEvent) -> None:
        fleet.listener(name)(event)
        if event.kind == last_event and all(event.fields.get(key) == value for key, value in wanted.items()):
            stop.set()

    outcome = await run_node(fleet.config(name, role), on_event=listen, stop=stop, factories=FACTORIES)
    return outcome.status


async def test_a_malformed_update_costs_its_worker_the_stake_and_the_round_goes_on(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(
        start_chain("anvil"), tmp_path, workers=("w0", "w1", "w2"), windows=SHORT, rounds=2
    ) as fleet:
        cheat = dataclasses.replace(FACTORIES, training=RefusedBlock)
        ended = await run_all(fleet, {**ALL, "w2": (Role.WORKER,)}, {"w2": cheat}, timeout_s=200)
        assert ended["w0"] == ended["w1"] == "closed"
        (malformed,) = {event.fields["tx"]: event for event in fleet.reported("malformed")}.values()
        assert malformed.fields["worker"] == fleet.wallets["w2"].address
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 2
        async with fleet.client("sponsor") as client:
            vault = client.contracts.vault
            stakes = [
                await client.read(vault.balance_of(fleet.wallets[name].address, Collateral.STAKE))
                for name in ("w0", "w1", "w2")
            ]
            assert [stake.free + stake.locked for stake in stakes] == [STAKE, STAKE, 0]


@pytest.mark.slow
async def test_what_nobody_can_rebuild_is_held_by_nobody_and_the_round_goes_on_without_it(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), windows=SHORT, rounds=3) as fleet:
        cheat = dataclasses.replace(FACTORIES, aggregator=Unholdable)
        ended = await run_all(fleet, ALL, {"agg0": cheat, "agg1": cheat}, timeout_s=200)
        assert set(ended.values()) == {"closed"}
        voids = {event.fields["id"]: event for event in fleet.reported("void")}
        assert {event.round for event in voids.values()} == {1, 2, 3}
        assert {event.fields["cause"] for event in voids.values()} == {"not held"}
        assert not {event.fields["id"] for event in fleet.reported("held")} & set(voids)
        assert not [event for event in fleet.reported("tx") if event.fields["what"] == "convict"]
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 3
        async with fleet.client("sponsor") as client:
            vault, wallets = client.contracts.vault, fleet.wallets
            kinds = {
                "w0": Collateral.STAKE,
                "w1": Collateral.STAKE,
                "agg0": Collateral.BOND,
                "agg1": Collateral.BOND,
            }
            found = {
                name: await client.read(vault.balance_of(wallets[name].address, kind))
                for name, kind in kinds.items()
            }
            assert {name: balance.free + balance.locked for name, balance in found.items()} == {
                "w0": STAKE,
                "w1": STAKE,
                "agg0": 5 * BOND,
                "agg1": 5 * BOND,
            }


async def test_a_returning_worker_rebuilds_missed_results_and_takes_part_again(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), windows=SHORT, rounds=4) as fleet:
        late = asyncio.create_task(dying(fleet, "w1", Role.WORKER, "tx", what="attest"))

        async def comes_back() -> str:
            await late
            while not any(event.serial == 2 for event in fleet.reported("submission")):
                await asyncio.sleep(0.05)
            node = await run_node(
                fleet.config("w1", Role.WORKER), on_event=fleet.listener("w1"), factories=FACTORIES
            )
            return node.status

        back = asyncio.create_task(comes_back())
        roles = {name: roles for name, roles in ALL.items() if name != "w1"}
        ended = await run_all(fleet, roles, timeout_s=200)
        assert {*ended.values(), await back} == {"closed"}
        submits = [event for event in fleet.reported("tx", "w1") if event.fields["what"] == "submit"]
        assert len(submits) >= 2


async def test_anyone_verifies_a_round_and_pulls_its_model_from_public_data(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0", "w1"), rounds=2) as fleet:
        cheat = dataclasses.replace(FACTORIES, aggregator=one_wrong_number(2))
        roles = {name: roles for name, roles in ALL.items() if name != "challenger"}
        ended = await run_all(fleet, roles, {"agg0": cheat, "agg1": cheat}, timeout_s=120)
        assert set(ended.values()) == {"closed"}
        homes = [fleet.root / "homes" / name / "content" for name in roles]
        stores = [EmbeddedStore(StoreConfig(root=home, allow_private=True)) for home in homes]
        for store in stores:
            await store.__aenter__()
        peers = (fleet.bootstrap, *(str(store.url) for store in stores))
        ours = StoreConfig(root=tmp_path / "ours", peers=peers, serve=False, allow_private=True)
        async with EmbeddedStore(ours) as store, fleet.client("challenger") as client:
            first = await verify_round(client, store, fleet.job, 1, scratch=tmp_path / "one", timeout_s=60)
            assert first.verdict == "right"
            last = await verify_round(client, store, fleet.job, None, scratch=tmp_path / "two", timeout_s=60)
            assert (last.verdict, last.number, last.block, last.coordinate) == ("wrong", 2, 0, 2)
            pulled = await pull_model(
                client,
                store,
                fleet.job,
                None,
                tmp_path / "m.safetensors",
                scratch=tmp_path / "p",
                timeout_s=60,
            )
            assert pulled.number == 2
            assert pulled.path.exists()
            with pytest.raises(ConfigError, match="round 3"):
                await verify_round(client, store, fleet.job, 3, scratch=tmp_path / "x", timeout_s=60)
        lonely = StoreConfig(
            root=tmp_path / "lonely", peers=(fleet.bootstrap,), serve=False, allow_private=True
        )
        for store in stores:
            await store.__aexit__()
        async with EmbeddedStore(lonely) as store, fleet.client("challenger") as client:
            gone = await verify_round(client, store, fleet.job, 1, scratch=tmp_path / "y", timeout_s=1)
            assert gone.verdict == "unverifiable"
            assert len(gone.missing) == 2


async def test_a_committee_is_drawn_among_more_than_sixteen(start_chain: StartChain, tmp_path: Path) -> None:
    names = [f"w{index}" for index in range(17)]
    windows = Windows(submit=60, attest=40, turn=20, post=40, challenge=2)
    async with staged(
        start_chain("anvil", accounts=3), tmp_path, workers=names, windows=windows, rounds=1, poll_s=0.1
    ) as fleet:
        roles = dict.fromkeys(names, (Role.WORKER,))
        ended = await run_all(
            fleet, {**roles, "agg0": (Role.AGGREGATOR,), "challenger": (Role.CHALLENGER,)}, timeout_s=240
        )
        assert set(ended.values()) == {"closed"}
        attested = {event.fields["slot"] for event in fleet.reported("attestation")}
        assert len(attested) <= 16


async def test_an_aggregator_that_stays_away_is_removed_and_the_job_goes_on(
    start_chain: StartChain, tmp_path: Path
) -> None:
    windows = dataclasses.replace(SHORT, attest=2, turn=1)
    async with staged(
        start_chain("anvil"), tmp_path, workers=("w0", "w1"), windows=windows, rounds=8
    ) as fleet:
        async with fleet.client("agg1") as client:
            await client.send(client.contracts.coordinator.enlist(fleet.job))
        roles = {name: roles for name, roles in ALL.items() if name != "agg1"}
        assert set((await run_all(fleet, roles, timeout_s=200)).values()) == {"closed"}
        removed = [e for e in fleet.reported("tx") if e.fields["what"] == "removeAggregator"]
        assert len(removed) == 1


async def test_a_restarted_node_continues_on_a_chain_without_new_blocks(
    start_chain: StartChain, tmp_path: Path
) -> None:
    async with staged(
        start_chain("anvil"), tmp_path, workers=("w0",), aggregators=("agg0",), windows=SHORT, rounds=1
    ) as fleet:
        worker = asyncio.create_task(dying(fleet, "w0", Role.WORKER, "closed"))
        await open_first(fleet)
        assert await worker == "stopped"  # no other node runs, so no block is mined until it restarts
        roles = {"w0": (Role.WORKER,), "agg0": (Role.AGGREGATOR,)}
        nodes = [
            run_node(fleet.config(name, *mine), on_event=fleet.listener(name), factories=FACTORIES)
            for name, mine in roles.items()
        ]
        async with asyncio.timeout(60):
            ended = await asyncio.gather(*nodes)
        assert {node.status for node in ended} == {"closed"}


async def test_a_reorganisation_is_followed(start_chain: StartChain, tmp_path: Path) -> None:
    chain = start_chain("anvil")
    async with staged(chain, tmp_path, workers=("w0", "w1"), windows=SHORT, rounds=2) as fleet:

        async def reorganise() -> None:
            while not fleet.reported("attestation"):
                await asyncio.sleep(0.02)
            await asyncio.to_thread(chain.rpc, "anvil_rollback", 2)

        shaking = asyncio.create_task(reorganise())
        ended = await run_all(fleet, ALL, timeout_s=200)
        await shaking
        assert set(ended.values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 2


async def test_on_ganache_as_on_anvil(start_chain: StartChain, tmp_path: Path) -> None:
    windows = Windows(submit=20, attest=10, turn=5, post=15, challenge=2)
    async with staged(
        start_chain("ganache"), tmp_path, workers=("w0", "w1"), windows=windows, rounds=2
    ) as fleet:
        cheat = dataclasses.replace(FACTORIES, aggregator=one_wrong_number(1))
        ended = await run_all(fleet, ALL, {"agg0": cheat, "agg1": cheat}, timeout_s=200)
        assert set(ended.values()) == {"closed"}
        assert len({event.fields["id"] for event in fleet.reported("final")}) == 2
        assert len({event.fields["tx"] for event in fleet.reported("convicted")}) == 1


async def test_several_roles_in_one_process(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(
        start_chain("anvil"), tmp_path, workers=("w0", "w1"), aggregators=("agg0",), others=(), rounds=2
    ) as fleet:
        roles = {
            "w0": (Role.WORKER, Role.CHALLENGER),
            "w1": (Role.WORKER,),
            "agg0": (Role.AGGREGATOR, Role.CHALLENGER),
        }
        assert set((await run_all(fleet, roles)).values()) == {"closed"}


async def test_a_worker_without_a_seat_is_told_to_join(start_chain: StartChain, tmp_path: Path) -> None:
    async with staged(start_chain("anvil"), tmp_path, workers=("w0",)) as fleet:
        with pytest.raises(NodeError, match="job join"):
            await run_node(fleet.config("challenger", Role.WORKER), factories=FACTORIES)
        with pytest.raises(ConfigError, match="there is no job 7"):
            await run_node(fleet.config("w0", Role.WORKER, job=7), factories=FACTORIES)
