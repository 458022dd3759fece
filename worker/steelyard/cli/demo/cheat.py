"""The staged cheat: an aggregator whose first result of one round has one wrong number. Only for the demo.

`python -m steelyard.cli.demo.cheat 3 run --role aggregator ...` is `steelyard run ...` that cheats in
round 3, if this node aggregates it first.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from pathlib import Path

from steelyard.cli.app import main
from steelyard.cli.running import STAGED_FACTORIES
from steelyard.content import cid_of_path
from steelyard.core.aggregation import PostedResult, roots_of
from steelyard.core.state_file import open_state, write_state
from steelyard.nodes.actions.aggregator import AggregatorActions
from steelyard.nodes.context import NodeContext
from steelyard.nodes.factories import NodeFactories
from steelyard.nodes.files.result_files import ComputedResult, publishable
from steelyard.nodes.state.local import RebuiltResult
from steelyard.nodes.state.view import Opening

WRONG_VALUE = 1234  # position in the weight vector
WRONG_BY = 1 << 12


class CheatingAggregator(AggregatorActions):
    """Honest except for one number in one round."""

    def __init__(self, context: NodeContext, cheat_round: int) -> None:
        super().__init__(context)
        self._cheat_round = cheat_round

    async def result_of(self, opening: Opening, included: int, parent: RebuiltResult) -> ComputedResult:
        """The right result, or in the chosen round one with a wrong number."""
        right = await super().result_of(opening, included, parent)
        if opening.number != self._cheat_round or opening.posts:
            return right
        inputs = await self._context.results.inputs(opening, included, parent, self._context.fetch_s)
        count = self._context.info.step.block_count
        folder = self._context.folder / "cheat"
        state = await asyncio.to_thread(_with_one_wrong_number, right.state, folder, count)
        momentum = open_state(right.momentum, count) if right.momentum else None
        posted = PostedResult(state=open_state(state, count), momentum=momentum)
        roots = await asyncio.to_thread(roots_of, inputs, posted)
        published = publishable(state, right.momentum)
        return dataclasses.replace(
            right, roots=roots, cid=cid_of_path(published), state=state, published=published
        )


def _with_one_wrong_number(right: Path, folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    values = open_state(right, count).values()
    values[WRONG_VALUE % values.shape[0]] += WRONG_BY
    wrong = folder / "state"
    write_state(wrong, values, count)
    return wrong


if __name__ == "__main__":
    cheat_round = int(sys.argv[1])
    STAGED_FACTORIES.set(NodeFactories(aggregator=lambda context: CheatingAggregator(context, cheat_round)))
    main(sys.argv[2:])
