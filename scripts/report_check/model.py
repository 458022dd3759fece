"""The number rules, written independently: update files, trees, weighted means, the server step."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from numpy.typing import NDArray

from report_check.chain import require

ONE = 1 << 16
LIMIT = 2**31 - 1
RAW_BITS, MAX_SHIFT = 32, 31
MANTISSA_BITS = {0: RAW_BITS, 1: 8, 2: 4}  # of each encoding (docs/protocol.md section 2)
HEADER = struct.Struct(">4sB3sQQI4s")
Values = NDArray[np.object_]  # Python integers: exact, whatever the sums


@dataclass(frozen=True)
class Update:
    """A decoded update: its values, and the energy and root that it commits to."""

    values: Values
    energy: int
    root: bytes


def block_size(encoding: int) -> int:
    """Bytes of a block that is not empty: a shift, unless the values are raw, and 32 values."""
    bits = MANTISSA_BITS[encoding]
    return (bits != RAW_BITS) + 32 * bits // 8


def rdiv(a: Values, d: int) -> Values:
    """Each a / d, rounded half away from zero."""
    size = (2 * abs(a) + d) // (2 * d)
    rounded: Values = np.where(a < 0, -size, size)
    return rounded


def clamp(values: Values) -> Values:
    """Within plus and minus 2^31 - 1."""
    return np.minimum(np.maximum(values, -LIMIT), LIMIT)


def state_root(data: bytes) -> bytes:
    """Root of a state file: 128-byte blocks, padded with empty ones."""
    level = [keccak(b"\x00" + data[at : at + 128]) for at in range(0, len(data), 128)]
    level += [keccak(b"\x00")] * ((1 << (len(level) - 1).bit_length()) - len(level))
    while len(level) > 1:
        level = [keccak(b"\x01" + level[at] + level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def values_of(state: bytes) -> Values:
    """Big-endian int32 as Python integers."""
    return np.frombuffer(state, ">i4").astype(object)


def state_of(values: Values) -> bytes:
    """The file of these values."""
    return values.astype(">i4").tobytes()


def read_update(data: bytes, *, job: int, serial: int, step: dict[str, Any]) -> Update:
    """Decode an update file, and rebuild its root."""
    count, encoding = step["blockCount"], step["encoding"]
    expected = (b"SYU1", encoding, bytes(3), job, serial, count, bytes(4))
    require(HEADER.unpack(data[:32]) == expected, f"an update of serial {serial} has another header")
    body, size = 32 + (count + 7) // 8, block_size(encoding)
    present = np.unpackbits(np.frombuffer(data[32:body], np.uint8))[:count]
    require(len(data) == body + int(present.sum()) * size, "an update file has another length")
    blocks: list[bytes] = []
    for flag in present:
        blocks.append(data[body : body + size] if flag else b"")
        body += len(blocks[-1])
    values = [_decode(block, encoding) for block in blocks]
    energies = [sum(value * value for value in block) for block in values]
    return Update(
        np.array([value for block in values for value in block], dtype=object),
        sum(energies),
        _update_root(blocks, energies, encoding),
    )


def _decode(block: bytes, encoding: int) -> list[int]:
    if not block:
        return [0] * 32
    bits = MANTISSA_BITS[encoding]
    if bits == RAW_BITS:
        return list(struct.unpack(">32i", block))
    word, sign = int.from_bytes(block[1:], "big"), 1 << (bits - 1)
    digits = [word >> bits * (31 - k) & (1 << bits) - 1 for k in range(32)]
    mantissas = [(digit ^ sign) - sign for digit in digits]
    refused = block[0] > MAX_SHIFT or min(mantissas) == -sign
    return [0] * 32 if refused else [max(-LIMIT, min(LIMIT, m << block[0])) for m in mantissas]


def _update_root(blocks: list[bytes], energies: list[int], encoding: int) -> bytes:
    level = [(keccak(b"\x00" + block), energy) for block, energy in zip(blocks, energies, strict=True)]
    level += [(keccak(b"\x00"), 0)] * ((1 << (len(level) - 1).bit_length()) - len(level))
    while len(level) > 1:
        level = [_join(*level[at], *level[at + 1]) for at in range(0, len(level), 2)]
    tree, energy = level[0]
    return keccak(
        b"\x03" + tree + energy.to_bytes(12, "big") + bytes([encoding]) + len(blocks).to_bytes(4, "big")
    )


def _join(left: bytes, left_energy: int, right: bytes, right_energy: int) -> tuple[bytes, int]:
    energies = left_energy.to_bytes(12, "big") + right_energy.to_bytes(12, "big")
    return keccak(b"\x02" + left + right + energies), left_energy + right_energy


def seal(chain_id: int, coordinator: str, job: int, serial: int, worker: str, root: bytes) -> bytes:
    """The sealed root: what a worker publishes of its update while submissions are open."""
    types = ["uint256", "address", "uint64", "uint64", "address", "bytes32"]
    return keccak(encode(types, [chain_id, coordinator, job, serial, worker, root]))


def aggregate(old: Values, updates: list[Update], weights: list[int], step: dict[str, Any]) -> Values:
    """FedAvg with clipping, without momentum: the new model."""
    require(step["rule"] == 0 and step["beta"] == 0, "only FedAvg without momentum is checked here")
    total = np.zeros(old.shape[0], dtype=object)
    for update, weight in zip(updates, weights, strict=True):
        total = total + weight * _clipped(update, step["bound2"])
    mean = rdiv(total, sum(weights))
    return clamp(old + rdiv(step["lr"] * clamp(mean), ONE))


def _clipped(update: Update, bound2: int) -> Values:
    if not bound2 or update.energy <= bound2:
        return update.values
    return rdiv(isqrt((bound2 << 32) // update.energy) * update.values, ONE)
