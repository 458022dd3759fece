"""The fingerprint of the contracts' ABI: deployments and journals of another ABI are refused by it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources

_TYPED = ("Coordinator", "Vault", "WorkerRegistry")  # the contracts whose calls and events nodes depend on


@cache
def abi_fingerprint() -> str:
    """16 hexadecimal digits of SHA-256 over the committed ABIs; code and comments do not count."""
    folder = resources.files("steelyard.chain") / "abi"
    abis = {name: json.loads((folder / f"{name}.json").read_text("utf-8"))["abi"] for name in _TYPED}
    text = json.dumps(abis, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def other_abi(found: str | None) -> str:
    """A clause for error messages: the file is of another ABI, `found`, or of none recorded."""
    theirs = f"ABI {found}" if found else "no ABI recorded"
    return f"belongs to another version of the contracts ({theirs}; this version has ABI {abi_fingerprint()})"
