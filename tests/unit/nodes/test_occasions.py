"""Acts that are anyone's, wanted again where the chain undid what they had done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from steelyard.nodes.actions import Upkeep
from steelyard.nodes.common_acts import CommonActs

SETTLE = Upkeep(act="settle", serial=1, mark=1)


class Desk:
    """A key's transactions by name: the same name again is the same receipt."""

    config = SimpleNamespace(wait_turn_s=0.0)
    info = SimpleNamespace(job=1)
    view = SimpleNamespace(failures=0)
    coordinator = SimpleNamespace(
        settle=lambda job: job, open_round=lambda job: job, close=lambda job: job, abort=lambda job: job
    )

    def __init__(self) -> None:
        self.seen = self.block = 10
        self.mined: dict[str, int] = {}

    def name(self, *parts: object) -> str:
        return ":".join(map(str, parts))

    async def send(self, _call: object, intent: str, _body: object, **_given: object) -> Any:
        if intent not in self.mined:
            self.block += 1
            self.mined[intent] = self.block
        return SimpleNamespace(block=self.mined[intent])


async def test_a_node_that_starts_again_finds_what_it_sent() -> None:
    desk = Desk()
    for _life in range(2):
        await CommonActs(desk).upkeep(SETTLE, rank=0)  # type: ignore[arg-type]
    assert list(desk.mined.values()) == [11]


async def test_what_is_wanted_though_the_view_shows_that_it_was_done_is_done_anew() -> None:
    desk = Desk()
    for _occasion in range(3):
        await CommonActs(desk).upkeep(SETTLE, rank=0)  # type: ignore[arg-type]
        desk.seen = desk.block
    assert list(desk.mined.values()) == [11, 12, 13]
