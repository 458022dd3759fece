"""Numba with types, and a cache directory that works if the package can't be written to.

Cached machine code is loaded by unpickling, so the cache must belong to this user alone: a directory that
somebody else owns, or that others can write to, is never used.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import types

from steelyard.core.encoding_spec import ENCODINGS

F = TypeVar("F", bound=Callable[..., Any])

READ_BYTES = types.Array(types.uint8, 1, "C", readonly=True)
BYTES = types.uint8[::1]
BYTES_2D = types.uint8[:, ::1]
INT32_2D = types.Array(types.int32, 2, "C", readonly=True)
INT64 = types.Array(types.int64, 1, "C", readonly=True)


def cache_folder() -> Path | None:
    """Folder of compiled kernels: NUMBA_CACHE_DIR, else beside this file, else the user's cache.

    None if none of them may be used: each process then compiles for itself, in memory. Each version of the
    sources has a folder of its own, as Numba does not notice changes of what a kernel calls.
    """
    here = Path(__file__).parent
    sources = [path.read_bytes() for path in sorted(here.glob("*.py"))]
    digest = hashlib.sha256(b"".join((*sources, repr(ENCODINGS).encode()))).hexdigest()[:12]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(chosen)] if chosen else [here / "__pycache__", home / "steelyard" / "kernels"]
    for folder in folders:
        if _usable(folder / digest):
            return folder / digest
    return None


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return False
    return os.access(folder, os.W_OK) and not status.st_mode & stat.S_IWOTH


def compiled(signature: Any) -> Callable[[F], F]:
    """Compile a function for one signature at definition, or load it from the cache if there is one."""

    def decorate(function: F) -> F:
        cached = _FOLDER is not None
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(_FOLDER) if cached else before
        try:
            result: F = numba.njit(signature, cache=cached, nogil=True, error_model="numpy")(function)
        finally:
            numba.config.CACHE_DIR = before
        return result

    return decorate


def inlined(function: F) -> F:
    """Compile a helper as part of each kernel that calls it; it has no cache entry of its own."""
    result: F = numba.njit(error_model="numpy", nogil=True)(function)
    return result


_FOLDER = cache_folder()
