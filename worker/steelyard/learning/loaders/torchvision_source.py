"""torchvision's data sets, read in a separate process so that this one does not import torch.

torchvision checks its downloads against hashes in its code. The batches of CIFAR-10 are pickles: torchvision
unpickles only those with the expected hash, so a changed mirror or folder cannot run code here.
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
    """`torchvision:CIFAR10` downloads; `torchvision:CIFAR10:FOLDER` reads an earlier download.

    Returns None for other schemes.  Raises ConfigError for an unknown name or an incomplete folder,
    TrainingError without torchvision.
    """
    if not where.startswith(SCHEME):
        return None
    name, _, folder = where.removeprefix(SCHEME).partition(":")
    known = {each.lower(): each for each in NAMES}
    if name.lower() not in known:
        raise ConfigError(f"no data set of torchvision is called {name!r}", remedy=f"use {', '.join(NAMES)}")
    if folder and not Path(folder).is_dir():
        raise ConfigError(f"{folder} is not a folder", remedy=f"leave it out to download {name}")
    root = Path(folder) if folder else scratch / "torchvision"
    request = {
        "name": known[name.lower()],
        "root": str(root.absolute()),
        "download": not folder,
        "out": str(scratch),
    }
    return _read(_run(request, child or CHILD), name, options, scratch)


def _run(request: dict[str, object], child: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the child process, without Steelyard's own environment variables."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STEELYARD_")}
    try:
        return subprocess.run(
            [sys.executable, *child, json.dumps(request)],
            check=False, capture_output=True, text=True, timeout=DEADLINE_S, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"{request['name']} was not ready after {DEADLINE_S:.0f} s",
            remedy="download it yourself and name the folder",
        ) from error


def _read(
    process: subprocess.CompletedProcess[str], name: str, options: SourceOptions, scratch: Path
) -> ArraySource:
    try:
        answer = json.loads(process.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        answer = {
            "error": f"its process exited with code {process.returncode}: {process.stderr.strip()[-300:]}"
        }
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
