"""Hints: off-chain messages between the nodes of a job, signed by their operator keys.

A hint is canonical JSON: kind, body, sequence, expires, sender, signature. The EIP-712 signature also covers
the job, the chain and the contract, so a hint is valid nowhere else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from eth_account import Account as Keys
from eth_account.messages import encode_typed_data
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from steelyard.chain.wallets import Wallet
from steelyard.content import Cid
from steelyard.content.gossip import MAX_MESSAGE
from steelyard.content.peer_addresses import normal_url
from steelyard.errors import CidError, FormatError, ManifestError
from steelyard.jobs import canonical_json
from steelyard.jobs.canonical_json import JsonNode

LIFE_S = 60.0  # seconds until a hint expires
MAX_LIFE_S = 300.0  # seconds that are accepted from others, as clocks differ
KINDS = ("file", "peer", "progress")
_TYPES = {
    "Hint": [
        {"name": "job", "type": "uint256"},
        {"name": "sequence", "type": "uint64"},
        {"name": "expires", "type": "uint64"},
        {"name": "kind", "type": "string"},
        {"name": "body", "type": "string"},
    ]
}
_KIND = re.compile(r"[a-z]{1,16}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_SIGNATURE = re.compile(r"[0-9a-f]{130}")
_TEXT = re.compile(r"[\x20-\x7e]{0,200}")

Body = Mapping[str, str | int]


@dataclass(frozen=True, kw_only=True)
class GossipTopic:
    """The subject of hints: one job of one contract on one chain."""

    chain_id: int
    coordinator: str
    job: int

    @property
    def name(self) -> str:
        """Name of the pubsub topic."""
        return f"steelyard-1-{self.chain_id}-{self.coordinator.lower()}-{self.job}"


@dataclass(frozen=True, kw_only=True)
class Hint:
    """One message. Its content is a claim of the sender, not a fact."""

    kind: str
    body: Body
    sequence: int  # increases with each hint of a sender
    expires: int  # unix seconds
    sender: str  # operator key, checksummed or not
    signature: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Hint:
        """Parse canonical bytes without checking the signature. Raises FormatError."""
        try:
            got = canonical_json.load(data, what="hint", max_bytes=MAX_MESSAGE).fields(
                ("kind", "body", "sequence", "expires", "sender", "signature")
            )
            return cls(
                kind=got["kind"].text(_KIND, "a kind"),
                body={name: _scalar(value) for name, value in got["body"].pairs(8)},
                sequence=got["sequence"].integer(0, 2**63),
                expires=got["expires"].integer(0, 2**63),
                sender=got["sender"].text(_ADDRESS, "an address"),
                signature=got["signature"].text(_SIGNATURE, "a signature"),
            )
        except ManifestError as error:
            raise FormatError(error.message, remedy="it is ignored") from None

    def encode(self) -> bytes:
        """The canonical bytes of the message."""
        return canonical_json.dump(
            {
                "kind": self.kind,
                "body": dict(self.body),
                "sequence": self.sequence,
                "expires": self.expires,
                "sender": self.sender,
                "signature": self.signature,
            }
        )

    def is_signed_by_sender(self, topic: GossipTopic) -> bool:
        """True if the sender's key signed it for this job. Takes 15 ms of processor time."""
        raw = bytes.fromhex(self.signature)
        vrs = (raw[64], int.from_bytes(raw[:32]), int.from_bytes(raw[32:64]))
        try:
            signed = encode_typed_data(_domain(topic), _TYPES, self._message(topic))
            signer = Keys.recover_message(signed, vrs=vrs)
        except (BadSignature, ValidationError, ValueError, TypeError):
            return False
        return str(signer).lower() == self.sender.lower()

    def _message(self, topic: GossipTopic) -> dict[str, object]:
        return {
            "job": topic.job,
            "sequence": self.sequence,
            "expires": self.expires,
            "kind": self.kind,
            "body": canonical_json.dump(dict(self.body)).decode(),
        }


def sign_hint(wallet: Wallet, topic: GossipTopic, *, kind: str, body: Body, sequence: int) -> bytes:
    """The bytes of a hint signed by this wallet. Raises FormatError if it is too large."""
    expires = int(time.time() + LIFE_S)
    hint = Hint(kind=kind, body=body, sequence=sequence, expires=expires, sender=wallet.address)
    v, r, s = wallet.sign_typed(_domain(topic), _TYPES, hint._message(topic))  # noqa: SLF001 - same module
    signature = (r + s + bytes([v])).hex()
    data = Hint(**{**hint.__dict__, "signature": signature}).encode()
    if len(data) > MAX_MESSAGE:
        raise FormatError(
            f"a hint of {len(data)} bytes is too large", remedy=f"use at most {MAX_MESSAGE} bytes"
        )
    return data


def checked_body(hint: Hint) -> Body | None:
    """The validated body (CIDs, base URLs, counts); None if it does not fit its kind."""
    body = hint.body
    try:
        match hint.kind:
            case "file":
                return {"cid": str(Cid.parse(str(body["cid"]))), "url": normal_url(str(body["url"])) or ""}
            case "peer":
                url = normal_url(str(body["url"]))
                return None if url is None else {"url": url}
            case "progress":
                counts = {name: body[name] for name in ("round", "step", "steps")}
                return counts if all(isinstance(count, int) for count in counts.values()) else None
    except (KeyError, CidError):
        return None
    return None


def _domain(topic: GossipTopic) -> dict[str, object]:
    return {
        "name": "Steelyard hints",
        "version": "1",
        "chainId": topic.chain_id,
        "verifyingContract": topic.coordinator,
    }


def _scalar(node: JsonNode) -> str | int:
    if isinstance(node.value, str):
        return node.text(_TEXT, "a short text")
    return node.integer(0, 2**63)
