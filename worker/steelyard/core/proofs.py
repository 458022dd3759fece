"""The two proofs of fault, as plain fields, from files (protocol.md section 7).

`steelyard.chain` packs them for the contracts. Whether a proof convicts is checked here as the contract
checks it, so that nobody pays for one that reverts.
"""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.core.aggregation import Inputs, PostedResult, Roots, first_difference, transcript_path
from steelyard.core.encodings import Encoding, counted_values, decode_block, energy_of
from steelyard.core.hashing import keccak
from steelyard.core.numbers import BLOCK_VALUES
from steelyard.core.rules import AggregationConfig, WeightTable, mean_of, step_value
from steelyard.core.trees import (
    EMPTY_LEAF,
    ENERGY_NODE,
    LEAF,
    TRANSCRIPT_LEAF,
    EnergyStep,
    UpdateRoot,
    block_leaf,
    depth_of,
    path_root,
)
from steelyard.core.update_file import UpdateFile
from steelyard.errors import FormatError, RuleError


@dataclass(frozen=True, kw_only=True)
class ArithmeticProof:
    """One coordinate of a posted result with all of its inputs."""

    block_index: int
    coordinate: int  # 0 to 31
    old_state: bytes  # 128
    new_state: bytes  # 128, as posted
    old_momentum: bytes  # 128, empty if beta is 0
    new_momentum: bytes  # 128 as posted, empty if beta is 0
    updates: tuple[bytes, ...]  # each update's block, in slot order, perhaps empty
    table: bytes  # weight and factor, 3 bytes each, of each update
    path: tuple[bytes, ...]  # in the transcript tree, the leaf's sibling first

    def transcript_leaf(self) -> bytes:
        """The transcript leaf at which the path starts."""
        plain = [self.old_state, self.new_state]
        if self.old_momentum:
            plain += [self.old_momentum, self.new_momentum]
        return keccak(bytes([TRANSCRIPT_LEAF]) + b"".join(block_leaf(b) for b in (*plain, *self.updates)))

    def transcript_root(self) -> bytes:
        """Root of leaf and path; the proof counts only against a result that posted this root."""
        return path_root(self.transcript_leaf(), self.block_index, self.path)

    def convicts(self, step: AggregationConfig) -> bool:
        """True if the posted state or momentum differs from the rules at this coordinate."""
        triples = [(self.table[i : i + 3], self.table[i + 3 : i + 6]) for i in range(0, len(self.table), 6)]
        table = WeightTable(
            tuple(int.from_bytes(w, "big") for w, _ in triples),
            tuple(int.from_bytes(f, "big") for _, f in triples),
        )
        column = [counted_values(block, step.encoding)[self.coordinate] for block in self.updates]
        old_momentum = _value(self.old_momentum, self.coordinate) if step.momentum else 0
        state, momentum = step_value(
            step, _value(self.old_state, self.coordinate), old_momentum, mean_of(step, column, table)
        )
        if state != _value(self.new_state, self.coordinate):
            return True
        return step.momentum and momentum != _value(self.new_momentum, self.coordinate)


def find_fault(posted: PostedResult, right: PostedResult) -> tuple[int, int] | None:
    """First wrong block and coordinate, 0 to 31, of a posted state or momentum; None if both are right.

    posted, right: results of the same inputs; `right` is what `aggregate` gives.
    """
    found = [first_difference(posted.state, right.state)]
    if posted.momentum is not None and right.momentum is not None:
        found.append(first_difference(posted.momentum, right.momentum))
    return min((f for f in found if f is not None), default=None)


