"""A recipe and a loader are added with one table entry and their own file; docs/architecture.md says how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from steelyard.core.encodings import Encoding
from steelyard.core.rules import AggregationConfig
from steelyard.errors import ConfigError, ManifestError, TrainingError
from steelyard.jobs.manifest import InitialModel, Manifest, TrainingConfig
from steelyard.jobs.tensor_spec import TensorSpec
from steelyard.learning import job_setup
from steelyard.learning.child import learner_of
from steelyard.learning.data import Kind, Rows
from steelyard.learning.loaders import Scan, SourceOptions, catalog, open_source
from steelyard.learning.loaders.source import Loader
from steelyard.learning.recipes import RECIPES, recipe_named
from steelyard.learning.recipes.base import (
    NO_ARCHITECTURE,
    Architecture,
    Evaluated,
    InputSpec,
    Options,
    Report,
    Trained,
    Weights,
)
from steelyard.learning.recipes.defaults import architecture_for, recipe_for
from steelyard.learning.recipes.layout import layout_of, refused, uniform
from steelyard.learning.running_stats import RunningStats
from support import jobs


class Linear:
    """A recipe, which would be a file of its own: one linear layer over columns."""

    name = "linear"
    kind = Kind.FEATURES
    learner = f"{__name__}:LinearLearner"
    training: Mapping[str, Any] = {"batch_size": 4}
    default_architecture = NO_ARCHITECTURE

    def layout(self, architecture: Architecture) -> tuple[TensorSpec, ...]:
        spec = self.input_spec(architecture)
        return layout_of(self.name, [("weight", (spec.classes, *spec.shape)), ("bias", (spec.classes,))])

    def initial(self, architecture: Architecture, seed: int) -> Weights:
        return uniform(self.layout(architecture), seed)

    def input_spec(self, architecture: Architecture) -> InputSpec:
        columns, classes = architecture.get("columns"), architecture.get("classes")
        if not isinstance(columns, int) or not isinstance(classes, int) or len(architecture) != 2:
            raise refused(self.name, f"keys {sorted(architecture)}", "columns and classes")
        return InputSpec(kind=self.kind, shape=(columns,), classes=classes)

    def suggest(self, rows: InputSpec, _stats: RunningStats) -> Architecture:
        return {"columns": rows.shape[0], "classes": rows.classes}


class LinearLearner:
    """Its torch side, which would be another file."""

    def __init__(self, architecture: Architecture) -> None:
        self._input_spec = Linear().input_spec(architecture)

    def train(self, weights: Weights, rows: Rows, _options: Options, _report: Report) -> Trained:
        self._input_spec.check(rows)
        return Trained(weights=weights, steps=1, rows=len(rows), loss=0.0)

    def evaluate(self, _weights: Weights, rows: Rows, _report: Report) -> Evaluated:
        return Evaluated(rows=len(rows), correct=0, loss=0.0)


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the one entry, before the others."""
    others = dict(RECIPES)
    table: dict[str, Any] = RECIPES  # type: ignore[assignment]
    for name in others:
        monkeypatch.delitem(table, name)
    for name, recipe in {"linear": Linear(), **others}.items():
        monkeypatch.setitem(table, name, recipe)


class Counting:
    """A source of n rows of one column, labelled by parity."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def scan(self) -> Scan:
        labels = (np.arange(self._rows) % 2).astype(np.uint8)
        return Scan(kind=Kind.FEATURES, shape=(1,), names=("even", "odd"), labels=labels)

    def batches(self, *, test: bool = False) -> Iterator[NDArray[Any]]:
        if not test:
            yield np.arange(self._rows, dtype=np.float32)[:, None]


def _count(where: str, _options: SourceOptions, _scratch: Path) -> Counting | None:
    return Counting(int(where.removeprefix("count:"))) if where.startswith("count:") else None


def _count_file(path: Path, _options: SourceOptions) -> Counting | None:
    return Counting(len(path.read_bytes())) if path.suffix == ".count" else None


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the one entry."""
    loader = Loader(
        by_name=_count,
        by_path=_count_file,
        example="count:10",
        suffixes=(".count",),
        repository_suffixes=(".count",),
    )
    monkeypatch.setattr(catalog, "LOADERS", (*catalog.LOADERS, loader))


