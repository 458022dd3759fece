"""Update trees node by node, honest or forged at will; slow, and shares no code with the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.hashing import keccak
from steelyard.core.proofs import MalformedProof
from steelyard.core.trees import EnergyStep, UpdateRoot


@dataclass(frozen=True)
class Node:
    """The preimage of a node's hash, and what its parent says of its energy."""

    preimage: bytes
    energy: int

    @property
    def digest(self) -> bytes:
        """The hash that stands in the parent."""
        return keccak(self.preimage)


EMPTY = Node(b"\x00", 0)
Place = tuple[int, int]
"""Levels above the leaves, and position from the left."""


@dataclass(frozen=True)
class EnergyTree:
    """levels[0] are the leaves, padded to a power of two; the last level is the top alone."""

    levels: tuple[tuple[Node, ...], ...]
    encoding: int
    block_count: int

    @classmethod
    def build(
        cls,
        leaves: Sequence[Node],
        *,
        encoding: int,
        block_count: int,
        forged: Mapping[Place, Node] | None = None,
        energies: Mapping[Place, int] | None = None,
    ) -> EnergyTree:
        """Join leaves upwards; `forged` nodes take the place of those made, `energies` that of their sums."""
        forged, energies = forged or {}, energies or {}
        width = 1 << (block_count - 1).bit_length()
        row = [*leaves, *[EMPTY] * (width - len(leaves))]
        levels: list[tuple[Node, ...]] = []
        while True:
            height = len(levels)
            row = [forged.get((height, i), node) for i, node in enumerate(row)]
            row = [Node(n.preimage, energies.get((height, i), n.energy)) for i, n in enumerate(row)]
            levels.append(tuple(row))
            if len(row) == 1:
                return cls(tuple(levels), encoding, block_count)
            row = [_parent(*row[i : i + 2]) for i in range(0, len(row), 2)]

    @property
    def depth(self) -> int:
        """Levels above the leaves."""
        return len(self.levels) - 1

    @property
    def root(self) -> UpdateRoot:
        """The data that the submission's update root commits to."""
        top = self.levels[-1][0]
        return UpdateRoot(
            tree_hash=top.digest, energy=top.energy, encoding=self.encoding, block_count=self.block_count
        )

    def proof(self, height: int, position: int) -> MalformedProof:
        """Opening of the node at this height above the leaves."""
        path = []
        at = position
        for row in self.levels[height:-1]:
            own, sibling = row[at], row[at ^ 1]
            path.append(
                EnergyStep(sibling=sibling.digest, own_energy=own.energy, sibling_energy=sibling.energy)
            )
            at //= 2
        node = self.levels[height][position]
        return MalformedProof(root=self.root, position=position, path=tuple(path), preimage=node.preimage)


def _parent(left: Node, right: Node) -> Node:
    energies = left.energy.to_bytes(12, "big") + right.energy.to_bytes(12, "big")
    preimage = b"\x02" + left.digest + right.digest + energies
    return Node(preimage, (left.energy + right.energy) % 2**96)
