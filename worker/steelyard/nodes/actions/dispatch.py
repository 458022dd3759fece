"""From an action to whoever does it."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.errors import NodeError
from steelyard.nodes.actions import types as act
from steelyard.nodes.actions.common import CommonActions
from steelyard.nodes.actions.training import TrainingActions
from steelyard.nodes.actions.worker import WorkerActions
from steelyard.nodes.context import NodeContext
from steelyard.nodes.factories import NodeFactories


class ActionDispatcher:
    """The acts of one node. rank: how many turns others get first with what is anyone's."""

    def __init__(
        self,
        desk: NodeContext,
        parts: NodeFactories,
        training: TrainingActions | None,
        rank: Callable[[], float],
    ) -> None:
        self._rank, self._training = rank, training
        self._common, self._worker = CommonActions(desk), WorkerActions(desk)
        self._aggregator, self._challenger = parts.aggregator(desk), parts.challenger(desk)

    async def perform(self, action: act.Action) -> None:
        """Do what an action says. Raises SteelyardError where it cannot be done now."""
        match action:
            case act.Fetch() | act.Rebuild() | act.Prefetch() | act.Adopt() | act.Compute() | act.Upkeep():
                await self._perform_as_anyone(action)
            case act.Publish():
                await self._aggregator.publish(action)
            case act.Enlist():
                await self._aggregator.enlist(action)
            case act.Collect():
                await self._aggregator.collect(action)
            case act.Convict():
                await self._challenger.convict(action)
            case act.ConvictUpdate():
                await self._challenger.convict_update(action)
            case _:
                await self._perform_as_worker(action)

    async def _perform_as_anyone(self, action: act.Action) -> None:
        match action:
            case act.Fetch():
                await self._common.fetch(action)
            case act.Rebuild():
                await self._common.rebuild(action)
            case act.Prefetch():
                await self._common.prefetch(action)
            case act.Adopt():
                self._common.adopt(action)
            case act.Compute():
                await self._common.compute(action)
            case act.Upkeep():
                await self._common.upkeep(action, self._rank())

    async def _perform_as_worker(self, action: act.Action) -> None:
        if self._training is None:
            raise NodeError(f"{action} is a worker's", remedy="report this")
        match action:
            case act.Train():
                await self._training.train(action)
            case act.Submit():
                await self._worker.submit(action)
            case act.Provide():
                await self._worker.provide(action)
            case act.Attest():
                await self._worker.attest(action)
            case act.Hold():
                await self._worker.hold(action)
            case act.Evaluate():
                await self._training.evaluate(action)
            case _:
                raise NodeError(f"nobody does {action}", remedy="report this")
