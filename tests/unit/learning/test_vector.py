"""Conversion of tensors to the weight vector and back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from steelyard.core.kernels.arrays import Float32
from steelyard.core.state_file import open_state, write_state
from steelyard.errors import FormatError, QuantizeError
from steelyard.jobs.manifest import TensorSpec
from steelyard.learning.vector import (
    flatten,
    safetensors_to_state,
    state_to_safetensors,
    unflatten,
)

SPECS = (
    TensorSpec(name="w", shape=(5, 7), scale_bits=24),
    TensorSpec(name="b", shape=(3,), scale_bits=10),
)


def tensors() -> dict[str, Float32]:
    random = np.random.RandomState(1)
    return {"w": random.randn(5, 7).astype(np.float32), "b": random.randn(3).astype(np.float32)}


def test_tensors_are_joined_in_the_manifests_order_and_padded_with_zeros() -> None:
    values = flatten(dict(reversed(tensors().items())), SPECS)
    assert values.shape == (64,)
    assert values[0] == np.rint(np.float64(tensors()["w"][0, 0]) * 2**24)
    assert values[35] == np.rint(np.float64(tensors()["b"][0]) * 2**10)
    assert not values[38:].any()


def test_integers_up_to_24_bits_survive_conversion_to_floats_and_back() -> None:
    values = np.zeros(64, np.int32)
    values[:38] = np.random.RandomState(2).randint(-(2**24), 2**24, 38)
    np.testing.assert_array_equal(flatten(unflatten(values, SPECS), SPECS), values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_names_its_tensor(bad: float) -> None:
    broken = tensors()
    broken["b"][1] = bad
    with pytest.raises(QuantizeError, match=r"b\[1\]"):
        flatten(broken, SPECS)


def test_a_missing_or_misshapen_tensor_is_named() -> None:
    with pytest.raises(QuantizeError, match="'b' is missing"):
        flatten({"w": tensors()["w"]}, SPECS)
    with pytest.raises(QuantizeError, match=r"'w' is float32 \(7, 5\)"):
        flatten({**tensors(), "w": tensors()["w"].T}, SPECS)
    with pytest.raises(QuantizeError, match="'b' is float64"):
        flatten({**tensors(), "b": np.zeros(3)}, SPECS)  # type: ignore[dict-item]


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(FormatError, match="fill 2 blocks"):
        unflatten(np.zeros(32, np.int32), SPECS)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=38, max_size=38))
def test_a_state_files_floats_are_those_of_its_vector(tmp_path: Path, values: list[int]) -> None:
    write_state(tmp_path / "state", np.array(values, np.int32), 2)
    state_to_safetensors(tmp_path / "state", tmp_path / "model", SPECS)
    expected = unflatten(open_state(tmp_path / "state", 2).values(), SPECS)
    got = load_file(tmp_path / "model")
    for name, array in expected.items():
        assert got[name].tobytes() == array.tobytes()


def test_the_same_state_gives_the_same_model_file(tmp_path: Path) -> None:
    write_state(tmp_path / "state", flatten(tensors(), SPECS), 2)
    for name in ("a", "b"):
        state_to_safetensors(tmp_path / "state", tmp_path / name, SPECS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_model_file_becomes_the_state_file_of_its_vector(tmp_path: Path) -> None:
    write_state(tmp_path / "state", flatten(tensors(), SPECS), 2)
    state_to_safetensors(tmp_path / "state", tmp_path / "model", SPECS)
    safetensors_to_state(tmp_path / "model", tmp_path / "again", SPECS)
    expected = flatten(unflatten(open_state(tmp_path / "state", 2).values(), SPECS), SPECS)
    np.testing.assert_array_equal(open_state(tmp_path / "again", 2).values(), expected)


def test_a_short_state_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(bytes(255))
    with pytest.raises(FormatError, match="255 bytes"):
        state_to_safetensors(tmp_path / "state", tmp_path / "model", SPECS)


def test_the_parents_side_of_learning_never_imports_torch() -> None:
    code = (
        "import sys, steelyard.learning.trainer, steelyard.learning.partition, steelyard.jobs.manifest\n"
        "from steelyard.learning import job_setup\n"
        "from steelyard.learning.recipes.image_cnn import MNIST_ARCHITECTURE\n"
        "job_setup.tensor_specs('image-cnn', MNIST_ARCHITECTURE)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
