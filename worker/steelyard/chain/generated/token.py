"""Typed calls of `TestToken`.

Written by scripts/build_chain_types.py from the contracts; as long as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.chain.calls import Call, Contract


@dataclass(frozen=True)
class TestToken:
    """The deployment's token: an ERC-20 with permit; `mint` on development chains alone."""

    contract: Contract

    @property
    def address(self) -> str:
        """Where it stands."""
        return self.contract.address

    def domain_separator(self) -> Call[bytes]:
        """`TestToken.DOMAIN_SEPARATOR`."""
        return self.contract.call("DOMAIN_SEPARATOR")

    def allowance(self, owner: str, spender: str) -> Call[int]:
        """`TestToken.allowance`."""
        return self.contract.call("allowance", owner, spender)

    def approve(self, spender: str, value: int) -> Call[bool]:
        """`TestToken.approve`."""
        return self.contract.call("approve", spender, value)

    def balance_of(self, account: str) -> Call[int]:
        """`TestToken.balanceOf`."""
        return self.contract.call("balanceOf", account)

    def decimals(self) -> Call[int]:
        """`TestToken.decimals`."""
        return self.contract.call("decimals")

    def eip712_domain(self) -> Call[bytes]:
        """`TestToken.eip712Domain`."""
        return self.contract.call("eip712Domain")

    def mint(self, to: str, amount: int) -> Call[None]:
        """`TestToken.mint`."""
        return self.contract.call("mint", to, amount)

    def name(self) -> Call[str]:
        """`TestToken.name`."""
        return self.contract.call("name")

    def nonces(self, owner: str) -> Call[int]:
        """`TestToken.nonces`."""
        return self.contract.call("nonces", owner)

    def permit(
        self, owner: str, spender: str, value: int, deadline: int, v: int, r: bytes, s: bytes
    ) -> Call[None]:
        """`TestToken.permit`."""
        return self.contract.call("permit", owner, spender, value, deadline, v, r, s)

    def symbol(self) -> Call[str]:
        """`TestToken.symbol`."""
        return self.contract.call("symbol")

    def total_supply(self) -> Call[int]:
        """`TestToken.totalSupply`."""
        return self.contract.call("totalSupply")

    def transfer(self, to: str, value: int) -> Call[bool]:
        """`TestToken.transfer`."""
        return self.contract.call("transfer", to, value)

    def transfer_from(self, from_: str, to: str, value: int) -> Call[bool]:
        """`TestToken.transferFrom`."""
        return self.contract.call("transferFrom", from_, to, value)
