"""The manifest: a job's description in canonical JSON under one CID (protocol.md section 9).

A manifest is hostile input: `Manifest.parse` bounds its bytes, depth, counts and every number.
`check_against_chain` compares the fields that the contracts hold too; nobody joins a job that fails it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from steelyard.core.numbers import BLOCK_VALUES, MAX_BLOCKS, block_count
from steelyard.core.rules import AggregationConfig
from steelyard.errors import ManifestError
from steelyard.jobs import canonical_json
from steelyard.jobs import membership as merkle
from steelyard.jobs.canonical_json import JsonNode
from steelyard.jobs.schema import (
    DataFile,
    InitialModel,
    Shard,
    TrainingConfig,
    read_step,
    step_json,
)
from steelyard.jobs.tensor_spec import TensorSpec

__all__ = [
    "MEMBERSHIPS",
    "VERSION",
    "ArchitectureValue",
    "DataFile",
    "InitialModel",
    "JobFacts",
    "Manifest",
    "Shard",
    "TensorSpec",
    "TrainingConfig",
]

VERSION = 1
MEMBERSHIPS = ("open", "shards", "invitations")
MAX_SHARDS = 1 << 14
MAX_TENSORS = 1 << 12
MAX_LIST = 1 << 12  # elements of one list in an architecture

# Titles are shown in terminals and logs: no control characters, no line or direction marks.
_TITLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]{1,100}")
_ID = re.compile(r"[a-z][a-z0-9-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FIELDS = (
    *("version", "name", "recipe", "architecture", "tensors", "step"),
    *("membership", "shards", "test", "initial", "training"),
)

ArchitectureValue = int | str | tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """A job's fields on chain, to compare a manifest with."""

    step: AggregationConfig
    membership: str
    member_root: bytes  # 32 zero bytes in an open job
    state_root: bytes  # of the model that the first round starts from


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A job as its sponsor describes it. Only `parse` checks it: encode and parse one built by hand."""

    version: int = VERSION
    name: str
    recipe: str
    architecture: Mapping[str, ArchitectureValue]
    tensors: tuple[TensorSpec, ...]
    step: AggregationConfig  # with encoding and block count
    membership: str
    shards: tuple[Shard, ...]
    test: DataFile | None
    initial: InitialModel
    training: TrainingConfig

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read canonical bytes. Raises ManifestError, naming the field, for anything else."""
        got = canonical_json.load(data, what="manifest").fields(_FIELDS)
        step = read_step(got["step"])
        membership = got["membership"].choice(MEMBERSHIPS)
        return cls(
            version=got["version"].integer(VERSION, VERSION),
            name=got["name"].text(_TITLE, "a printable title of at most 100 characters"),
            recipe=got["recipe"].text(_ID, "the name of a recipe"),
            architecture=read_architecture(got["architecture"]),
            tensors=_read_tensors(got["tensors"], step.block_count),
            step=step,
            membership=membership,
            shards=_read_shards(got["shards"], membership),
            test=None if got["test"].value is None else DataFile.read(got["test"]),
            initial=InitialModel.read(got["initial"]),
            training=TrainingConfig.read(got["training"]),
        )

    def encode(self) -> bytes:
        """The canonical bytes, which the manifest's CID is computed from."""
        return canonical_json.dump(
            {
                "version": self.version,
                "name": self.name,
                "recipe": self.recipe,
                "architecture": {
                    k: list(v) if isinstance(v, tuple) else v for k, v in self.architecture.items()
                },
                "tensors": [spec.json() for spec in self.tensors],
                "step": step_json(self.step),
                "membership": self.membership,
                "shards": [shard.json() for shard in self.shards],
                "test": self.test.json() if self.test else None,
                "initial": self.initial.json(),
                "training": self.training.json(),
            }
        )

    def member_root(self) -> bytes:
        """The Merkle root over shards or invitations that the chain must hold; zeros in an open job."""
        return merkle.merkle_root([shard.leaf() for shard in self.shards])

    def member_proof(self, position: int) -> list[bytes]:
        """The proof for the shard at `position` that joining takes. Raises ManifestError beyond the list."""
        return merkle.merkle_proof([shard.leaf() for shard in self.shards], position)

    def shard_of(self, account: str) -> Shard:
        """The invitation of an account. Raises ManifestError if it has none."""
        for shard in self.shards:
            if shard.account and shard.account == account.lower():
                return shard
        raise ManifestError(
            f"{account} is not invited to {self.name!r}", remedy="ask the sponsor for an invitation"
        )

    def check_against_chain(self, facts: JobFacts) -> None:
        """Raise ManifestError at the first field that differs from the chain, with both values."""
        for field, ours, theirs in self._comparisons(facts):
            if ours != theirs:
                raise ManifestError(
                    f"the manifest says {field} = {ours}, the chain says {theirs}",
                    remedy="do not join: the chain's value counts, and only a new job can fix it",
                )

    def _comparisons(self, facts: JobFacts) -> list[tuple[str, object, object]]:
        ours, theirs = step_json(self.step), step_json(facts.step)
        return [
            *((f"step.{name}", value, theirs[name]) for name, value in ours.items()),
            ("membership", self.membership, facts.membership),
            ("member_root", "0x" + self.member_root().hex(), "0x" + facts.member_root.hex()),
            ("initial.root", "0x" + self.initial.root.hex(), "0x" + facts.state_root.hex()),
        ]


def read_architecture(node: JsonNode) -> Mapping[str, ArchitectureValue]:
    """Free keys with integers, words or lists of them; the recipe gives their meaning."""
    values: dict[str, ArchitectureValue] = {}
    for name, inner in node.pairs(32):
        JsonNode(name, f"{node.path} key").text(_WORD, "a word")
        if isinstance(inner.value, list):
            values[name] = tuple(_read_scalar(item) for item in inner.items(MAX_LIST))
        else:
            values[name] = _read_scalar(inner)
    return MappingProxyType(values)


def _read_scalar(node: JsonNode) -> int | str:
    if isinstance(node.value, str):
        return node.text(_WORD, "a word")
    return node.integer(0, 2**31 - 1)


def _read_tensors(node: JsonNode, count: int) -> tuple[TensorSpec, ...]:
    specs = tuple(TensorSpec.read(item, count * BLOCK_VALUES) for item in node.items(MAX_TENSORS))
    if len({spec.name for spec in specs}) != len(specs):
        node.fail("names a tensor twice")
    values = sum(spec.size for spec in specs)
    if not specs or block_count(min(values, MAX_BLOCKS * BLOCK_VALUES)) != count:
        node.fail(f"has {values} values, which do not fill exactly {count} blocks of {BLOCK_VALUES}")
    return specs


def _read_shards(node: JsonNode, membership: str) -> tuple[Shard, ...]:
    invited = membership == "invitations"
    shards = tuple(Shard.read(item, i, invited=invited) for i, item in enumerate(node.items(MAX_SHARDS)))
    if (membership == "open") != (not shards):
        node.fail(f"lists {len(shards)} members in a job of membership {membership!r}")
    if invited and len({shard.account for shard in shards}) != len(shards):
        node.fail("invites an account twice")
    return shards
