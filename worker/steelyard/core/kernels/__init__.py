"""The loops that take the time, compiled by Numba, with NumPy as a fallback of equal bits.

`kernels.get()` returns the module that holds them (see `fallback.py` for what each does), loading Numba only
then: `import steelyard.core.numbers` stays cheap. `warm()` compiles everything into the cache; `make setup` calls
it.

STEELYARD_KERNELS=numpy or =numba forces one of the two; otherwise Numba is used where it can be imported.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from typing import Protocol

from steelyard.core.kernels import fallback
from steelyard.core.kernels.arrays import Bools, Bytes, Int32, Int64, UInt64
from steelyard.errors import ConfigError


class Kernels(Protocol):
    """What both implementations offer. `fallback.py` says what each kernel does."""

    NAME: str

    def hash_items(
        self, data: Bytes, offset: int, size: int, prefix: int, where: Int64, out: Bytes, column: int
    ) -> None: ...
    def decode(
        self, data: Bytes, offset: int, encoding: int, where: Int64, out: Int32, refused: Bools
    ) -> None: ...
    def energies(self, values: Int32, out: UInt64) -> None: ...
    def encode(self, values: Int32, encoding: int, send: Bools, out: Bytes, decoded: Int32) -> int: ...
    def weighted_sums(
        self,
        updates: Sequence[Bytes],
        bitmap: int,
        first: int,
        encoding: int,
        cursors: Int64,
        weights: Int64,
        factors: Int64,
        total: Int64,
    ) -> None: ...
    def clip(self, values: Int32, factor: int) -> None: ...
    def trimmed_sum(self, values: Int32, trim: int, network: Int32, total: Int64) -> None: ...
    def server_step(
        self,
        total: Int64,
        divisor: int,
        state: Bytes,
        momentum: Bytes,
        beta: int,
        lr: int,
        out: Bytes,
        out_momentum: Bytes,
    ) -> None: ...


@functools.cache
def get() -> Kernels:
    """Return the kernels of this process; the first call loads them (about half a second with Numba)."""
    choice = os.environ.get("STEELYARD_KERNELS", "auto")
    if choice not in {"auto", "numba", "numpy"}:
        raise ConfigError(
            f"STEELYARD_KERNELS={choice} is no implementation", remedy="set it to numba, numpy or auto"
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
    """Compile every kernel into the cache, or load it from there. Returns which implementation is in use."""
    return get().NAME
