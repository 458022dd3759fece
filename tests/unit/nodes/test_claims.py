"""Claims that others make at the same time."""

from __future__ import annotations

import pytest

from steelyard.chain.generated.structs import Result
from steelyard.errors import Reverted
from steelyard.nodes.claims import in_batches


def post(serial: int) -> Result:
    zero = bytes(32)
    return Result(
        job=1, serial=serial, attempt=0, parent=zero, included=1, state_root=zero, momentum_root=zero,
        transcript_root=zero, table=zero, codec=0x55, digest=zero, poster="0x" + "11" * 20,
    )  # fmt: skip


class Chain:
    """Pays each post once; some were paid by others."""

    def __init__(self, paid: set[int]) -> None:
        self.paid = paid
        self.calls: list[list[int]] = []

    async def claim(self, batch: list[Result]) -> None:
        for result in batch:
            if result.serial in self.paid:
                fields: dict[str, object] = {"job": 1, "serial": result.serial, "slot": 0}
                raise Reverted("refused", name="AlreadyClaimed", args_by_name=fields)
        self.calls.append([result.serial for result in batch])


async def test_what_others_claimed_meanwhile_is_left_out_and_the_rest_is_claimed() -> None:
    chain = Chain(paid={2, 3, 12})
    await in_batches([post(serial) for serial in range(1, 14)], chain.claim)
    assert chain.calls == [[1, 4, 5, 6, 7, 8, 9, 10], [11, 13]]


async def test_where_others_claimed_all_nothing_is_sent() -> None:
    chain = Chain(paid={1, 2})
    await in_batches([post(1), post(2)], chain.claim)
    assert chain.calls == []


async def test_another_refusal_is_passed_on() -> None:
    async def refuse(_batch: list[Result]) -> None:
        raise Reverted("refused", name="NotFinal")

    with pytest.raises(Reverted):
        await in_batches([post(1)], refuse)


async def test_a_refusal_that_names_nothing_of_the_batch_is_passed_on() -> None:
    async def refuse(_batch: list[Result]) -> None:
        fields: dict[str, object] = {"job": 9, "serial": 1, "slot": 0}
        raise Reverted("refused", name="AlreadyClaimed", args_by_name=fields)

    with pytest.raises(Reverted):
        await in_batches([post(1)], refuse)
