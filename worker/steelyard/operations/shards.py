"""From a source of rows to published shards: files, and a data manifest that names them, in the store.

`publish_data` does all of it. Its steps are public too, so that files can be changed before they are stored:

    sharded = write_shards(request, folder)              # shard-*.safetensors, in the clear
    manifest = describe_shards(request, sharded, sharded.shards, sharded.test)
    cid = await store_shards(store, manifest, folder, files)  # data.json and job.toml too
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.content import FOREVER, Cid, ContentStore, cid_of_path
from steelyard.errors import CidError, ConfigError
from steelyard.jobs.data_manifest import MAX_BYTES, DataManifest, PublishedFile
from steelyard.learning.data import ShardFile
from steelyard.learning.loaders import Scan, Source, SourceOptions, open_source
from steelyard.learning.loaders.remote import redacted
from steelyard.learning.partition import Partition
from steelyard.learning.recipes import recipe_named
from steelyard.learning.recipes.defaults import architecture_for, recipe_for
from steelyard.learning.sharding import Plan, Sharded, Split, split, write
from steelyard.operations.chain_session import ProgressCallback, no_progress
from steelyard.operations.description import FILE_NAME
from steelyard.sealing.envelopes import Envelope
from steelyard.sealing.keyring import Keyring
from steelyard.sealing.stream import seal_file

DATA_FILE = "data.json"
SEALED_SUFFIX = ".sealed"
HELD_OUT = 0.1
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class ShardRequest:
    """Rows, and how to split them into shards."""

    where: str  # path, URL, hf://datasets/..., torchvision:NAME or mnist
    options: SourceOptions
    shards: int
    partition: str  # "iid", "dirichlet:ALPHA" or "by:COLUMN"
    seed: int = 1
    test: float | None = None  # share held out if the source has no test rows; None: HELD_OUT, 0 with `like`
    like: DataManifest | None = None  # labels, columns and architecture are taken from it

    def plan(self) -> Plan:
        """Raises ConfigError for an unknown partition or a share outside 0 to 0.9."""
        share = self.test if self.test is not None else 0.0 if self.like else HELD_OUT
        if not 0 <= share <= 0.9:
            raise ConfigError(f"a share of {share} held out for tests", remedy="give 0 to 0.9")
        partition = Partition.parse(self.partition)
        return Plan(shards=self.shards, partition=partition, seed=self.seed, test=share)

    def loader_options(self) -> SourceOptions:
        """With what the partition and `like` require of the loader."""
        options = replace(self.options, group=Partition.parse(self.partition).column)
        if self.like is None:
            return options
        length = self.like.architecture.get("length")
        text_bytes = length if isinstance(length, int) else options.text_bytes
        return replace(options, labels=self.like.labels, columns=self.like.columns, text_bytes=text_bytes)


def write_shards(request: ShardRequest, folder: Path) -> Sharded:
    """Write shard files and test rows to an empty folder. Raises ConfigError, FormatError, DiskFull."""
    with open_source(request.where, request.loader_options(), folder) as source:
        scan, found = _split(request, source)
        return write(source, scan, found, folder)


def preview_shards(request: ShardRequest, scratch: Path) -> tuple[Scan, Split]:
    """How the source would be split; only downloads are written, to `scratch`."""
    with open_source(request.where, request.loader_options(), scratch) as source:
        return _split(request, source)


def describe_shards(
    request: ShardRequest, sharded: Sharded, shards: Sequence[ShardFile], test: ShardFile | None
) -> DataManifest:
    """The data manifest of these files, one for each of the split's shards in order.

    shards, test: those of `sharded`, or made from them.  Raises ConfigError if no recipe fits.
    """
    scan, counts = sharded.scan, sharded.split.counts
    architecture = request.like.architecture if request.like else architecture_for(scan, sharded.stats)
    manifest = DataManifest(
        source=_UNPRINTABLE.sub(" ", _source_name(request.where))[:200],
        kind=scan.kind.value,
        partition=f"{request.partition}, seed {request.seed}",
        recipe=request.like.recipe if request.like else recipe_for(scan.kind).name,
        architecture=architecture,
        labels=tuple(_UNPRINTABLE.sub(" ", name)[:200] for name in scan.names),
        columns=tuple(_UNPRINTABLE.sub(" ", name)[:200] for name in scan.columns),
        shards=tuple(_part(file, counts[index]) for index, file in enumerate(shards)),
        test=_part(test, sharded.split.test_counts) if test else None,
    )
    return DataManifest.parse(manifest.encode())


async def store_shards(
    store: ContentStore, manifest: DataManifest, folder: Path, files: Sequence[Path]
) -> Cid:
    """Store and pin the files and the manifest, and leave `data.json` and a `job.toml` in the folder."""
    for file in files:
        await store.add(file, pin_until=FOREVER)
    (folder / DATA_FILE).write_bytes(manifest.encode())
    (folder / FILE_NAME).write_text(_job(manifest), "utf-8")
    return await store.add_bytes(manifest.encode(), pin_until=FOREVER)


async def read_data_manifest(
    where: str, store: ContentStore, scratch: Path, timeout_s: float
) -> DataManifest | None:
    """The data manifest that `where` names: a CID, a `data.json` or a folder with one; None if it names none.

    Raises ManifestError for another file, ContentMissing for a CID that nobody serves.
    """
    cid = parse_cid(where)
    if cid is not None:
        got = await store.get(cid, scratch / DATA_FILE, max_bytes=MAX_BYTES, timeout_s=timeout_s)
        return DataManifest.parse(got.read_bytes())
    return await asyncio.to_thread(_manifest_in, Path(where))


def _manifest_in(path: Path) -> DataManifest | None:
    path = path.expanduser()
    file = path / DATA_FILE if path.is_dir() else path
    return DataManifest.parse(file.read_bytes()) if file.name == DATA_FILE and file.is_file() else None


def parse_cid(text: str) -> Cid | None:
    """The text as a CID; None if it is not one."""
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
    wanted = recipe_named(like.recipe).input_spec(like.architecture)
    if (wanted.kind, wanted.shape) != (scan.kind, scan.shape):
        raise ConfigError(
            f"these are {scan.kind.value} of shape {scan.shape}, not {wanted.kind.value} of {wanted.shape}",
            remedy="choose the column with --text, or scale images with --image-size",
        )


def _part(file: ShardFile, counts: Any) -> PublishedFile:
    cid = str(cid_of_path(file.path))
    return PublishedFile(
        cid=cid, rows=file.rows, size=file.size, counts=tuple(int(count) for count in np.asarray(counts))
    )


def _source_name(where: str) -> str:
    """For people: a URL without secrets; only the name of a path."""
    return redacted(where) if "://" in where else where if ":" in where else Path(where).name


def _job(manifest: DataManifest) -> str:
    """The text of a `job.toml` that `job create` takes as it is."""
    training = recipe_named(manifest.recipe).training
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


@dataclass(frozen=True, kw_only=True)
class PublishedData:
    """Shard files, and the data manifest that names them."""

    manifest: DataManifest
    cid: Cid | None  # of the manifest; None if nothing was stored
    folder: Path  # with the files, data.json and job.toml


Sealer = Callable[[Sequence[ShardFile]], Sequence[ShardFile]]


async def publish_data(
    request: ShardRequest,
    folder: Path,
    store: ContentStore | None,
    *,
    seal: Sealer | None = None,
    progress: ProgressCallback = no_progress,
) -> PublishedData:
    """Write the shards into a new folder and store them.

    store: None only writes the files.  seal: encrypts shard files, as `seal_shards` does.
    Raises ConfigError if the folder exists, FormatError, DiskFull; then the folder is removed.
    """
    _make_folder(folder, private=seal is not None or store is None)
    try:
        progress("reading, splitting and writing ...")
        sharded = await asyncio.to_thread(write_shards, request, folder)
        shards = await asyncio.to_thread(seal, sharded.shards) if seal else sharded.shards
        manifest = describe_shards(request, sharded, shards, sharded.test)
        if store is None:
            return PublishedData(manifest=manifest, cid=None, folder=folder)
        files = [*(shard.path for shard in shards), *([sharded.test.path] if sharded.test else [])]
        cid = await store_shards(store, manifest, folder, files)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return PublishedData(manifest=manifest, cid=cid, folder=folder)


def _make_folder(folder: Path, *, private: bool) -> None:
    """private: rows lie there in the clear, at least until they are encrypted.  Raises ConfigError."""
    try:
        folder.mkdir(parents=True, mode=0o700 if private else 0o777)
    except FileExistsError as error:
        raise ConfigError(
            f"there is a {folder} already", remedy="name another folder with --out; nothing was changed"
        ) from error


def seal_shards(shards: Sequence[ShardFile], ring: Keyring, public: bytes) -> tuple[ShardFile, ...]:
    """Encrypt each shard beside itself with a key of its own, and remove the plain file.

    ring: keeps the keys.  public: the publisher's X25519 key, 32 bytes, which opens them again.
    Raises DiskFull; plain files that were not encrypted yet are still there.
    """
    return tuple(_sealed(shard, ring, public) for shard in shards)


def _sealed(shard: ShardFile, ring: Keyring, public: bytes) -> ShardFile:
    path: Path = shard.path.with_suffix(SEALED_SUFFIX)
    key = seal_file(shard.path, path)
    size = path.stat().st_size
    ring.save_envelope(Envelope.seal(key, content=cid_of_path(path), size=size, recipient=public))
    shard.path.unlink()
    return replace(shard, path=path, size=size)
