"""Behind `steelyard data`: a folder for the files, the store, and what is printed."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.cli.jobs import shards as sharing
from steelyard.cli.jobs.shards import DATA_FILE, ShardRequest, manifest_at
from steelyard.cli.output import facts
from steelyard.cli.session import Session, current
from steelyard.cli.skew_chart import SkewChart, drawn, svg
from steelyard.cli.stores import fetching_only, way_out
from steelyard.content import Cid, ContentStore, make_store
from steelyard.errors import ConfigError
from steelyard.jobs.data_manifest import DataManifest, PublishedFile
from steelyard.learning.data import ShardFile
from steelyard.learning.loaders import SourceOptions


@dataclass(frozen=True, kw_only=True)
class ChosenRows:
    """The arguments of `data publish` and `data inspect`."""

    source: str
    wishes: SourceOptions
    shards: int
    partition: str
    seed: int
    test: float | None = None
    like: str = ""
    encrypt: bool = False
    at_home: bool = False  # only write the files

    def request(self, like: DataManifest | None = None) -> ShardRequest:
        """For the work itself."""
        return ShardRequest(
            where=self.source, wishes=self.wishes, shards=self.shards, partition=self.partition,
            seed=self.seed, test=self.test, like=like,
        )  # fmt: skip


async def publish_data(chosen: ChosenRows, out: Path | None) -> None:
    """Make the files in a new folder, store them, and print what a sponsor or a member passes on."""
    session = current()
    seal = _sealer(session) if chosen.encrypt else None  # in this thread: it may prompt
    folder = _new_folder(out or Path(_name_of(chosen.source) + "-shards"))
    try:
        if seal or chosen.at_home:
            folder.chmod(0o700)  # rows lie there in the clear, at least until they are sealed
        async with make_store(fetching_only(session.config)) as store:
            request = chosen.request(await _like(chosen.like, store, session))
            session.out.say("reading, splitting and writing ...")
            sharded = await asyncio.to_thread(sharing.make, request, folder)
            shards = await asyncio.to_thread(seal, sharded.shards) if seal else sharded.shards
            manifest = sharing.describe(request, sharded, shards, sharded.test)
            if chosen.at_home:
                _report_home(session, manifest, folder)
                return
            files = [
                *(shard.path for shard in shards),
                *([sharded.test.path] if sharded.test else []),
            ]
            cid = await sharing.put(store, manifest, folder, files)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _report(session, manifest, cid, folder)
    if chosen.encrypt:
        session.out.say(
            "the shards are encrypted; test rows and the counts above are public. Once members have joined: "
            "`steelyard job grant JOB`"
        )


def _sealer(session: Session) -> Callable[[Sequence[ShardFile]], Sequence[ShardFile]]:
    """What seals shards for the session's account, whose encryption key is made where it has none."""
    from steelyard.cli.encryption import own_key, ring_of
    from steelyard.cli.jobs.encrypting import seal_shards

    public = own_key(session)
    return lambda shards: seal_shards(shards, ring_of(session), public)


async def inspect_data(chosen: ChosenRows, out: Path | None) -> None:
    """Print rows, sizes and skew of published data, or of a source as it would be split."""
    session = current()
    if out is not None and out.suffix.lower() != ".svg":
        raise ConfigError(f"{out} is no .svg file", remedy="name the picture so: -o skew.svg")
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        async with make_store(fetching_only(session.config)) as store:
            manifest = await manifest_at(chosen.source, store, Path(scratch), session.config.fetch_timeout_s)
        if manifest is not None:
            picture, document = _of_manifest(manifest), _document(manifest)
        else:
            scan, split = await asyncio.to_thread(sharing.look, chosen.request(), Path(scratch))
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
        await asyncio.to_thread(out.write_text, svg(picture, title), "utf-8")
    parts = [
        {"part": name, "rows": sum(row), "bytes": size, "counts": list(row)}
        for name, row, size in zip(picture.parts, picture.counts, picture.sizes, strict=True)
    ]
    session.out.emit({**document, "parts": parts, "picture": out}, drawn(picture))


async def _like(where: str, store: ContentStore, session: Session) -> DataManifest | None:
    if not where:
        return None
    with tempfile.TemporaryDirectory(prefix="steelyard-") as scratch:
        found = await manifest_at(where, store, Path(scratch), session.config.fetch_timeout_s)
    if found is None:
        raise ConfigError(
            f"{where} is no data manifest", remedy=f"give its CID, its {DATA_FILE} or its folder"
        )
    return found


def _report(session: Session, manifest: DataManifest, cid: Cid, folder: Path) -> None:
    picture = _of_manifest(manifest)
    document = {
        "manifest": str(cid),
        **_document(manifest),
        "folder": folder,
        "content": session.config.content_dir,
    }
    pairs = [
        ("data manifest", str(cid)),
        ("shard root", document["root"]),
        ("recipe", manifest.recipe),
        ("folder", folder),
        *((f"shard {index}", shard.cid) for index, shard in enumerate(manifest.shards[:16])),
    ]
    session.out.emit(document, drawn(picture), facts(pairs))
    session.out.say(f"a job of it: `steelyard job create {folder}`, its terms are in {folder / 'job.toml'}")
    session.out.say(
        f"a seat in an open job with it: `steelyard job join JOB --data {manifest.shards[0].cid}`"
    )
    session.out.say(way_out(session.config, "it"))


def _report_home(session: Session, manifest: DataManifest, folder: Path) -> None:
    rows = [(f"shard {index}", f"{shard.rows} rows") for index, shard in enumerate(manifest.shards[:16])]
    pairs = [("folder", folder), *rows]
    document = {"manifest": None, **_document(manifest), "folder": folder}
    session.out.emit(document, drawn(_of_manifest(manifest)), facts(pairs))
    session.out.say(
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


def _new_folder(folder: Path) -> Path:
    """Make it. Raises ConfigError where something is there already."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise ConfigError(
            f"there is a {folder} already", remedy="name another folder with --out; nothing was changed"
        ) from error
    return folder


def _name_of(source: str) -> str:
    """A file name's worth of a source."""
    path = source.partition("?")[0].rstrip("/")
    name = path.rpartition("/")[2] or path
    return (
        re.sub(r"[^A-Za-z0-9_-]+", "-", name.removeprefix("torchvision:").partition(".")[0]).strip("-")
        or "data"
    )
