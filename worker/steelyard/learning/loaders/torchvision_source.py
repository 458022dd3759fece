"""torchvision's data sets, read by torchvision in a process of its own, so that torch stays out of this one.

What it downloads it checks by the hash that its code names. The batches of CIFAR-10 are pickles: torchvision
unpickles none whose hash is another, so neither a changed mirror nor a changed folder runs code here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from steelyard.errors import ConfigError, TrainingError
from steelyard.learning.loaders.arrays import ArraySource, from_files
from steelyard.learning.loaders.source import Loader, SourceOptions

SCHEME = "torchvision:"
NAMES = ("MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100")
DEADLINE_S = 3600.0
CHILD = ("-m", "steelyard.learning.loaders.torchvision_child")


def open_vision(
    where: str, options: SourceOptions, scratch: Path, child: Sequence[str] = ()
) -> ArraySource | None:
    """`torchvision:CIFAR10` downloads; `torchvision:CIFAR10:FOLDER` reads what torchvision once put there.

    Raises ConfigError for an unknown name or an incomplete folder, TrainingError without torchvision.
    """
    if not where.startswith(SCHEME):
        return None
    name, _, folder = where.removeprefix(SCHEME).partition(":")
    known = {each.lower(): each for each in NAMES}
    if name.lower() not in known:
        raise ConfigError(f"no data set {name!r} of torchvision's is known", remedy=f"use {', '.join(NAMES)}")
    if folder and not Path(folder).is_dir():
        raise ConfigError(f"there is no folder {folder}", remedy=f"leave it out to download {name}")
    root = Path(folder) if folder else scratch / "torchvision"
    asked = {
        "name": known[name.lower()],
        "root": str(root.absolute()),
        "download": not folder,
        "out": str(scratch),
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STEELYARD_")}
    try:
        ran = subprocess.run(
            [sys.executable, *(child or CHILD), json.dumps(asked)],
            check=False, capture_output=True, text=True, timeout=DEADLINE_S, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"{name} was not there after {DEADLINE_S:.0f} s", remedy="download it by hand and name the folder"
        ) from error
    return _read(ran, name, options, scratch)


def _read(
    ran: subprocess.CompletedProcess[str], name: str, options: SourceOptions, scratch: Path
) -> ArraySource:
    try:
        answer = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        answer = {"error": f"its process ended with code {ran.returncode}: {ran.stderr.strip()[-300:]}"}
    if answer.get("missing"):
        raise TrainingError("torchvision is not installed", remedy="pip install 'steelyard[train]'")
    if "error" in answer:
        raise ConfigError(
            f"torchvision cannot read {name}: {answer['error']}",
            remedy=f"torchvision:{name} downloads it, torchvision:{name}:FOLDER reads an earlier download",
        )
    return from_files(
        scratch / "train.safetensors", scratch / "test.safetensors", tuple(answer["names"]), options
    )


TORCHVISION = Loader(by_name=open_vision, example="torchvision:CIFAR10")
