"""Files as DAGs: Kubo's CIDs, every tree shape, and decoders that accept one spelling only."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.content import cid_of_path
from steelyard.content.dagpb import DIRECTORY, FILE, DagNode, Link, decode_node, encode_node
from steelyard.content.layout import LEAF_BYTES, LINKS, Layout, hash_leaves, leaf_count, read_layout
from steelyard.core.cid import DAG_PB, RAW, Cid
from steelyard.errors import ContentCorrupt
from support.layouts import check_tree, fake_layout

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "cids.json").read_text())
SEED = VECTORS["seed"]
SMALL = [case for case in VECTORS["files"] if case["size"] <= 10_000_000]


def content(seed: str, size: int) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(size)


def chunks(data: memoryview) -> Iterator[memoryview]:
    return (data[start : start + LEAF_BYTES] for start in range(0, len(data), LEAF_BYTES))


@pytest.mark.parametrize("case", SMALL, ids=lambda case: str(case["size"]))
def test_a_file_has_the_cid_that_kubo_gives_it(case: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content(SEED, int(str(case["size"]))))
    assert str(cid_of_path(path)) == case["cid"]


@pytest.mark.parametrize("case", VECTORS["directories"], ids=lambda case: f"{len(case['files'])} files")
def test_a_directory_has_the_cid_that_kubo_gives_it(case: dict[str, dict[str, int]], tmp_path: Path) -> None:
    for name, size in case["files"].items():
        path = tmp_path / "d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(f"{SEED}/{name}", size))
    assert str(cid_of_path(tmp_path / "d")) == case["cid"]


@pytest.mark.parametrize(
    ("leaves", "nodes"),
    [(1, 0), (2, 1), (1023, 1), (1024, 1), (1025, 3), (2048, 3), (2049, 4)],
)
def test_the_tree_is_balanced_and_full_from_the_left(leaves: int, nodes: int) -> None:
    check_tree(leaves, nodes)


def test_a_node_says_the_size_of_all_below_it() -> None:
    _, _, blocks = fake_layout(1025, 5).tree()
    left, right, root = (decode_node(block.data) for block in blocks)
    assert left.file_size == LINKS * LEAF_BYTES
    assert right.file_size == 5
    assert root.block_sizes == (left.file_size, right.file_size)
    assert [link.tsize for link in root.links] == [
        left.file_size + len(blocks[0].data),
        right.file_size + len(blocks[1].data),
    ]


class Dribble(io.RawIOBase):
    """A stream that gives a few bytes at a time, as pipes do."""

    def __init__(self, data: bytes, step: int) -> None:
        self._inner = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._inner.readinto(memoryview(buffer)[: self._step])


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([0, 1, LEAF_BYTES, 2 * LEAF_BYTES, 3 * LEAF_BYTES]),
    st.integers(-2, 2),
    st.sampled_from([997, 65_536, LEAF_BYTES, LEAF_BYTES + 1]),
)
def test_how_a_stream_is_cut_does_not_change_the_cid(base: int, more: int, step: int) -> None:
    data = bytes(max(0, base + more))
    layout = read_layout(Dribble(data, step))  # type: ignore[arg-type]
    assert layout.size == len(data)
    assert layout == hash_leaves(iter(chunks(memoryview(data))))
    assert len(layout) == leaf_count(len(data))


def test_digests_that_do_not_fit_the_size_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Layout(LEAF_BYTES + 1, bytes(32))


@given(st.binary(max_size=300))
def test_a_decoder_takes_only_what_an_encoder_writes(data: bytes) -> None:
    try:
        node = decode_node(data)
    except ContentCorrupt:
        return
    assert encode_node(node) == data


@settings(max_examples=300)
@given(st.data())
def test_a_node_with_any_byte_changed_is_refused_or_still_canonical(data: st.DataObject) -> None:
    block = bytearray(fake_layout(3).tree()[2][0].data)
    block[data.draw(st.integers(0, len(block) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ContentCorrupt):
        assert encode_node(decode_node(bytes(block))) == block


def test_other_forms_of_unixfs_are_refused() -> None:
    cid = Cid.of_block(RAW, b"x")
    plain = DagNode(DIRECTORY, (Link(cid, "x", 1),))
    block = encode_node(plain)
    assert decode_node(block) == plain
    hamt = block.replace(b"\x0a\x02\x08\x01", b"\x0a\x02\x08\x05")
    symlink = block.replace(b"\x0a\x02\x08\x01", b"\x0a\x02\x08\x04")
    doubled = block + block[-4:]
    overlong = block.replace(b"\x0a\x02\x08\x01", b"\x0a\x03\x08\x81\x00")
    inline = block[:-4] + b"\x0a\x05\x08\x02\x12\x01x"  # file bytes inside the node
    for bad in (hamt, symlink, doubled, overlong, inline, block[:-1], block + b"\x00", bytes(300_000)):
        with pytest.raises(ContentCorrupt):
            decode_node(bad)


def test_a_varint_without_an_end_takes_no_time() -> None:
    with pytest.raises(ContentCorrupt):
        decode_node(b"\x0a" + b"\xff" * 200_000)


def test_dag_pb_cids_name_the_encoded_node() -> None:
    node = DagNode(FILE, (), 0, ())
    assert Cid.of_block(DAG_PB, encode_node(node)).matches(encode_node(node))
