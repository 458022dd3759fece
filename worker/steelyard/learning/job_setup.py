"""Composing a job's manifest and initial model, and checking a manifest against its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steelyard.core.rules import AggregationConfig
from steelyard.core.state_file import write_state
from steelyard.errors import ManifestError
from steelyard.jobs.manifest import DataFile, InitialModel, Manifest, Shard, TensorSpec, TrainingConfig
from steelyard.learning.data import Rows
from steelyard.learning.recipes import recipe_named
from steelyard.learning.recipes.base import Architecture
from steelyard.learning.safetensors_file import read_tensors
from steelyard.learning.vector import blocks_of, flatten

DEMO_TRAINING = TrainingConfig(batch_size=64, learning_rate="0.08", round_decay="0.7")
"""For six rounds on four Dirichlet(0.5) shards; benchmarks/README.md has the accuracy."""


def tensor_specs(recipe: str, architecture: Architecture) -> tuple[TensorSpec, ...]:
    """The tensors of a recipe's architecture. Raises TrainingError if the recipe does not take it."""
    return recipe_named(recipe).layout(architecture)


def block_count_of(recipe: str, architecture: Architecture) -> int:
    """The number of blocks of such a model, which the job's step contains."""
    return blocks_of(tensor_specs(recipe, architecture))


def write_initial(recipe: str, architecture: Architecture, seed: int, target: Path) -> bytes:
    """Write the initial model as a state file; a seed gives the same file anywhere. Returns its root."""
    specs = tensor_specs(recipe, architecture)
    values = flatten(recipe_named(recipe).initial(architecture, seed), specs)
    return write_state(target, values, blocks_of(specs))


def write_initial_from(source: Path, recipe: str, architecture: Architecture, target: Path) -> bytes:
    """Write a safetensors file's tensors as the initial model's state file. Returns its root.

    Raises FormatError for other files, QuantizeError for a tensor that is missing, of another shape, or not
    finite.
    """
    specs = tensor_specs(recipe, architecture)
    return write_state(target, flatten(read_tensors(source), specs), blocks_of(specs))


def compose(
    *,
    name: str,
    recipe: str,
    architecture: Architecture,
    step: AggregationConfig,
    membership: str,
    shards: Sequence[Shard],
    test: DataFile | None,
    initial: InitialModel,
    training: TrainingConfig,
) -> Manifest:
    """A manifest of these parts, checked as one from another party. Raises ManifestError, TrainingError."""
    manifest = Manifest(
        name=name,
        recipe=recipe,
        architecture=architecture,
        tensors=tensor_specs(recipe, architecture),
        step=step,
        membership=membership,
        shards=tuple(shards),
        test=test,
        initial=initial,
        training=training,
    )
    return Manifest.parse(manifest.encode())


def check_rows(manifest: Manifest, rows: Rows) -> None:
    """Raise TrainingError unless the recipe takes these rows."""
    recipe_named(manifest.recipe).input_spec(manifest.architecture).check(rows)


def check_recipe(manifest: Manifest) -> None:
    """Check that this version has the recipe and that it makes exactly the manifest's tensors.

    Raises TrainingError for an unknown recipe or an architecture that it refuses, ManifestError for other
    tensors.
    """
    expected = tensor_specs(manifest.recipe, manifest.architecture)
    if expected == manifest.tensors:
        return
    for own, listed in zip(expected, manifest.tensors, strict=False):
        if own != listed:
            raise ManifestError(
                f"the manifest lists {listed}, the recipe {manifest.recipe} makes {own}",
                remedy="do not join",
            )
    raise ManifestError(
        f"the manifest lists {len(manifest.tensors)} tensors, "
        f"the recipe {manifest.recipe} makes {len(expected)}",
        remedy="do not join",
    )
