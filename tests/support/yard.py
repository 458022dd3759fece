"""Helpers for tests of the command line on a chain."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from web3 import HTTPProvider, Web3

from steelyard.chain.deploy import Deployed, deploy
from steelyard.chain.deployment_plan import DeploymentSettings
from steelyard.chain.dev.devnet import DevChain
from steelyard.chain.web3_creator import Web3Creator

PASSWORD = "correct horse"
MINIMUM_WINDOW_S = 2


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The exit code and output of a command."""

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
    """A chain with deployed contracts."""

    chain: DevChain
    deployed: Deployed
    file: Path


Fund = Callable[..., str]


def deployed_on(chain: DevChain, folder: Path) -> Yard:
    """Deploy the contracts, with short windows."""
    settings = DeploymentSettings(minimum_window_s=MINIMUM_WINDOW_S, unbonding_s=2)
    deployed = deploy(Web3Creator(Web3(HTTPProvider(chain.url)), chain.accounts[0]), settings)
    file = folder / "31337.json"
    deployed.write(file)
    return Yard(chain=chain, deployed=deployed, file=file)


DESCRIPTION = """
name = "Tiny"
recipe = "image-cnn"
encoding = "bfp8"
[architecture]
channels = 1
height = 12
width = 12
classes = 2
filters = [1, 2]
mean = 100
deviation = 50
[data]
source = "."
membership = "{membership}"
{invited}
[terms]
pool = "10"
rounds = 3
stake = "100"
bond = "50"
submit_window = "5s"
attest_window = "5s"
turn_window = "2s"
post_window = "5s"
challenge_window = "5s"
duration = "1h"
max_members = {members}
"""


def describe(
    place: Path, membership: str = "shards", invited: tuple[str, ...] = (), members: int = 0
) -> None:
    listed = f"invited = {list(invited)!r}".replace("'", '"') if invited else ""
    text = DESCRIPTION.format(membership=membership, invited=listed, members=members)
    (place / "job.toml").write_text(text)


def post(steelyard: Steelyard, folder: Path) -> int:
    done = steelyard("job", "create", str(folder), account="sponsor")
    assert done.code == 0, done.out + done.err
    return int(done.json["job"])
