"""Update and state files: what is written, what is refused, and the residual for the next round."""

from __future__ import annotations

import errno
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.core import state_file, update_file, update_writer
from steelyard.core.encodings import Encoding
from steelyard.core.numbers import CHUNK_BLOCKS
from steelyard.core.update_file import header_of
from steelyard.errors import DiskFull, FormatError
from steelyard.util.atomic import atomic
from support import core_reference as ref
from support.core_rounds import random_values, state_bytes, update_bytes

COUNT = 13
TERMS: dict[str, Any] = {"encoding": Encoding.BFP8, "job": 7, "serial": 9, "block_count": COUNT}


def good_update(rng: random.Random) -> tuple[bytes, list[bytes]]:
    blocks = [ref.encode(random_values(rng), Encoding.BFP8) for _ in range(COUNT)]
    blocks[0], blocks[5] = b"", ref.encode([1] * 32, Encoding.BFP8)
    return update_bytes(Encoding.BFP8, blocks, job=7, serial=9), blocks


def opened(tmp_path: Path, data: bytes) -> update_file.UpdateFile:
    (tmp_path / "update").write_bytes(data)
    return update_file.open_update(tmp_path / "update", **TERMS)


def test_a_good_update_parses_block_by_block(tmp_path: Path) -> None:
    data, blocks = good_update(random.Random(1))
    update = opened(tmp_path, data)
    assert [update.block(i) for i in range(COUNT)] == blocks
    assert update.values().tolist() == [ref.counted(b, Encoding.BFP8) for b in blocks]
    assert update.values(3, 4).tolist() == [ref.counted(b, Encoding.BFP8) for b in blocks[3:7]]
    assert update.summary.well_formed


