"""The demo, from its first process to its last table."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from steelyard.chain.dev import devnet
from steelyard.chain.dev.devnet import DevChain
from steelyard.cli.demo import accounts, checking, leftovers, processes, setup
from steelyard.cli.demo.accounts import CHALLENGER, SPONSOR, Actor
from steelyard.cli.demo.progress import DemoProgress
from steelyard.cli.demo.report import build
from steelyard.cli.demo.screen import Screen
from steelyard.cli.demo.settings import ROUNDS, DemoSettings
from steelyard.cli.demo.tables import tables
from steelyard.cli.demo.testing import Tester
from steelyard.cli.output import Output
from steelyard.content import ContentStore, StoreConfig, make_store
from steelyard.errors import NodeError
from steelyard.operations.chain_session import ChainSession
from steelyard.operations.earnings import claim_earnings, earnings_of


class Demo:
    """One run. `play` starts everything, and ends everything in any case."""

    def __init__(self, settings: DemoSettings, out: Output, stop: asyncio.Event) -> None:
        self._settings, self._out, self._stop = settings, out, stop
        self._names: dict[str, str] = {}
        self._progress = DemoProgress(names=self._names)
        self._screen = Screen(out.errors if out.json else out.console, self._progress)
        self._nodes: list[processes.NodeProcess] = []
        self._tester: Tester | None = None
        self._event_seen = asyncio.Event()

    async def play(self) -> dict[str, Any]:
        """Returns the report.  Raises NodeError if a node dies or time runs out."""
        async with AsyncExitStack() as stack:
            ipfs = self._settings.ipfs
            if swept := await leftovers.sweep(ipfs):
                self._screen.say(f"removed leftovers of killed demos: {swept}")
            own = stack.enter_context(leftovers.own_folder(ipfs))
            folder = own.path
            stack.push_async_callback(leftovers.clear_daemon, ipfs, folder)
            with self._screen:
                self._screen.say(f"starting {self._settings.chain}")
                chain = await asyncio.to_thread(
                    devnet.start, self._settings.chain, accounts=len(accounts.cast()) + 1
                )
                stack.callback(chain.stop)
                store = await stack.enter_async_context(make_store(self._content(folder)))
                actors = accounts.make(self._settings, folder, chain, store.url or "")
                self._names.update({actor.address.lower(): actor.name for actor in actors})
                stack.push_async_callback(self._end_nodes)
                await self._start_nodes(actors, own.lock)
                self._tester = Tester.of(store, folder, self._progress)
                stack.push_async_callback(self._tester.close)
                watching = asyncio.create_task(processes.watch(self._nodes))
                script = asyncio.create_task(self._run_job(chain, store, actors, folder))
                report = await self._first(script, watching)
            await self._close(report, chain, actors, store.url or "")
            return report

    def _content(self, folder: Path) -> StoreConfig:
        """The sponsor's store."""
        ipfs, root = self._settings.ipfs, folder / SPONSOR / "content"
        if ipfs is None:
            return StoreConfig(root=root, allow_private=True)
        return StoreConfig(root=root, allow_private=True, ipfs=ipfs.url, ipfs_auth=ipfs.auth)

    async def _first(
        self, script: asyncio.Task[dict[str, Any]], watching: asyncio.Task[None]
    ) -> dict[str, Any]:
        """The report; raises the first error."""
        stopping = asyncio.create_task(self._stop.wait())
        tasks: list[asyncio.Task[Any]] = [script, watching, stopping]
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=self._settings.deadline_s, return_when=asyncio.FIRST_COMPLETED
            )
            if stopping in done:
                raise KeyboardInterrupt
            if not done:
                problems = "; ".join(self._progress.problems[-3:]) or "no node reported a problem"
                raise NodeError(
                    f"not done after {self._settings.deadline_s:g} s: {problems}", remedy="try again"
                )
            return script.result() if script in done else await self._raised(watching)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _raised(self, watching: asyncio.Task[None]) -> dict[str, Any]:
        await watching
        raise NodeError("the nodes have ended", remedy="try again")

    # ------------------------------------------------------------------ the job
    async def _run_job(
        self, chain: DevChain, store: ContentStore, actors: list[Actor], folder: Path
    ) -> dict[str, Any]:
        tester = self._tester
        if tester is None:
            raise NodeError("the demo is not set up", remedy="report this")
        published = asyncio.create_task(setup.publish_job(store, folder))
        deployment = await asyncio.to_thread(setup.deploy_contracts, chain, folder)
        self._screen.say(f"{len(deployment['contracts'])} contracts are deployed")
        async with setup.chain_sessions(actors) as sessions, AsyncExitStack() as background:
            await setup.register_all(actors, sessions)
            job = await setup.post_job(await published, sessions)
            self._screen.say(f"job {job} is posted: MNIST, 4 shards, {ROUNDS} rounds, bounty in escrow")
            await setup.join_all(actors, sessions, job)
            self._screen.say("4 workers have joined")
            manifest = (await published).manifest
            test = folder / "published" / "test.safetensors"
            background.callback(asyncio.create_task(tester.run(manifest, test)).cancel)
            await self._until(self._all_held)
            await tester.settled()
            await self._claims(sessions, actors)
            facts = {
                "job": job,
                "chain": {"kind": chain.kind, "chain_id": chain.chain_id},
                "deployment": deployment,
                "cheat": self._settings.cheat,
                "seconds": round(self._screen.seconds, 1),
            }
            report = await build(sessions[SPONSOR], actors, self._progress, tester.sizes, **facts)
            report["seconds"] = round(self._screen.seconds, 1)
            return report

    async def _claims(self, sessions: Mapping[str, ChainSession], actors: list[Actor]) -> None:
        """Workers first, which makes the last round final; then everybody else."""
        final_at = max(each.final_at or 0 for each in self._progress.rounds.values())
        client = sessions[SPONSOR].client
        await client.clock.wait_until(final_at, time.monotonic() + self._settings.deadline_s)
        workers = [actor for actor in actors if actor.role == "worker"]
        await asyncio.gather(*(_claim(sessions[actor.name]) for actor in workers))
        self._screen.say("the workers have claimed their rewards")
        await self._until(lambda: self._progress.ended)
        others = [actor for actor in actors if actor.role in ("aggregator", CHALLENGER, SPONSOR)]
        await asyncio.gather(*(_claim(sessions[actor.name]) for actor in others))

    def _all_held(self) -> bool:
        last = self._progress.rounds.get(ROUNDS)
        return last is not None and last.final_at is not None

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait; the condition is checked after each event."""
        while not condition():
            self._event_seen.clear()
            await self._event_seen.wait()

    # ------------------------------------------------------------------ nodes
    async def _start_nodes(self, actors: list[Actor], lock: int) -> None:
        for actor in actors:
            if actor.role != "sponsor":
                self._nodes.append(
                    await processes.start(self._settings, actor, setup.JOB, self._on_event, lock)
                )
        self._screen.say(f"{len(self._nodes)} nodes are starting, each in its own process")

    async def _end_nodes(self) -> None:
        await processes.end(self._nodes)

    def _on_event(self, actor: Actor, event: Mapping[str, Any]) -> None:
        self._event_seen.set()
        kind, tester = event["kind"], self._tester
        line = self._progress.apply(actor.name, event)
        if line is not None:
            self._screen.say(line)
        if tester is None:
            return
        if kind == "post" and line is not None:
            for cid in [*self._progress.updates.get(event["serial"], ()), str(event["cid"])]:
                tester.mirror(cid)
            tester.want(int(event["round"]), str(event["id"]), str(event["cid"]))

    # ------------------------------------------------------------------ the end
    async def _close(
        self, report: dict[str, Any], chain: DevChain, actors: list[Actor], content: str
    ) -> None:
        """Print the tables, write and check the report, and with KEEP=1 wait for Ctrl-C."""
        out, path = self._out, self._settings.report
        report.update({"rpc_url": chain.url, "content_url": content})
        text = json.dumps(report, indent=2, default=str) + "\n"
        await asyncio.to_thread(path.write_text, text, "utf-8")
        if not out.json:
            for item in tables(report, decimals=18):
                out.console.print(item)
            out.console.print(_summary(report), markup=False)
        if self._settings.check:
            report["check"] = await checking.check(path, out)
        if self._settings.keep:
            checking.print_next_steps(out, chain, actors, report)
            await self._stop.wait()


async def _claim(session: ChainSession) -> None:
    identity = await session.identity()
    await claim_earnings(session, identity, await earnings_of(session, identity, setup.JOB))


def _summary(report: Mapping[str, Any]) -> str:
    final, convictions = report["final"] or {}, report["convictions"]
    accuracy = final.get("accuracy")
    caught = [
        f"round {each['round']}: {each['names'][0]} convicted by {each['names'][1]}" for each in convictions
    ]
    parts = [
        f"test accuracy {accuracy:.2%}" if accuracy is not None else "no accuracy",
        *(caught or ["nobody was convicted"]),
        f"{report['seconds']:.1f} s",
    ]
    return ", ".join(parts)
