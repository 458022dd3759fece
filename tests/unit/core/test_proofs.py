"""Proofs of fault: every wrong result and every malformed update convicts, nothing honest does."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from steelyard.core import aggregation, proofs, state_file, update_file
from steelyard.core.encodings import Encoding
from steelyard.core.rules import Rule
from steelyard.core.trees import EnergyStep, UpdateRoot
from steelyard.errors import FormatError, RuleError
from support import core_reference as ref
from support.core_rounds import RandomRound, make_round, random_values, update_bytes


def posted_wrong(
    made: RandomRound, right: aggregation.PostedResult, rng: random.Random
) -> tuple[aggregation.PostedResult, tuple[int, int]]:
    """The right result with one bit flipped in state or momentum, and where."""
    in_momentum = right.momentum is not None and rng.random() < 0.5
    name = "new-momentum" if in_momentum else "new"
    data = bytearray((made.folder / name).read_bytes())
    bit = rng.randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    path = made.folder / "wrong"
    path.write_bytes(data)
    wrong = state_file.open_state(path, made.step.block_count)
    changed = {"momentum": wrong} if in_momentum else {"state": wrong}
    return dataclasses.replace(right, **changed), (bit // 1024, bit % 1024 // 32)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("rule", list(Rule))
def test_every_flipped_bit_of_a_result_is_found_and_convicted(
    rule: Rule, encoding: Encoding, tmp_path: Path
) -> None:
    rng = random.Random(f"{rule} {encoding}")
    for job in range(12):
        made = make_round(rng, tmp_path / str(job), rule, encoding, rng.randrange(1, 40))
        right_result, right = made.aggregate()
        for _ in range(4):
            wrong, place = posted_wrong(made, right, rng)
            assert proofs.find_fault(wrong, right) == place
            proof, roots = proofs.arithmetic_proof(made.inputs, wrong, *place)
            assert roots != right_result.roots
            assert roots == aggregation.roots_of(made.inputs, wrong)
            assert proof.transcript_root() == roots.transcript
            assert proof.convicts(made.step)


@pytest.mark.parametrize("rule", list(Rule))
def test_no_coordinate_of_a_right_result_convicts(rule: Rule, tmp_path: Path) -> None:
    rng = random.Random(rule)
    made = make_round(rng, tmp_path, rule, Encoding.BFP4, 6)
    result, right = made.aggregate()
    assert proofs.find_fault(right, right) is None
    for block in range(6):
        for coordinate in range(32):
            proof, roots = proofs.arithmetic_proof(made.inputs, right, block, coordinate)
            assert roots == result.roots
            assert not proof.convicts(made.step)


def test_a_proof_changed_in_any_field_leads_to_another_root(tmp_path: Path) -> None:
    made = make_round(random.Random(5), tmp_path, Rule.FEDAVG, Encoding.BFP8, 20, beta=58982, n=3)
    _, right = made.aggregate()
    proof, roots = proofs.arithmetic_proof(made.inputs, right, 11, 3)
    flipped = {
        "block_index": 10,
        "old_state": bytes([9]) * 128,
        "new_state": bytes([9]) * 128,
        "old_momentum": b"",
        "new_momentum": bytes([1]) + bytes(127),
        "updates": proof.updates[::-1],
        "path": proof.path[::-1],
    }
    for name, value in flipped.items():
        assert dataclasses.replace(proof, **{name: value}).transcript_root() != roots.transcript, name


@pytest.mark.parametrize(("block", "coordinate"), [(-1, 0), (20, 0), (0, 32), (0, -1)])
def test_there_is_no_proof_outside_the_model(block: int, coordinate: int, tmp_path: Path) -> None:
    made = make_round(random.Random(6), tmp_path, Rule.FEDAVG, Encoding.RAW32, 20, n=2)
    _, right = made.aggregate()
    with pytest.raises(RuleError, match="no coordinate"):
        proofs.arithmetic_proof(made.inputs, right, block, coordinate)


def open_blocks(folder: Path, encoding: Encoding, blocks: list[bytes]) -> update_file.UpdateFile:
    (folder / "update").write_bytes(update_bytes(encoding, blocks))
    return update_file.open_update(
        folder / "update", encoding=encoding, job=1, serial=1, block_count=len(blocks)
    )


@pytest.mark.parametrize("count", [1, 2, 5, 40])
@pytest.mark.parametrize("encoding", [Encoding.BFP8, Encoding.BFP4])
def test_a_refused_block_convicts_its_update_file(encoding: Encoding, count: int, tmp_path: Path) -> None:
    rng = random.Random(count)
    for _ in range(10):
        blocks = [ref.encode(random_values(rng), encoding) for _ in range(count)]
        honest = open_blocks(tmp_path, encoding, blocks)
        assert proofs.malformed_proof(honest) is None
        at = rng.randrange(count)
        blocks[at] = bytes([rng.randrange(32, 256)]) + rng.randbytes(encoding.size - 1)
        update = open_blocks(tmp_path, encoding, blocks)
        proof = proofs.malformed_proof(update)
        assert proof is not None
        assert (proof.position, proof.root) == (at, update.summary.root)
        assert proof.fault(encoding, count) == "a refused block"
        moved = dataclasses.replace(proof, position=at ^ 1) if count > 1 else proof
        if count > 1:
            with pytest.raises(FormatError):
                moved.fault(encoding, count)


class Forged:
    """An update tree of BFP8 blocks as a cheater may commit it: any energy may be claimed at any node."""

    def __init__(self, blocks: list[bytes], claims: dict[tuple[int, int], int], count: int) -> None:
        width = 1 << (count - 1).bit_length()
        blocks = blocks + [b""] * (width - len(blocks))
        self.blocks, self.count = blocks, count
        level = [(ref.leaf(b), ref.energy(ref.counted(b, Encoding.BFP8))) for b in blocks]
        self.levels = [self._claimed(level, 0, claims)]
        while len(self.levels[-1]) > 1:
            low = self.levels[-1]
            up = [ref.update_node(low[i], low[i + 1]) for i in range(0, len(low), 2)]
            self.levels.append(self._claimed(up, len(self.levels), claims))

    @staticmethod
    def _claimed(
        nodes: list[tuple[bytes, int]], level: int, claims: dict[tuple[int, int], int]
    ) -> list[tuple[bytes, int]]:
        return [(node, claims.get((level, i), energy)) for i, (node, energy) in enumerate(nodes)]

    def proof(self, leaf: int) -> proofs.MalformedProof:
        path = []
        for depth, level in enumerate(self.levels[:-1]):
            at = leaf >> depth
            path.append(
                EnergyStep(sibling=level[at ^ 1][0], own_energy=level[at][1], sibling_energy=level[at ^ 1][1])
            )
        tree, energy = self.levels[-1][0]
        root = UpdateRoot(tree_hash=tree, energy=energy, encoding=1, block_count=self.count)
        return proofs.MalformedProof(
            root=root, position=leaf, path=tuple(path), preimage=b"\x00" + self.blocks[leaf]
        )


BLOCKS = [ref.encode([i + 1] * 32, Encoding.BFP8) for i in range(6)]


@pytest.mark.parametrize(
    ("claims", "leaf", "fault"),
    [
        ({}, 3, None),
        ({}, 7, None),
        ({(0, 3): 5}, 3, "an energy unlike its block's"),
        ({(0, 7): 5}, 7, "an energy unlike its block's"),
        ({(1, 1): 5}, 3, "energies do not add up"),
        ({(2, 0): 5}, 0, "energies do not add up"),
        ({(3, 0): 5}, 5, "energies do not add up"),
        ({(3, 0): 0}, 0, "energies do not add up"),
        ({(1, 3): 2**96 - 1, (2, 1): 7}, 6, "energies do not add up"),
    ],
)
def test_wrong_energies_convict_where_they_are(
    claims: dict[tuple[int, int], int], leaf: int, fault: str | None
) -> None:
    assert Forged(BLOCKS, claims, 6).proof(leaf).fault(Encoding.BFP8, 6) == fault


def test_a_leaf_at_or_beyond_the_block_count_convicts() -> None:
    for extra in (6, 7):
        blocks = BLOCKS + [b""] * 2
        blocks[extra] = BLOCKS[0]
        assert Forged(blocks, {}, 6).proof(extra).fault(Encoding.BFP8, 6) == "a leaf beyond the block count"


def test_a_root_of_another_encoding_or_block_count_convicts_by_itself() -> None:
    root = Forged(BLOCKS, {}, 6).proof(0).root
    for changed in (dataclasses.replace(root, encoding=2), dataclasses.replace(root, block_count=7)):
        assert proofs.MalformedProof(root=changed).fault(Encoding.BFP8, 6) == "encoding or block count"
    assert proofs.MalformedProof(root=root).fault(Encoding.BFP8, 6) is None


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_an_inner_node_of_a_good_tree_holds_and_one_that_hides_energy_convicts(levels: int) -> None:
    for claims, fault in (({}, None), ({(3 - levels, 0): 9}, "energies do not add up")):
        tree = Forged(BLOCKS, claims, 6)
        low = tree.levels[2 - levels]
        preimage = b"\x02" + low[0][0] + low[1][0] + b"".join(low[i][1].to_bytes(12, "big") for i in (0, 1))
        full = tree.proof(0)
        proof = dataclasses.replace(full, path=full.path[3 - levels :], preimage=preimage)
        assert proof.fault(Encoding.BFP8, 6) == fault


def test_a_preimage_of_the_wrong_kind_convicts() -> None:
    blocks = list(BLOCKS)
    tree = Forged(blocks, {}, 6)
    odd = b"\x07 neither leaf nor node"
    tree.levels[0][2] = (ref.keccak(odd), 0)
    for depth in range(3):
        low = tree.levels[depth]
        tree.levels[depth + 1] = [ref.update_node(low[i], low[i + 1]) for i in range(0, len(low), 2)]
    proof = dataclasses.replace(tree.proof(2), preimage=odd)
    assert proof.fault(Encoding.BFP8, 6) == "a leaf that is none"
    short = dataclasses.replace(proof, path=proof.path[:0], position=0, preimage=odd)
    short = dataclasses.replace(short, root=dataclasses.replace(proof.root, tree_hash=ref.keccak(odd)))
    assert short.fault(Encoding.BFP8, 6) == "an inner node that is none"
