"""A deployed job with funded accounts, and nodes that work in it, in this process or in others."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from web3 import HTTPProvider, Web3

from steelyard.chain.client import ChainClient
from steelyard.chain.deploy import deploy
from steelyard.chain.deployment_plan import DeploymentSettings
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.generated.structs import Collateral, JobTerms
from steelyard.chain.generated.structs import Step as ChainStep
from steelyard.chain.networks import KNOWN, Deployment, Network
from steelyard.chain.passwords import Passwords
from steelyard.chain.wallets import Keystores, Wallet
from steelyard.chain.web3_creator import Web3Creator
from steelyard.content import EmbeddedStore, StoreConfig
from steelyard.core.encodings import Encoding
from steelyard.core.rules import AggregationConfig
from steelyard.core.state_file import write_state
from steelyard.jobs.manifest import InitialModel, Manifest, TensorSpec, TrainingConfig
from steelyard.nodes.config import NodeConfig, Role
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.reporting import NodeEvent
from steelyard.nodes.runner import run_node
from support.trainers import StepTrainer

PASSWORD = "a password of no worth"
UNIT = 10**18
STAKE, BOND, POOL = 10 * UNIT, 20 * UNIT, 6 * UNIT
FACTORIES = NodeFactories(trainer=StepTrainer)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """A test job's windows, in seconds."""

    submit: int = 20
    attest: int = 10
    turn: int = 5
    post: int = 15
    challenge: int = 2


@dataclass(kw_only=True)
class Fleet:
    """One job on one chain, and the keys of all accounts."""

    root: Path
    chain: DevChain | None
    network: Network
    bootstrap: str
    job: int = 1
    wallets: dict[str, Wallet] = field(default_factory=dict)
    events: list[tuple[str, NodeEvent]] = field(default_factory=list)

    @property
    def keystores(self) -> Path:
        return self.root / "keys"

    @property
    def password_file(self) -> Path:
        return self.root / "password"

    def config(self, name: str, *roles: Role, **changes: Any) -> NodeConfig:
        """Settings of the node `name`, whose keystore has that name."""
        home = self.root / "homes" / name
        store = StoreConfig(root=home / "content", peers=(self.bootstrap,), allow_private=True)
        data = self.root / "rows"
        config = NodeConfig(
            network=self.network,
            home=home,
            keystores=self.keystores,
            account=name,
            passwords=Passwords(file=self.password_file, prompt=False),
            job=self.job,
            roles=frozenset(roles),
            store=store,
            state_dir=self.root / "state",
            data=data,
            fetch_s=5.0,
        )
        return dataclasses.replace(config, **changes)

    def save(self) -> None:
        """Write the files from which `node_process` runs nodes of this fleet."""
        if self.network.deployment is None:
            raise ValueError("no deployment")
        self.network.deployment.write(self.root / "deployment.json")
        document = {
            "network": self.network.name,
            "url": self.network.rpc_url,
            "poll_s": self.network.poll_s,
            "confirmations": self.network.confirmations,
            "bootstrap": self.bootstrap,
            "job": self.job,
        }
        (self.root / "fleet.json").write_text(json.dumps(document))

    @classmethod
    def load(cls, root: Path) -> Fleet:
        """A saved fleet, without the chain and without keys."""
        document = json.loads((root / "fleet.json").read_text())
        network = dataclasses.replace(
            KNOWN[document["network"]],
            rpc_url=document["url"],
            poll_s=document["poll_s"],
            confirmations=document["confirmations"],
            deployment=Deployment.read(root / "deployment.json"),
        )
        return cls(
            root=root, chain=None, network=network, bootstrap=document["bootstrap"], job=document["job"]
        )

    def listener(self, name: str) -> Any:
        """A listener that records a node's events."""
        return lambda event: self.events.append((name, event))

    def reported(self, kind: str, name: str | None = None) -> list[NodeEvent]:
        """Events of a kind, of one node or of all."""
        return [event for who, event in self.events if event.kind == kind and name in (None, who)]

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[ChainClient]:
        """A client with that account's key and, like a node's, with crash points."""
        if name not in self.wallets:
            self.wallets[name] = Keystores(self.keystores).open(name, PASSWORD)
        client = await ChainClient.connect(
            self.network, self.wallets[name], state_dir=self.root / "state", on_step=crashpoint
        )
        async with client:
            yield client


