"""From a node's error to `Reverted`: the custom error, its fields, and what a person can do about it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from steelyard.chain.codec import Field, Signature
from steelyard.chain.remedies import BUG, REMEDIES
from steelyard.chain.rpc import RpcRefused
from steelyard.errors import Reverted

_ERROR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)
_PANICS = {
    0x01: "an assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x32: "index out of range",
}
_HEX = re.compile(r"^0x(?:[0-9a-fA-F]{2})*$")


def is_revert(error: RpcRefused) -> bool:
    """Whether the node says that the contract refused, rather than that the request was bad."""
    said = error.reason.lower()
    return error.code == 3 or "revert" in said or "vm exception" in said or "invalid opcode" in said


def revert_data(error: RpcRefused) -> bytes:
    """The revert's bytes, wherever this kind of node puts them; empty where it gives none."""
    data = error.data
    if isinstance(data, dict):
        data = data.get("result") or data.get("data")
    if isinstance(data, str):
        data = data.removeprefix("Reverted ")
        if _HEX.match(data):
            return bytes.fromhex(data[2:])
    return b""


class Reverts:
    """Decodes reverts with the custom errors of every contract that the client knows."""

    def __init__(self, signatures: Iterable[Signature] = ()) -> None:
        self._known = {signature.selector: signature for signature in signatures}

    def learn(self, signatures: Iterable[Signature]) -> None:
        """Know these custom errors too."""
        self._known.update({signature.selector: signature for signature in signatures})

    def explain(self, what: str, data: bytes, reason: str = "") -> Reverted:
        """The exception for a call `what` that reverted with `data`."""
        selector, body = data[:4], data[4:]
        try:
            if selector in self._known:
                return self._custom(what, self._known[selector], data)
            if selector == _ERROR:
                return Reverted(f"{what} was refused: {decode(['string'], body)[0]}", name="Error", data=data)
            if selector == _PANIC:
                code = int(decode(["uint256"], body)[0])
                why = _PANICS.get(code, f"panic {code:#x}")
                return Reverted(f"{what} broke: {why}", name="Panic", args_by_name={"code": code}, data=data)
        except DecodingError:
            pass
        if selector:
            said = f"unknown error 0x{data.hex()[:72]}"
            return Reverted(
                f"{what} was refused: {said}",
                data=data,
                remedy="update Steelyard: its ABI may be older than the contract",
            )
        return Reverted(f"{what} was refused without a reason: {reason or 'no data'}", data=data)

    def _custom(self, what: str, signature: Signature, data: bytes) -> Reverted:
        fields = signature.decode_inputs(data[4:])
        shown = ", ".join(f"{item.name}={show(item, fields[item.name])}" for item in signature.inputs)
        remedy = REMEDIES.get(signature.name, BUG)
        return Reverted(
            f"{what} was refused: {signature.name}({shown})",
            name=signature.name,
            args_by_name=dict(fields),
            data=data,
            remedy=remedy if isinstance(remedy, str) else remedy(fields),
        )


def show(field: Field, value: Any) -> str:
    """A field for a person: times (uint40) as UTC with the distance from now, bytes as hex."""
    if field.type == "uint40" and isinstance(value, int) and 0 < value < 2**33:
        moment = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        away = value - time.time()
        return f"{moment}, {'in ' if away > 0 else ''}{abs(away):.0f} s{'' if away > 0 else ' ago'}"
    if isinstance(value, bytes):
        word = value.rstrip(b"\0")  # short strings, padded, name a field or a reason
        plain = field.type == "bytes32" and 0 < len(word) < 32 and word.isascii() and word.isalpha()
        return word.decode() if plain else f"0x{value.hex()}"
    if isinstance(value, Enum):
        return value.name.lower()
    return str(value)
