"""Membership: the Merkle roots of shards and invitations that a job fixes (protocol.md section 8).

    shard leaf       keccak(keccak(abi.encode(uint256 index, uint8 codec, bytes32 digest, uint256 weight)))
    invitation leaf  keccak(keccak(abi.encode(address account, uint256 weight, uint8 codec, bytes32 digest)))

The CID enters as its codec and its sha2-256 digest. Leaves are hashed twice, so no node can pass for one.
Nodes are those of OpenZeppelin's MerkleProof: keccak of the smaller hash and the larger. The positional trees
of section 3 are in `trees`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from steelyard.core.cid import Cid
from steelyard.core.hashing import keccak
from steelyard.errors import CidError, ManifestError

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def shard_leaf(index: int, cid: str, weight: int) -> bytes:
    """The leaf of one data shard, 32 bytes."""
    codec, digest = _chain_form(cid)
    return _leaf(_word(index), _word(codec), digest, _word(weight))


def invitation_leaf(account: str, weight: int, cid: str) -> bytes:
    """The leaf of one invited account (hex address, any case), 32 bytes.

    cid: empty if the member keeps its data at home; codec and digest are 0 then.
    """
    if not _ADDRESS.fullmatch(account):
        raise ManifestError(f"{account[:80]!a} is not an address", remedy="give 0x and 40 hex digits")
    codec, digest = _chain_form(cid) if cid else (0, bytes(32))
    return _leaf(_word(int(account, 16)), _word(weight), _word(codec), digest)


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over the leaves in their order; 32 zero bytes for none, the leaf itself for one."""
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0] if level else bytes(32)


def merkle_proof(leaves: Sequence[bytes], position: int) -> list[bytes]:
    """The siblings from the leaf at `position` up, as MerkleProof.verify takes them."""
    if not 0 <= position < len(leaves):
        raise ManifestError(
            f"there is no member {position} among {len(leaves)}",
            remedy="choose a shard that the manifest lists",
        )
    level, proof = list(leaves), []
    while len(level) > 1:
        sibling = position ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        level, position = _parents(level), position // 2
    return proof


def merkle_verify(leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """The result of MerkleProof.verify."""
    for sibling in proof:
        leaf = _node(leaf, sibling)
    return leaf == root


def _parents(level: list[bytes]) -> list[bytes]:
    """One level up; a last node without a sibling goes up as it is."""
    pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return pairs + level[len(pairs) * 2 :]


def _node(a: bytes, b: bytes) -> bytes:
    return keccak(a + b if a < b else b + a)


def _leaf(*words: bytes) -> bytes:
    return keccak(keccak(b"".join(words)))


def _word(value: int) -> bytes:
    """A uint256 of the ABI. Raises OverflowError if it does not fit; bounded callers never see it."""
    return value.to_bytes(32, "big")


def _chain_form(text: str) -> tuple[int, bytes]:
    """Codec and digest of a CID. Raises ManifestError if the contracts cannot express it."""
    try:
        return Cid.parse(text).to_chain()
    except CidError as error:
        raise ManifestError(
            f"{text[:80]!a} is not a CIDv1 with sha2-256 in base32",
            remedy="compute it with `steelyard content cid`",
        ) from error
