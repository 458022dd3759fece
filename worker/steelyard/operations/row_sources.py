"""The source of a job's rows: MNIST, prepared files, published data, or members' own files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.content import ContentStore, cid_of_path
from steelyard.errors import ConfigError
from steelyard.jobs.data_manifest import DataManifest, PublishedFile
from steelyard.jobs.manifest import DataFile, Shard
from steelyard.learning import data as rows
from steelyard.learning.data import ShardFile
from steelyard.learning.partition import dirichlet_partition, iid_partition
from steelyard.operations.description import MNIST, JobDescription
from steelyard.operations.shards import SEALED_SUFFIX, parse_cid, read_data_manifest
from steelyard.util.checkout import project_root

HOME = "home"  # the source of a job whose members keep their data private
DEFAULT_RECIPE = "image-cnn"


@dataclass(frozen=True, kw_only=True)
class RowSource:
    """The parts of a job that its data determines."""

    recipe: str
    architecture: Mapping[str, Any]
    shards: Sequence[Shard]  # without accounts
    test: DataFile | None
    files: tuple[Path, ...]  # to be stored with the job


async def row_source(
    description: JobDescription, store: ContentStore, scratch: Path, timeout_s: float
) -> RowSource:
    """Find or make the data files.  Raises ConfigError, ManifestError, ContentMissing, DiskFull."""
    source = description.data.source
    if source == HOME:
        return _at_home(description)
    if source == MNIST:
        shards, test = await asyncio.to_thread(_mnist, description, scratch)
        return _of_files(description, shards, test)
    where = source if parse_cid(source) else str(description.folder / source)
    published = await read_data_manifest(where, store, scratch, timeout_s)
    if published is not None:
        return _published(description, published, Path(where))
    shards, test = await asyncio.to_thread(_folder, description.folder / source, scratch)
    return _of_files(description, shards, test)


def _published(description: JobDescription, found: DataManifest, where: Path) -> RowSource:
    """As `data publish` left it. The description overrides what the data suggests."""
    wanted = {each.cid for each in (*found.shards, *((found.test,) if found.test else ()))}
    folder = where if where.is_dir() else where.parent
    kinds = ("*.safetensors", f"*{SEALED_SUFFIX}")
    beside = [file for kind in kinds for file in sorted(folder.glob(kind))] if where.exists() else []
    return RowSource(
        recipe=description.recipe or found.recipe,
        architecture={**found.architecture, **description.given_architecture()},
        shards=found.members(),
        test=_data_file(found.test) if found.test else None,
        files=tuple(file for file in beside if str(cid_of_path(file)) in wanted),
    )


def _data_file(part: PublishedFile) -> DataFile:
    return DataFile(cid=part.cid, rows=part.rows, size=part.size)


def _at_home(description: JobDescription) -> RowSource:
    """Only sizes, which the members told the sponsor."""
    data = description.data
    if data.membership != "invitations" or len(data.weights) != len(data.invited) or not data.weights:
        raise ConfigError(
            f"data at home takes invitations with a weight each; membership is {data.membership!r}, with "
            f"{len(data.invited)} invited and {len(data.weights)} weights",
            remedy='set membership = "invitations", and list `invited` and `weights` in the same order',
        )
    shards = [
        Shard(index=index, cid="", weight=int(weight), rows=int(weight), size=0)
        for index, weight in enumerate(data.weights)
    ]
    recipe = description.recipe or DEFAULT_RECIPE
    return RowSource(
        recipe=recipe,
        architecture=description.architecture_for(recipe),
        shards=shards,
        test=None,
        files=(),
    )


def _of_files(description: JobDescription, files: Sequence[ShardFile], test: ShardFile | None) -> RowSource:
    recipe = description.recipe or DEFAULT_RECIPE
    shards = [
        Shard(index=i, cid=str(cid_of_path(f.path)), weight=f.weight, rows=f.rows, size=f.size)
        for i, f in enumerate(files)
    ]
    return RowSource(
        recipe=recipe,
        architecture=description.architecture_for(recipe),
        shards=shards,
        test=DataFile(cid=str(cid_of_path(test.path)), rows=test.rows, size=test.size) if test else None,
        files=(*(file.path for file in files), *((test.path,) if test else ())),
    )


def _mnist(description: JobDescription, scratch: Path) -> tuple[list[ShardFile], ShardFile | None]:
    chosen = description.data
    dataset = rows.load_mnist(project_root() / "node_modules")
    labels = dataset.train.labels
    if chosen.alpha > 0:
        parts = dirichlet_partition(labels, chosen.shards, alpha=chosen.alpha, seed=chosen.seed)
    else:
        parts = iid_partition(labels, chosen.shards, seed=chosen.seed)
    return rows.publish(dataset, parts, scratch)


def _folder(folder: Path, scratch: Path) -> tuple[list[ShardFile], ShardFile | None]:
    """Prepared data files, rewritten so that their bytes depend only on their rows."""
    names = sorted(folder.glob("shard-*.safetensors"), key=lambda file: (len(file.name), file.name))
    if not names:
        raise ConfigError(
            f"{folder} has no shard-*.safetensors and no data.json",
            remedy="`steelyard data publish` makes them from CSV, Parquet, images or texts",
        )
    shards = [
        rows.write_rows(scratch / f"shard-{i}.safetensors", rows.read_rows(n)) for i, n in enumerate(names)
    ]
    test = folder / "test.safetensors"
    if not test.is_file():
        return shards, None
    return shards, rows.write_rows(scratch / "test.safetensors", rows.read_rows(test))
