"""Safetensors: the package's format, a fixed order, and malformed files are refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from steelyard.errors import FormatError
from steelyard.learning.safetensors_file import read_tensors, write_stream, write_tensors

TENSORS: dict[str, NDArray[Any]] = {
    "zeta": np.arange(6, dtype=np.float32).reshape(2, 3),
    "alpha": np.array([7, 8, 9], np.uint8),
    "scalar": np.array(1.5, np.float32),
}


def write(path: Path, header: object, data: bytes = b"") -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


def entry(begin: int, end: int, shape: object = (1,), dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t", TENSORS)
    got = read_tensors(tmp_path / "t")
    assert list(got) == list(TENSORS)
    for name, values in TENSORS.items():
        assert got[name].dtype == values.dtype
        np.testing.assert_array_equal(got[name], values)


def test_the_safetensors_package_reads_what_we_write(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t", TENSORS)
    got = load_file(tmp_path / "t")
    assert sorted(got) == sorted(TENSORS)
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(got[name], values)


def test_we_read_what_the_safetensors_package_writes(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "t", metadata={"author": "somebody"})
    got = read_tensors(tmp_path / "t")
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(got[name], values)


def test_the_bytes_of_a_file_are_fixed(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t", {"w": np.array([1.0, -2.0], np.float32)})
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    header += b" " * (-len(header) % 8)
    expected = len(header).to_bytes(8, "little") + header + bytes.fromhex("0000803f000000c0")
    assert (tmp_path / "t").read_bytes() == expected


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (b"", b""),
        (b"{", b""),
        (b"[]", b""),
        (b"[" * 100_000, b""),
        ({"w": 1}, b""),
        ({"w": {"dtype": "F32"}}, b""),
        ({"w": entry(0, 4, dtype="F64")}, bytes(4)),
        ({"w": {**entry(0, 4), "dtype": ["F32"]}}, bytes(4)),
        ({"w": entry(0, 4, shape=[-1])}, bytes(4)),
        ({"w": entry(0, 4, shape=[True])}, bytes(4)),
        ({"w": entry(0, 4, shape=[1.0])}, bytes(4)),
        ({"w": entry(0, 4, shape="1")}, bytes(4)),
        ({"w": entry(0, 4, shape=[1] * 9)}, bytes(4)),
        ({"w": entry(0, 4, shape=[1 << 40, 1 << 40])}, bytes(4)),
        ({"w": entry(0, 4)}, bytes(3)),
        ({"w": entry(0, 4)}, bytes(5)),
        ({"w": entry(4, 8)}, bytes(8)),
        ({"w": entry(0, 4), "v": entry(0, 4)}, bytes(4)),
        ({"w": entry(0, 8)}, bytes(8)),
    ],
    ids=range(19),
)
def test_a_malformed_file_is_refused(tmp_path: Path, header: object, data: bytes) -> None:
    with pytest.raises(FormatError, match="not an acceptable safetensors file"):
        read_tensors(write(tmp_path / "t", header, data))


@pytest.mark.parametrize("raw", [b"", b"\0" * 7, (1 << 62).to_bytes(8, "little") + b"{}", b"\xff" * 9])
def test_an_impossible_header_length_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "t").write_bytes(raw)
    with pytest.raises(FormatError):
        read_tensors(tmp_path / "t")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 300), byte=st.integers(0, 255))
def test_any_changed_byte_is_read_or_refused(tmp_path: Path, position: int, byte: int) -> None:
    write_tensors(tmp_path / "t", TENSORS)
    raw = bytearray((tmp_path / "t").read_bytes())
    raw[position % len(raw)] = byte
    (tmp_path / "u").write_bytes(raw)
    with contextlib.suppress(FormatError):
        read_tensors(tmp_path / "u")


def test_another_tensor_than_laid_out_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="float64"):
        write_stream(tmp_path / "t", [("w", "F32", (2,))], [np.zeros(2)])
    assert not list(tmp_path.iterdir())


def test_mapped_tensors_are_read_only(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t", TENSORS)
    with pytest.raises(ValueError, match="read-only"):
        read_tensors(tmp_path / "t")["alpha"][0] = 1
