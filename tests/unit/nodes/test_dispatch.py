"""The table from actions to handlers is complete, and each action has one handler."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

import pytest

from steelyard.errors import NodeError
from steelyard.nodes.actions.aggregator import AggregatorActions
from steelyard.nodes.actions.challenger import ChallengerActions
from steelyard.nodes.actions.common import CommonActions
from steelyard.nodes.actions.dispatch import ActionDispatcher, ActionGroup, Handlers
from steelyard.nodes.actions.training import TrainingActions
from steelyard.nodes.actions.worker import WorkerActions
from steelyard.nodes.decisions import actions as types


class Recorder:
    """Performs `Submit`, and keeps what it performed."""

    def __init__(self) -> None:
        self.done: list[types.Action] = []

    def handlers(self) -> Handlers:
        return {types.Submit: self.submit}

    async def submit(self, action: types.Submit) -> None:
        self.done.append(action)


def test_the_groups_of_a_node_perform_every_action_once(tmp_path: Any) -> None:
    journal = SimpleNamespace(intents=lambda _prefix: [])
    context: Any = SimpleNamespace(folder=tmp_path, journal=journal)
    groups: list[ActionGroup] = [
        CommonActions(context, lambda: 0.0),
        WorkerActions(context),
        AggregatorActions(context),
        ChallengerActions(context),
        TrainingActions(context, SimpleNamespace()),
    ]
    assert ActionDispatcher(groups).types == set(get_args(types.Action))


async def test_an_action_goes_to_the_handler_of_its_type() -> None:
    recorder = Recorder()
    await ActionDispatcher([recorder]).perform(types.Submit(serial=1))
    assert recorder.done == [types.Submit(serial=1)]


async def test_an_action_without_a_handler_is_refused() -> None:
    with pytest.raises(NodeError, match=r"cannot perform Train\(serial=1\)"):
        await ActionDispatcher([Recorder()]).perform(types.Train(serial=1))


def test_two_handlers_for_one_action_are_refused() -> None:
    with pytest.raises(ValueError, match="two handlers for Submit"):
        ActionDispatcher([Recorder(), Recorder()])
