"""ABI encoding: structs, addresses, arrays and events, against eth_abi and known selectors."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from steelyard.chain.calls import Contract, creation, transfer
from steelyard.chain.codec import Interface, snake
from steelyard.chain.decoder import LogDecoder
from steelyard.chain.generated.structs import Collateral, Seat, Step
from steelyard.chain.types import BlockHeader, RawEvent
from steelyard.errors import ChainError, ConfigError

PEER = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"


def parameter(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


STEP = [
    parameter("blockCount", "uint32"),
    parameter("encoding", "uint8"),
    parameter("rule", "uint8"),
    parameter("trim", "uint8"),
    parameter("beta", "uint32"),
    parameter("lr", "uint32"),
    parameter("bound2", "uint96"),
]
ABI: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "transfer",
        "inputs": [parameter("to", "address"), parameter("amount", "uint256")],
        "outputs": [parameter("", "bool")],
    },
    {
        "type": "function",
        "name": "steps",
        "inputs": [parameter("list", "tuple[]", components=STEP, internalType="struct Step[]")],
        "outputs": [
            parameter("list", "tuple[]", components=STEP, internalType="struct Step[]"),
            parameter("kind", "uint8", internalType="enum IVault.Collateral"),
            parameter("who", "address[2]"),
        ],
    },
    {
        "type": "event",
        "name": "Moved",
        "inputs": [
            parameter("from", "address", indexed=True),
            parameter("note", "string", indexed=True),
            parameter("step", "tuple", components=STEP, internalType="struct Step", indexed=False),
            parameter("id", "bytes32", indexed=False),
        ],
    },
    {"type": "constructor", "inputs": [parameter("first", "uint256")]},
]
BOX = Contract(Interface("Box", ABI, b"\xfe\xed"), PEER)
ONE = Step(block_count=1, encoding=2, rule=0, trim=0, beta=5, lr=65536, bound2=2**96 - 1)
ONE_TUPLE = (1, 2, 0, 0, 5, 65536, 2**96 - 1)
STEP_TYPE = "(uint32,uint8,uint8,uint8,uint32,uint32,uint96)"


def test_a_call_has_the_well_known_selector_and_arguments() -> None:
    call = BOX.call("transfer", PEER, 258)
    assert call.data.hex() == "a9059cbb" + "00" * 12 + PEER[2:].lower() + "00" * 30 + "0102"
    assert call.decode(encode(["bool"], [True])) is True
    assert call.describe() == "Box.transfer"
    assert call.fields(PEER) == {
        "data": "0x" + call.data.hex(),
        "value": "0x0",
        "to": PEER,
        "from": PEER,
    }


def test_structs_go_in_and_come_out_as_dataclasses() -> None:
    call = BOX.call("steps", [ONE, ONE])
    assert call.data[4:] == encode([f"{STEP_TYPE}[]"], [[ONE_TUPLE, ONE_TUPLE]])
    answer = encode([f"{STEP_TYPE}[]", "uint8", "address[2]"], [[ONE_TUPLE], 1, [PEER.lower(), PEER.lower()]])
    assert call.decode(answer) == ((ONE,), Collateral.BOND, (PEER, PEER))


@given(
    st.tuples(
        st.integers(0, 2**32 - 1),
        *[st.integers(0, 255)] * 3,
        *[st.integers(0, 2**32 - 1)] * 2,
        st.integers(0, 2**96 - 1),
    )
)
def test_any_struct_survives_the_round_trip(values: tuple[int, ...]) -> None:
    step = Step(**dict(zip(Step.__dataclass_fields__, values, strict=True)))
    answer = encode([f"{STEP_TYPE}[]", "uint8", "address[2]"], [[values], 0, [PEER, PEER]])
    assert BOX.call("steps", [step]).data[4:] == encode([f"{STEP_TYPE}[]"], [[values]])
    assert BOX.call("steps", []).decode(answer)[0] == (step,)


def test_an_event_gives_plain_fields_and_hashes_of_indexed_strings() -> None:
    signature = next(iter(BOX.interface.events.values()))
    assert signature.text == f"Moved(address,string,{STEP_TYPE},bytes32)"
    decoder = LogDecoder()
    decoder.add(PEER, BOX.interface)
    event = decoder.event(log(signature.topic, "aa" * 32, index=3))
    assert isinstance(event, RawEvent)
    assert event.fields == {"from": PEER, "note": b"\xaa" * 32, "step": ONE, "id": b"\xbb" * 32}
    assert (event.position.block, event.position.index, event.position.address) == (16, 3, PEER)


def test_unknown_addresses_and_topics_are_left_out_and_the_rest_is_in_order() -> None:
    topic = next(iter(BOX.interface.events))
    decoder = LogDecoder()
    decoder.add(PEER, BOX.interface)
    logs = [
        log(topic, "aa" * 32, index=5),
        log(topic, "aa" * 32, index=1),
        {**log(topic, "aa" * 32, index=0), "address": "0x" + "99" * 20},
        log(b"\x01" * 32, "aa" * 32, index=2),
        {**log(topic, "aa" * 32, index=4), "topics": []},
    ]
    assert [event.position.index for event in decoder.events(logs)] == [1, 5]


@pytest.mark.parametrize(
    "change", [{"data": "0x00"}, {"data": "zz"}, {"blockNumber": None}, {"logIndex": "x"}]
)
def test_a_log_that_does_not_fit_the_abi_is_reported(change: dict[str, Any]) -> None:
    decoder = LogDecoder()
    decoder.add(PEER, BOX.interface)
    raw = log(next(iter(BOX.interface.events)), "aa" * 32, index=0) | change
    with pytest.raises(ChainError, match="does not decode"):
        decoder.event(raw)


@pytest.mark.parametrize("change", [{"number": None}, {"timestamp": "soon"}, {"hash": ...}])
def test_a_malformed_block_is_reported(change: dict[str, Any]) -> None:
    raw = {"number": "0x1", "hash": "0x2", "parentHash": "0x3", "timestamp": "0x4", "gasLimit": "0x5"}
    assert BlockHeader.parse(raw).base_fee is None
    if ... in change.values():
        change = {}
        del raw["hash"]
    with pytest.raises(ChainError, match="malformed block"):
        BlockHeader.parse(raw | change)


def log(topic: bytes, note: str, *, index: int) -> dict[str, Any]:
    return {
        "address": PEER.lower(),
        "topics": ["0x" + topic.hex(), "0x" + "00" * 12 + PEER[2:].lower(), "0x" + note],
        "data": "0x" + encode([STEP_TYPE, "bytes32"], [ONE_TUPLE, b"\xbb" * 32]).hex(),
        "blockNumber": "0x10",
        "blockHash": "0x" + "cc" * 32,
        "transactionHash": "0x" + "dd" * 32,
        "logIndex": hex(index),
    }


def test_a_creation_carries_bytecode_and_arguments() -> None:
    call = creation(BOX.interface, 7)
    assert call.to == ""
    assert "to" not in call.fields()
    assert call.data == b"\xfe\xed" + (7).to_bytes(32, "big")


def test_a_transfer_has_no_data() -> None:
    assert transfer(PEER.lower(), 5).fields() == {"data": "0x", "value": "0x5", "to": PEER}


@pytest.mark.parametrize(
    "arguments", [(), (PEER,), (PEER, -1), (PEER, 2**256), ("0x12", 1), (PEER, "1"), (PEER, 1, 2)]
)
def test_arguments_that_do_not_fit_are_refused_by_name(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError, match=r"transfer\(address,uint256\) cannot take"):
        BOX.call("transfer", *arguments)


def test_a_struct_of_the_wrong_kind_is_refused() -> None:
    seat = Seat(worker=PEER, slot=1, weight=1, since=0, until=0)
    with pytest.raises(ConfigError, match="steps"):
        BOX.call("steps", [seat])


def test_an_abi_that_is_not_there_is_reported() -> None:
    with pytest.raises(ConfigError, match="Nothing"):
        Interface.load("Nothing")


@pytest.mark.parametrize(
    ("solidity", "python"),
    [("submitBy", "submit_by"), ("bound2", "bound2"), ("from", "from_"), ("job", "job"), ("aBC", "a_bc")],
)
def test_names_are_spelled_as_python_does(solidity: str, python: str) -> None:
    assert snake(solidity) == python
