"""Membership trees: leaves as the contracts hash them, proofs as OpenZeppelin's MerkleProof takes them."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.cid import DAG_PB, Cid
from steelyard.core.hashing import keccak
from steelyard.errors import ManifestError
from steelyard.jobs import membership
from support import jobs

ACCOUNT = "0x00000000000000000000000000000000000A11cE"


def test_a_shard_leaf_is_the_double_hash_of_its_abi_encoding() -> None:
    codec, digest = Cid.parse(jobs.cid_of("rows")).to_chain()
    packed = encode(["uint256", "uint8", "bytes32", "uint256"], [3, codec, digest, 777])
    assert membership.shard_leaf(3, jobs.cid_of("rows"), 777) == keccak(keccak(packed))


def test_an_invitation_leaf_is_the_double_hash_of_its_abi_encoding() -> None:
    codec, digest = Cid.parse(jobs.cid_of("rows", DAG_PB)).to_chain()
    packed = encode(["address", "uint256", "uint8", "bytes32"], [ACCOUNT, 9, codec, digest])
    assert membership.invitation_leaf(ACCOUNT, 9, jobs.cid_of("rows", DAG_PB)) == keccak(keccak(packed))


def test_the_leaf_of_one_whose_data_stays_at_home_has_codec_and_digest_zero() -> None:
    packed = encode(["address", "uint256", "uint8", "bytes32"], [ACCOUNT, 9, 0, bytes(32)])
    assert membership.invitation_leaf(ACCOUNT, 9, "") == keccak(keccak(packed))


def test_nodes_hash_the_smaller_child_first() -> None:
    low, high = b"\1" * 32, b"\2" * 32
    assert membership.merkle_root([low, high]) == membership.merkle_root([high, low]) == keccak(low + high)


def test_an_odd_leaf_goes_up_alone() -> None:
    a, b, c = (bytes([i]) * 32 for i in range(3))
    assert membership.merkle_root([a, b, c]) == membership.merkle_root([membership.merkle_root([a, b]), c])


def test_no_leaf_gives_the_zero_root_and_one_leaf_is_the_root() -> None:
    assert membership.merkle_root([]) == bytes(32)
    assert membership.merkle_root([b"\7" * 32]) == b"\7" * 32


@given(st.integers(1, 40), st.data())
def test_every_leaf_proves_itself_and_nothing_else(count: int, data: st.DataObject) -> None:
    leaves = [keccak(bytes([i])) for i in range(count)]
    position = data.draw(st.integers(0, count - 1))
    proof, root = membership.merkle_proof(leaves, position), membership.merkle_root(leaves)
    assert membership.merkle_verify(leaves[position], proof, root)
    assert not membership.merkle_verify(keccak(b"stranger"), proof, root)


def test_a_proof_beyond_the_list_is_refused() -> None:
    with pytest.raises(ManifestError, match="no member 2 among 2"):
        membership.merkle_proof([bytes(32)] * 2, 2)


@pytest.mark.parametrize(
    "cid",
    [
        "",
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKHZ9A",
        jobs.cid_of("x")[:-1],
        jobs.cid_of("x") + "a",
        jobs.cid_of("x").upper(),
        jobs.cid_of("x", codec=0x71),
        jobs.cid_of("x")[:-1] + "b",  # spare bits set: another spelling of the same bytes
    ],
)
def test_a_cid_that_the_contracts_cannot_express_is_refused(cid: str) -> None:
    with pytest.raises(ManifestError, match="not a CIDv1"):
        membership.shard_leaf(0, cid, 1)


def test_something_that_is_not_an_account_is_refused() -> None:
    with pytest.raises(ManifestError, match="not an address"):
        membership.invitation_leaf("0x12", 1, jobs.cid_of("x"))
