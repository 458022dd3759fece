"""ABI encoding: one `Interface` per contract, read from the committed `chain/abi/<Name>.json`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import EncodingError
from eth_utils.address import to_checksum_address

from steelyard.chain.artifacts import artifact, artifact_path
from steelyard.chain.generated.structs import KINDS
from steelyard.core.hashing import keccak
from steelyard.errors import ConfigError

Abi = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One parameter; `components` are the members of a struct, or of the structs of an array."""

    name: str
    type: str
    indexed: bool = False
    components: tuple[Field, ...] = ()
    kind: Any = None  # class in `structs` of the struct or enum, or of an array's elements

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Field:
        components = tuple(cls.parse(member) for member in entry.get("components", ()))
        kind = str(entry["type"])
        if kind.startswith("tuple"):
            kind = "(" + ",".join(member.type for member in components) + ")" + kind.removeprefix("tuple")
        return cls(
            name=str(entry.get("name", "")),
            type=kind,
            indexed=bool(entry.get("indexed")),
            components=components,
            kind=KINDS.get(_type_name(str(entry.get("internalType", "")))),
        )

    @property
    def is_array(self) -> bool:
        return self.type.endswith("]")

    def normalize(self, value: Any) -> Any:
        """A decoded value with checksummed addresses, structs as dataclasses, and arrays as tuples."""
        if self.is_array:
            element = self.type[: self.type.rindex("[")]
            inner = Field(name="", type=element, components=self.components, kind=self.kind)
            return tuple(inner.normalize(item) for item in value)
        if self.components:
            members = [member.normalize(item) for member, item in zip(self.components, value, strict=True)]
            if self.kind is None:
                return tuple(members)
            return self.kind(
                **{snake(member.name): item for member, item in zip(self.components, members, strict=True)}
            )
        if self.kind is not None:
            return self.kind(value)
        return to_checksum_address(value) if self.type == "address" else value


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A function, event or custom error: name, inputs and, for functions, outputs."""

    name: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...] = ()

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Signature:
        return cls(
            name=str(entry["name"]),
            inputs=tuple(Field.parse(item) for item in entry.get("inputs", ())),
            outputs=tuple(Field.parse(item) for item in entry.get("outputs", ())),
        )

    @property
    def text(self) -> str:
        return f"{self.name}({','.join(field.type for field in self.inputs)})"

    @property
    def topic(self) -> bytes:
        return keccak(self.text.encode())

    @property
    def selector(self) -> bytes:
        return self.topic[:4]

    def encode_call(self, args: Sequence[Any]) -> bytes:
        """Selector and encoded arguments.

        Raises ConfigError if their number or a value does not fit the signature.
        """
        try:
            if len(args) != len(self.inputs):
                raise ValueError(f"{len(args)} arguments")
            types = [field.type for field in self.inputs]
            return self.selector + encode(types, [to_abi(arg) for arg in args])
        except (ValueError, TypeError, OverflowError, EncodingError) as error:
            raise ConfigError(f"{self.text} cannot take {args!r}: {error}") from error

    def decode_output(self, data: bytes) -> Any:
        """None, the one value, or a tuple of them."""
        values = decode_fields(self.outputs, data)
        return values[0] if len(values) == 1 else (tuple(values) or None)

    def decode_inputs(self, data: bytes) -> dict[str, Any]:
        values = decode_fields(self.inputs, data)
        return {field.name: value for field, value in zip(self.inputs, values, strict=True)}

    def decode_log(self, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """The event's fields in order of declaration; an indexed dynamic value is its hash."""
        unindexed = iter(decode_fields([field for field in self.inputs if not field.indexed], data))
        indexed = iter(topics[1:])
        values: dict[str, Any] = {}
        for field in self.inputs:
            if not field.indexed:
                values[field.name] = next(unindexed)
            elif field.is_array or field.components or field.type in ("string", "bytes"):
                values[field.name] = next(indexed)
            else:
                values[field.name] = decode_fields([field], next(indexed))[0]
        return values


def to_abi(value: Any) -> Any:
    """A value in the form that eth_abi encodes: structs as tuples."""
    if is_dataclass(value):
        return tuple(to_abi(getattr(value, member.name)) for member in fields(value))
    return [to_abi(item) for item in value] if isinstance(value, (list, tuple)) else value


def snake(name: str) -> str:
    """A Solidity name in snake case: `submitBy` is submit_by, `bound2` stays, `from` is from_."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return f"{text}_" if keyword.iskeyword(text) else text


def _type_name(internal: str) -> str:
    """`struct IVault.Balance[]` is Balance; empty for a plain type."""
    if not internal.startswith(("struct ", "enum ")):
        return ""
    return re.split(r"[ .]", internal.partition("[")[0])[-1]


def decode_fields(expected: Sequence[Field], data: bytes) -> list[Any]:
    """The normalized values of `expected`.  Raises eth_abi's DecodingError if the bytes do not fit."""
    values = decode([field.type for field in expected], data)
    return [field.normalize(value) for field, value in zip(expected, values, strict=True)]


class Interface:
    """A contract's functions by name, events by topic and custom errors by selector."""

    def __init__(self, name: str, abi: Abi, bytecode: bytes = b"") -> None:
        self.name = name
        self.bytecode = bytecode
        self.functions = {sig.name: sig for sig in _signatures(abi, "function")}
        self.events = {sig.topic: sig for sig in _signatures(abi, "event")}
        self.errors = {sig.selector: sig for sig in _signatures(abi, "error")}
        constructor = [entry for entry in abi if entry["type"] == "constructor"]
        self.constructor = Signature.parse({"name": "constructor", **constructor[0]}) if constructor else None

    def function(self, name: str) -> Signature:
        if name not in self.functions:
            raise ConfigError(f"{self.name} has no function {name}", remedy="rebuild the committed ABI")
        return self.functions[name]

    @classmethod
    def exists(cls, name: str) -> bool:
        """Whether the package has an ABI of that name."""
        return artifact_path(name).is_file()

    @classmethod
    def load(cls, name: str) -> Interface:
        """The committed ABI and bytecode of `name`.  Raises ConfigError if the package has none."""
        return _load(name)


@cache
def _load(name: str) -> Interface:
    document = artifact(name)
    return Interface(name, document["abi"], bytes.fromhex(str(document["bytecode"]).removeprefix("0x")))


def _signatures(abi: Abi, kind: str) -> Iterable[Signature]:
    return [Signature.parse(entry) for entry in abi if entry["type"] == kind]
