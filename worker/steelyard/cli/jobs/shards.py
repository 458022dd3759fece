"""From a source to published shards: files, a data manifest that names them, and both in the store.

The three steps are apart, so that files can be changed (encrypted, say) before they are named and stored:

    sharded = make(request, folder)                      # shard-*.safetensors, in the clear
    manifest = describe(request, sharded, sharded.shards, sharded.test)
    cid = await put(store, manifest, folder, files)      # data.json and job.toml too
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.cli.jobs.description import FILE_NAME
from steelyard.content import FOREVER, Cid, ContentStore, cid_of_path
from steelyard.errors import CidError, ConfigError
from steelyard.jobs.data_manifest import MAX_BYTES, DataManifest, PublishedFile
from steelyard.learning.data import ShardFile
from steelyard.learning.loaders import Scan, Source, SourceOptions, opened
from steelyard.learning.loaders.remote import shown
from steelyard.learning.partition import Partition
from steelyard.learning.recipes.defaults import RECIPES, TRAINING, architecture_for
from steelyard.learning.sharding import Plan, Sharded, Split, split, write

DATA_FILE = "data.json"
HELD_OUT = 0.1
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class ShardRequest:
    """What a person wants published."""

    where: str
    wishes: SourceOptions
    shards: int
    partition: str
    seed: int = 1
    test: float | None = (
        None  # share held out, where the source has no test rows; None: HELD_OUT, or 0 with `like`
    )
    like: DataManifest | None = None  # whose labels, columns and architecture are to be kept

    def plan(self) -> Plan:
        """Raises ConfigError for an unknown partition or a share outside 0 to 0.9."""
        share = self.test if self.test is not None else 0.0 if self.like else HELD_OUT
        if not 0 <= share <= 0.9:
            raise ConfigError(f"a share of {share} held out for tests", remedy="give 0 to 0.9")
        partition = Partition.parse(self.partition)
        return Plan(shards=self.shards, partition=partition, seed=self.seed, test=share)

    def all_wishes(self) -> SourceOptions:
        """With what the partition and `like` ask of the loader."""
        wishes = replace(self.wishes, group=Partition.parse(self.partition).column)
        if self.like is None:
            return wishes
        length = self.like.architecture.get("length")
        text_bytes = length if isinstance(length, int) else wishes.text_bytes
        return replace(wishes, labels=self.like.labels, columns=self.like.columns, text_bytes=text_bytes)


def make(request: ShardRequest, folder: Path) -> Sharded:
    """Write shard files and test rows to an empty folder. Raises ConfigError, FormatError, DiskFull."""
    with opened(request.where, request.all_wishes(), folder) as source:
        scan, found = _split(request, source)
        return write(source, scan, found, folder)


def look(request: ShardRequest, scratch: Path) -> tuple[Scan, Split]:
    """How the source would be split; nothing is written but what has to be downloaded."""
    with opened(request.where, request.all_wishes(), scratch) as source:
        return _split(request, source)


def describe(
    request: ShardRequest, sharded: Sharded, shards: Sequence[ShardFile], test: ShardFile | None
) -> DataManifest:
    """The data manifest of these files, one for each of the split's shards in order.

    shards, test: `sharded`'s own, or what was made of them.  Raises ConfigError without a recipe for them.
    """
    scan, counts = sharded.scan, sharded.split.counts
    architecture = request.like.architecture if request.like else architecture_for(scan, sharded.moments)
    manifest = DataManifest(
        source=_UNPRINTABLE.sub(" ", _source_name(request.where))[:200],
        kind=scan.kind.value,
        partition=f"{request.partition}, seed {request.seed}",
        recipe=request.like.recipe if request.like else RECIPES[scan.kind],
        architecture=architecture,
        labels=tuple(_UNPRINTABLE.sub(" ", name)[:200] for name in scan.names),
        columns=tuple(_UNPRINTABLE.sub(" ", name)[:200] for name in scan.columns),
        shards=tuple(_part(file, counts[index]) for index, file in enumerate(shards)),
        test=_part(test, sharded.split.test_counts) if test else None,
    )
    return DataManifest.parse(manifest.encode())


async def put(store: ContentStore, manifest: DataManifest, folder: Path, files: Sequence[Path]) -> Cid:
    """Store the files and the manifest for good, and leave `data.json` and a `job.toml` in the folder."""
    for file in files:
        await store.add(file, pin_until=FOREVER)
    (folder / DATA_FILE).write_bytes(manifest.encode())
    (folder / FILE_NAME).write_text(_job(manifest), "utf-8")
    return await store.add_bytes(manifest.encode(), pin_until=FOREVER)


async def manifest_at(
    where: str, store: ContentStore, scratch: Path, timeout_s: float
) -> DataManifest | None:
    """The data manifest that `where` names: a CID, a `data.json` or a folder with one; None if it names none.

    Raises ManifestError for a file that is none, ContentMissing for a CID that nobody hands out.
    """
    cid = cid_in(where)
    if cid is not None:
        got = await store.get(cid, scratch / DATA_FILE, max_bytes=MAX_BYTES, timeout_s=timeout_s)
        return DataManifest.parse(got.read_bytes())
    return await asyncio.to_thread(_manifest_in, Path(where))


def _manifest_in(path: Path) -> DataManifest | None:
    path = path.expanduser()
    file = path / DATA_FILE if path.is_dir() else path
    return DataManifest.parse(file.read_bytes()) if file.name == DATA_FILE and file.is_file() else None


def cid_in(text: str) -> Cid | None:
    """The CID that a text is, if it is one."""
    try:
        return Cid.parse(text)
    except CidError:
        return None


def _split(request: ShardRequest, source: Source) -> tuple[Scan, Split]:
    scan = source.scan()
    if request.like is not None:
        _check_like(request.like, scan)
    return scan, split(scan, request.plan())


def _check_like(like: DataManifest, scan: Scan) -> None:
    from steelyard.learning.recipes import recipe_named

    wanted = recipe_named(like.recipe).intake(like.architecture)
    if (wanted.kind, wanted.row) != (scan.kind, scan.shape):
        raise ConfigError(
            f"these are {scan.kind.value} of shape {scan.shape}, not {wanted.kind.value} of {wanted.row}",
            remedy="choose the column with --text, or scale images with --image-size",
        )


def _part(file: ShardFile, counts: Any) -> PublishedFile:
    cid = str(cid_of_path(file.path))
    return PublishedFile(
        cid=cid, rows=file.rows, size=file.size, counts=tuple(int(count) for count in np.asarray(counts))
    )


def _source_name(where: str) -> str:
    """For people: a URL without secrets, of a path its name alone."""
    return shown(where) if "://" in where else where if ":" in where else Path(where).name


def _job(manifest: DataManifest) -> str:
    """A description that `job create` takes as it is."""
    training = TRAINING.get(manifest.recipe, {})
    lines = [
        "# Made by `steelyard data publish`; `steelyard job create` takes it. docs/walkthrough.md says more.",
        f"name = {_quoted(f'{manifest.source}, {len(manifest.shards)} shards'[:100])}",
        "",
        "[data]",
        'source = "."  # data.json in this folder; its CID does as well',
        "",
        "[training]",
        *(
            f"{key} = {_quoted(value) if isinstance(value, str) else value}"
            for key, value in training.items()
        ),
        "",
        "[terms]",
        "# pool, rounds, windows, stake and bond: left out, they have their defaults",
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
