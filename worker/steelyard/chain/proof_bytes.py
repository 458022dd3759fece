"""Packs the two fault proofs into the bytes that the contracts take (the tables in IFaultProver.sol).

A prover commits to the hash of these bytes, so the packing is unique: exact lengths, big-endian.
"""

from __future__ import annotations

from steelyard.core.numbers import STATE_BLOCK
from steelyard.core.proofs import ArithmeticProof, MalformedProof
from steelyard.errors import FormatError

MAX_BLOCK = 2**16 - 1
"""Longest block of an update that a proof can carry. No file holds one longer than 128 bytes."""


def pack_arithmetic(proof: ArithmeticProof) -> bytes:
    """Bytes for `convict`. Raises FormatError if a part does not fit the packed form."""
    states = [proof.old_state, proof.new_state]
    if proof.old_momentum or proof.new_momentum:
        states += [proof.old_momentum, proof.new_momentum]
    for state in states:
        if len(state) != STATE_BLOCK:
            raise FormatError(
                f"state block of {len(state)} bytes, not {STATE_BLOCK}", remedy="take it from a state file"
            )
    parts = [proof.block_index.to_bytes(4, "big"), proof.coordinate.to_bytes(1, "big"), *states, proof.table]
    parts += proof.path
    for block in proof.updates:
        if len(block) > MAX_BLOCK:
            raise FormatError(f"block of {len(block)} bytes", remedy="take it from an update file")
        parts += [len(block).to_bytes(2, "big"), block]
    return b"".join(parts)


def pack_malformed(proof: MalformedProof) -> bytes:
    """Bytes for `convictUpdate`: the fields of the root, and of a node with its path if the proof has one."""
    fields = proof.root.preimage()
    if proof.preimage is None:
        return fields
    path = b""
    for level, step in enumerate(proof.path):
        energies = [step.own_energy.to_bytes(12, "big"), step.sibling_energy.to_bytes(12, "big")]
        if proof.position >> level & 1:
            energies.reverse()
        path += step.sibling + b"".join(energies)
    location = proof.position.to_bytes(4, "big") + proof.levels.to_bytes(1, "big")
    return fields + location + path + proof.preimage
