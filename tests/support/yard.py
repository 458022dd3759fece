"""What the command line's tests on a chain share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.chain.deploy import Deployed
from steelyard.chain.devnet import DevChain

PASSWORD = "correct horse"
MINIMUM_WINDOW_S = 2


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        said: dict[str, Any] = self.json["error"]
        assert self.code == said["exit_code"]
        assert said["message"]
        return said


Steelyard = Callable[..., Answer]


@dataclass(frozen=True, kw_only=True)
class Yard:
    """A chain with the contracts on it."""

    chain: DevChain
    deployed: Deployed
    file: Path


Fund = Callable[..., str]
