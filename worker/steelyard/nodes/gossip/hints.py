"""What nodes of a job tell each other beside the chain, signed by their operator keys.

A hint is canonical JSON: kind, body, sequence, expires, sender, signature. The signature is EIP-712's, over
the job, the chain and the contract too, so that a hint means nothing elsewhere.
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

LIFE_S = 60.0  # seconds for which a hint is worth something
MOST_LIFE_S = 300.0  # clocks differ
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
    """What hints are about: one job of one contract on one chain."""

    chain_id: int
    coordinator: str
    job: int

    @property
    def topic(self) -> str:
        """Where they are told."""
        return f"steelyard-1-{self.chain_id}-{self.coordinator.lower()}-{self.job}"


@dataclass(frozen=True, kw_only=True)
class Hint:
    """One message. Nothing in it is true because it is there."""

    kind: str
    body: Body
    sequence: int  # grows with each hint of a sender
    expires: int  # unix seconds
    sender: str  # operator key, checksummed or not
    signature: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Hint:
        """Read canonical bytes; the signature is not looked at. Raises FormatError."""
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
            raise FormatError(error.message, remedy="it is passed over") from None

    def encode(self) -> bytes:
        """The bytes that are told."""
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

    def is_of_its_sender(self, place: GossipTopic) -> bool:
        """Whether the sender's key signed it for this job; 15 ms of processor time."""
        raw = bytes.fromhex(self.signature)
        vrs = (raw[64], int.from_bytes(raw[:32]), int.from_bytes(raw[32:64]))
        try:
            signed = encode_typed_data(_domain(place), _TYPES, self._message(place))
            signer = Keys.recover_message(signed, vrs=vrs)
        except (BadSignature, ValidationError, ValueError, TypeError):
            return False
        return str(signer).lower() == self.sender.lower()

    def _message(self, place: GossipTopic) -> dict[str, object]:
        return {
            "job": place.job,
            "sequence": self.sequence,
            "expires": self.expires,
            "kind": self.kind,
            "body": canonical_json.dump(dict(self.body)).decode(),
        }


def signed(wallet: Wallet, place: GossipTopic, *, kind: str, body: Body, sequence: int) -> bytes:
    """A hint of this key's, ready to be told. Raises FormatError where it is too large."""
    expires = int(time.time() + LIFE_S)
    hint = Hint(kind=kind, body=body, sequence=sequence, expires=expires, sender=wallet.address)
    v, r, s = wallet.sign_typed(_domain(place), _TYPES, hint._message(place))  # noqa: SLF001 - its own
    signature = (r + s + bytes([v])).hex()
    data = Hint(**{**hint.__dict__, "signature": signature}).encode()
    if len(data) > MAX_MESSAGE:
        raise FormatError(f"a hint of {len(data)} bytes", remedy=f"say it in {MAX_MESSAGE}")
    return data


def checked_body(hint: Hint) -> Body | None:
    """The body where it is what its kind promises: CIDs, base URLs, counts. None where it is not."""
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


def _domain(place: GossipTopic) -> dict[str, object]:
    return {
        "name": "Steelyard hints",
        "version": "1",
        "chainId": place.chain_id,
        "verifyingContract": place.coordinator,
    }


def _scalar(node: JsonNode) -> str | int:
    if isinstance(node.value, str):
        return node.text(_TEXT, "a short text")
    return node.integer(0, 2**63)
