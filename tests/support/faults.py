"""Three machines that train, aggregate and keep each other's files, and what may happen to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing.process
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.generated.structs import Purse
from steelyard.nodes.claims import read_view
from steelyard.nodes.config import Role
from steelyard.nodes.state.view import View
from support import lan
from support.crashing import FORKS, check_all_is_right, start_forks
from support.fleet import BOND, Fleet, Windows, open_first, staged
from support.kubo import one_daemon
from support.machine_process import run_in_place

MACHINES = ("m0", "m1", "m2")
ROLES = (Role.WORKER, Role.AGGREGATOR)
WINDOWS = Windows(submit=6, attest=3, turn=2, post=5, challenge=2)
AWAY_S = 8.0  # longer than any of the windows
ROUNDS = 3
STRUCK = 2  # the round in which the fault comes
DEADLINE_S = 150.0
STORE = os.environ.get("STEELYARD_FAULTS_STORE", "embedded")  # or kubo: an IPFS daemon on each machine


@dataclass(kw_only=True)
class Machine:
    """One node with its store, in a process of its own that may be killed and started again."""

    fleet: Fleet
    name: str
    changes: Mapping[str, Any]  # of its settings, see `run_in_place`
    process: multiprocessing.process.BaseProcess | None = None
    ipfs: ExitStack = field(default_factory=ExitStack)  # its daemon, where it has one

    @property
    def log(self) -> Path:
        """What it says, in all its lives."""
        return self.fleet.root / f"{self.name}.log"

    async def start(self) -> None:
        """Start it; it goes on where the chain says it stands."""
        place = await asyncio.to_thread(self._daemon) if STORE == "kubo" else {}
        roles = [role.value for role in ROLES]
        given = (self.fleet.root, self.name, roles, self.log, {**self.changes, **place})
        start_forks()
        self.process = FORKS.Process(target=run_in_place, args=given, daemon=True)
        await asyncio.to_thread(self.process.start)  # the first waits for the imports

    def _daemon(self) -> dict[str, str]:
        """A daemon on this machine and in its network, unless one runs."""
        namespace = self.changes.get("namespace")
        inside = lan.inside(Path(namespace)) if namespace else contextlib.nullcontext()
        host = str(self.changes.get("listen", "127.0.0.1:0")).partition(":")[0]
        repo = Path(self.changes.get("home", self.fleet.root)) / f"ipfs-{self.name}"
        with inside:
            daemon = self.ipfs.enter_context(one_daemon(repo, host=host))
        self.ipfs.callback(daemon.kill)
        return {"ipfs": daemon.api}

    def kill(self) -> None:
        """As a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None
        self.ipfs.close()

    def said(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Its events of a kind with these fields; half a line was cut by its death."""
        found = []
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if event.get("kind") == kind and all(event.get(key) == fields[key] for key in fields):
                    found.append(event)
        return found


@dataclass(kw_only=True)
class Site:
    """The machines, their network and the job."""

    fleet: Fleet
    machines: dict[str, Machine]
    lan: lan.Lan | None = None
    notes: list[str] = field(default_factory=list)

    async def reached(self, phase: str, deadline_s: float = 60.0) -> None:
        """Until some machine has said so in the round in which the fault comes.

        A model is held by word, or by an update that builds on it.
        """
        moments = [(phase, STRUCK)]
        if phase == "held":
            moments += [("held_by_all", STRUCK), ("submission", STRUCK + 1)]
        machines = self.machines.values()
        await self._until(
            lambda: any(each.said(kind, round=number) for each in machines for kind, number in moments),
            deadline_s,
        )

    async def ended(self, *names: str) -> None:
        """Until these machines have ended by themselves, each with the job closed. Raises RuntimeError."""
        await self._until(lambda: all(self._over(self.machines[name]) for name in names), DEADLINE_S)

    def _over(self, machine: Machine) -> bool:
        code = machine.process.exitcode if machine.process is not None else None
        if code:
            raise RuntimeError(f"{machine.name} ended with {code}: {machine.log.read_text()[-3000:]}")
        return code == 0 and bool(machine.said("outcome", status="closed"))

    async def _until(self, condition: Callable[[], bool], deadline_s: float) -> None:
        until = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > until:
                tails = "\n".join(m.log.read_text()[-1500:] for m in self.machines.values() if m.log.exists())
                raise TimeoutError(f"not within {deadline_s:g} s; the machines last said:\n{tails}")
            await asyncio.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the chain shows at the end."""

    rounds: int  # final
    void: int  # results that were void, none of which enough machines held
    seconds: float


@asynccontextmanager
async def site(chain: DevChain, root: Path, *, networked: bool = False, **each: Any) -> AsyncIterator[Site]:
    """A job with three machines that run; the first round is open. `each`: settings of every machine."""
    async with AsyncExitStack() as stack:
        made = stack.enter_context(lan.lan(*MACHINES)) if networked else None
        fleet = await stack.enter_async_context(
            staged(
                chain,
                root,
                workers=MACHINES,
                aggregators=(),
                others=(),
                windows=WINDOWS,
                rounds=ROUNDS,
                max_tries=4,
                max_failures=5,
            )
        )
        await asyncio.gather(*(_bond(fleet, name) for name in MACHINES))
        changes: dict[str, dict[str, Any]] = {name: dict(each) for name in MACHINES}
        if made is not None:
            url = await stack.enter_async_context(lan.Forward(made.address(), chain.url))
            peer = await stack.enter_async_context(lan.Forward(made.address(), fleet.bootstrap))
            for name in MACHINES:
                place = {"namespace": str(made.namespace(name)), "listen": f"{made.address(name)}:0"}
                changes[name] |= {**place, "url": url, "peer": peer}
        machines = {name: Machine(fleet=fleet, name=name, changes=changes[name]) for name in MACHINES}
        for machine in machines.values():
            stack.callback(machine.kill)
        await asyncio.gather(*(machine.start() for machine in machines.values()))
        await open_first(fleet)
        yield Site(fleet=fleet, machines=machines, lan=made)


async def _bond(fleet: Fleet, name: str) -> None:
    """Bonds for four posts at once, beside the stake."""
    async with fleet.client(name) as client:
        contracts, me = client.contracts, client.address
        await client.send(contracts.token.mint(me, 5 * BOND))
        await client.send(contracts.token.approve(contracts.vault.address, 5 * BOND))
        await client.send(contracts.vault.deposit(me, Purse.BOND, 5 * BOND))


async def judge(site: Site, started: float) -> Outcome:
    """All rounds are final, nobody is slashed, tokens add up, and no result that was held was lost."""
    await check_all_is_right(site.fleet, ROUNDS, set())
    async with site.fleet.client("sponsor") as client:
        view: View = await read_view(client, site.fleet.job)
    void = [post for post in view.posts.values() if post.void is not None]
    lost = [post for post in void if post.final_at is not None]
    if lost:
        raise AssertionError(f"results that enough machines held were lost: {lost}")
    return Outcome(rounds=ROUNDS, void=len(void), seconds=time.monotonic() - started)
