"""Files as read-only arrays of bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def map_bytes(path: Path) -> NDArray[np.uint8]:
    """A file's bytes, mapped read-only. An empty file is an empty array."""
    if path.stat().st_size == 0:
        return np.empty(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, mode="r"))
