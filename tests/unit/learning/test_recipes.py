"""Recipes without torch: layouts and initial weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.errors import ManifestError, TrainingError
from steelyard.jobs.manifest import Manifest
from steelyard.learning import job_setup
from steelyard.learning.recipes import recipe_named
from steelyard.learning.recipes.image_cnn import MNIST_ARCHITECTURE
from steelyard.learning.recipes.tabular import TabularArchitecture, decimal
from support import jobs


def test_the_demos_net_has_13242_parameters() -> None:
    assert sum(spec.size for spec in job_setup.tensor_specs("image-cnn", MNIST_ARCHITECTURE)) == 13_242


def test_the_net_takes_small_colour_images() -> None:
    colour = {**MNIST_ARCHITECTURE, "channels": 3, "height": 32, "width": 32}
    shapes = {spec.name: spec.shape for spec in job_setup.tensor_specs("image-cnn", colour)}
    assert shapes["conv1.weight"] == (16, 12, 3, 3)
    assert shapes["linear.weight"] == (10, 32 * 6 * 6)


@pytest.mark.parametrize(
    "change",
    [
        {"channels": 0},
        {"height": 11},
        {"width": "28"},
        {"classes": 257},
        {"deviation": 0},
        {"filters": (16,)},
        {"filters": (16, 0)},
        {"filters": 16},
        {"unknown": 1},
        {"height": 512, "width": 512, "filters": (1024, 1024), "classes": 256},
    ],
)
def test_an_architecture_out_of_range_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="image-cnn does not take"):
        job_setup.tensor_specs("image-cnn", {**MNIST_ARCHITECTURE, **change})


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="image-cnn"):
        recipe_named("os.system")


def test_a_seed_gives_the_same_initial_model_on_every_machine(tmp_path: Path) -> None:
    """The root is in the job: if this fails, nobody can rebuild round 0 of a published one from its seed."""
    root = job_setup.write_initial("image-cnn", MNIST_ARCHITECTURE, 1, tmp_path / "state")
    assert hashlib.sha256((tmp_path / "state").read_bytes()).hexdigest()[:16] == "cf630fe92e45acbd"
    assert root != job_setup.write_initial("image-cnn", MNIST_ARCHITECTURE, 2, tmp_path / "other")


def test_a_manifest_with_other_tensors_than_its_recipe_makes_is_refused() -> None:
    data = jobs.manifest().encode().replace(b'"scale_bits":24', b'"scale_bits":23', 1)
    with pytest.raises(ManifestError, match=r"conv1\.weight"):
        job_setup.check_recipe(Manifest.parse(data))


def test_a_manifest_with_an_unknown_recipe_is_refused() -> None:
    data = jobs.manifest().encode().replace(b'"image-cnn"', b'"image-rnn"')
    with pytest.raises(TrainingError, match="image-rnn"):
        job_setup.check_recipe(Manifest.parse(data))


TABLE: dict[str, Any] = {
    "columns": 2,
    "classes": 3,
    "hidden": (4,),
    "mean": ("0.5", "-1e-05"),
    "deviation": ("1.5", "2"),
}
WORDS: dict[str, Any] = {"length": 32, "classes": 2, "ngram": 4, "buckets": 64, "width": 8}


def test_a_perceptron_has_a_layer_more_than_hidden_ones() -> None:
    shapes = {
        spec.name: spec.shape for spec in job_setup.tensor_specs("tabular", {**TABLE, "hidden": (5, 4)})
    }
    assert shapes == {
        "linear1.weight": (5, 2), "linear1.bias": (5,), "linear2.weight": (4, 5), "linear2.bias": (4,),
        "linear3.weight": (3, 4), "linear3.bias": (3,),
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"columns": 0},
        {"columns": 3},
        {"columns": "2"},
        {"classes": 1},
        {"hidden": ()},
        {"hidden": 4},
        {"hidden": ("4",)},
        {"hidden": (1 << 20,)},
        {"hidden": (1 << 14, 1 << 14)},
        {"mean": (1, 2)},
        {"mean": ("1",)},
        {"mean": ("1", "nan")},
        {"mean": ("1", "1e99x")},
        {"deviation": ("1", "0")},
        {"deviation": ("1", "-2")},
        {"unknown": 1},
    ],
)
def test_tables_that_the_recipe_does_not_take_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="tabular does not take"):
        job_setup.tensor_specs("tabular", {**TABLE, **change})


@pytest.mark.parametrize(
    "change",
    [
        *({"length": 7}, {"classes": 257}, {"ngram": 0}, {"buckets": 1 << 21}, {"width": (8,)}),
        *({"unknown": 1}, {"buckets": 1 << 20, "width": 1024}),
    ],
)
def test_texts_that_the_recipe_does_not_take_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="text does not take"):
        job_setup.tensor_specs("text", {**WORDS, **change})


@pytest.mark.parametrize(
    ("recipe", "architecture", "digest"),
    [("tabular", TABLE, "85fa1b326cf67a0c"), ("text", WORDS, "241cba647515b02f")],
)
def test_initial_weights_of_tables_and_texts_are_the_same_everywhere(
    tmp_path: Path, recipe: str, architecture: dict[str, Any], digest: str
) -> None:
    job_setup.write_initial(recipe, architecture, 1, tmp_path / "state")
    assert hashlib.sha256((tmp_path / "state").read_bytes()).hexdigest()[:16] == digest


def test_means_and_deviations_are_written_as_the_recipe_reads_them() -> None:
    for value in (0.0, -0.1, 1e-30, 3.4e38, 123456789.0, 1 / 3):
        (read, _) = TabularArchitecture.parse({**TABLE, "mean": (decimal(value), "0")}).mean
        assert np.float32(read) == np.float32(value)
