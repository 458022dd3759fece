"""Cheating members: the production classes with one changed method each. For tests only."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

from steelyard.content import cid_of_path
from steelyard.core.aggregation import Inputs, Roots, roots_of
from steelyard.core.state_file import open_state
from steelyard.core.transcript import PostedResult
from steelyard.core.update_file import HEADER, open_update
from steelyard.nodes.actions.aggregator import AggregatorActions
from steelyard.nodes.actions.training import TrainingActions, own_update
from steelyard.nodes.context import NodeContext
from steelyard.nodes.decisions.actions import Train
from steelyard.nodes.files.result_files import ComputedResult, publishable
from steelyard.nodes.state.local import RebuiltResult
from steelyard.nodes.state.view import Opening


class OneWrongNumber(AggregatorActions):
    """Posts a model with one wrong number and consistent roots in `rounds`; honest in the others.

    times: number of wrong results of an opening, by any poster.
    """

    def __init__(self, context: NodeContext, rounds: frozenset[int], value: int = 1, times: int = 1) -> None:
        super().__init__(context)
        self._rounds, self._value, self._times = rounds, value, times

    async def result_of(self, opening: Opening, included: int, parent: RebuiltResult) -> ComputedResult:
        right = await super().result_of(opening, included, parent)
        if opening.number not in self._rounds or opening.posts >= self._times:
            return right
        inputs = await self._context.results.inputs(opening, included, parent, self._context.fetch_s)
        place = self._context.folder / f"wrong-{opening.serial}"
        return await asyncio.to_thread(wrong_result, inputs, right, place, self._value)


def wrong_result(inputs: Inputs, right: ComputedResult, place: Path, value: int) -> ComputedResult:
    """The result `right` with `value` added to its third number, and consistent roots and CID."""
    place.mkdir(parents=True, exist_ok=True)
    data = bytearray(right.state.read_bytes())
    at = slice(8, 12)
    data[at] = (int.from_bytes(data[at], "big", signed=True) + value).to_bytes(4, "big", signed=True)
    state = place / "state"
    state.write_bytes(data)
    momentum = None
    if right.momentum is not None:
        momentum = place / "momentum"
        momentum.write_bytes(right.momentum.read_bytes())
    count = inputs.step.block_count
    posted = PostedResult(
        state=open_state(state, count), momentum=None if momentum is None else open_state(momentum, count)
    )
    roots: Roots = roots_of(inputs, posted)
    path = publishable(state, momentum)
    return ComputedResult(
        roots=roots,
        table_hash=right.table_hash,
        cid=cid_of_path(path),
        state=state,
        momentum=momentum,
        published=path,
    )


class Unholdable(AggregatorActions):
    """The first results of rounds 1 to 3 cannot be rebuilt.

    They have a wrong transcript, a wrong table, and a wrong model whose file is withheld.
    """

    def __init__(self, context: NodeContext) -> None:
        super().__init__(context)

    async def result_of(self, opening: Opening, included: int, parent: RebuiltResult) -> ComputedResult:
        right = await super().result_of(opening, included, parent)
        if opening.posts:
            return right
        other = hashlib.sha256(right.table_hash).digest()
        if opening.number == 1:
            return dataclasses.replace(right, roots=dataclasses.replace(right.roots, transcript=other))
        if opening.number == 2:
            return dataclasses.replace(right, table_hash=other)
        inputs = await self._context.results.inputs(opening, included, parent, self._context.fetch_s)
        place = self._context.folder / f"withheld-{opening.serial}"
        wrong = await asyncio.to_thread(wrong_result, inputs, right, place, 1)
        return dataclasses.replace(wrong, published=right.published)


class RefusedBlock(TrainingActions):
    """Training that makes one block of the update invalid and commits to it."""

    async def train(self, action: Train) -> None:
        await super().train(action)
        context, step = self._context, self._context.info.step
        path = own_update(context, action.serial)
        data = bytearray(path.read_bytes())
        data[HEADER.size + (step.block_count + 7) // 8] = 32  # a shift over 31
        path.write_bytes(data)
        update = open_update(
            path,
            encoding=step.encoding,
            job=context.info.job,
            serial=action.serial,
            block_count=step.block_count,
        )
        intent = context.journal.intent(f"update:{action.serial}")
        if intent is None:
            raise ValueError("nothing was trained")
        sealed_root = context.info.seal(action.serial, context.local.identity, update.summary.update_root)
        cid = await context.store.cid_of(path)
        body = {**intent.body, "cid": str(cid), "sealed": sealed_root.hex()}
        context.journal.write(f"update:{action.serial}", body)


def one_wrong_number(*rounds: int, times: int = 1) -> Callable[[NodeContext], AggregatorActions]:
    """A factory for `NodeFactories.aggregator`."""
    return lambda context: OneWrongNumber(context, frozenset(rounds), times=times)
