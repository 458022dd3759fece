"""dag-pb nodes and the UnixFS record inside them, canonical both ways.

Only what the unixfs-v1-2025 profile writes is read: a decoder re-encodes what it read and refuses any
other spelling, so every tree has exactly one set of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steelyard.core.cid import Cid
from steelyard.errors import CidError, ContentCorrupt

DIRECTORY = 1
FILE = 2
HAMT_SHARD = 5

MAX_NODE_BYTES = 256 * 1024  # a larger directory is a HAMT; a file's node of 1024 links takes 56 KB
_MAX_FIELDS = 16_384


@dataclass(frozen=True, slots=True)
class Link:
    """An edge of the DAG. `tsize` is the bytes of all blocks below, the child's own included."""

    cid: Cid
    name: str
    tsize: int


@dataclass(frozen=True, slots=True)
class DagNode:
    """A dag-pb block: a directory, or an inner node of a file with the file bytes below each link."""

    kind: int
    links: tuple[Link, ...]
    file_size: int = 0
    block_sizes: tuple[int, ...] = ()


def encode_node(node: DagNode) -> bytes:
    """The block of a node: links first, then the UnixFS record, as every IPFS program writes it."""
    parts = [_field(2, _encode_link(link)) for link in node.links]
    parts.append(_field(1, _encode_unixfs(node)))
    return b"".join(parts)


def decode_node(block: bytes) -> DagNode:
    """Read one dag-pb block, verified against its CID before.

    Raises ContentCorrupt if it is too large, malformed, not canonical or of a kind not in the profile.
    """
    if len(block) > MAX_NODE_BYTES:
        raise ContentCorrupt(f"dag-pb node of {len(block)} bytes passes {MAX_NODE_BYTES}", remedy=_REMEDY)
    try:
        node = _decode(block)
    except (ValueError, UnicodeDecodeError, CidError) as error:
        raise ContentCorrupt(f"malformed dag-pb node ({error})", remedy=_REMEDY) from error
    if encode_node(node) != block:
        raise ContentCorrupt("dag-pb node is not in canonical form", remedy=_REMEDY)
    return node


_REMEDY = "publish it again with the unixfs-v1-2025 profile (`steelyard content cid` shows the CID)"


def _decode(block: bytes) -> DagNode:
    links: list[Link] = []
    unixfs: bytes | None = None
    for number, value in _fields(block):
        if number == 2 and isinstance(value, bytes):
            links.append(_decode_link(value))
        elif number == 1 and isinstance(value, bytes):
            unixfs = value
    if unixfs is None:
        raise ValueError("no UnixFS record")
    return _decode_unixfs(unixfs, tuple(links))


def _decode_link(data: bytes) -> Link:
    values = dict(_fields(data))
    cid, name, tsize = values.get(1), values.get(2), values.get(3)
    if isinstance(cid, bytes) and isinstance(name, bytes) and isinstance(tsize, int):
        return Link(Cid.from_bytes(cid), name.decode("utf-8"), tsize)
    raise ValueError("a link lacks its CID, name or size")


def _decode_unixfs(data: bytes, links: tuple[Link, ...]) -> DagNode:
    kind, file_size, block_sizes = 0, 0, []
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 3 and isinstance(value, int):
            file_size = value
        elif number == 4 and isinstance(value, int):
            block_sizes.append(value)
    if kind == HAMT_SHARD:
        raise ValueError("a HAMT directory: this version lists directories up to 256 KiB")
    if kind not in (DIRECTORY, FILE):
        raise ValueError(f"UnixFS type {kind}")
    return DagNode(kind, links, file_size, tuple(block_sizes))


def _encode_link(link: Link) -> bytes:
    return _field(1, link.cid.to_bytes()) + _field(2, link.name.encode("utf-8")) + _number(3, link.tsize)


def _encode_unixfs(node: DagNode) -> bytes:
    if node.kind == DIRECTORY:
        return _number(1, DIRECTORY)
    sizes = b"".join(_number(4, size) for size in node.block_sizes)
    return _number(1, node.kind) + _number(3, node.file_size) + sizes


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The protobuf fields in order. Raises ValueError if bytes are missing or fields too many."""
    position = count = 0
    while position < len(data):
        count += 1
        if count > _MAX_FIELDS:
            raise ValueError(f"over {_MAX_FIELDS} fields")
        key, position = _read_varint(data, position)
        value, position = _read_varint(data, position)
        if key & 7 == 0:
            yield key >> 3, value
        elif key & 7 == 2:
            if value > len(data) - position:
                raise ValueError("truncated field")
            yield key >> 3, data[position : position + value]
            position += value
        else:
            raise ValueError(f"wire type {key & 7}")


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 56:
            raise ValueError("bad varint")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
