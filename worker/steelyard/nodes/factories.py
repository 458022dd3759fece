"""Factories for the replaceable components of a node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from steelyard.content import ContentStore, StoreConfig, make_store
from steelyard.learning.process import TrainerSettings
from steelyard.learning.trainer import Trainer
from steelyard.nodes.actions.aggregator import AggregatorActions
from steelyard.nodes.actions.challenger import ChallengerActions
from steelyard.nodes.actions.training import TrainerLike, TrainingActions
from steelyard.nodes.context import NodeContext


def _trainer(scratch: Path, settings: TrainerSettings) -> TrainerLike:
    return Trainer(scratch, settings)


def _store(config: StoreConfig) -> ContentStore:
    return make_store(config)


@dataclass(frozen=True, kw_only=True)
class NodeFactories:
    """Factories; the defaults make the production components. Tests and the demo replace some of them."""

    store: Callable[[StoreConfig], ContentStore] = _store
    trainer: Callable[[Path, TrainerSettings], TrainerLike] = _trainer
    training: Callable[[NodeContext, TrainerLike], TrainingActions] = TrainingActions
    aggregator: Callable[[NodeContext], AggregatorActions] = AggregatorActions
    challenger: Callable[[NodeContext], ChallengerActions] = ChallengerActions
