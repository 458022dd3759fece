"""Small job descriptions and data for tests of manifests and training."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from steelyard.core.encodings import Encoding
from steelyard.core.rules import AggregationConfig
from steelyard.jobs.manifest import DataFile, InitialModel, Manifest, Shard, TrainingConfig
from steelyard.learning import job_setup
from steelyard.learning.data import Rows, write_rows
from steelyard.learning.recipes.base import Architecture

TINY: Architecture = {
    "channels": 1,
    "height": 12,
    "width": 12,
    "classes": 3,
    "mean": 128,
    "deviation": 64,
    "filters": (2, 4),
}


def cid_of(text: str, codec: int = 0x55) -> str:
    """A well-formed CID of some text."""
    raw = bytes((1, codec, 0x12, 32)) + hashlib.sha256(text.encode()).digest()
    return "b" + base64.b32encode(raw).decode().rstrip("=").lower()


def shard(index: int, weight: int = 100, account: str = "") -> Shard:
    """A shard with a CID derived from its index."""
    return Shard(
        index=index, cid=cid_of(f"shard {index}"), weight=weight, rows=weight, size=1000, account=account
    )


def manifest(architecture: Architecture = TINY, membership: str = "shards", **training: object) -> Manifest:
    """A job with three members."""
    accounts = [f"0x{index + 1:040x}" if membership == "invitations" else "" for index in range(3)]
    members = (
        [] if membership == "open" else [shard(i, 100 + i, account) for i, account in enumerate(accounts)]
    )
    return job_setup.compose(
        name="A job for tests",
        recipe="image-cnn",
        architecture=architecture,
        step=AggregationConfig(
            block_count=job_setup.block_count_of("image-cnn", architecture), encoding=Encoding.BFP8
        ),
        membership=membership,
        shards=members,
        test=DataFile(cid=cid_of("test"), rows=10, size=999),
        initial=InitialModel(cid=cid_of("initial"), root=bytes(range(32))),
        training=dataclasses.replace(TrainingConfig(batch_size=8), **training),  # type: ignore[arg-type]
    )


def rows(count: int = 60, seed: int = 0) -> Rows:
    """Images of three classes that a tiny network can learn: the bright column gives the label."""
    random = np.random.RandomState(seed)
    labels = random.randint(0, 3, count).astype(np.uint8)
    images = random.randint(0, 40, (count, 1, 12, 12)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, :, 2 + 3 * label : 4 + 3 * label] = 255
    return Rows(images, labels)


def files(folder: Path, architecture: Architecture = TINY, seed: int = 0) -> tuple[Path, Path]:
    """A first model and a data file. Returns (state, data)."""
    job_setup.write_initial("image-cnn", architecture, seed, folder / "state")
    write_rows(folder / "data.safetensors", rows(seed=seed))
    return folder / "state", folder / "data.safetensors"
