"""The fault prover on a chain, asked thousands of questions a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eth_abi.abi import decode, encode

from steelyard.chain.dev.devnet import DevChain
from steelyard.core.hashing import keccak
from steelyard.core.rules import AggregationConfig
from support.solidity import runtime_codes

PROVER = "0x" + "00" * 18 + "5701"
BATCH = "0x" + "00" * 18 + "5702"
LIBRARIES = "0x" + "00" * 18 + "5703"
ANVIL_FLAGS = ("--no-request-size-limit",)

SOURCES = (
    "contracts/FaultProver.sol",
    "tests/support/contracts/Batch.sol",
    "tests/support/contracts/LibraryHarness.sol",
)

STEP = "(uint32,uint8,uint8,uint8,uint32,uint32,uint96)"
COORDINATE_AT = 4 + 32 * (7 + 5) + 4
"""Where in a call of checkArithmetic the proof's coordinate stands."""

_GAS = hex(10**15)
_BYTES_A_CALL = 600_000


def selector(signature: str) -> bytes:
    """First four bytes of a function's or custom error's signature, hashed."""
    return keccak(signature.encode())[:4]


HOLDS = selector("ArithmeticHolds(uint256,uint256,int256,int256)")
UPDATE_HOLDS = selector("UpdateHolds()")


@dataclass(frozen=True)
class Outcome:
    """Result of a call: returned, or reverted with a custom error of this selector (zeros for none)."""

    returned: bool
    error: bytes


def step_fields(step: AggregationConfig) -> tuple[int, ...]:
    """The job's arithmetic as the contract's struct."""
    return (
        step.block_count,
        int(step.encoding),
        int(step.rule),
        step.trim,
        step.beta,
        step.lr,
        step.bound2,
    )


def arithmetic_call(
    step: AggregationConfig, transcript_root: bytes, table_hash: bytes, n: int, proof: bytes
) -> bytes:
    """Calldata of checkArithmetic."""
    types = [STEP, "bytes32", "bytes32", "uint256", "bytes"]
    fields = encode(types, [step_fields(step), transcript_root, table_hash, n, proof])
    return selector(f"checkArithmetic({','.join(types)})") + fields


def malformed_call(step: AggregationConfig, update_root: bytes, proof: bytes) -> bytes:
    """Calldata of checkMalformed."""
    types = [STEP, "bytes32", "bytes"]
    return selector(f"checkMalformed({','.join(types)})") + encode(
        types, [step_fields(step), update_root, proof]
    )


@dataclass(frozen=True)
class Prover:
    """The contract, in place on an anvil that was started with ANVIL_FLAGS."""

    chain: DevChain

    @classmethod
    def on(cls, chain: DevChain) -> Prover:
        """Compile the contracts, put their code at fixed addresses, and lift the gas limit."""
        for address, code in zip((PROVER, BATCH, LIBRARIES), runtime_codes(SOURCES), strict=True):
            chain.rpc("anvil_setCode", address, code)
        chain.rpc("evm_setBlockGasLimit", _GAS)
        chain.rpc("evm_mine")
        return cls(chain)

    def outcomes(self, calls: Sequence[bytes]) -> list[Outcome]:
        """Try every call on its own."""
        records = b"".join(
            self._ask(BATCH, "outcomes(address,bytes)", ["address", "bytes"], [PROVER, joined])
            for joined in _joined(calls)
        )
        return [Outcome(records[i] == 1, records[i + 1 : i + 5]) for i in range(0, len(records), 5)]

    def held(self, calls: Sequence[bytes]) -> list[int]:
        """How many of the block's 32 coordinates each call of checkArithmetic finds right."""
        types = ["address", "bytes", "uint256"]
        counts = b"".join(
            self._ask(BATCH, f"held({','.join(types)})", types, [PROVER, joined, COORDINATE_AT])
            for joined in _joined(calls)
        )
        return list(counts)

    def gas(self, call: bytes) -> int:
        """Gas of a transaction that makes this call and nothing else, its base and its calldata included."""
        return int(self.chain.rpc("eth_estimateGas", {"to": PROVER, "data": "0x" + call.hex()}), 16)

    def library(self, signature: str, result: str, *values: object) -> object:
        """Answer of one function of LibraryHarness, such as `rdiv(int256,uint256)`."""
        types = signature[signature.index("(") + 1 : -1].split(",")
        data = selector(signature) + encode(types, list(values))
        answer = self.chain.rpc("eth_call", {"to": LIBRARIES, "data": "0x" + data.hex()}, "latest")
        return decode([result], bytes.fromhex(answer[2:]))[0]

    def _ask(self, to: str, signature: str, types: list[str], values: list[object]) -> bytes:
        data = selector(signature) + encode(types, values)
        asked = {"to": to, "data": "0x" + data.hex(), "gas": _GAS}
        answer = self.chain.rpc("eth_call", asked, "latest", timeout_s=120.0)
        (said,) = decode(["bytes"], bytes.fromhex(answer[2:]))
        return bytes(said)


def _joined(calls: Sequence[bytes]) -> Iterable[bytes]:
    """Calls behind their lengths, some hundred kilobytes at a time."""
    some: list[bytes] = []
    size = 0
    for call in calls:
        some += [len(call).to_bytes(4, "big"), call]
        size += len(call)
        if size > _BYTES_A_CALL:
            yield b"".join(some)
            some, size = [], 0
    if some:
        yield b"".join(some)


def refusals(outcomes: list[Outcome]) -> Counter[bytes]:
    """How often each custom error came back. Fails where any call returned."""
    assert [i for i, outcome in enumerate(outcomes) if outcome.returned] == []
    return Counter(outcome.error for outcome in outcomes)
