"""Upkeep calls that are repeated after the chain undid their effect, and state after a reorganisation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from steelyard.chain.rpc import RpcRefused
from steelyard.nodes.actions.common import CommonActions
from steelyard.nodes.context import NodeContext
from steelyard.nodes.decisions.actions import Upkeep
from steelyard.nodes.state.local import LocalState, RebuiltResult, ResultVerdict, UpdateCheck

SETTLE = Upkeep(function="settle", serial=1, occasion=1)


class FakeContext:
    """Sends nothing: gives each intent a receipt, and the same intent the same one."""

    config = SimpleNamespace(effective_rank_delay_s=0.0)
    info = SimpleNamespace(job=1)
    view = SimpleNamespace(failures=0)
    coordinator = SimpleNamespace(
        settle=lambda job: job, open_round=lambda job: job, close=lambda job: job, abort=lambda job: job
    )

    def __init__(self) -> None:
        self.last_block = self.block = 10
        self.mined: dict[str, int] = {}

    def intent_name(self, *parts: object) -> str:
        return ":".join(map(str, parts))

    async def send(self, _call: object, intent: str, _body: object, **_given: object) -> Any:
        if intent not in self.mined:
            self.block += 1
            self.mined[intent] = self.block
        return SimpleNamespace(block=self.mined[intent])


async def test_a_restarted_node_finds_the_transaction_that_it_sent() -> None:
    context = FakeContext()
    for _life in range(2):
        await CommonActions(context, lambda: 0.0).upkeep(SETTLE)  # type: ignore[arg-type]
    assert list(context.mined.values()) == [11]


async def test_a_call_that_is_still_wanted_after_it_was_mined_is_sent_again() -> None:
    context = FakeContext()
    for _occasion in range(3):
        await CommonActions(context, lambda: 0.0).upkeep(SETTLE)  # type: ignore[arg-type]
        context.last_block = context.block
    assert list(context.mined.values()) == [11, 12, 13]


def test_after_a_reorganisation_entries_without_files_are_dropped(tmp_path: Path) -> None:
    here, gone = tmp_path / "here", tmp_path / "gone"
    here.touch()
    places = {b"here": here, b"gone": gone, b"none": None}
    rebuilt = {
        id_: RebuiltResult(id=id_, verdict=ResultVerdict.RIGHT, state=path) for id_, path in places.items()
    }
    checked = {
        (1, 0): UpdateCheck(path=here, held=True),
        (1, 1): UpdateCheck(path=gone, held=True),
        (1, 2): UpdateCheck(path=gone, held=False),
    }
    local = LocalState(identity="me", rebuilt=dict(rebuilt), prefetched=dict(rebuilt), checked=checked)
    local.forget_lost()
    assert set(local.rebuilt) == set(local.prefetched) == {b"here", b"none"}
    assert set(local.checked) == {(1, 0), (1, 2)}


async def test_an_rpc_server_without_the_block_does_not_end_the_node() -> None:
    answers: list[Any] = [
        RpcRefused("eth_call", {"message": "block height is 39 but requested was 40"}),
        SimpleNamespace(round=SimpleNamespace(clock=7, flags=8)),
    ]
    reported: list[str] = []

    async def read(_call: object, block: int) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    context: Any = SimpleNamespace(
        coordinator=SimpleNamespace(round_of=lambda job, serial: (job, serial)),
        info=SimpleNamespace(job=1),
        client=SimpleNamespace(read=read),
        report=SimpleNamespace(emit=lambda kind, **_: reported.append(kind)),
    )
    opening: Any = SimpleNamespace(serial=1, clock=None, seed_recorded=False)
    for clock in (None, 7):
        await NodeContext.refresh_round(context, opening, 40)
        assert opening.clock == clock
    assert opening.seed_recorded
    assert reported == ["problem"]
