"""Members that cheat, made of the real ones by one changed step each.

Used by tests and stagings, by nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from steelyard.aggregation import Inputs, Roots, roots_of
from steelyard.content import cid_of_path
from steelyard.files import open_state
from steelyard.nodes.aggregator_acts import AggregatorActs
from steelyard.nodes.desk import Desk
from steelyard.nodes.local import Rebuilt
from steelyard.nodes.result_files import Computed, publishable
from steelyard.nodes.view import Opening
from steelyard.transcript import Posted


class OneWrongNumber(AggregatorActs):
    """Posts a model with one wrong number in `rounds`, with every root rebuilt over it.

    Is honest otherwise.
    """

    def __init__(self, desk: Desk, rounds: frozenset[int], value: int = 1) -> None:
        super().__init__(desk)
        self._of, self._rounds, self._value = desk, rounds, value

    async def result_of(self, opening: Opening, included: int, parent: Rebuilt) -> Computed:
        right = await super().result_of(opening, included, parent)
        if opening.number not in self._rounds or opening.posts:
            return right
        inputs = await self._of.results.inputs(opening, included, parent, self._of.fetch_s)
        place = self._of.folder / f"wrong-{opening.serial}"
        return await asyncio.to_thread(wrong_result, inputs, right, place, self._value)


def wrong_result(inputs: Inputs, right: Computed, place: Path, value: int) -> Computed:
    """The result `right` with its third value moved by `value`, and all that a post carries made anew."""
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
    posted = Posted(
        state=open_state(state, count), momentum=None if momentum is None else open_state(momentum, count)
    )
    roots: Roots = roots_of(inputs, posted)
    path = publishable(state, momentum)
    return Computed(
        roots=roots,
        table_hash=right.table_hash,
        cid=cid_of_path(path),
        state=state,
        momentum=momentum,
        published=path,
    )


def one_wrong_number(*rounds: int) -> Callable[[Desk], AggregatorActs]:
    """A factory for `Parts.aggregator`."""
    return lambda desk: OneWrongNumber(desk, frozenset(rounds))
