"""The hot loops of the exact core, compiled by Numba, with NumPy as a fallback of equal bits.

`kernels.get()` returns the module that holds them (`fallback.py` documents each) and loads Numba only then,
so that imports stay cheap. `warm()` compiles everything into the cache; `make setup` calls it.

STEELYARD_KERNELS=numpy or =numba forces one of the two; otherwise Numba is used if it can be imported.
"""

from __future__ import annotations

import functools
import os
import sys

from steelyard.core.kernels import fallback
from steelyard.core.kernels.fallback import Kernels
from steelyard.errors import ConfigError

__all__ = ["Kernels", "get", "warm"]


@functools.cache
def get() -> Kernels:
    """The kernels of this process; the first call loads them (about half a second with Numba)."""
    choice = os.environ.get("STEELYARD_KERNELS", "auto")
    if choice not in {"auto", "numba", "numpy"}:
        raise ConfigError(
            f"STEELYARD_KERNELS={choice} is not an implementation", remedy="set it to numba, numpy or auto"
        )
    if choice != "numpy" and sys.byteorder == "little":
        try:
            from steelyard.core.kernels import compiled  # noqa: PLC0415 - Numba is loaded only now
        except ImportError as error:
            if choice == "numba":
                raise ConfigError(f"Numba can't be loaded ({error})", remedy="install numba") from error
        else:
            return compiled
    return fallback


def warm() -> str:
    """Compile every kernel into the cache, or load it from there. Returns the implementation's name."""
    return get().NAME
