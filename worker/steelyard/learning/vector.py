"""Conversion between named float tensors and the weight vector (protocol.md section 1).

The vector is the tensors in the manifest's order, flattened in C order, concatenated and quantized to int32,
then padded with zeros to a multiple of 32. A state file holds it big-endian; a safetensors file holds floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from steelyard.core.kernels.arrays import Float32, Int32
from steelyard.core.numbers import BLOCK_VALUES, STATE_BLOCK, block_count, dequantize, quantize
from steelyard.core.state_file import open_state
from steelyard.errors import FormatError, QuantizeError
from steelyard.jobs.manifest import TensorSpec
from steelyard.learning.safetensors_file import read_tensors, write_stream
from steelyard.util.atomic import atomic


def flatten(tensors: Mapping[str, Float32], specs: Sequence[TensorSpec]) -> Int32:
    """The weight vector of these tensors: (block count * 32,).

    Raises QuantizeError, naming the tensor, for a NaN, an infinity, a missing tensor or another shape.
    """
    values = np.zeros(blocks_of(specs) * BLOCK_VALUES, np.int32)
    start = 0
    for spec in specs:
        values[start : start + spec.size] = quantize(_checked(tensors, spec), spec.scale_bits, spec.name)
        start += spec.size
    return values


def unflatten(values: Int32, specs: Sequence[TensorSpec]) -> dict[str, Float32]:
    """The float tensors of a weight vector (block count * 32,). Raises FormatError for another size."""
    if values.shape != (blocks_of(specs) * BLOCK_VALUES,):
        raise FormatError(
            f"{values.shape} values for {len(specs)} tensors that fill {blocks_of(specs)} blocks",
            remedy="check that the model belongs to this job",
        )
    tensors, start = {}, 0
    for spec in specs:
        flat = dequantize(values[start : start + spec.size], spec.scale_bits, spec.name)
        tensors[spec.name] = flat.reshape(spec.shape)
        start += spec.size
    return tensors


def state_to_safetensors(state: Path, target: Path, specs: Sequence[TensorSpec]) -> None:
    """Write a state file's floats as safetensors, a tensor at a time; the same state gives the same bytes.

    Raises FormatError if the state file does not have the length of these tensors.
    """
    values = open_state(state, blocks_of(specs)).data.view(">i4")

    def floats() -> Iterator[Float32]:
        start = 0
        for spec in specs:
            yield dequantize(values[start : start + spec.size], spec.scale_bits, spec.name)
            start += spec.size

    write_stream(target, [(spec.name, "F32", spec.shape) for spec in specs], floats())


def safetensors_to_state(source: Path, target: Path, specs: Sequence[TensorSpec]) -> None:
    """Write the weight vector of a safetensors file as a state file, which appears when it is complete.

    Raises QuantizeError as `flatten` does, FormatError for a file that is not safetensors.
    """
    tensors = read_tensors(source)
    with atomic(target) as file:
        for spec in specs:
            values = quantize(_checked(tensors, spec), spec.scale_bits, spec.name)
            file.write(values.astype(">i4").data)
        file.truncate(blocks_of(specs) * STATE_BLOCK)


def blocks_of(specs: Sequence[TensorSpec]) -> int:
    """The number of blocks that these tensors fill."""
    return block_count(sum(spec.size for spec in specs))


def _checked(tensors: Mapping[str, Float32], spec: TensorSpec) -> Float32:
    values = tensors.get(spec.name)
    if values is None or values.shape != spec.shape or values.dtype != np.float32:
        found = "missing" if values is None else f"{values.dtype} {values.shape}"
        raise QuantizeError(
            f"tensor {spec.name!r} is {found}, not float32 {spec.shape}",
            remedy="use the recipe and the architecture of the job's manifest",
        )
    return values