@asynccontextmanager
async def staged(
    chain: DevChain,
    root: Path,
    *,
    workers: Sequence[str],
    aggregators: Sequence[str] = ("agg0", "agg1"),
    others: Sequence[str] = ("challenger",),
    windows: Windows | None = None,
    step: AggregationConfig | None = None,
    poll_s: float = 0.025,
    confirmations: int = 0,
    **terms: Any,
) -> AsyncIterator[Fleet]:
    """Deploy, fund, publish and create a job, and let its members join. The first round is not open yet."""
    step = step or AggregationConfig(block_count=8, encoding=Encoding.BFP8)
    network = await asyncio.to_thread(_deployed, chain, poll_s, confirmations)
    root.mkdir(parents=True, exist_ok=True)
    async with EmbeddedStore(StoreConfig(root=root / "sponsor", allow_private=True)) as store:
        fleet = Fleet(root=root, chain=chain, network=network, bootstrap=str(store.url))
        names = ("sponsor", *workers, *aggregators, *others)
        await asyncio.to_thread(_make_keys, fleet, chain, names)
        manifest = await _published(fleet, store, step)
        fleet.job = await _posted(fleet, store, manifest, windows or Windows(), len(workers), terms)
        await asyncio.gather(*(seated(fleet, name) for name in workers))
        await asyncio.gather(*(_bonded(fleet, name) for name in aggregators))
        await asyncio.to_thread(fleet.save)
        yield fleet


async def open_first(fleet: Fleet) -> None:
    """The sponsor opens the first round."""
    async with fleet.client("sponsor") as client:
        await client.send(client.contracts.coordinator.open_round(fleet.job))


def _deployed(chain: DevChain, poll_s: float, confirmations: int) -> Network:
    web3 = Web3(HTTPProvider(chain.url))
    deployed = deploy(
        Web3Creator(web3, chain.accounts[0]), DeploymentSettings(minimum_window_s=1, unbonding_s=1)
    )
    contracts = {name: made.address for name, made in deployed.contracts.items()}
    block = min(made.block for made in deployed.contracts.values())
    name = "anvil" if chain.chain_id == 31337 else "ganache"
    return dataclasses.replace(
        KNOWN[name],
        rpc_url=chain.url,
        poll_s=poll_s,
        confirmations=confirmations,
        deployment=Deployment(chain_id=chain.chain_id, block=block, contracts=contracts),
    )


def _make_keys(fleet: Fleet, chain: DevChain, names: Sequence[str]) -> None:
    fleet.password_file.write_text(PASSWORD)
    (fleet.root / "rows").write_bytes(b"no rows")
    keystores = Keystores(fleet.keystores)
    for name in names:
        keystores.new(name, PASSWORD, light=True)
        fleet.wallets[name] = keystores.open(name, PASSWORD)
    _give_ether(chain, [fleet.wallets[name].address for name in names])


def _give_ether(chain: DevChain, addresses: Sequence[str]) -> None:
    if chain.kind == "geth":
        _send_ether(chain, addresses)
        return
    method = "anvil_setBalance" if chain.kind == "anvil" else "evm_setAccountBalance"
    for address in addresses:
        chain.rpc(method, address, hex(100 * UNIT))


