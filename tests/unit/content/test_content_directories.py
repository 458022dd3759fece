"""Directories: what may be published, and what of a stranger's listing may touch a disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from steelyard.content.dagpb import DIRECTORY, FILE, DagNode, Link, encode_node
from steelyard.content.directories import build, entries, scan, split_path, step
from steelyard.core.cid import DAG_PB, RAW, Cid
from steelyard.errors import ContentCorrupt, ContentError, ContentMissing, ContentTooLarge

LEAF = Cid.of_block(RAW, b"x")
UNSAFE = ["", ".", "..", "a/b", "/etc", "a\\b", "a\x00b", "\n", "x" * 256, "\x1b[2J", "ü" * 128]


def no_file(path: Path) -> tuple[Cid, int]:
    return LEAF, 1


def listing(*names: str) -> tuple[Cid, bytes]:
    block = encode_node(DagNode(DIRECTORY, tuple(Link(LEAF, name, 1) for name in names)))
    return Cid.of_block(DAG_PB, block), block


@pytest.mark.parametrize("name", UNSAFE)
def test_a_listing_with_an_unsafe_name_is_refused_whole(name: str) -> None:
    cid, block = listing(*sorted(["fine", name], key=str.encode))
    with pytest.raises(ContentCorrupt):
        entries(cid, block)


def test_a_listing_that_repeats_or_does_not_sort_names_is_refused() -> None:
    for names in (("a", "a"), ("b", "a")):
        with pytest.raises(ContentCorrupt):
            entries(*listing(*names))


def test_names_are_found_one_step_at_a_time() -> None:
    cid, block = listing("a", "b")
    assert entries(cid, block) == {"a": LEAF, "b": LEAF}
    assert step(cid, block, "b") == LEAF
    with pytest.raises(ContentMissing):
        step(cid, block, "c")


def test_a_file_node_is_no_directory() -> None:
    block = encode_node(DagNode(FILE, (), 0, ()))
    with pytest.raises(ContentError, match="not a directory"):
        entries(Cid.of_block(DAG_PB, block), block)


@pytest.mark.parametrize("path", ["/a", "a/", "a//b", "../a", "a/..", "a\\b", "/".join("a" * 33)])
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(ContentError):
        split_path(path)


def test_a_plain_path_is_split() -> None:
    assert split_path("") == ()
    assert split_path("shards/0.bin") == ("shards", "0.bin")


@pytest.mark.parametrize("names", [["a", "a/b"], ["a/b", "a"], [""], ["../x"], ["/x"]])
def test_a_mapping_that_is_no_tree_is_refused(names: list[str]) -> None:
    with pytest.raises(ContentError):
        scan({name: Path("x") for name in names})


def test_names_are_sorted_by_their_bytes() -> None:
    tree = {name: Path("x") for name in ("é", "z", "Z", "a")}
    block = build(dict(tree), no_file).blocks[-1]
    assert list(entries(block.cid, block.data)) == ["Z", "a", "z", "é"]


def test_a_listing_over_256_kib_is_refused_with_a_way_out() -> None:
    tree = {f"{index:05}": Path("x") for index in range(6_000)}
    with pytest.raises(ContentTooLarge, match="subfolders"):
        build(dict(tree), no_file)


def test_links_and_devices_in_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ContentError, match="link"):
        scan(tmp_path)
    (tmp_path / "link").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ContentError, match="pipe"):
        scan(tmp_path)


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="nowhere"):
        scan(tmp_path / "nowhere")
