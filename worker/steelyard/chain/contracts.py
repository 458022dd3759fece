"""The deployment's contracts as typed calls, and the ids of results and submissions."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode

from steelyard.chain.calls import Contract
from steelyard.chain.codec import to_abi
from steelyard.chain.generated.coordinator import Coordinator
from steelyard.chain.generated.structs import Result, Submission
from steelyard.chain.generated.token import TestToken
from steelyard.chain.generated.vault import Vault
from steelyard.chain.generated.worker_registry import WorkerRegistry
from steelyard.chain.networks import Deployment
from steelyard.core.hashing import keccak

_RESULT = "(uint64,uint64,uint8,bytes32,uint256,bytes32,bytes32,bytes32,bytes32,uint8,bytes32,address)"
_SUBMISSION = "(uint64,uint64,uint8,address,uint24,bytes32,uint8,bytes32)"


@dataclass(frozen=True, kw_only=True)
class Contracts:
    """Typed calls by contract. Each method returns a Call; a ChainClient reads or sends it."""

    coordinator: Coordinator
    vault: Vault
    registry: WorkerRegistry
    token: TestToken

    @classmethod
    def of(cls, deployment: Deployment) -> Contracts:
        """The contracts of a deployment.  Raises ConfigError if it lacks one."""
        return cls(
            coordinator=Coordinator(Contract.at("Coordinator", deployment.address("Coordinator"))),
            vault=Vault(Contract.at("Vault", deployment.address("Vault"))),
            registry=WorkerRegistry(Contract.at("WorkerRegistry", deployment.address("WorkerRegistry"))),
            token=erc20(deployment.token or deployment.address("TestToken")),
        )


def erc20(address: str) -> TestToken:
    """Calls of any ERC-20; `mint` and `permit` only if the token has them."""
    return TestToken(Contract.at("TestToken", address))


def result_id(result: Result) -> bytes:
    """The id of a posted result in the Coordinator."""
    return keccak(encode([_RESULT], [to_abi(result)]))


def submission_id(submission: Submission) -> bytes:
    """The hash of a submission; the Coordinator stores it with its lowest byte cleared."""
    return keccak(encode([_SUBMISSION], [to_abi(submission)]))


def commitment(
    chain_id: int, coordinator: str, prover: str, fault: bytes, proof: bytes, update_root: bytes = bytes(32)
) -> bytes:
    """The argument of `Coordinator.commit` before a conviction (protocol.md section 7).

    fault: `result_id` for wrong arithmetic, `submission_id` for a malformed update of root `update_root`.
    """
    secret = keccak(encode(["bytes32", "bytes32", "bytes"], [fault, update_root, proof]))
    return keccak(
        encode(["uint256", "address", "address", "bytes32"], [chain_id, coordinator, prover, secret])
    )
