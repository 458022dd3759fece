"""A `Call` describes one contract call and does nothing; the client reads, simulates or sends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from eth_utils.address import to_checksum_address

from steelyard.chain.codec import Interface, Signature

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T_co]):
    """A call of `to` with `data` and `value` wei; `decode` turns the returned bytes into the result."""

    to: str
    data: bytes
    decode: Callable[[bytes], T_co] = field(repr=False)
    value: int = 0
    contract: str = ""
    function: str = ""
    args: tuple[Any, ...] = ()

    def fields(self, sender: str | None = None) -> dict[str, str]:
        """The transaction object of JSON-RPC."""
        fields = {"data": "0x" + self.data.hex(), "value": hex(self.value)}
        if self.to:
            fields["to"] = self.to
        if sender:
            fields["from"] = sender
        return fields

    def describe(self) -> str:
        """`Contract.function`, for messages."""
        return f"{self.contract}.{self.function}" if self.function else f"transfer to {self.to}"


@dataclass(frozen=True)
class Contract:
    """An interface at an address. Calls are untyped; `contracts` has typed ones."""

    interface: Interface
    address: str

    @classmethod
    def at(cls, name: str, address: str) -> Contract:
        """The committed contract `name`, deployed at `address`."""
        return cls(Interface.load(name), to_checksum_address(address))

    def call(self, function: str, *args: Any, value: int = 0) -> Call[Any]:
        """A call whose result is None, the one output, or a tuple of them."""
        return self.typed(function, args, _identity, value=value)

    def typed(
        self, function: str, args: tuple[Any, ...], shape: Callable[[Any], T], *, value: int = 0
    ) -> Call[T]:
        """A call whose result is converted by `shape`, for example from a tuple of outputs to a dataclass."""
        signature = self.interface.function(function)
        return Call(
            to=self.address,
            data=signature.encode_call(args),
            decode=_decoder(signature, shape),
            value=value,
            contract=self.interface.name,
            function=function,
            args=args,
        )


def transfer(to: str, wei: int) -> Call[None]:
    """A transfer of ether without data."""
    return Call(to=to_checksum_address(to), data=b"", decode=lambda _: None, value=wei)


def creation(interface: Interface, *args: Any) -> Call[None]:
    """The transaction that deploys `interface`; `Receipt.created` is the address."""
    data = interface.bytecode
    if interface.constructor is not None:
        data += interface.constructor.encode_call(args)[4:]
    return Call(
        to="", data=data, decode=lambda _: None, contract=interface.name, function="constructor", args=args
    )


def _decoder(signature: Signature, shape: Callable[[Any], T]) -> Callable[[bytes], T]:
    return lambda data: shape(signature.decode_output(data))


def _identity(value: Any) -> Any:
    return value
