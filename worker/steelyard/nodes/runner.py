"""Runs a node: `run_node` until it ends, `NodeRunner` as a background task that can be stopped."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from steelyard.errors import NodeError
from steelyard.nodes.actions.training import TrainerLike
from steelyard.nodes.assembly import open_context, training_process
from steelyard.nodes.claims import claim_own
from steelyard.nodes.config import NodeConfig, Role
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.gossip.peer_gossip import FanoutListener, running_gossip
from steelyard.nodes.node import Node
from steelyard.nodes.reporting import Listener, NodeEvent


@dataclass(frozen=True, kw_only=True)
class NodeOutcome:
    """How a node ended: job "closed" or "aborted", seat "left", or "stopped" by its operator."""

    status: str


async def run_node(
    config: NodeConfig,
    *,
    on_event: Listener | None = None,
    stop: asyncio.Event | None = None,
    factories: NodeFactories | None = None,
) -> NodeOutcome:
    """Run one node until its job ends, its seat is gone, or `stop` is set.

    Cancelling it, or killing the process, loses nothing: the next run continues from journal and chain.
    Raises SteelyardError if it cannot continue; each error says why and what to do.
    """
    factories = factories or NodeFactories()
    listener = FanoutListener(on_event)
    async with AsyncExitStack() as stack:
        context = await open_context(config, factories, listener, stack)
        trainer: TrainerLike | None = None
        if Role.WORKER in config.roles:
            trainer = await stack.enter_async_context(training_process(context, factories))
        context.report.emit(
            "started",
            roles=sorted(str(role) for role in config.roles),
            identity=context.local.identity,
            operator=context.client.address,
            url=context.store.url,
        )
        await stack.enter_async_context(running_gossip(context, listener))
        status = await Node(context, factories, trainer).run(stop or asyncio.Event())
        if status in ("closed", "aborted") and config.claim:
            await claim_own(context)
        return NodeOutcome(status=status)


class NodeRunner:
    """One node as a background task of the running event loop, for programs and notebooks.

        async with NodeRunner(config, on_event=print) as runner:
            outcome = await runner.wait()

    It installs no signal handlers and prints nothing. Each runner runs once.
    on_event: called in the event loop for each NodeEvent; an exception that it raises ends the node.
    """

    def __init__(
        self, config: NodeConfig, *, on_event: Listener | None = None, factories: NodeFactories | None = None
    ) -> None:
        self.config = config
        self._on_event, self._factories = on_event, factories
        self._started, self._stop = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[NodeOutcome] | None = None

    @property
    def running(self) -> bool:
        """True between `start` and the node's end."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Start the node; returns once it is connected and its job is loaded.

        Raises SteelyardError if that fails, NodeError if it was started before. Cancelling it stops the node.
        """
        if self._task is not None:
            raise NodeError("this runner was started before", remedy="make another NodeRunner")
        self._task = asyncio.create_task(self._run(), name=f"node of job {self.config.job}")
        started = asyncio.create_task(self._started.wait())
        try:
            await asyncio.wait((self._task, started), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._cancel()
            raise
        finally:
            started.cancel()
        if self._task.done():
            self._task.result()

    async def wait(self) -> NodeOutcome:
        """Wait until the node ends. Cancelling the wait does not stop the node. Raises SteelyardError."""
        if self._task is None:
            raise NodeError("this runner was not started", remedy="await start() first")
        return await asyncio.shield(self._task)

    async def stop(self) -> NodeOutcome:
        """Stop the node in order and wait for its end. Raises SteelyardError if it failed before."""
        self._stop.set()
        return await self.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.stop()
        else:
            await self._cancel()

    async def _run(self) -> NodeOutcome:
        return await run_node(self.config, on_event=self._listen, stop=self._stop, factories=self._factories)

    def _listen(self, event: NodeEvent) -> None:
        if event.kind == "started":
            self._started.set()
        if self._on_event is not None:
            self._on_event(event)

    async def _cancel(self) -> None:
        """Cancel the node and wait for its end, whatever it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
