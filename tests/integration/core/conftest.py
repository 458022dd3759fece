"""Every test of the exact core that asks for `core` runs on the compiled kernels and on the NumPy ones."""

from __future__ import annotations

from support.both_kernels import core

__all__ = ["core"]
