"""A round of one block by hand: the protocol in plain Python, apart from the package's own code."""

from __future__ import annotations

from dataclasses import dataclass, replace

from eth_abi import encode
from eth_hash.auto import keccak

ONE = 65_536
VALUES = 32
NO_ROOT = bytes(32)


def block(*values: int) -> bytes:
    """A raw block: these values and zeros."""
    padded = [*values, *[0] * (VALUES - len(values))]
    return b"".join(value.to_bytes(4, "big", signed=True) for value in padded)


def values_of(raw: bytes) -> list[int]:
    """The values of a raw block."""
    return [int.from_bytes(raw[i : i + 4], "big", signed=True) for i in range(0, len(raw), 4)]


def leaf(raw: bytes) -> bytes:
    """Leaf of a block; with one block also the tree's root."""
    return keccak(b"\x00" + raw)


def rounded(numerator: int, denominator: int) -> int:
    """The quotient, half away from zero."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def averaged(state: bytes, updates: list[bytes]) -> bytes:
    """FedAvg with equal weights and a server rate of 1."""
    sums = [sum(column) for column in zip(*map(values_of, updates), strict=True)]
    means = [rounded(each, len(updates)) for each in sums]
    return block(*[old + mean for old, mean in zip(values_of(state), means, strict=True)])


def update_root(raw: bytes) -> bytes:
    """Root of an update of one raw block."""
    energy = sum(value * value for value in values_of(raw))
    return keccak(b"\x03" + leaf(raw) + energy.to_bytes(12, "big") + bytes([0]) + (1).to_bytes(4, "big"))


def sealed(chain_id: int, coordinator: str, job: int, serial: int, worker: str, raw: bytes) -> bytes:
    """The sealed root that a worker submits."""
    types = ["uint256", "address", "uint64", "uint64", "address", "bytes32"]
    return keccak(encode(types, [chain_id, coordinator, job, serial, worker, update_root(raw)]))


@dataclass(frozen=True)
class Posting:
    """A posted block and what it claims to come from."""

    old: bytes
    new: bytes
    updates: tuple[bytes, ...]

    @property
    def table(self) -> bytes:
        """A weight of 1 and no clipping for each update."""
        return b"".join((1).to_bytes(3, "big") + ONE.to_bytes(3, "big") for _ in self.updates)

    @property
    def roots(self) -> tuple[bytes, bytes, bytes, bytes]:
        """State root, momentum root, transcript root, table."""
        hashes = leaf(self.old) + leaf(self.new) + b"".join(map(leaf, self.updates))
        return leaf(self.new), NO_ROOT, keccak(b"\x04" + hashes), keccak(b"\x05" + self.table)

    def wrong_by(self, difference: int) -> Posting:
        """The same with the first value off by `difference`."""
        first, *others = values_of(self.new)
        return replace(self, new=block(first + difference, *others))

    def proof(self, coordinate: int) -> bytes:
        """The arithmetic proof for one value; with one block the path is empty."""
        sent = b"".join(len(raw).to_bytes(2, "big") + raw for raw in self.updates)
        return (0).to_bytes(4, "big") + bytes([coordinate]) + self.old + self.new + self.table + sent