MALFORMED = {
    "empty": (lambda d: d[:0], "shorter"),
    "one byte": (lambda d: d[:1], "shorter"),
    "header alone": (lambda d: d[:32], "shorter"),
    "half a bitmap": (lambda d: d[:33], "shorter"),
    "magic": (lambda d: b"SYU2" + d[4:], "magic"),
    "encoding of another kind": (lambda d: d[:4] + b"\x00" + d[5:], "encoding"),
    "unknown encoding": (lambda d: d[:4] + b"\x03" + d[5:], "encoding"),
    "first reserved byte": (lambda d: d[:5] + b"\x01" + d[6:], "reserved"),
    "last reserved byte": (lambda d: d[:7] + b"\x80" + d[8:], "reserved"),
    "job": (lambda d: d[:15] + b"\x08" + d[16:], "job"),
    "serial": (lambda d: d[:23] + b"\x08" + d[24:], "serial"),
    "block count": (lambda d: d[:27] + b"\x0c" + d[28:], "block count"),
    "reserved tail": (lambda d: d[:31] + b"\x01" + d[32:], "reserved"),
    "lowest spare bit": (lambda d: d[:33] + bytes([d[33] | 1]) + d[34:], "spare"),
    "highest spare bit": (lambda d: d[:33] + bytes([d[33] | 4]) + d[34:], "spare"),
    "a byte too many": (lambda d: d + b"\x00", "blocks take"),
    "a byte too few": (lambda d: d[:-1], "blocks take"),
    "a block too few": (lambda d: d[:-33], "blocks take"),
    "a bit too many": (lambda d: d[:32] + bytes([d[32] | 0x80]) + d[33:], "blocks take"),
    "a bit too few": (lambda d: d[:32] + bytes([d[32] & ~4]) + d[33:], "blocks take"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_every_malformed_file_is_refused_by_what_is_wrong(kind: str, tmp_path: Path) -> None:
    change, said = MALFORMED[kind]
    with pytest.raises(FormatError, match=said):
        opened(tmp_path, change(good_update(random.Random(2))[0]))


def test_any_flipped_bit_outside_the_blocks_is_refused(tmp_path: Path) -> None:
    data, _ = good_update(random.Random(3))
    for bit in range(34 * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 0x80 >> bit % 8
        with pytest.raises(FormatError):
            opened(tmp_path, bytes(changed))


@pytest.mark.parametrize("bad", [b"\x20" + bytes(32), b"\x00\x80" + bytes(31), b"\xff" * 33])
def test_a_refused_block_parses_counts_as_zeros_and_is_listed(bad: bytes, tmp_path: Path) -> None:
    _, blocks = good_update(random.Random(4))
    blocks[5] = blocks[9] = bad
    update = opened(tmp_path, update_bytes(Encoding.BFP8, blocks, job=7, serial=9))
    summary = update.summary
    assert not summary.well_formed
    assert (summary.refused_count, summary.first_refused) == (2, 5)
    assert not update.values(5, 1).any()
    nodes = [(ref.leaf(b), ref.energy(ref.counted(b, Encoding.BFP8))) for b in blocks]
    tree, energy = ref.update_levels(nodes)[-1][0]
    assert (summary.root.tree_hash, summary.root.energy) == (tree, energy)


def test_a_file_without_spare_bits_uses_its_whole_bitmap(tmp_path: Path) -> None:
    blocks = [ref.encode([i + 1] * 32, Encoding.BFP4) for i in range(8)]
    path = tmp_path / "update"
    path.write_bytes(update_bytes(Encoding.BFP4, blocks))
    update = update_file.open_update(path, encoding=Encoding.BFP4, job=1, serial=1, block_count=8)
    assert update.block(7) == blocks[7]


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("count", [1, 8, 13, CHUNK_BLOCKS - 1, CHUNK_BLOCKS + 1, 2 * CHUNK_BLOCKS + 9])
def test_error_feedback_keeps_exactly_what_the_encoding_lost(
    encoding: Encoding, count: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(count)
    shape = {"encoding": encoding, "job": 1, "serial": 1, "block_count": count}
    base = rng.integers(-(2**31) + 1, 2**31, count * 32).astype(np.int32)
    local = (base + rng.integers(-70000, 70000, count * 32)).clip(-(2**31) + 1, 2**31 - 1).astype(np.int32)
    state_file.write_state(tmp_path / "base", base, count)
    state_file.write_state(tmp_path / "local", local, count)
    residual, sent = np.zeros(count * 32, np.int64), np.zeros(count * 32, np.int64)
    for turn in range(3):
        written = update_writer.encode_update(
            tmp_path / "update",
            **shape,
            local=tmp_path / "local",
            base=tmp_path / "base",
            residual=tmp_path / "residual" if turn else None,
            new_residual=tmp_path / "residual",
            send=rng.random(count) < 0.7,
        )
        delta = np.clip(local.astype(np.int64) - base + residual, -(2**31) + 1, 2**31 - 1)
        update = update_file.open_update(tmp_path / "update", **shape)
        decoded = update.values().reshape(-1)
        sent += decoded
        residual = delta - decoded
        assert (state_file.open_state(tmp_path / "residual", count).values() == residual).all()
        assert written.update_root == update.summary.update_root
        assert written.size == (tmp_path / "update").stat().st_size
    assert (tmp_path / "update").read_bytes()[:32] == header_of(**shape)


def test_dropped_blocks_cost_nothing_and_stay_in_the_residual(tmp_path: Path) -> None:
    delta = np.arange(1, 3 * 32 + 1, dtype=np.int32)
    written = update_writer.write_update(
        tmp_path / "update",
        encoding=Encoding.RAW32,
        job=1,
        serial=1,
        block_count=3,
        delta=delta,
        new_residual=tmp_path / "residual",
        send=np.array([True, False, True]),
    )
    assert (written.sent_blocks, written.size) == (2, 32 + 1 + 256)
    residual = state_file.open_state(tmp_path / "residual", 3).values()
    assert residual.tolist() == [0] * 32 + list(range(33, 65)) + [0] * 32


def test_short_deltas_are_padded_and_long_ones_refused(tmp_path: Path) -> None:
    shape = {"encoding": Encoding.RAW32, "job": 1, "serial": 1, "block_count": 2}
    update_writer.write_update(tmp_path / "update", **shape, delta=np.array([5], np.int32))
    assert (
        update_file.open_update(tmp_path / "update", **shape).values().reshape(-1).tolist() == [5] + [0] * 63
    )
    with pytest.raises(FormatError, match="2 blocks"):
        update_writer.write_update(tmp_path / "update", **shape, delta=np.zeros(65, np.int32))


def test_an_unclamped_delta_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    shape = {"encoding": Encoding.BFP8, "job": 1, "serial": 1, "block_count": 1}
    with pytest.raises(FormatError, match="clamp"):
        update_writer.write_update(tmp_path / "update", **shape, delta=np.array([-(2**31)], np.int32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 3, CHUNK_BLOCKS + 3])
def test_a_state_is_padded_with_zeros_and_read_back(count: int, tmp_path: Path) -> None:
    values = np.random.default_rng(count).integers(-(2**31), 2**31, count * 32 - 5).astype(np.int32)
    root = state_file.write_state(tmp_path / "state", values, count)
    padded = [*values.tolist(), 0, 0, 0, 0, 0]
    data = (tmp_path / "state").read_bytes()
    assert data == state_bytes([padded])
    assert root == ref.state_root([ref.leaf(data[i : i + 128]) for i in range(0, len(data), 128)])
    state = state_file.open_state(tmp_path / "state", count)
    assert state.values().tolist() == padded
    assert state.values(count - 1, 1).tolist() == padded[-32:]
    assert state.block(count - 1) == data[-128:]


@pytest.mark.parametrize("size", [0, 1, 127, 129, 256])
def test_a_state_of_another_length_is_refused(size: int, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(bytes(size))
    with pytest.raises(FormatError, match="not the 128 of 1 blocks"):
        state_file.open_state(tmp_path / "state", 1)


def test_a_full_disk_says_so_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")
    with pytest.raises(DiskFull, match="no room"):
        _write_and_fail(path, OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        _write_and_fail(tmp_path / "state", PermissionError(errno.EACCES, "Permission denied"))
    assert list(tmp_path.iterdir()) == []


def _write_and_fail(path: Path, error: OSError) -> None:
    with atomic(path) as file:
        file.write(b"half")
        raise error