def arithmetic_proof(
    inputs: Inputs, posted: PostedResult, block: int, coordinate: int
) -> tuple[ArithmeticProof, Roots]:
    """Build the proof for one coordinate from the posted files, and the roots that those files give.

    It convicts a result only if `roots` are the posted ones. Raises RuleError outside the model.
    """
    if not (0 <= block < inputs.step.block_count and 0 <= coordinate < BLOCK_VALUES):
        raise RuleError(
            f"no coordinate {coordinate} of block {block}", remedy="point at a value of the model"
        )
    roots, path = transcript_path(inputs, posted, block)
    proof = ArithmeticProof(
        block_index=block,
        coordinate=coordinate,
        old_state=inputs.state.block(block),
        new_state=posted.state.block(block),
        old_momentum=b"" if inputs.momentum is None else inputs.momentum.block(block),
        new_momentum=b"" if posted.momentum is None else posted.momentum.block(block),
        updates=tuple(update.block(block) for update in inputs.updates),
        table=inputs.table().to_bytes(),
        path=path,
    )
    return proof, roots


def _value(block: bytes, coordinate: int) -> int:
    return int.from_bytes(block[4 * coordinate : 4 * coordinate + 4], "big", signed=True)


@dataclass(frozen=True, kw_only=True)
class MalformedProof:
    """One node of an update's tree and its path, or only the root's preimage if that alone is wrong."""

    root: UpdateRoot
    position: int = 0  # of the node in its level, from the left
    path: tuple[EnergyStep, ...] = ()  # from the node's level up to the root
    preimage: bytes | None = None  # of the node's hash; None if the root's fields are enough

    @property
    def levels(self) -> int:
        """Levels from the root down to the node."""
        return len(self.path)

    def fault(self, encoding: Encoding, block_count: int) -> str | None:
        """The fault that the proof shows, or None. Raises FormatError if its path misses the root."""
        if (self.root.encoding, self.root.block_count) != (int(encoding), block_count):
            return "encoding or block count"
        if self.preimage is None:
            return None
        _check_fit(self, depth_of(block_count))
        energy = self.root.energy
        for level in reversed(self.path):
            if level.own_energy + level.sibling_energy != energy:
                return "energies do not add up"
            energy = level.own_energy
        if self.levels < depth_of(block_count):
            return _inner_fault(self.preimage, energy)
        return _leaf_fault(self.preimage, energy, encoding, beyond=self.position >= block_count)


def malformed_proof(update: UpdateFile) -> MalformedProof | None:
    """Proof that an update file holds a refused block; None if it holds none.

    It convicts a submission whose update root is `update.summary.update_root`.
    """
    index = update.summary.first_refused
    if index is None:
        return None
    return MalformedProof(
        root=update.summary.root,
        position=index,
        path=update.energy_path(index),
        preimage=bytes([LEAF]) + update.block(index),
    )


def _check_fit(proof: MalformedProof, depth: int) -> None:
    if proof.levels > depth or not 0 <= proof.position < 1 << proof.levels:
        raise FormatError(
            f"position {proof.position} at level {proof.levels}", remedy="point at a node of the tree"
        )
    node, position = keccak(proof.preimage or b""), proof.position
    for level in proof.path:
        left, right = (node, level.sibling), (level.own_energy, level.sibling_energy)
        if position % 2:
            left, right = left[::-1], right[::-1]
        energies = b"".join(e.to_bytes(12, "big") for e in right)
        node, position = keccak(bytes([ENERGY_NODE]) + b"".join(left) + energies), position // 2
    if node != proof.root.tree_hash:
        raise FormatError(
            "the path leads to another tree", remedy="build the proof from the submission's own file"
        )


def _inner_fault(preimage: bytes, energy: int) -> str | None:
    if len(preimage) != 89 or preimage[0] != ENERGY_NODE:
        return "an inner node that is none"
    if int.from_bytes(preimage[65:77], "big") + int.from_bytes(preimage[77:89], "big") != energy:
        return "energies do not add up"
    return None


def _leaf_fault(preimage: bytes, energy: int, encoding: Encoding, *, beyond: bool) -> str | None:
    if preimage[:1] != bytes([LEAF]):
        return "a leaf that is none"
    if beyond and keccak(preimage) != EMPTY_LEAF:
        return "a leaf beyond the block count"
    try:
        values = decode_block(preimage[1:], encoding)
    except FormatError:
        return "a refused block"
    return None if energy_of(values) == energy else "an energy unlike its block's"
