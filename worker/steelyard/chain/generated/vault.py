"""Typed calls of `Vault`.

Written by scripts/build_chain_types.py from the contracts; as long as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.chain.calls import Call, Contract
from steelyard.chain.generated.structs import Balance, EscrowView, Purse


@dataclass(frozen=True)
class Vault:
    """Stakes, bonds, escrow and credits."""

    contract: Contract

    @property
    def address(self) -> str:
        """Where it stands."""
        return self.contract.address

    def coordinator(self) -> Call[str]:
        """`Vault.COORDINATOR`."""
        return self.contract.call("COORDINATOR")

    def registry(self) -> Call[str]:
        """`Vault.REGISTRY`."""
        return self.contract.call("REGISTRY")

    def balance_of(self, account: str, purse: Purse) -> Call[Balance]:
        """`Vault.balanceOf`."""
        return self.contract.call("balanceOf", account, purse)

    def burned_of(self, token: str) -> Call[int]:
        """`Vault.burnedOf`."""
        return self.contract.call("burnedOf", token)

    def credit_of(self, token: str, account: str) -> Call[int]:
        """`Vault.creditOf`."""
        return self.contract.call("creditOf", token, account)

    def deposit(self, account: str, purse: Purse, amount: int) -> Call[None]:
        """`deposit`, in short.

        Moves `amount` of the deployment's token from the caller into the purse of `account`, credited with
        the change of the Vault's own balance.
        """
        return self.contract.call("deposit", account, purse, amount)

    def deposit_from(self, payer: str, amount: int) -> Call[None]:
        """For the registry: `payer` deposits to its own stake."""
        return self.contract.call("depositFrom", payer, amount)

    def deposit_with_permit(
        self, account: str, purse: Purse, amount: int, deadline: int, v: int, r: bytes, s: bytes
    ) -> Call[None]:
        """As `deposit`, approving by an EIP-2612 permit."""
        return self.contract.call("depositWithPermit", account, purse, amount, deadline, v, r, s)

    def escrow_of(self, job: int) -> Call[EscrowView]:
        """`Vault.escrowOf`."""
        return self.contract.typed("escrowOf", (job,), lambda values: EscrowView(*values))

    def fund(self, job: int, token: str, payer: str, amount: int) -> Call[int]:
        """Moves `amount` of `token` from `payer` into the escrow of `job`.

        Returns the change of the balance.
        """
        return self.contract.call("fund", job, token, payer, amount)

    def held_of(self, token: str) -> Call[int]:
        """All that the ledgers hold of `token`: stakes, bonds, escrow, credits and burned together."""
        return self.contract.call("heldOf", token)

    def lock(self, account: str, purse: Purse, amount: int) -> Call[None]:
        """`Vault.lock`."""
        return self.contract.call("lock", account, purse, amount)

    def pay(self, job: int, account: str, amount: int) -> Call[None]:
        """Moves `amount` from the escrow of `job` to the credits of `account`."""
        return self.contract.call("pay", job, account, amount)

    def slash(self, account: str, purse: Purse, amount: int, prover: str) -> Call[None]:
        """Takes `amount` out of the locked balance.

        With a prover half is credited to it and half burned (rounded against the prover), else all is burned.
        """
        return self.contract.call("slash", account, purse, amount, prover)

    def token(self) -> Call[str]:
        """`Vault.token`."""
        return self.contract.call("token")

    def unbond(self, purse: Purse, amount: int) -> Call[None]:
        """Starts unbonding `amount` of the caller's free balance.

        A second call adds to the first and starts the delay anew for all of it.
        """
        return self.contract.call("unbond", purse, amount)

    def unbonding_delay(self) -> Call[int]:
        """`Vault.unbondingDelay`."""
        return self.contract.call("unbondingDelay")

    def unlock(self, account: str, purse: Purse, amount: int) -> Call[None]:
        """`Vault.unlock`."""
        return self.contract.call("unlock", account, purse, amount)

    def withdraw(self, account: str, tokens: Sequence[str]) -> Call[None]:
        """`withdraw`, in short.

        Sends what has unbonded in both purses, and all credits in `tokens`, to the payout address of
        `account`. Anyone may call.
        """
        return self.contract.call("withdraw", account, tokens)
