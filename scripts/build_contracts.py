"""Build the contracts: committed ABI and bytecode, and the standard JSON that an explorer verifies them with.

build_contracts.py            writes worker/steelyard/chain/abi/<Name>.json and build/standard-json/
build_contracts.py --check    writes nothing; exit code 1 if a committed file is stale
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import solcx

from standard_json import (
    ROOT,
    BuildError,
    compiler_version,
    settings,
    source_name,
    standard_json,
    write_explorer_input,
)
from steelyard.chain.deployment_plan import CONTRACTS

ABI_FOLDER = ROOT / "worker" / "steelyard" / "chain" / "abi"
SOLCX_FOLDER = ROOT / ".cache" / "solcx"
MAX_CODE_BYTES = 23_300


def compile_all(contracts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The committed description of each of `contracts`, compiled together.

    Raises BuildError if one does not compile, compiles with warnings or is too large for a chain.
    """
    inputs = [standard_json(contract) for contract in contracts]
    sources = {name: source for each in inputs for name, source in each["sources"].items()}
    selection = {k: v for each in inputs for k, v in each["settings"]["outputSelection"].items()}
    document = {**inputs[0], "sources": sources, "settings": {**settings(), "outputSelection": selection}}
    os.environ["SOLCX_BINARY_PATH"] = str(SOLCX_FOLDER)
    try:
        output = solcx.compile_standard(document, solc_version=compiler_version())
    except (solcx.exceptions.SolcError, solcx.exceptions.SolcNotInstalled) as error:
        raise BuildError(f"the contracts do not compile: {error}") from error
    warnings = [
        each["formattedMessage"] for each in output.get("errors", ()) if each["severity"] == "warning"
    ]
    if warnings:
        raise BuildError("the contracts compile with warnings:\n" + "\n".join(warnings))
    return {each: _described(each, output["contracts"][source_name(each)][each]) for each in contracts}


def _described(contract: str, built: dict[str, Any]) -> dict[str, Any]:
    size = len(built["evm"]["deployedBytecode"]["object"]) // 2
    if size > MAX_CODE_BYTES:
        raise BuildError(f"{contract} has {size:,} bytes of code, over {MAX_CODE_BYTES:,}: split it")
    return {
        "contract": contract,
        "source": source_name(contract),
        "compiler": compiler_version(),
        "settings": settings(),
        "deployedSize": size,
        "links": _links(built),
        "abi": built["abi"],
        "bytecode": "0x" + re.sub(r"__\$[0-9a-f]{34}\$__", "00" * 20, built["evm"]["bytecode"]["object"]),
    }


def _links(built: dict[str, Any]) -> dict[str, list[int]]:
    """Byte offsets in the bytecode, by linked library, at which its address replaces zeros."""
    references = built["evm"]["bytecode"]["linkReferences"]
    unplanned = sorted(
        {library for libraries in references.values() for library in libraries} - set(CONTRACTS)
    )
    if unplanned:
        raise BuildError(
            f"linked but not in the deployment plan: {', '.join(unplanned)}: add to chain/plan.py"
        )
    return {
        library: sorted(each["start"] for each in places)
        for libraries in references.values()
        for library, places in sorted(libraries.items())
    }


def render(description: dict[str, Any]) -> str:
    """Bytes of a committed file: one ABI entry a line, so that a change can be read."""
    abi = ",\n".join("    " + json.dumps(entry, separators=(", ", ": ")) for entry in description["abi"])
    lines = [
        f"  {json.dumps(key)}: " + (f"[\n{abi}\n  ]" if key == "abi" else json.dumps(value))
        for key, value in description.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def build_all() -> dict[str, str]:
    """The committed file of each deployable contract, by contract.  Raises BuildError."""
    return {contract: render(description) for contract, description in compile_all(CONTRACTS).items()}


def stale(built: dict[str, str]) -> list[str]:
    """Names of the contracts whose committed file is missing, outdated, or whose contract is gone."""
    committed = {path.stem: path.read_text("utf-8") for path in ABI_FOLDER.glob("*.json")}
    return sorted(name for name in built.keys() | committed.keys() if built.get(name) != committed.get(name))


def main() -> int:
    """Run from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Build the contracts' committed ABI and bytecode.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail if a committed file is stale"
    )
    only_check: bool = parser.parse_args().check
    try:
        built = build_all()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    outdated = stale(built)
    if only_check:
        if outdated:
            print(f"stale: {', '.join(outdated)}; run scripts/build_contracts.py and commit", file=sys.stderr)
        return 1 if outdated else 0

    ABI_FOLDER.mkdir(exist_ok=True)
    for path in ABI_FOLDER.glob("*.json"):
        if path.stem not in built:
            path.unlink()
    for name, text in built.items():
        (ABI_FOLDER / f"{name}.json").write_text(text, "utf-8")
        write_explorer_input(name)
        changed = " (changed)" if name in outdated else ""
        print(f"{name}: {json.loads(text)['deployedSize']:,} bytes of code{changed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
