"""Three machines that train, aggregate and store files, and the faults that they must survive."""

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
from steelyard.chain.generated.structs import Collateral
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
FAULT_ROUND = 2  # the round in which the fault happens
DEADLINE_S = 150.0
STORE = os.environ.get("STEELYARD_FAULTS_STORE", "embedded")  # or kubo: an IPFS daemon on each machine


@dataclass(kw_only=True)
class Machine:
    """One node with its store, in a process that may be killed and restarted."""

    fleet: Fleet
    name: str
    changes: Mapping[str, Any]  # of its settings, see `run_in_place`
    process: multiprocessing.process.BaseProcess | None = None
    ipfs: ExitStack = field(default_factory=ExitStack)  # its daemon, if it has one

    @property
    def log(self) -> Path:
        """The output of all runs."""
        return self.fleet.root / f"{self.name}.log"

    async def start(self) -> None:
        """Start it, or restart it after a kill."""
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
        """Kill it, like a power cut."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None
        self.ipfs.close()

    def reported(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Its events of a kind with these fields; a line that was cut by its death is skipped."""
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
        """Wait until a machine has reported this phase in the fault's round.

        A model is held by a `hold` call, or by an update that builds on it.
        """
        triggers = [(phase, FAULT_ROUND)]
        if phase == "held":
            triggers += [("threshold_held", FAULT_ROUND), ("submission", FAULT_ROUND + 1)]
        machines = self.machines.values()
        await self._until(
            lambda: any(each.reported(kind, round=number) for each in machines for kind, number in triggers),
            deadline_s,
        )

    async def ended(self, *names: str) -> None:
        """Wait until these machines have ended with the job closed. Raises RuntimeError if one fails."""
        await self._until(lambda: all(self._over(self.machines[name]) for name in names), DEADLINE_S)

    def _over(self, machine: Machine) -> bool:
        code = machine.process.exitcode if machine.process is not None else None
        if code:
            raise RuntimeError(f"{machine.name} ended with {code}: {machine.log.read_text()[-3000:]}")
        return code == 0 and bool(machine.reported("outcome", status="closed"))

    async def _until(self, condition: Callable[[], bool], deadline_s: float) -> None:
        until = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > until:
                tails = "\n".join(m.log.read_text()[-1500:] for m in self.machines.values() if m.log.exists())
                raise TimeoutError(f"not within {deadline_s:g} s; the last events of the machines:\n{tails}")
            await asyncio.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result on chain at the end."""

    rounds: int  # final
    void: int  # results that became void, none of which the threshold held
    seconds: float


@asynccontextmanager
async def site(chain: DevChain, root: Path, *, networked: bool = False, **each: Any) -> AsyncIterator[Site]:
    """A job with three running machines and an open first round. each: settings of every machine."""
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
    """Deposit bonds for four unsettled posts, in addition to the stake."""
    async with fleet.client(name) as client:
        contracts, me = client.contracts, client.address
        await client.send(contracts.token.mint(me, 5 * BOND))
        await client.send(contracts.token.approve(contracts.vault.address, 5 * BOND))
        await client.send(contracts.vault.deposit(me, Collateral.BOND, 5 * BOND))


async def judge(site: Site, started: float) -> Outcome:
    """Check that all rounds are final, nobody is slashed, tokens add up, and no held result was lost."""
    await check_all_is_right(site.fleet, ROUNDS, set())
    async with site.fleet.client("sponsor") as client:
        view: View = await read_view(client, site.fleet.job)
    void = [post for post in view.posts.values() if post.void is not None]
    lost = [post for post in void if post.final_at is not None]
    if lost:
        raise AssertionError(f"results that enough machines held were lost: {lost}")
    return Outcome(rounds=ROUNDS, void=len(void), seconds=time.monotonic() - started)
