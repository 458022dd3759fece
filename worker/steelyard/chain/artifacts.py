"""The committed ABI and bytecode of each contract: `chain/abi/<Name>.json`."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from steelyard.errors import ConfigError


def artifact_path(contract: str) -> Traversable:
    """The file of `contract`, which need not exist."""
    return files("steelyard.chain") / "abi" / f"{contract}.json"


def artifact(contract: str) -> dict[str, Any]:
    """The fields `abi`, `bytecode` and `links` of `contract`.  Raises ConfigError if the package has none."""
    try:
        document: dict[str, Any] = json.loads(artifact_path(contract).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"no ABI and no bytecode of {contract}", remedy="reinstall the package") from error
    return document
