"""From an action to whoever does it."""

from __future__ import annotations

from collections.abc import Callable

from steelyard.errors import NodeError
from steelyard.nodes import actions as act
from steelyard.nodes.common_acts import CommonActs
from steelyard.nodes.desk import Desk
from steelyard.nodes.parts import Parts
from steelyard.nodes.training import Training
from steelyard.nodes.worker_acts import WorkerActs


class Dispatch:
    """The acts of one node. rank: how many turns others get first with what is anyone's."""

    def __init__(
        self, desk: Desk, parts: Parts, training: Training | None, rank: Callable[[], float]
    ) -> None:
        self._rank, self._training = rank, training
        self._common, self._worker = CommonActs(desk), WorkerActs(desk)
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
