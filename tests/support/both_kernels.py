"""A fixture that runs each test on the compiled kernels and on the NumPy ones."""

from __future__ import annotations

import pytest

from steelyard.core import kernels
from steelyard.core.kernels import Kernels, compiled, fallback


@pytest.fixture(params=["numba", "numpy"])
def core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    chosen: Kernels = compiled if request.param == "numba" else fallback
    monkeypatch.setattr(kernels, "get", lambda: chosen)
    return chosen
