"""Directories: from a folder to dag-pb blocks, and from a block to names that are safe to write to disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from steelyard.content.dagpb import DIRECTORY, MAX_NODE_BYTES, DagNode, Link, decode_node, encode_node
from steelyard.content.disk import layout_of
from steelyard.content.layout import DagBlock
from steelyard.core.cid import DAG_PB, Cid
from steelyard.errors import ContentCorrupt, ContentError, ContentMissing, ContentTooLarge

MAX_DEPTH = 32  # folders in folders
_MAX_NAME_BYTES = 255

Tree: TypeAlias = dict[str, "Path | Tree"]


@dataclass(frozen=True, slots=True)
class BuiltDirectory:
    """A directory's CID, the bytes of all blocks below it, and the directory blocks, children first."""

    cid: Cid
    dag_size: int
    blocks: list[DagBlock]


def cid_of_path(path: Path) -> Cid:
    """The CID of a file or of a folder with all its files. Nothing is stored or provided.

    Raises ContentMissing if the path does not exist, ContentError for links and devices in a folder.
    """
    return build(scan(path), _cid_and_size).cid if path.is_dir() else layout_of(path).root()


def _cid_and_size(path: Path) -> tuple[Cid, int]:
    cid, dag_size, _ = layout_of(path).tree()
    return cid, dag_size


def scan(source: Path | Mapping[str, Path]) -> Tree:
    """The tree of a folder on disk (hidden files too), or of files by relative path.

    Raises ContentError for links, devices and names that some machine could not write.
    """
    if isinstance(source, Path):
        return _scan_folder(source, 0)
    tree: Tree = {}
    for name, path in source.items():
        parts = split_path(name)
        if not parts:
            raise ContentError(f"{name!r} names no file", remedy="give a path like shards/0.bin")
        here = tree
        for part in parts[:-1]:
            below = here.setdefault(part, {})
            if isinstance(below, Path):
                raise ContentError(f"{name!r} lies below a file", remedy="give each file a path of its own")
            here = below
        if parts[-1] in here:
            raise ContentError(f"{name!r} is given twice", remedy="give each file its own path")
        here[parts[-1]] = path
    return tree


def build(tree: Tree, file: Callable[[Path], tuple[Cid, int]]) -> BuiltDirectory:
    """The directory's blocks; `file` gives the CID and DAG size of each file.

    Raises ContentTooLarge if one listing passes 256 KiB: it would have to be a HAMT.
    """
    blocks: list[DagBlock] = []
    links: list[Link] = []
    for name in sorted(tree, key=lambda text: text.encode("utf-8")):
        child = tree[name]
        if isinstance(child, Path):
            cid, dag_size = file(child)
        else:
            below = build(child, file)
            cid, dag_size = below.cid, below.dag_size
            blocks += below.blocks
        links.append(Link(cid, name, dag_size))
    data = encode_node(DagNode(DIRECTORY, tuple(links)))
    if len(data) > MAX_NODE_BYTES:
        raise ContentTooLarge(
            f"a directory of {len(links)} names lists {len(data)} bytes, over {MAX_NODE_BYTES}",
            remedy="put its files into subfolders of a few thousand each",
        )
    blocks.append(DagBlock(Cid.of_block(DAG_PB, data), data))
    return BuiltDirectory(blocks[-1].cid, len(data) + sum(link.tsize for link in links), blocks)


def entries(cid: Cid, block: bytes) -> dict[str, Cid]:
    """The names in a directory block, all safe as one path component. Raises ContentCorrupt."""
    node = decode_node(block)
    if node.kind != DIRECTORY:
        raise ContentError(f"{cid} is a file, not a directory", remedy="get it without a path in it")
    names = [link.name for link in node.links]
    if names != sorted(set(names), key=lambda text: text.encode("utf-8")):
        raise ContentCorrupt(f"directory {cid} repeats names or does not sort them", remedy=_PUBLISHER)
    for name in names:
        if not _is_safe(name):
            raise ContentCorrupt(f"directory {cid} has the unsafe name {name!r}", remedy=_PUBLISHER)
    return {link.name: link.cid for link in node.links}


def step(cid: Cid, block: bytes, name: str) -> Cid:
    """The CID of one name in a directory block. Raises ContentMissing if it has no such name."""
    try:
        return entries(cid, block)[name]
    except KeyError:
        raise ContentMissing(f"directory {cid} has no {name!r}", remedy="list it first") from None


def split_path(path: str) -> tuple[str, ...]:
    """The components of a relative path inside a directory. Raises ContentError for an unsafe one."""
    parts = tuple(path.split("/")) if path else ()
    if len(parts) > MAX_DEPTH or not all(_is_safe(part) for part in parts):
        raise ContentError(
            f"{path[:200]!r} is not a path in a directory", remedy="join names by single slashes, without .."
        )
    return parts


_PUBLISHER = "its publisher must publish it again"


def _is_safe(name: str) -> bool:
    if name in ("", ".", "..") or len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
        return False
    return not any(char in "/\\" or ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in name)


def _scan_folder(folder: Path, depth: int) -> Tree:
    tree: Tree = {}
    if depth >= MAX_DEPTH:
        raise ContentError(f"{folder} lies {depth} folders deep", remedy="flatten it")
    try:
        children = list(folder.iterdir())
    except OSError as error:
        raise ContentError(f"cannot list {folder} ({error.strerror})", remedy="give a folder") from error
    for child in children:
        if child.is_symlink() or not (child.is_dir() or child.is_file()):
            raise ContentError(f"{child} is not a file or folder", remedy="remove it or copy its target")
        if not _is_safe(child.name):
            raise ContentError(f"{child!r} has a name that others cannot write", remedy="rename it")
        tree[PurePosixPath(child.name).name] = _scan_folder(child, depth + 1) if child.is_dir() else child
    return tree
