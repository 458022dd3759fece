"""The data manifest: published shards under one CID, before there is a job for them.

It names each shard's file with how many rows of each label it has, the test rows, and the recipe with the
architecture that fits: numbers that only the publisher could compute, like a column's mean. A job uses
it by `[data] source = "<its CID>"`. Like a job's manifest it is canonical JSON, and hostile input when read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.core.rules import MAX_WEIGHT
from steelyard.jobs import canonical_json
from steelyard.jobs.canonical_json import JsonNode
from steelyard.jobs.manifest import MAX_SHARDS, ArchitectureValue, Shard, read_architecture
from steelyard.jobs.membership import merkle_root
from steelyard.jobs.schema import MAX_FILE, MAX_ROWS, read_cid

VERSION = 1
MAX_BYTES = 16 << 20
MAX_LABELS = 256
MAX_COLUMNS = 4096

_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]{0,200}")
# One string, not a list: a document may have 2^18 values, and there may be 2^14 shards of 2^8 labels.
_COUNTS = re.compile(r"(0|[1-9][0-9]{0,9})( (0|[1-9][0-9]{0,9})){0,255}")
_ID = re.compile(r"[a-z][a-z0-9-]{0,63}")
_FIELDS = (
    "version",
    "source",
    "kind",
    "partition",
    "recipe",
    "architecture",
    "labels",
    "columns",
    "shards",
    "test",
)


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A published data file."""

    cid: str
    rows: int
    size: int  # bytes
    counts: tuple[int, ...]  # rows of each label

    @classmethod
    def read(cls, node: JsonNode, labels: int) -> PublishedFile:
        """Raises ManifestError if counts and rows disagree."""
        got = node.fields(("cid", "rows", "size", "counts"))
        rows = got["rows"].integer(1, MAX_ROWS)
        counts = tuple(map(int, got["counts"].text(_COUNTS, "numbers with spaces between").split(" ")))
        if len(counts) != labels or sum(counts) != rows:
            got["counts"].fail(f"does not divide {rows} rows among {labels} labels")
        return cls(cid=read_cid(got["cid"]), rows=rows, size=got["size"].integer(1, MAX_FILE), counts=counts)

    def json(self) -> dict[str, object]:
        return {
            "cid": self.cid,
            "counts": " ".join(map(str, self.counts)),
            "rows": self.rows,
            "size": self.size,
        }


@dataclass(frozen=True, kw_only=True)
class DataManifest:
    """Data published by `steelyard data publish`."""

    source: str  # as a person named it, for people
    kind: str  # images, features or texts
    partition: str  # for people
    recipe: str
    architecture: Mapping[str, ArchitectureValue]
    labels: tuple[str, ...]  # by class number
    columns: tuple[str, ...]  # of features, in order; else empty
    shards: tuple[PublishedFile, ...]
    test: PublishedFile | None

    @classmethod
    def parse(cls, data: bytes) -> DataManifest:
        """Read canonical bytes. Raises ManifestError, naming the field, for anything else."""
        got = canonical_json.load(data, what="data manifest", max_bytes=MAX_BYTES).fields(_FIELDS)
        got["version"].integer(VERSION, VERSION)
        labels = _names(got["labels"], MAX_LABELS)
        shards = tuple(PublishedFile.read(item, len(labels)) for item in got["shards"].items(MAX_SHARDS))
        if not shards:
            got["shards"].fail("is empty")
        return cls(
            source=got["source"].text(_TEXT, "a printable name"),
            kind=got["kind"].choice(("images", "features", "texts")),
            partition=got["partition"].text(_TEXT, "a printable name"),
            recipe=got["recipe"].text(_ID, "the name of a recipe"),
            architecture=read_architecture(got["architecture"]),
            labels=labels,
            columns=_names(got["columns"], MAX_COLUMNS),
            shards=shards,
            test=None if got["test"].value is None else PublishedFile.read(got["test"], len(labels)),
        )

    def encode(self) -> bytes:
        """The canonical bytes, which the CID is computed from."""
        architecture = {k: list(v) if isinstance(v, tuple) else v for k, v in self.architecture.items()}
        return canonical_json.dump(
            {
                "version": VERSION,
                "source": self.source,
                "kind": self.kind,
                "partition": self.partition,
                "recipe": self.recipe,
                "architecture": architecture,
                "labels": list(self.labels),
                "columns": list(self.columns),
                "shards": [shard.json() for shard in self.shards],
                "test": self.test.json() if self.test else None,
            }
        )

    def members(self) -> list[Shard]:
        """The shards as a job by shards lists them; a shard weighs its rows."""
        return [
            Shard(index=i, cid=s.cid, weight=min(s.rows, MAX_WEIGHT), rows=s.rows, size=s.size)
            for i, s in enumerate(self.shards)
        ]

    def root(self) -> bytes:
        """The member root of a job by shards of exactly these."""
        return merkle_root([shard.leaf() for shard in self.members()])


def _names(node: JsonNode, most: int) -> tuple[str, ...]:
    names = tuple(item.text(_TEXT, "a printable name") for item in node.items(most))
    if len(set(names)) != len(names):
        node.fail("has a name twice")
    return names
