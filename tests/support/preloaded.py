"""Modules that a node needs, loaded before it is forked: they take a second of processor time."""

from __future__ import annotations

from steelyard.core import kernels
from support import node_process

kernels.get()

__all__ = ["node_process"]
