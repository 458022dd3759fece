"""Update, state and momentum files: mapped, checked, and written in a stream (protocol.md section 2).

Nothing here is unpickled or decompressed. A file's exact length follows from its header and bitmap, and is
checked before anything is read from it. Written files appear under their name complete or not at all.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from steelyard.core import encodings
from steelyard.core.encodings import Encoding
from steelyard.core.kernels.arrays import Bools, Bytes, Int32
from steelyard.core.numbers import BLOCK_VALUES, STATE_BLOCK, feedback_delta
from steelyard.core.trees import UpdateRoot, state_root
from steelyard.core.update_file import CHUNK, HEADER, UpdateFile, UpdateSummary, header_of, parse_update
from steelyard.errors import DiskFull, FormatError

__all__ = [
    "StateFile",
    "UpdateFile",
    "UpdateSummary",
    "WrittenUpdate",
    "atomic",
    "encode_update",
    "map_bytes",
    "open_state",
    "open_update",
    "write_state",
    "write_update",
]


_parts = itertools.count()


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Write beside `path` and rename into place on success. Raises DiskFull where there is no room."""
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


def map_bytes(path: Path) -> Bytes:
    """Return a file's bytes, mapped read-only. An empty file is an empty array."""
    if path.stat().st_size == 0:
        return np.empty(0, np.uint8)
    return np.asarray(np.memmap(path, np.uint8, mode="r"))


@dataclass(frozen=True, eq=False)
class StateFile:
    """A state or momentum: block_count x 128 bytes of big-endian int32."""

    data: Bytes
    block_count: int

    def values(self, first: int = 0, count: int | None = None) -> Int32:
        """Return the values of `count` blocks from block `first` on, as a copy, (count * 32,)."""
        end = self.block_count if count is None else first + count
        return self.bytes_of(first, end - first).view(">i4").astype(np.int32)

    def bytes_of(self, first: int, count: int) -> Bytes:
        """Return the bytes of `count` blocks from block `first` on, still mapped."""
        return self.data[first * STATE_BLOCK : (first + count) * STATE_BLOCK]

    def block(self, index: int) -> bytes:
        """Return the 128 bytes of a block."""
        return self.bytes_of(index, 1).tobytes()

    def root(self) -> bytes:
        """Root of the state tree."""
        return state_root(self.data, self.block_count)


def open_state(path: Path, block_count: int) -> StateFile:
    """Map a state or momentum file. Raises FormatError where its length is not the job's."""
    data = map_bytes(path)
    if data.shape[0] != block_count * STATE_BLOCK:
        raise FormatError(
            f"{path} has {data.shape[0]} bytes, not the {block_count * STATE_BLOCK} of {block_count} blocks",
            remedy="fetch it again, or check that it belongs to this job",
        )
    return StateFile(data, block_count)


def write_state(path: Path, values: Int32, block_count: int) -> bytes:
    """Write values, padded with zeros, as a state file. Returns its root.

    values: (up to block_count * 32,). Raises FormatError for more.
    """
    if values.ndim != 1 or values.shape[0] > block_count * BLOCK_VALUES:
        raise FormatError(
            f"{values.shape} values for {block_count} blocks", remedy="flatten, and check the job"
        )
    with atomic(path) as file:
        for first in range(0, values.shape[0], CHUNK * BLOCK_VALUES):
            file.write(values[first : first + CHUNK * BLOCK_VALUES].astype(">i4").tobytes())
        file.truncate(block_count * STATE_BLOCK)
    return open_state(path, block_count).root()


def open_update(path: Path, *, encoding: Encoding, job: int, serial: int, block_count: int) -> UpdateFile:
    """Map and parse an update file. Raises FormatError where it is malformed for this job and serial.

    A file with a refused block still parses: `summary.well_formed` tells.
    """
    return parse_update(map_bytes(path), encoding=encoding, job=job, serial=serial, block_count=block_count)


@dataclass(frozen=True, kw_only=True)
class WrittenUpdate:
    """What was written: the commitment to seal, and how much of it goes over the wire."""

    root: UpdateRoot
    update_root: bytes  # 32
    sent_blocks: int  # non-empty
    size: int  # bytes of the file


def write_update(
    path: Path,
    *,
    encoding: Encoding,
    job: int,
    serial: int,
    block_count: int,
    delta: Int32,
    kept: Path | None = None,
    send: Bools | None = None,
) -> WrittenUpdate:
    """Encode `delta` into an update file.

    delta: (values,) or fewer than block_count * 32, within ±(2^31 - 1), padded with zeros here. kept: where
    to write `delta - decoded`, a file like a state, for the next round's error feedback. send:
    (block_count,), False drops a block (block top-k).
    """
    if delta.ndim != 1 or delta.shape[0] > block_count * BLOCK_VALUES:
        raise FormatError(
            f"{delta.shape} values for {block_count} blocks", remedy="flatten, and check the job"
        )

    def rows(first: int, count: int) -> Int32:
        out = np.zeros(count * BLOCK_VALUES, np.int32)
        part = delta[first * BLOCK_VALUES : (first + count) * BLOCK_VALUES]
        out[: part.shape[0]] = part
        return out

    header = header_of(encoding=encoding, job=job, serial=serial, block_count=block_count)
    return _write(path, header, rows, kept, send)


def encode_update(
    path: Path,
    *,
    encoding: Encoding,
    job: int,
    serial: int,
    block_count: int,
    local: Path,
    base: Path,
    kept: Path | None = None,
    new_kept: Path | None = None,
    send: Bools | None = None,
) -> WrittenUpdate:
    """Write the update `clamp(local - base + kept)` in a stream, from state files, whatever the model's size.

    local: the trained weights, quantized, as a state file. base: the state that training began from. kept:
    what the last update left (None: zeros). new_kept: where to write what this one leaves; may be the same
    path as `kept`.
    """
    local_state, base_state = open_state(local, block_count), open_state(base, block_count)
    kept_state = None if kept is None else open_state(kept, block_count)

    def rows(first: int, count: int) -> Int32:
        last = None if kept_state is None else kept_state.values(first, count)
        return feedback_delta(local_state.values(first, count), base_state.values(first, count), last)

    header = header_of(encoding=encoding, job=job, serial=serial, block_count=block_count)
    return _write(path, header, rows, new_kept, send)


def _write(
    path: Path, header: bytes, rows: Callable[[int, int], Int32], kept: Path | None, send: Bools | None
) -> WrittenUpdate:
    _, encoding, _, job, serial, block_count, _ = HEADER.unpack(header)
    body = len(header) + (block_count + 7) // 8
    with ExitStack() as stack:
        file = stack.enter_context(atomic(path))
        rest = None if kept is None else stack.enter_context(atomic(kept))
        file.write(header)
        end = body
        for first in range(0, block_count, CHUNK):
            count = min(CHUNK, block_count - first)
            delta = rows(first, count).reshape(count, BLOCK_VALUES)
            chosen = None if send is None else send[first : first + count]
            coded = encodings.encode(delta, Encoding(encoding), chosen)
            file.seek(len(header) + first // 8)
            file.write(np.packbits(coded.present).tobytes())
            file.seek(end)
            end += file.write(coded.payload.tobytes())
            if rest is not None:
                rest.write((delta - coded.decoded).astype(">i4").tobytes())
        file.truncate(end)
    update = open_update(path, encoding=Encoding(encoding), job=job, serial=serial, block_count=block_count)
    summary = update.summary
    return WrittenUpdate(
        root=summary.root,
        update_root=summary.update_root,
        sent_blocks=(end - body) // Encoding(encoding).size,
        size=end,
    )