def _send_ether(chain: DevChain, addresses: Sequence[str]) -> None:
    """Send ether from the chain's first account, as geth cannot set balances."""
    giver = chain.accounts[0]
    nonce = int(chain.rpc("eth_getTransactionCount", giver.address, "pending"), 16)
    for index, address in enumerate(addresses):
        fields = {"to": address, "value": 100 * UNIT, "nonce": nonce + index, "gas": 21_000}
        signed = giver.sign_transaction({**fields, "gasPrice": 10**10, "chainId": chain.chain_id})
        chain.rpc("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())
    until = time.monotonic() + 30
    while int(chain.rpc("eth_getBalance", addresses[-1], "latest"), 16) == 0:
        if time.monotonic() > until:
            raise TimeoutError("the transfers were not mined within 30 s")
        time.sleep(0.1)


async def _published(fleet: Fleet, store: EmbeddedStore, step: AggregationConfig) -> Manifest:
    path = fleet.root / "initial.state"
    values = np.random.default_rng(7).integers(-(2**20), 2**20, step.block_count * 32, dtype=np.int32)
    root = write_state(path, values, step.block_count)
    cid = await store.add(path)
    return Manifest(
        name="Job of a test",
        recipe="step",
        architecture={},
        tensors=(TensorSpec(name="w", shape=(step.block_count * 32,), scale_bits=16),),
        step=step,
        membership="open",
        shards=(),
        test=None,
        initial=InitialModel(cid=str(cid), root=root),
        training=TrainingConfig(),
    )


async def _posted(
    fleet: Fleet, store: EmbeddedStore, manifest: Manifest, windows: Windows, members: int, changes: Any
) -> int:
    cid = await store.add_bytes(manifest.encode())
    codec, digest = cid.to_chain()
    async with fleet.client("sponsor") as client:
        contracts, step = client.contracts, manifest.step
        terms = JobTerms(
            step=ChainStep(
                block_count=step.block_count,
                encoding=int(step.encoding),
                rule=int(step.rule),
                trim=step.trim,
                beta=step.beta,
                lr=step.lr,
                bound2=step.bound2,
            ),
            submit_window=windows.submit,
            attest_window=windows.attest,
            turn_window=windows.turn,
            post_window=windows.post,
            challenge_window=windows.challenge,
            deadline=int(time.time()) + 86_400,
            rounds=3,
            min_updates=1,
            max_tries=3,
            auto_open=True,
            stake=STAKE,
            bond=BOND,
            pool=POOL,
            worker_bps=8000,
            aggregator_bps=1500,
            attestor_bps=500,
            max_members=max(members, 1),
            max_slashed=0,
            max_failures=2,
            admission=0,
            manifest_codec=codec,
            token=contracts.token.address,
            min_included=0,
            admission_root=bytes(32),
            manifest_digest=digest,
            state_root=manifest.initial.root,
        )
        terms = dataclasses.replace(terms, **changes)
        escrow = terms.pool * terms.rounds
        await client.send(contracts.token.mint(client.address, escrow))
        await client.send(contracts.token.approve(contracts.vault.address, escrow))
        await client.send(contracts.coordinator.create_job(terms))
        return await client.read(contracts.coordinator.job_count())


async def seated(fleet: Fleet, name: str) -> None:
    """Mint a stake, register with it, and join the job."""
    async with fleet.client(name) as client:
        contracts, me = client.contracts, client.address
        await client.send(contracts.token.mint(me, STAKE))
        await client.send(contracts.token.approve(contracts.vault.address, STAKE))
        await client.send(contracts.registry.register(me, me, bytes(32), STAKE))
        await client.send(contracts.coordinator.join(fleet.job, 0, 1, 0, bytes(32), []))


async def _bonded(fleet: Fleet, name: str) -> None:
    """Register, with bonds for four unsettled posts."""
    async with fleet.client(name) as client:
        contracts, me = client.contracts, client.address
        await client.send(contracts.token.mint(me, 5 * BOND))
        await client.send(contracts.token.approve(contracts.vault.address, 5 * BOND))
        await client.send(contracts.registry.register(me, me, bytes(32), 0))
        await client.send(contracts.vault.deposit(me, Collateral.BOND, 5 * BOND))


ALL = {
    "w0": (Role.WORKER,),
    "w1": (Role.WORKER,),
    "agg0": (Role.AGGREGATOR,),
    "agg1": (Role.AGGREGATOR,),
    "challenger": (Role.CHALLENGER,),
}
SHORT = Windows(submit=6, attest=3, turn=2, post=5, challenge=2)


async def run_all(
    fleet: Fleet,
    roles: Mapping[str, tuple[Role, ...]],
    factories: Mapping[str, NodeFactories] | None = None,
    timeout_s: float = 90,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    stops: Mapping[str, asyncio.Event] | None = None,
) -> dict[str, str]:
    """Run nodes until each ends; their outcomes by name. A TimeoutError carries the last events of each."""
    nodes = {
        name: asyncio.create_task(
            run_node(
                fleet.config(name, *mine, **(settings or {}).get(name, {})),
                on_event=fleet.listener(name),
                factories=(factories or {}).get(name, FACTORIES),
                stop=(stops or {}).get(name),
            )
        )
        for name, mine in roles.items()
    }
    try:
        await open_first(fleet)
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*nodes.values())
    except TimeoutError as error:
        error.add_note(last_events(fleet, list(roles)))
        raise
    finally:
        for node in nodes.values():
            node.cancel()
        await asyncio.gather(*nodes.values(), return_exceptions=True)
    return {name: task.result().status for name, task in nodes.items()}


QUIET = {"hint", "progress", "holding"}


def last_events(fleet: Fleet, names: Sequence[str], count: int = 8) -> str:
    """The last events of each node, to show in a test log why a job made no progress."""
    lines = []
    for name in names:
        found = [event for who, event in fleet.events if who == name and event.kind not in QUIET]
        lines.append(f"{name} reported {len(found)} events, the last of them:")
        lines += [f"  {json.dumps(event.json())[:400]}" for event in found[-count:]]
    return "\n".join(lines)
