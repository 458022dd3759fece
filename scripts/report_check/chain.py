"""Raw JSON-RPC, logs decoded by the contracts' ABI, files by CID with their hash checked."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ABI = Path(__file__).resolve().parents[2] / "worker" / "steelyard" / "chain" / "abi"
RAW = 0x55  # codec of a CID whose hash is that of the file's bytes
TIMEOUT_S = 20


class Disagreement(Exception):
    """The report, the chain and the content do not say the same."""


def require(condition: bool, message: str) -> None:
    """Raise Disagreement unless the condition holds."""
    if not condition:
        raise Disagreement(message)


@dataclass(frozen=True)
class Log:
    """One event."""

    name: str
    fields: dict[str, Any]
    transaction: str
    block: int


class Chain:
    """One node's RPC."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, method: str, *params: object) -> Any:
        """The result of one request."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            answer = json.load(response)
        require("error" not in answer, f"{method}: {answer.get('error')}")
        return answer["result"]

    def read(self, address: str, signature: str, outputs: list[str], *arguments: Any) -> tuple[Any, ...]:
        """Call a view by its signature, like `balanceOf(address)`."""
        types = signature[signature.index("(") + 1 : -1].split(",") if not signature.endswith("()") else []
        data = keccak(text=signature)[:4] + encode(types, arguments)
        answer = self.call("eth_call", {"to": address, "data": "0x" + data.hex()}, "latest")
        return tuple(decode(outputs, bytes.fromhex(answer[2:])))

    def logs(self, address: str, contract: str) -> list[Log]:
        """Every event of a contract, in order."""
        events = {_topic(entry): entry for entry in _abi(contract) if entry["type"] == "event"}
        asked = {"address": address, "fromBlock": "0x0", "toBlock": "latest"}
        return [
            _decoded(raw, events[raw["topics"][0]])
            for raw in self.call("eth_getLogs", asked)
            if raw["topics"][0] in events
        ]


def fetch(content: str, cid: str) -> bytes:
    """A file by its CID, from a gateway.  Only raw CIDs, whose hash is the file's; it is checked."""
    with urllib.request.urlopen(f"{content}/ipfs/{cid}?format=raw", timeout=TIMEOUT_S) as response:  # noqa: S310
        data: bytes = response.read()
    raw = base64.b32decode(cid[1:].upper() + "=" * (-(len(cid) - 1) % 8))
    require(raw[:4] == bytes((1, RAW, 0x12, 32)), f"{cid} is not the CID of one block")
    require(hashlib.sha256(data).digest() == raw[4:], f"the bytes of {cid} have another hash")
    return data


def cid_of(codec: int, digest: bytes) -> str:
    """The text of a CID that the chain holds as codec and digest."""
    raw = bytes((1, codec, 0x12, 32)) + digest
    return "b" + base64.b32encode(raw).decode().rstrip("=").lower()


def _abi(contract: str) -> list[dict[str, Any]]:
    document: dict[str, Any] = json.loads((ABI / f"{contract}.json").read_text())
    entries: list[dict[str, Any]] = document["abi"]
    return entries


def _type(entry: dict[str, Any]) -> str:
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(_type(part) for part in entry["components"]) + ")" + kind[len("tuple") :]


def _topic(entry: dict[str, Any]) -> str:
    inputs = ",".join(_type(each) for each in entry["inputs"])
    return "0x" + keccak(text=f"{entry['name']}({inputs})").hex()


def _decoded(raw: dict[str, Any], entry: dict[str, Any]) -> Log:
    plain = [each for each in entry["inputs"] if not each["indexed"]]
    indexed = [each for each in entry["inputs"] if each["indexed"]]
    values = dict(
        zip(
            (p["name"] for p in plain),
            decode([_type(p) for p in plain], bytes.fromhex(raw["data"][2:])),
            strict=True,
        )
    )
    for each, topic in zip(indexed, raw["topics"][1:], strict=True):
        values[each["name"]] = decode([_type(each)], bytes.fromhex(topic[2:]))[0]
    fields = {each["name"]: _named(each, values[each["name"]]) for each in entry["inputs"]}
    return Log(entry["name"], fields, raw["transactionHash"], int(raw["blockNumber"], 16))


def _named(entry: dict[str, Any], value: Any) -> Any:
    """Structs as dictionaries, addresses with their checksum."""
    if entry["type"] == "tuple":
        return {
            part["name"]: _named(part, item) for part, item in zip(entry["components"], value, strict=True)
        }
    return to_checksum_address(value) if entry["type"] == "address" else value
