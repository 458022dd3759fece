"""The process that imports torchvision, reads one data set and writes its rows as data files.

argv[-1]: JSON of `name`, `root`, `download`, `out` (a folder).  Prints one line of JSON: `names` or `error`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from steelyard.learning.data import Rows, write_rows


def main() -> None:
    """Answer the request in argv; output of libraries goes to standard error."""
    request = json.loads(sys.argv[-1])
    with contextlib.redirect_stdout(sys.stderr):
        answer = _answer(request)
    sys.stdout.write(json.dumps(answer) + "\n")


def _answer(request: dict[str, Any]) -> dict[str, object]:
    try:
        from torchvision import datasets  # noqa: PLC0415 - only in this process
    except ImportError:
        return {"missing": True}
    kind = getattr(datasets, request["name"])
    names: list[str] = []
    try:
        for part in ("train", "test"):
            found = kind(request["root"], train=part == "train", download=request["download"])
            names = [str(name) for name in found.classes]
            labels = np.asarray(found.targets).astype(np.uint8)
            write_rows(Path(request["out"]) / f"{part}.safetensors", Rows(_pixels(found.data), labels))
    except (OSError, RuntimeError, ValueError, KeyError, EOFError) as error:
        return {"error": str(error)[:300]}
    return {"names": names}


def _pixels(data: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """As (rows, channels, height, width), from torchvision's (rows, height, width[, channels])."""
    pixels = np.asarray(data)
    if pixels.ndim == 3:
        return pixels[:, None]
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


if __name__ == "__main__":
    main()
