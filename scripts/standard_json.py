"""Standard JSON of each contract, the input of every Solidity compiler, for the build and for explorers.

Needs no compiler and only the standard library. Compiler, optimizer and EVM version are those of
foundry.toml. Neither paths nor metadata enter the bytecode: the same sources give the same bytes everywhere.
"""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXPLORER_FOLDER = ROOT / "build" / "standard-json"
_IMPORT = re.compile(r"""^\s*import\s+(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']""", re.MULTILINE)


class BuildError(Exception):
    """The contracts do not compile, or cannot be deployed."""


@cache
def settings() -> dict[str, Any]:
    """The compiler's settings in standard JSON, read from foundry.toml."""
    profile = tomllib.loads((ROOT / "foundry.toml").read_text("utf-8"))["profile"]["default"]
    return {
        "evmVersion": profile["evm_version"],
        "viaIR": profile["via_ir"],
        "optimizer": {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]},
        "metadata": {"bytecodeHash": profile["bytecode_hash"], "appendCBOR": profile["cbor_metadata"]},
    }


def compiler_version() -> str:
    """The version of the pinned compiler, from package.json."""
    package = json.loads((ROOT / "package.json").read_text("utf-8"))
    return str(package["devDependencies"]["solc"])


def source_name(contract: str) -> str:
    """Path of the file that defines `contract`, from the project's root.  Raises BuildError."""
    found = sorted((ROOT / "contracts").rglob(f"{contract}.sol"))
    if len(found) != 1:
        raise BuildError(f"{len(found)} files named {contract}.sol under contracts/, not one")
    return found[0].relative_to(ROOT).as_posix()


def sources_of(start: str) -> dict[str, dict[str, str]]:
    """All sources that `start` imports, with itself, in standard JSON's form, by sorted name."""
    found: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = ROOT / name if name.startswith("contracts/") else ROOT / "node_modules" / name
        try:
            found[name] = path.read_text("utf-8")
        except OSError as error:
            raise BuildError(
                f"{name}, imported from {start}, cannot be read: {error}: run `make setup`"
            ) from error
        waiting += imports(name, found[name])
    return {name: {"content": found[name]} for name in sorted(found)}


def imports(importer: str, content: str) -> list[str]:
    """Names of the sources that `content`, of the source `importer`, imports directly."""
    return [_resolve(importer, imported) for imported in _IMPORT.findall(content)]


def standard_json(contract: str) -> dict[str, Any]:
    """The input with which an explorer verifies `contract`; no compiler is run."""
    source = source_name(contract)
    outputs = ["abi", "evm.bytecode.object", "evm.bytecode.linkReferences", "evm.deployedBytecode.object"]
    return {
        "language": "Solidity",
        "sources": sources_of(source),
        "settings": {**settings(), "outputSelection": {source: {contract: outputs}}},
    }


def write_explorer_input(contract: str) -> Path:
    """Write the standard JSON of `contract`; returns its path."""
    EXPLORER_FOLDER.mkdir(parents=True, exist_ok=True)
    path = EXPLORER_FOLDER / f"{contract}.json"
    path.write_text(json.dumps(standard_json(contract), indent=1) + "\n", "utf-8")
    return path


def _resolve(importer: str, imported: str) -> str:
    if not imported.startswith("."):
        return imported
    parts: list[str] = []
    for part in (PurePosixPath(importer).parent / imported).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
