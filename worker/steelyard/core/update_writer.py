"""Writing update files in a stream: encode, and keep what the encoding lost as the residual.

A written file appears under its name complete or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.core import encodings
from steelyard.core.encoding_spec import Encoding
from steelyard.core.kernels.arrays import Bools, Int32
from steelyard.core.numbers import BLOCK_VALUES, CHUNK_BLOCKS, feedback_delta
from steelyard.core.state_file import open_state
from steelyard.core.trees import UpdateRoot
from steelyard.core.update_file import HEADER, header_of, open_update
from steelyard.errors import FormatError
from steelyard.util.atomic import atomic

__all__ = ["WrittenUpdate", "encode_update", "write_update"]


@dataclass(frozen=True, kw_only=True)
class WrittenUpdate:
    """A written update: the commitment to seal, and its size."""

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
    new_residual: Path | None = None,
    send: Bools | None = None,
) -> WrittenUpdate:
    """Encode `delta` into an update file.

    delta: (values,) or fewer than block_count * 32, within ±(2^31 - 1), padded with zeros here. new_residual:
    where to write `delta - decoded`, a file like a state, for the next round's error feedback. send:
    (block_count,), False drops a block (block top-k). Raises FormatError for another shape or for -2^31,
    DiskFull.
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
    return _write(path, header, rows, new_residual, send)


def encode_update(
    path: Path,
    *,
    encoding: Encoding,
    job: int,
    serial: int,
    block_count: int,
    local: Path,
    base: Path,
    residual: Path | None = None,
    new_residual: Path | None = None,
    send: Bools | None = None,
) -> WrittenUpdate:
    """Write the update `clamp(local - base + residual)` in a stream, from state files of any size.

    local: the trained weights, quantized, as a state file. base: the state that training began from.
    residual: what the last update left (None: zeros). new_residual: where to write what this one leaves; may
    be the same path as `residual`. send: (block_count,), False drops a block. Raises FormatError if a state
    file has another length, DiskFull.
    """
    local_state, base_state = open_state(local, block_count), open_state(base, block_count)
    residual_state = None if residual is None else open_state(residual, block_count)

    def rows(first: int, count: int) -> Int32:
        last = None if residual_state is None else residual_state.values(first, count)
        return feedback_delta(local_state.values(first, count), base_state.values(first, count), last)

    header = header_of(encoding=encoding, job=job, serial=serial, block_count=block_count)
    return _write(path, header, rows, new_residual, send)


def _write(
    path: Path, header: bytes, rows: Callable[[int, int], Int32], residual: Path | None, send: Bools | None
) -> WrittenUpdate:
    _, encoding, _, job, serial, block_count, _ = HEADER.unpack(header)
    body = len(header) + (block_count + 7) // 8
    with ExitStack() as stack:
        file = stack.enter_context(atomic(path))
        rest = None if residual is None else stack.enter_context(atomic(residual))
        file.write(header)
        end = body
        for first in range(0, block_count, CHUNK_BLOCKS):
            count = min(CHUNK_BLOCKS, block_count - first)
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
