"""Contracts compiled from their sources as they are, for tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from standard_json import ROOT, imports, settings


def runtime_codes(sources: Sequence[str]) -> list[str]:
    """Runtime bytecode, as hex, of the contracts after which these files are named.

    sources: paths from the project's root, such as `contracts/Vault.sol`.
    """
    request = {
        "language": "Solidity",
        "sources": {each: {"content": _read(each)} for each in _reached(sources)},
        "settings": {
            **settings(),
            "outputSelection": {each: {Path(each).stem: ["evm.deployedBytecode.object"]} for each in sources},
        },
    }
    ran = subprocess.run(
        [str(ROOT / "scripts" / "solc"), "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answer: dict[str, Any] = json.loads(ran.stdout)
    errors = [each["formattedMessage"] for each in answer.get("errors", ()) if each["severity"] == "error"]
    if errors:
        raise ValueError("\n".join(errors))
    built = (answer["contracts"][each][Path(each).stem] for each in sources)
    return ["0x" + str(each["evm"]["deployedBytecode"]["object"]) for each in built]


def _read(source: str) -> str:
    folder = ROOT if source.startswith(("contracts/", "tests/")) else ROOT / "node_modules"
    return (folder / source).read_text("utf-8")


def _reached(sources: Sequence[str]) -> list[str]:
    found: set[str] = set()
    waiting = list(sources)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports(name, _read(name))
    return sorted(found)
