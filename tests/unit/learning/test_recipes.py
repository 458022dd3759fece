"""Recipes without torch: layouts and first weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from steelyard.errors import ManifestError, TrainingError
from steelyard.learning import job
from steelyard.learning.recipes import recipe_named
from steelyard.manifest import Manifest
from support import jobs


def test_the_demos_net_has_13242_parameters() -> None:
    assert sum(spec.size for spec in job.tensor_specs("image-cnn", job.DEMO_ARCHITECTURE)) == 13_242


def test_the_net_takes_small_colour_images() -> None:
    colour = {**job.DEMO_ARCHITECTURE, "channels": 3, "height": 32, "width": 32}
    shapes = {spec.name: spec.shape for spec in job.tensor_specs("image-cnn", colour)}
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
        job.tensor_specs("image-cnn", {**job.DEMO_ARCHITECTURE, **change})


def test_an_unknown_recipe_names_those_that_there_are() -> None:
    with pytest.raises(TrainingError, match="image-cnn"):
        recipe_named("os.system")


def test_a_seed_gives_its_first_model_on_every_machine(tmp_path: Path) -> None:
    """The root is in the job: if this fails, nobody can rebuild round 0 of a published one from its seed."""
    root = job.write_initial("image-cnn", job.DEMO_ARCHITECTURE, 1, tmp_path / "state")
    assert hashlib.sha256((tmp_path / "state").read_bytes()).hexdigest()[:16] == "cf630fe92e45acbd"
    assert root != job.write_initial("image-cnn", job.DEMO_ARCHITECTURE, 2, tmp_path / "other")


def test_a_manifest_with_other_tensors_than_its_recipe_makes_is_refused() -> None:
    data = jobs.manifest().encode().replace(b'"scale_bits":24', b'"scale_bits":23', 1)
    with pytest.raises(ManifestError, match=r"conv1\.weight"):
        job.check_recipe(Manifest.parse(data))


def test_a_manifest_with_an_unknown_recipe_is_refused() -> None:
    data = jobs.manifest().encode().replace(b'"image-cnn"', b'"image-rnn"')
    with pytest.raises(TrainingError, match="image-rnn"):
        job.check_recipe(Manifest.parse(data))
