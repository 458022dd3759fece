"""What a node needs before it is forked: imports and kernels take a second of processor time."""

from __future__ import annotations

from steelyard.core import kernels
from support import node_process

kernels.get()

__all__ = ["node_process"]
