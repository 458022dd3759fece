"""From a description to published data and a manifest."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.content import FOREVER, Cid, ContentStore, cid_of_path
from steelyard.core.encodings import Encoding
from steelyard.core.numbers import ONE
from steelyard.core.rules import AggregationConfig, Rule
from steelyard.errors import ConfigError, ManifestError
from steelyard.jobs.manifest import InitialModel, Manifest, Shard, TrainingConfig
from steelyard.learning.job_setup import block_count_of, compose, write_initial, write_initial_from
from steelyard.learning.loaders.remote import download
from steelyard.operations.description import JobDescription
from steelyard.operations.row_sources import RowSource, row_source

FETCH_S = 60.0  # for a data manifest that is not in the local store


@dataclass(frozen=True, kw_only=True)
class PublishedJob:
    """A job's manifest and the files that it names, in the store."""

    manifest: Manifest
    cid: Cid
    files: tuple[Path, ...]


async def publish_job(
    description: JobDescription, store: ContentStore, scratch: Path, timeout_s: float = FETCH_S
) -> PublishedJob:
    """Put data, first model and manifest into the store.

    scratch: an existing folder for files.  timeout_s: for published data that is named by its CID.
    Raises ConfigError, ManifestError, ContentMissing, DiskFull.
    """
    if description.manifest:
        manifest, files = await asyncio.to_thread(_existing, description)
    else:
        found = await row_source(description, store, scratch, timeout_s)
        manifest, files = await asyncio.to_thread(_composed, description, found, scratch)
    for file in files:
        await store.add(file, pin_until=FOREVER)
    cid = await store.add_bytes(manifest.encode(), pin_until=FOREVER)
    return PublishedJob(manifest=manifest, cid=cid, files=files)


def _existing(description: JobDescription) -> tuple[Manifest, tuple[Path, ...]]:
    """A finished manifest and, of the files beside it, those that it names."""
    path = description.manifest or Path()
    try:
        manifest = Manifest.parse(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", remedy="give a manifest file"
        ) from error
    wanted = {manifest.initial.cid, *(shard.cid for shard in manifest.shards)}
    wanted |= {manifest.test.cid} if manifest.test else set()
    beside = [file for file in sorted(path.parent.iterdir()) if file.is_file() and file != path]
    found = {str(cid_of_path(file)): file for file in beside}
    if manifest.initial.cid not in found:
        raise ManifestError(
            f"no file beside {path.name} is its initial model {manifest.initial.cid}",
            remedy="put the state file into the same folder",
        )
    return manifest, tuple(file for cid, file in found.items() if cid in wanted)


def _composed(
    description: JobDescription, found: RowSource, scratch: Path
) -> tuple[Manifest, tuple[Path, ...]]:
    """Make the first model, and the manifest of it and the data."""
    first = scratch / "initial.state"
    root = _first_model(description, found, first)
    manifest = compose(
        name=description.name,
        recipe=found.recipe,
        architecture=found.architecture,
        step=_step(description, block_count_of(found.recipe, found.architecture)),
        membership=description.data.membership,
        shards=_members(description, found.shards),
        test=found.test,
        initial=InitialModel(cid=str(cid_of_path(first)), root=root),
        training=_training(description),
    )
    return manifest, (*found.files, first)


def _first_model(description: JobDescription, found: RowSource, target: Path) -> bytes:
    """Write it as a state file; returns its root. Raises ConfigError, FormatError, QuantizeError."""
    where = description.initial
    if not where:
        return write_initial(found.recipe, found.architecture, description.initial_seed, target)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        path = download(where, Path(scratch)) if "://" in where else description.folder / where
        if not path.is_file():
            raise ConfigError(f"there is no file {where}", remedy="name one .safetensors file of the model")
        return write_initial_from(path, found.recipe, found.architecture, target)


def _members(description: JobDescription, shards: Sequence[Shard]) -> Sequence[Shard]:
    chosen = description.data
    if chosen.membership == "open":
        return []
    if chosen.membership != "invitations":
        return shards
    if len(chosen.invited) != len(shards):
        raise ConfigError(
            f"{len(chosen.invited)} accounts are invited to {len(shards)} shards",
            remedy="list one account a shard in `invited`",
        )
    return [replace(shard, account=chosen.invited[shard.index].lower()) for shard in shards]


def _step(description: JobDescription, blocks: int) -> AggregationConfig:
    given = dict(description.step)
    unknown = sorted(set(given) - {"rule", "trim", "beta", "lr", "bound2"})
    if unknown:
        raise ConfigError(f"[step] has no key {', '.join(unknown)}", remedy="rule, trim, beta, lr and bound2")
    try:
        return AggregationConfig(
            block_count=blocks,
            encoding=Encoding.from_name(description.encoding),
            rule=Rule[str(given.get("rule", "fedavg")).upper().replace("-", "_")],
            trim=int(given.get("trim", 0)),
            beta=_fixed(given.get("beta", 0)),
            lr=_fixed(given.get("lr", 1)),
            bound2=int(given.get("bound2", 0)),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"[step] cannot be read: {error}", remedy="see docs/walkthrough.md") from error


def _fixed(value: Any) -> int:
    """A number in 16.16."""
    return round(float(value) * ONE)


def _training(description: JobDescription) -> TrainingConfig:
    known = TrainingConfig.__dataclass_fields__
    unknown = sorted(set(description.training) - set(known))
    if unknown:
        raise ConfigError(
            f"[training] has no key {', '.join(unknown)}", remedy=f"the keys are {', '.join(known)}"
        )
    values: dict[str, Any] = {
        key: str(value) if known[key].type == "str" else value for key, value in description.training.items()
    }
    return TrainingConfig(**values)  # ranges are checked when the manifest is composed
