"""The contracts of a deployment, in order, with the arguments of their constructors.

The contracts refer to each other by immutable addresses, in both directions, so an argument may name a
contract that comes later in the plan.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ContractAddress:
    """A constructor argument: the address of another contract of the plan."""

    contract: str


@dataclass(frozen=True)
class ConstructorSetting:
    """A constructor argument: a field of DeploymentSettings."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Creation:
    """One contract and the arguments of its constructor."""

    contract: str
    arguments: tuple[ContractAddress | ConstructorSetting, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DeploymentSettings:
    """The immutable settings of a deployment."""

    token: str | None = None  # an ERC-20 with permit; None deploys the test token
    minimum_window_s: int = 60  # shortest window that a job may choose
    unbonding_s: int = 7 * 24 * 3600  # from the request to withdraw a stake or bond to the withdrawal


TOKEN = "TestToken"  # noqa: S105  # a contract's name
# The arguments that the Coordinator and its modules share.
_COMMON = (
    ContractAddress("WorkerRegistry"),
    ContractAddress("Vault"),
    ContractAddress("FaultProver"),
    ConstructorSetting("minimum_window_s"),
)
PLAN: tuple[Creation, ...] = (
    Creation(contract=TOKEN),
    Creation(contract="FaultProver"),
    Creation(contract="WorkerRegistry", arguments=(ContractAddress("Vault"), ContractAddress("Coordinator"))),
    Creation(
        contract="Vault",
        arguments=(
            ContractAddress(TOKEN),
            ContractAddress("WorkerRegistry"),
            ContractAddress("Coordinator"),
            ConstructorSetting("unbonding_s"),
        ),
    ),
    Creation(contract="Membership", arguments=_COMMON),
    Creation(contract="RoundRecovery", arguments=_COMMON),
    Creation(contract="Disputes", arguments=_COMMON),
    Creation(contract="JobClosure", arguments=_COMMON),
    Creation(
        contract="Coordinator",
        arguments=(
            *_COMMON,
            ContractAddress("Membership"),
            ContractAddress("RoundRecovery"),
            ContractAddress("Disputes"),
            ContractAddress("JobClosure"),
        ),
    ),
)
CONTRACTS: tuple[str, ...] = tuple(creation.contract for creation in PLAN)
