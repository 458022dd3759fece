"""Files that appear under their name complete or not at all."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from steelyard.errors import DiskFull

_parts = itertools.count()


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Write beside `path` and rename into place on success. Raises DiskFull if there is no room."""
    part = path.with_name(f".{path.name}.{os.getpid()}-{next(_parts)}.part")
    try:
        with part.open("w+b") as file:
            yield file
        part.replace(path)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise DiskFull(f"no room to write {path}", remedy="free some space; nothing was changed") from error
    finally:
        part.unlink(missing_ok=True)
