"""Packing proofs: the layout of IFaultProver's tables, and nothing else."""

from __future__ import annotations

import pytest

from steelyard.chain.proof_bytes import pack_arithmetic, pack_malformed
from steelyard.core.proofs import ArithmeticProof, MalformedProof
from steelyard.core.trees import EnergyStep, UpdateRoot
from steelyard.errors import FormatError

ROOT = UpdateRoot(tree_hash=b"t" * 32, energy=5, encoding=1, block_count=9)
PATH = (
    EnergyStep(sibling=b"s" * 32, own_energy=1, sibling_energy=2),
    EnergyStep(sibling=b"u" * 32, own_energy=3, sibling_energy=4),
)


def arithmetic(**changed: object) -> ArithmeticProof:
    fields: dict[str, object] = {
        "block_index": 258,
        "coordinate": 7,
        "old_state": b"a" * 128,
        "new_state": b"b" * 128,
        "old_momentum": b"",
        "new_momentum": b"",
        "updates": (b"", b"xyz"),
        "table": b"123456abcdef",
        "path": (b"p" * 32,),
    }
    return ArithmeticProof(**{**fields, **changed})  # type: ignore[arg-type]


def test_an_arithmetic_proof_is_packed_in_the_order_of_the_table() -> None:
    assert pack_arithmetic(arithmetic()) == (
        b"\0\0\1\2\7" + b"a" * 128 + b"b" * 128 + b"123456abcdef" + b"p" * 32 + b"\0\0" + b"\0\3xyz"
    )


def test_momentum_stands_behind_the_state() -> None:
    packed = pack_arithmetic(arithmetic(old_momentum=b"m" * 128, new_momentum=b"n" * 128))
    assert packed[5:] == (
        b"a" * 128 + b"b" * 128 + b"m" * 128 + b"n" * 128 + b"123456abcdef" + b"p" * 32 + b"\0\0\0\3xyz"
    )


@pytest.mark.parametrize(
    "changed", [{"new_state": b"b" * 127}, {"old_momentum": b"m" * 128}, {"updates": (bytes(2**16),)}]
)
def test_what_has_no_place_in_the_packed_form_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        pack_arithmetic(arithmetic(**changed))


def test_a_wrong_root_needs_no_more_than_its_fields() -> None:
    assert pack_malformed(MalformedProof(root=ROOT)) == ROOT.preimage()


@pytest.mark.parametrize(
    ("position", "energies"), [(0, (1, 2, 3, 4)), (1, (2, 1, 3, 4)), (2, (1, 2, 4, 3)), (3, (2, 1, 4, 3))]
)
def test_energies_stand_from_left_to_right(position: int, energies: tuple[int, ...]) -> None:
    proof = MalformedProof(root=ROOT, position=position, path=PATH, preimage=b"\0block")
    a, b, c, d = (energy.to_bytes(12, "big") for energy in energies)
    assert pack_malformed(proof) == (
        ROOT.preimage() + bytes([0, 0, 0, position, 2]) + b"s" * 32 + a + b + b"u" * 32 + c + d + b"\0block"
    )
