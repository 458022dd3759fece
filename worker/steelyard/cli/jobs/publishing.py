"""From a description to published data and a manifest."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.blocks import Encoding
from steelyard.chain.programs import project_root
from steelyard.cli.jobs.description import MNIST, Description
from steelyard.content import FOREVER, Cid, ContentStore, cid_of_path
from steelyard.errors import ConfigError, ManifestError
from steelyard.learning import data as rows
from steelyard.learning.data import ShardFile
from steelyard.learning.job import block_count_of, compose, write_initial
from steelyard.learning.partition import dirichlet_partition, iid_partition
from steelyard.manifest import DataFile, Initial, Manifest, Shard, Training
from steelyard.numbers import ONE
from steelyard.rules import Rule, Step


@dataclass(frozen=True, kw_only=True)
class Published:
    """A job's manifest and the files that it names, ready to be handed out."""

    manifest: Manifest
    cid: Cid
    files: tuple[Path, ...]


async def publish(description: Description, store: ContentStore, scratch: Path) -> Published:
    """Put data, first model and manifest into the store.

    scratch: an existing folder for files.  Raises ConfigError, ManifestError, DiskFull.
    """
    make = _existing if description.manifest else _composed
    manifest, files = await asyncio.to_thread(make, description, scratch)
    for file in files:
        await store.add(file, pin_until=FOREVER)
    cid = await store.add_bytes(manifest.encode(), pin_until=FOREVER)
    return Published(manifest=manifest, cid=cid, files=files)


def _existing(description: Description, _scratch: Path) -> tuple[Manifest, tuple[Path, ...]]:
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


def _composed(description: Description, scratch: Path) -> tuple[Manifest, tuple[Path, ...]]:
    """Partition the data, make the first model, and describe both."""
    shards, test = _data(description, scratch)
    architecture = description.architecture_or_default()
    first = scratch / "initial.state"
    root = write_initial(description.recipe, architecture, description.initial_seed, first)
    membership = description.data.membership
    manifest = compose(
        name=description.name,
        recipe=description.recipe,
        architecture=architecture,
        step=_step(description, block_count_of(description.recipe, architecture)),
        membership=membership,
        shards=_members(description, shards),
        test=DataFile(cid=str(cid_of_path(test.path)), rows=test.rows, size=test.size) if test else None,
        initial=Initial(cid=str(cid_of_path(first)), root=root),
        training=_training(description),
    )
    files = [*(shard.path for shard in shards), *([test.path] if test else []), first]
    return manifest, tuple(files)


def _data(description: Description, scratch: Path) -> tuple[list[ShardFile], ShardFile | None]:
    chosen = description.data
    if chosen.source != MNIST:
        return _folder(description.folder / chosen.source, scratch)
    dataset = rows.load_mnist(project_root() / "node_modules")
    labels = dataset.train.labels
    if chosen.alpha > 0:
        parts = dirichlet_partition(labels, chosen.shards, alpha=chosen.alpha, seed=chosen.seed)
    else:
        parts = iid_partition(labels, chosen.shards, seed=chosen.seed)
    return rows.publish(dataset, parts, scratch)


def _folder(folder: Path, scratch: Path) -> tuple[list[ShardFile], ShardFile | None]:
    """Prepared data files, rewritten so that their bytes follow from their rows alone."""
    names = sorted(folder.glob("shard-*.safetensors"), key=lambda file: (len(file.name), file.name))
    if not names:
        raise ConfigError(
            f"{folder} has no shard-*.safetensors", remedy="write one a member: uint8 images and labels"
        )
    shards = [
        rows.write_rows(scratch / f"shard-{i}.safetensors", rows.read_rows(n)) for i, n in enumerate(names)
    ]
    test = folder / "test.safetensors"
    if not test.is_file():
        return shards, None
    return shards, rows.write_rows(scratch / "test.safetensors", rows.read_rows(test))


def _members(description: Description, shards: list[ShardFile]) -> list[Shard]:
    chosen = description.data
    if chosen.membership == "open":
        return []
    if chosen.membership == "invitations" and len(chosen.invited) != len(shards):
        raise ConfigError(
            f"{len(chosen.invited)} accounts are invited to {len(shards)} shards",
            remedy="list one account a shard in `invited`",
        )
    return [
        Shard(
            index=index,
            cid=str(cid_of_path(shard.path)),
            weight=shard.weight,
            rows=shard.rows,
            size=shard.size,
            account=chosen.invited[index].lower() if chosen.membership == "invitations" else "",
        )
        for index, shard in enumerate(shards)
    ]


def _step(description: Description, blocks: int) -> Step:
    given = dict(description.step)
    unknown = sorted(set(given) - {"rule", "trim", "beta", "lr", "bound2"})
    if unknown:
        raise ConfigError(f"[step] has no key {', '.join(unknown)}", remedy="rule, trim, beta, lr and bound2")
    try:
        return Step(
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


def _training(description: Description) -> Training:
    known = Training.__dataclass_fields__
    unknown = sorted(set(description.training) - set(known))
    if unknown:
        raise ConfigError(
            f"[training] has no key {', '.join(unknown)}", remedy=f"the keys are {', '.join(known)}"
        )
    values: dict[str, Any] = {
        key: str(value) if known[key].type == "str" else value for key, value in description.training.items()
    }
    return Training(**values)  # its reader checks the ranges, once composed
