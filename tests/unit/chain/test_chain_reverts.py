"""Reverts of every kind of node become the contract's error."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from steelyard.chain.codec import Signature
from steelyard.chain.reverts import Reverts, is_revert, revert_data
from steelyard.chain.rpc import RpcRefused

PEER = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"


TAKEN = Signature.parse(
    {
        "name": "Taken",
        "inputs": [
            {"name": "key", "type": "uint64"},
            {"name": "by", "type": "address"},
            {"name": "until", "type": "uint40"},
        ],
    }
)
TAKEN_DATA = TAKEN.selector + encode(["uint64", "address", "uint40"], [3, PEER, 1_700_000_000])


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": "execution reverted: custom error", "data": "0x" + TAKEN_DATA.hex()},
        {"code": -32000, "message": "VM Exception while processing transaction: revert",
         "data": "0x" + TAKEN_DATA.hex()},
        {"code": -32000, "message": "VM Exception while processing transaction: revert",
         "data": {"hash": None, "result": "0x" + TAKEN_DATA.hex(), "reason": None}},
        {"code": -32015, "message": "VM execution error: revert", "data": "Reverted 0x" + TAKEN_DATA.hex()},
        {"code": -32603, "message": "reverted", "data": {"data": "0x" + TAKEN_DATA.hex()}},
    ],
)  # fmt: skip
def test_every_kind_of_node_is_understood(error: dict[str, Any]) -> None:
    refused = RpcRefused("eth_call", error)
    assert is_revert(refused)
    error = Reverts([TAKEN]).explain("Box.store", revert_data(refused))
    assert error.name == "Taken"
    assert error.args_by_name == {"key": 3, "by": PEER, "until": 1_700_000_000}
    assert "2023-11-14 22:13:20 UTC" in str(error)


def test_a_refusal_that_is_not_a_revert_is_not_taken_for_one() -> None:
    for error in (
        {"code": -32601, "message": "method not found"},
        {"code": -32000, "message": "nonce too low"},
    ):
        assert not is_revert(RpcRefused("eth_call", error))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "without a reason"),
        (b"\xde\xad\xbe\xef", "unknown error 0xdeadbeef"),
        (bytes.fromhex("08c379a0") + encode(["string"], ["hello"]), "hello"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]), "overflow"),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [0x99]), "0x99"),
        (TAKEN_DATA[:20], "unknown error"),
        (bytes.fromhex("08c379a0") + b"\xff" * 40, "unknown error"),
    ],
)
def test_odd_revert_data_is_reported_and_never_breaks(data: bytes, said: str) -> None:
    assert said in str(Reverts([TAKEN]).explain("Box.store", data))


@given(st.binary(max_size=200))
def test_any_revert_data_gives_an_explanation(data: bytes) -> None:
    assert str(Reverts([TAKEN]).explain("Box.store", TAKEN.selector + data))
