"""Behind `steelyard data`: publishing and inspecting, and their output."""

from __future__ import annotations

import asyncio
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.cli.context import home_store
from steelyard.cli.output import facts
from steelyard.cli.session import Session, current
from steelyard.cli.skew_chart import SkewChart, svg_text, terminal_table
from steelyard.cli.stores import how_to_serve
from steelyard.content import Cid, ContentStore
from steelyard.errors import ConfigError
from steelyard.jobs.data_manifest import DataManifest, PublishedFile
from steelyard.learning.loaders import SourceOptions
from steelyard.operations import shards
from steelyard.operations.shards import DATA_FILE, ShardRequest, read_data_manifest


@dataclass(frozen=True, kw_only=True)
class ChosenRows:
    """The arguments of `data publish` and `data inspect`."""

    source: str
    options: SourceOptions
    shards: int
    partition: str
    seed: int
    test: float | None = None
    like: str = ""
    encrypt: bool = False
    at_home: bool = False  # only write the files

    def request(self, like: DataManifest | None = None) -> ShardRequest:
        """Without what is only about the output."""
        return ShardRequest(
            where=self.source, options=self.options, shards=self.shards, partition=self.partition,
            seed=self.seed, test=self.test, like=like,
        )  # fmt: skip


async def publish_data(chosen: ChosenRows, out: Path | None) -> None:
    """Make the files in a new folder, store them, and print what a sponsor or a member needs."""
    command = current()
    seal = _sealer(command) if chosen.encrypt else None  # in this thread: it may prompt
    folder = out or Path(_name_of(chosen.source) + "-shards")
    async with home_store() as store:
        request = chosen.request(await _like(chosen.like, store))
        target = None if chosen.at_home else store
        published = await shards.publish_data(request, folder, target, seal=seal, progress=command.out.say)
    if published.cid is None:
        _report_home(command, published.manifest, folder)
        return
    _report(command, published.manifest, published.cid, folder)
    if chosen.encrypt:
        command.out.say(
            "the shards are encrypted; test rows and the counts above are public. Once members have joined: "
            "`steelyard job grant JOB`"
        )


def _sealer(command: Session) -> shards.Sealer:
    """Encrypts shards for the session's account, whose encryption key is made if it has none."""
    from steelyard.cli.encryption import own_key, ring_of

    public = own_key(command)
    return lambda files: shards.seal_shards(files, ring_of(command), public)


async def inspect_data(chosen: ChosenRows, out: Path | None) -> None:
    """Print rows, sizes and skew of published data, or of a source as it would be split."""
    command = current()
    if out is not None and out.suffix.lower() != ".svg":
        raise ConfigError(f"{out} is not an .svg file", remedy="name a file like -o skew.svg")
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        async with home_store() as store:
            manifest = await read_data_manifest(
                chosen.source, store, Path(scratch), command.config.fetch_timeout_s
            )
        if manifest is not None:
            picture, document = _of_manifest(manifest), _document(manifest)
        else:
            scan, split = await asyncio.to_thread(shards.preview_shards, chosen.request(), Path(scratch))
            counts = [
                *split.counts.tolist(),
                *([split.test_counts.tolist()] if split.test_counts.any() else []),
            ]
            picture = SkewChart(
                parts=_names(split.shards, len(counts) > split.shards),
                labels=scan.names,
                counts=counts,
                sizes=[None] * len(counts),
            )
            document = {"kind": scan.kind.value, "labels": list(scan.names), "columns": list(scan.columns)}
    title = f"{_name_of(chosen.source)}, {chosen.partition if manifest is None else manifest.partition}"
    if out is not None:
        await asyncio.to_thread(out.write_text, svg_text(picture, title), "utf-8")
    parts = [
        {"part": name, "rows": sum(row), "bytes": size, "counts": list(row)}
        for name, row, size in zip(picture.parts, picture.counts, picture.sizes, strict=True)
    ]
    command.out.emit({**document, "parts": parts, "picture": out}, terminal_table(picture))


async def _like(where: str, store: ContentStore) -> DataManifest | None:
    if not where:
        return None
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        found = await read_data_manifest(where, store, Path(scratch), current().config.fetch_timeout_s)
    if found is None:
        raise ConfigError(
            f"{where} is not a data manifest", remedy=f"give its CID, its {DATA_FILE} or its folder"
        )
    return found


def _report(command: Session, manifest: DataManifest, cid: Cid, folder: Path) -> None:
    picture = _of_manifest(manifest)
    document = {
        "manifest": str(cid),
        **_document(manifest),
        "folder": folder,
        "content": command.config.content_dir,
    }
    pairs = [
        ("data manifest", str(cid)),
        ("shard root", document["root"]),
        ("recipe", manifest.recipe),
        ("folder", folder),
        *((f"shard {index}", shard.cid) for index, shard in enumerate(manifest.shards[:16])),
    ]
    command.out.emit(document, terminal_table(picture), facts(pairs))
    command.out.say(f"a job with it: `steelyard job create {folder}`, the terms are in {folder / 'job.toml'}")
    command.out.say(f"to join an open job with it: `steelyard job join JOB --data {manifest.shards[0].cid}`")
    command.out.say(how_to_serve(command.config, "it"))


def _report_home(command: Session, manifest: DataManifest, folder: Path) -> None:
    rows = [(f"shard {index}", f"{shard.rows} rows") for index, shard in enumerate(manifest.shards[:16])]
    pairs = [("folder", folder), *rows]
    document = {"manifest": None, **_document(manifest), "folder": folder}
    command.out.emit(document, terminal_table(_of_manifest(manifest)), facts(pairs))
    command.out.say(
        f"nothing was published; train on a shard: `steelyard run --role worker --job JOB --data "
        f"{folder / 'shard-0.safetensors'}`"
    )


def _document(manifest: DataManifest) -> dict[str, Any]:
    return {
        "root": "0x" + manifest.root().hex(),
        "source": manifest.source,
        "kind": manifest.kind,
        "recipe": manifest.recipe,
        "labels": list(manifest.labels),
        "columns": list(manifest.columns),
        "shards": [{"index": index, **_part(shard)} for index, shard in enumerate(manifest.shards)],
        "test": _part(manifest.test) if manifest.test else None,
    }


def _part(part: PublishedFile) -> dict[str, Any]:
    return {"cid": part.cid, "rows": part.rows, "bytes": part.size, "counts": list(part.counts)}


def _of_manifest(manifest: DataManifest) -> SkewChart:
    parts = [*manifest.shards, *([manifest.test] if manifest.test else [])]
    return SkewChart(
        parts=_names(len(manifest.shards), manifest.test is not None),
        labels=manifest.labels,
        counts=[part.counts for part in parts],
        sizes=[part.size for part in parts],
    )


def _names(shards: int, test: bool) -> list[str]:
    return [*(str(index) for index in range(shards)), *(["test"] if test else [])]


def _name_of(source: str) -> str:
    """A file name's worth of a source."""
    path = source.partition("?")[0].rstrip("/")
    name = path.rpartition("/")[2] or path
    return (
        re.sub(r"[^A-Za-z0-9_-]+", "-", name.removeprefix("torchvision:").partition(".")[0]).strip("-")
        or "data"
    )
