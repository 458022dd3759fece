"""Typed calls of `WorkerRegistry`.

Written by scripts/build_chain_types.py from the contracts; as long as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.chain.calls import Call, Contract
from steelyard.chain.generated.structs import Account, Permit


@dataclass(frozen=True)
class WorkerRegistry:
    """Who may work: identity, operator, payout, encryption key, reputation."""

    contract: Contract

    @property
    def address(self) -> str:
        """Where it stands."""
        return self.contract.address

    def coordinator(self) -> Call[str]:
        """`WorkerRegistry.COORDINATOR`."""
        return self.contract.call("COORDINATOR")

    def vault(self) -> Call[str]:
        """`WorkerRegistry.VAULT`."""
        return self.contract.call("VAULT")

    def account_of(self, worker: str) -> Call[Account]:
        """`WorkerRegistry.accountOf`."""
        return self.contract.call("accountOf", worker)

    def identity_of(self, operator: str) -> Call[str]:
        """The identity that `operator` acts for. Reverts with `NotRegistered` where there is none."""
        return self.contract.call("identityOf", operator)

    def payout_of(self, account: str) -> Call[str]:
        """Where money of `account` goes: its payout address, or itself where it is not registered."""
        return self.contract.call("payoutOf", account)

    def record(self, worker: str, submitted: int, included: int, slashed: int) -> Call[None]:
        """Adds to the reputation of `worker`, as the Coordinator's Claimed and UpdateMalformed events say.

        Only the Coordinator.
        """
        return self.contract.call("record", worker, submitted, included, slashed)

    def register(self, operator: str, payout: str, encryption_key: bytes, stake_amount: int) -> Call[None]:
        """Registers the caller.

        `stakeAmount` of the deployment's token, if not zero, is moved from the caller into its stake (needs
        an approval of the Vault).
        """
        return self.contract.call("register", operator, payout, encryption_key, stake_amount)

    def register_with_permit(
        self, operator: str, payout: str, encryption_key: bytes, stake_amount: int, permit: Permit
    ) -> Call[None]:
        """As `register`, approving the Vault by a signed permit.

        A permit that was already used is no failure as long as the allowance suffices.
        """
        return self.contract.call(
            "registerWithPermit", operator, payout, encryption_key, stake_amount, permit
        )

    def set_encryption_key(self, encryption_key: bytes) -> Call[None]:
        """`WorkerRegistry.setEncryptionKey`."""
        return self.contract.call("setEncryptionKey", encryption_key)

    def set_operator(self, operator: str) -> Call[None]:
        """Names another hot key. Seats in jobs keep the old one until `Coordinator.reseat`."""
        return self.contract.call("setOperator", operator)

    def set_payout(self, payout: str) -> Call[None]:
        """`WorkerRegistry.setPayout`."""
        return self.contract.call("setPayout", payout)
