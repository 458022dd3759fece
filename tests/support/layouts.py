"""Layouts of files that nobody stores, and what holds of the tree of any."""

from __future__ import annotations

from collections.abc import Iterator

from steelyard.content.dagpb import decode_node
from steelyard.content.layout import LEAF_BYTES, LINKS, Layout
from steelyard.core.cid import RAW, Cid


def fake_layout(leaves: int, last: int = LEAF_BYTES) -> Layout:
    """A layout of so many leaves, without the gigabytes."""
    digests = b"".join(index.to_bytes(32, "big") for index in range(leaves))
    return Layout((leaves - 1) * LEAF_BYTES + last, digests)


def check_tree(leaves: int, nodes: int) -> None:
    """The tree of so many leaves is balanced, full from the left, and has so many nodes."""
    layout = fake_layout(leaves, 7)
    root, dag_size, blocks = layout.tree()
    by_cid = {block.cid: decode_node(block.data) for block in blocks}
    assert len(blocks) == nodes
    assert dag_size == layout.size + sum(len(block.data) for block in blocks)

    def digests(cid: Cid) -> Iterator[bytes]:
        if cid.codec == RAW:
            yield cid.digest
            return
        assert 1 < len(by_cid[cid].links) <= LINKS or leaves % LINKS == 1
        for link in by_cid[cid].links:
            yield from digests(link.cid)

    assert b"".join(digests(root)) == layout.leaves
