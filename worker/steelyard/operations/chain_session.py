"""A client with the transactions that it sends, or only simulates and prices in a dry run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from steelyard.chain.calls import Call
from steelyard.chain.client import ChainClient
from steelyard.chain.contracts import Contracts, erc20
from steelyard.chain.generated.token import TestToken
from steelyard.chain.types import Receipt
from steelyard.chain.units import format_amount
from steelyard.errors import ConfigError, InsufficientFunds, Reverted, WrongNetwork
from steelyard.operations.units import parse_amount

ProgressCallback = Callable[[str], None]
"""Called with a line of text for people before each step that takes time."""


def no_progress(text: str) -> None:
    """Ignore it."""


@dataclass(frozen=True, kw_only=True)
class Token:
    """An ERC-20 token and how its amounts are written."""

    address: str
    symbol: str
    decimals: int
    calls: TestToken = field(repr=False)

    def parse(self, text: str) -> int:
        """An amount that a person wrote, in the token's smallest unit.  Raises ConfigError."""
        return parse_amount(text, self.decimals)

    def format(self, units: int) -> str:
        """An amount for people."""
        return format_amount(units, self.decimals, self.symbol)


@dataclass(frozen=True, kw_only=True)
class SentTransaction:
    """A mined transaction."""

    what: str
    hash: str
    block: int
    gas_used: int
    cost_wei: int


@dataclass(frozen=True, kw_only=True)
class PricedTransaction:
    """A transaction that a dry run simulated."""

    what: str
    gas: int
    cost_wei: int
    most_wei: int  # at the highest fee that may be paid


@dataclass(frozen=True, kw_only=True)
class ChainSession:
    """A client and the transactions of one or more operations.

    dry_run: transactions are simulated and priced; none is sent.
    """

    client: ChainClient
    dry_run: bool = False
    progress: ProgressCallback = field(default=no_progress, repr=False)
    transactions: list[SentTransaction | PricedTransaction] = field(default_factory=list)

    @property
    def contracts(self) -> Contracts:
        """The deployment's contracts.  Raises ConfigError if the network has no deployment."""
        return self.client.contracts

    async def send(self, call: Call[Any], what: str, *, not_before: int | None = None) -> Receipt | None:
        """Send and wait; in a dry run simulate, price and return None.

        what: the transaction in a few words.  not_before: chain time at which it succeeds at the earliest.
        Raises Reverted, InsufficientFunds, Unreachable.
        """
        if self.dry_run:
            priced = await self.client.simulate(call, not_before=not_before)
            self.transactions.append(
                PricedTransaction(
                    what=what, gas=priced.gas, cost_wei=priced.cost_wei, most_wei=priced.most_wei
                )
            )
            return None
        self.progress(f"{what} ...")
        receipt = await self.client.send(call, not_before=not_before)
        self.transactions.append(
            SentTransaction(
                what=what,
                hash=receipt.hash,
                block=receipt.block,
                gas_used=receipt.gas_used,
                cost_wei=receipt.cost_wei,
            )
        )
        return receipt

    async def deployment_token(self) -> Token:
        """The deployment's token, in which stakes and bonds are."""
        return await self.token(await self.client.read(self.contracts.vault.token()))

    async def token(self, address: str) -> Token:
        """Any ERC-20 token.  Raises ConfigError if there is none at the address."""
        calls = erc20(address)
        try:
            symbol = await self.client.read(calls.symbol())
            decimals = await self.client.read(calls.decimals())
        except (Reverted, WrongNetwork, ValueError) as error:
            raise ConfigError(
                f"{address} is not an ERC-20 token with a symbol", remedy="check the address"
            ) from error
        return Token(address=calls.address, symbol=symbol[:16], decimals=decimals, calls=calls)

    async def identity(self, account: str | None = None) -> str:
        """The registered identity for which an account acts; the account itself if it has none.

        account: an address; the client's own if left out.
        """
        account = account or self.client.address
        try:
            return await self.client.read(self.contracts.registry.identity_of(account))
        except Reverted as error:
            if error.name != "NotRegistered":
                raise
            return account

    async def require_balance(self, token: Token, units: int) -> None:
        """Raise InsufficientFunds if the account has less than `units` of the token."""
        balance = await self.client.read(token.calls.balance_of(self.client.address))
        if balance < units:
            raise InsufficientFunds(
                f"{self.client.address} has {token.format(balance)}, and this needs {token.format(units)}",
                remedy="get some first; on a development chain: `steelyard token mint`",
            )

    async def approve(self, token: Token, units: int) -> bool:
        """Let the Vault take `units`.  True if it may now; a dry run only prices the approval."""
        vault = self.contracts.vault.address
        allowed = await self.client.read(token.calls.allowance(self.client.address, vault))
        if allowed >= units:
            return True
        call = token.calls.approve(vault, units)
        return await self.send(call, f"approve {token.format(units)}") is not None
