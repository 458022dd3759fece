"""What commands that touch the chain share: contracts, tokens, permits, and sending with --dry-run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from steelyard.chain.calls import Call
from steelyard.chain.client import ChainClient
from steelyard.chain.contracts import Contracts, erc20
from steelyard.chain.generated.token import TestToken
from steelyard.chain.types import Receipt
from steelyard.cli import amounts
from steelyard.cli.session import Session, current
from steelyard.errors import ConfigError, InsufficientFunds, Reverted, WrongNetwork

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, kw_only=True)
class Token:
    """An ERC-20 and how its amounts are written."""

    address: str
    symbol: str
    decimals: int
    calls: TestToken = field(repr=False)

    def parse(self, text: str) -> int:
        """An amount that a person wrote, in the token's smallest unit."""
        return amounts.parse(text, self.decimals)

    def show(self, units: int) -> str:
        """An amount for people."""
        return amounts.show(units, self.decimals, self.symbol)


@dataclass(frozen=True, kw_only=True)
class ChainSession:
    """One command's work on the chain, and the transactions it sent or priced."""

    session: Session
    client: ChainClient
    contracts: Contracts
    transactions: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, call: Call[Any], what: str, *, not_before: int | None = None) -> Receipt | None:
        """Send and wait; in a dry run simulate, price and return None.  Raises Reverted and others."""
        if self.session.dry_run:
            simulated = await self.client.simulate(call, not_before=not_before)
            self.transactions.append(
                {
                    "what": what,
                    "gas": simulated.gas,
                    "cost_wei": simulated.cost_wei,
                    "most_wei": simulated.most_wei,
                }
            )
            return None
        self.session.out.say(f"{what} ...")
        receipt = await self.client.send(call, not_before=not_before)
        self.transactions.append(
            {
                "what": what,
                "hash": receipt.hash,
                "block": receipt.block,
                "gas_used": receipt.gas_used,
                "cost_wei": receipt.cost_wei,
            }
        )
        return receipt

    async def own_token(self) -> Token:
        """The deployment's token, in which stakes and bonds are."""
        return await self.token(await self.client.read(self.contracts.vault.token()))

    async def token(self, address: str) -> Token:
        """Any ERC-20.  Raises ConfigError where the address holds none."""
        calls = erc20(address)
        try:
            symbol = await self.client.read(calls.symbol())
            decimals = await self.client.read(calls.decimals())
        except (Reverted, WrongNetwork, ValueError) as error:
            raise ConfigError(f"{address} is no ERC-20 with a symbol", remedy="check the address") from error
        return Token(address=calls.address, symbol=symbol[:16], decimals=decimals, calls=calls)

    async def identity(self, account: str | None = None) -> str:
        """The registered identity that an account acts for; the account itself where there is none."""
        account = account or self.client.address
        try:
            return await self.client.read(self.contracts.registry.identity_of(account))
        except Reverted as error:
            if error.name != "NotRegistered":
                raise
            return account

    async def afford(self, token: Token, amount: int) -> None:
        """Raise InsufficientFunds where the account has less than `amount` of the token."""
        held = await self.client.read(token.calls.balance_of(self.client.address))
        if held < amount:
            raise InsufficientFunds(
                f"{self.client.address} has {token.show(held)}, and this needs {token.show(amount)}",
                remedy="get some first; on a development chain: `steelyard token mint`",
            )

    async def approve(self, token: Token, amount: int) -> bool:
        """Let the Vault take `amount`.  True where it may now; a dry run only prices the approval."""
        vault = self.contracts.vault.address
        allowed = await self.client.read(token.calls.allowance(self.client.address, vault))
        if allowed >= amount:
            return True
        return (
            await self.send(token.calls.approve(vault, amount), f"approve {token.show(amount)}") is not None
        )

    def finish(self, document: Mapping[str, Any], *human: RenderableType) -> None:
        """Print the result with its transactions, or what they would cost."""
        out = self.session.out
        if self.session.dry_run:
            out.emit({"dry_run": True, **document, "transactions": self.transactions}, *self._priced())
        else:
            out.emit({**document, "transactions": self.transactions}, *human, *self._sent())

    def _priced(self) -> list[RenderableType]:
        lines = [
            f"would {each['what']}: {each['gas']:,} gas, {amounts.ether(each['cost_wei'])}, "
            f"at most {amounts.ether(each['most_wei'])}"
            for each in self.transactions
        ]
        return [*lines, "nothing was sent"]

    def _sent(self) -> list[RenderableType]:
        return [
            f"{each['what']}: {each['hash']}, {each['gas_used']:,} gas, {amounts.ether(each['cost_wei'])}"
            for each in self.transactions
        ]


@asynccontextmanager
async def work(*, signing: bool = False) -> AsyncIterator[ChainSession]:
    """A client with the deployment's contracts.  Raises ConfigError where the network has no deployment."""
    session = current()
    if session.network().deployment is None:
        raise ConfigError(
            f"network {session.config.network} names no deployment",
            remedy="give --deployment FILE, or `steelyard network add NAME --deployment FILE`",
        )
    async with session.client(signing=signing) as client:
        yield ChainSession(session=session, client=client, contracts=client.contracts)
