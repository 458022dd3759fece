"""The compiled kernels and the NumPy ones give the same bits; they load lazily, and their cache is safe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from Crypto.Hash import keccak

from steelyard.core import kernels
from steelyard.core.kernels import Kernels, compiled, fallback, jit
from steelyard.core.rules import sorting_network
from steelyard.errors import ConfigError


@pytest.mark.parametrize(
    "size", [8, 17, 33, 64, 88, 127, 128, 134, 135, 136, 137, 271, 272, 273, 32 * 34, 32 * 260]
)
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 24])
def test_hash_items_is_keccak_256_of_prefix_and_item(core: Kernels, size: int, count: int) -> None:
    rng = np.random.default_rng(size)
    data = rng.integers(0, 256, 5 + count * size, dtype=np.uint8)
    where = rng.permutation(count + 3)[:count].astype(np.int64)
    out = np.full((count + 3, 44), 7, np.uint8)
    core.hash_items(data, 5, size, 9, where, out, 8)
    for i, row in enumerate(where):
        item = data[5 + i * size : 5 + (i + 1) * size].tobytes()
        assert out[row, 8:40].tobytes() == keccak.new(data=b"\x09" + item, digest_bits=256).digest()
    out[where, 8:40] = 7
    assert (out == 7).all()


@pytest.mark.parametrize("beta", [0, 1, 58982, 65536])
@pytest.mark.parametrize("lr", [0, 1, 65536, 2**24])
@pytest.mark.parametrize("divisor", [1, 2, 3, 7, 2**20 - 1, 256 * (2**20 - 1)])
def test_server_steps_agree_next_to_every_tie(beta: int, lr: int, divisor: int) -> None:
    rng = np.random.default_rng(divisor)
    quotient = np.concatenate([rng.integers(-(2**31), 2**31, 997), np.array([0, 1, -1, 2**31 - 1, -(2**31)])])
    exact = quotient * divisor
    half = np.array([0, divisor // 2, -(divisor // 2), (divisor + 1) // 2, -((divisor + 1) // 2)])
    total = np.clip(exact[:, None] + half, -(2**31) * divisor, 2**31 * divisor).reshape(-1)
    state = rng.integers(0, 256, 4 * total.size, dtype=np.uint8)
    momentum = rng.integers(0, 256, 4 * total.size if beta else 0, dtype=np.uint8)
    results = []
    for core in (compiled, fallback):
        out, out_m = np.zeros_like(state), np.zeros_like(momentum)
        core.server_step(total, divisor, state, momentum, beta, lr, out, out_m)
        results.append(out.tobytes() + out_m.tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize("rows", [*range(1, 20), 64, 255, 256])
def test_the_sorting_network_sorts_any_number_of_rows(rows: int) -> None:
    values = np.random.default_rng(rows).integers(-5, 5, (rows, 64)).astype(np.int32)
    expected = np.sort(values, axis=0)
    compiled.trimmed_sum(values, 0, sorting_network(rows), np.empty(64, np.int64))
    assert (values == expected).all()


def _python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": "", "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_numba_is_not_loaded_before_a_kernel_is_needed() -> None:
    code = "import sys; from steelyard.core import aggregation, proofs; print('numba' in sys.modules)"
    assert _python(code) == "False"


def test_the_implementation_can_be_chosen_and_a_wrong_choice_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "from steelyard.core import kernels; import sys; print(kernels.warm(), 'numba' in sys.modules)"
    assert _python(code, STEELYARD_KERNELS="numpy") == "numpy False"
    monkeypatch.setenv("STEELYARD_KERNELS", "fortran")
    kernels.get.cache_clear()
    with pytest.raises(ConfigError, match="fortran"):
        kernels.get()


def test_the_cache_is_never_in_a_folder_that_others_can_write_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(shared))
    own = jit.cache_folder()
    assert own is not None
    assert own.parent == shared
    own.chmod(0o777)
    assert jit.cache_folder() is None


def test_kernels_without_a_usable_cache_compile_and_leave_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code = (
        "from steelyard.core.kernels import jit; import numpy, numba; "
        "double = jit.compiled(numba.int64(numba.int64))(lambda x: 2 * x); "
        "print(jit.cache_folder(), double(numpy.int64(21)))"
    )
    said = _python(code, NUMBA_CACHE_DIR=str(tmp_path / "file"), TMPDIR=str(temporary))
    assert said == "None 42"
    assert list(temporary.iterdir()) == []
