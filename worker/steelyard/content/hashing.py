"""CIDs of what lies on disk, without a store and without an event loop."""

from __future__ import annotations

from pathlib import Path

from steelyard.content.cid import Cid
from steelyard.content.directories import build, scan
from steelyard.content.disk import layout_of


def cid_of_path(path: Path) -> Cid:
    """The CID of a file or of a folder with all in it. Nothing is stored or handed out.

    Raises ContentMissing where there is no such path, ContentError for links and devices in a folder.
    """
    return build(scan(path), _file).cid if path.is_dir() else layout_of(path).root()


def _file(path: Path) -> tuple[Cid, int]:
    cid, dag_size, _ = layout_of(path).tree()
    return cid, dag_size