@pytest.mark.usefixtures("linear")
class TestRecipe:
    def test_its_architecture_makes_tensors_and_initial_weights(self, tmp_path: Path) -> None:
        architecture = {"columns": 3, "classes": 2}
        shapes = [(spec.name, spec.shape) for spec in job_setup.tensor_specs("linear", architecture)]
        assert shapes == [("weight", (2, 3)), ("bias", (2,))]
        assert len(job_setup.write_initial("linear", architecture, 1, tmp_path / "state")) == 32
        with pytest.raises(TrainingError, match="linear does not take keys"):
            job_setup.tensor_specs("linear", {})

    def test_it_is_suggested_for_rows_of_its_kind(self) -> None:
        scan, stats = Counting(4).scan(), RunningStats(Kind.FEATURES, (1,))
        assert recipe_for(scan.kind).name == "linear"
        assert architecture_for(scan, stats) == {"columns": 1, "classes": 2}
        assert recipe_named("linear").training == {"batch_size": 4}

    def test_a_manifest_that_names_it_is_checked(self) -> None:
        manifest = _manifest()
        job_setup.check_recipe(manifest)
        job_setup.check_rows(
            manifest, Rows(np.zeros((2, 2), np.float32), np.zeros(2, np.uint8), Kind.FEATURES)
        )
        other = Manifest.parse(manifest.encode().replace(b'"bias"', b'"bios"'))
        with pytest.raises(ManifestError, match="the recipe linear makes"):
            job_setup.check_recipe(other)

    def test_the_training_process_finds_its_learner_by_name(self) -> None:
        learner = learner_of(recipe_named("linear"), {"columns": 1, "classes": 2})
        rows = Rows(np.zeros((3, 1), np.float32), np.zeros(3, np.uint8), Kind.FEATURES)
        assert learner.evaluate({}, rows, lambda *_: None).rows == 3


def _manifest() -> Manifest:
    architecture: Architecture = {"columns": 2, "classes": 2}
    return job_setup.compose(
        name="linear",
        recipe="linear",
        architecture=architecture,
        step=AggregationConfig(
            block_count=job_setup.block_count_of("linear", architecture), encoding=Encoding.BFP8
        ),
        membership="shards",
        shards=[jobs.shard(0)],
        test=None,
        initial=InitialModel(cid=jobs.cid_of("initial"), root=bytes(32)),
        training=TrainingConfig(),
    )


@pytest.mark.usefixtures("counting")
class TestLoader:
    @pytest.mark.parametrize("where", ["count:5", "five.count"])
    def test_its_sources_are_opened_by_name_and_by_path(self, tmp_path: Path, where: str) -> None:
        (tmp_path / "five.count").write_bytes(b"12345")
        text = where if ":" in where else str(tmp_path / where)
        with open_source(text, SourceOptions(), tmp_path) as source:
            assert source.scan().labels.tolist() == [0, 1, 0, 1, 0]
            assert np.concatenate(list(source.batches())).tolist() == [[0], [1], [2], [3], [4]]

    def test_error_messages_name_its_sources(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught, open_source(str(tmp_path / "none"), SourceOptions()):
            pass
        assert "count:10" in caught.value.remedy
        (tmp_path / "a.unknown").touch()
        with pytest.raises(ConfigError) as caught, open_source(str(tmp_path / "a.unknown"), SourceOptions()):
            pass
        assert ".count" in caught.value.remedy

    def test_its_files_are_fetched_from_repositories(self) -> None:
        assert ".count" in catalog.repository_suffixes()
