"""The embedded store without its network: files in a folder, found by CID. Methods block on the disk."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from steelyard.content import disk
from steelyard.content.directories import build, entries, scan
from steelyard.content.disk import StoreFolder
from steelyard.content.index import BlockLocation, Index
from steelyard.content.layout import LEAF_BYTES, Layout
from steelyard.content.store import Freed
from steelyard.core.cid import Cid
from steelyard.errors import ContentCorrupt, ContentError, ContentMissing

log = logging.getLogger(__name__)


class LocalStore:
    """The files of one folder and their index. Several processes may share the folder."""

    def __init__(self, root: Path) -> None:
        self.folder = StoreFolder(root)
        lost = not (root / "index.sqlite").exists()
        self.index = Index(root / "index.sqlite")
        if lost:
            self._index_files()

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def add(self, path: Path, *, provide: bool, pin_until: float | None) -> Cid:
        """Store a file of the user's."""
        with self.folder.import_file(path) as private:
            return self._keep(private, provide, pin_until)

    def add_bytes(self, data: bytes, *, provide: bool, pin_until: float | None) -> Cid:
        """Store bytes as a file."""
        with self.folder.import_bytes(data) as private:
            return self._keep(private, provide, pin_until)

    def add_directory(
        self, source: Path | Mapping[str, Path], *, provide: bool, pin_until: float | None
    ) -> Cid:
        """Store a directory with all its files. Only the directory itself is provided and pinned."""

        def file(path: Path) -> tuple[Cid, int]:
            with self.folder.import_file(path) as private:
                cid, dag_size, _ = self._store(private, provide=False).tree()
                return cid, dag_size

        built = build(scan(source), file)
        for block in built.blocks:
            self.index.put_directory(block.cid, block.data, provide=provide and block.cid == built.cid)
        self._pin(built.cid, pin_until)
        return built.cid

    def add_part(self, cid: Cid, layout: Layout) -> None:
        """Store a fetched file; every leaf was checked on arrival."""
        part = self.folder.part(cid)
        self.index.put_file(cid, layout, lambda: self.folder.commit(part, cid), provide=False)

    def note(self, cid: Cid, *, provide: bool, pin_until: float | None) -> None:
        """Mark held content as provided and pin it, if requested."""
        if provide:
            self.index.set_provided(cid, provided=True)
        self._pin(cid, pin_until)

    def holds(self, cid: Cid) -> bool:
        """Whether it is held completely: a directory with all that is below it."""
        seen, rest = {cid}, [cid]
        while rest:
            here = rest.pop()
            kind = self.index.kind(here)
            if kind is None or (kind == "file" and not self.folder.file(here).exists()):
                return False
            below = set(self.index.children(here)) - seen if kind == "directory" else set()
            seen |= below
            rest += below
        return True

    def verified(self, cid: Cid) -> Layout | None:
        """The layout of a held file after checking every byte of it; None if it is not held.

        Raises ContentCorrupt, naming the file, if the disk has other bytes; it counts as not held then.
        """
        layout = self.index.layout(cid) if self.index.kind(cid) == "file" else None
        if layout is not None:
            with self._watch(cid):
                disk.check(self.folder.file(cid), layout)
        return layout

    def read(self, cid: Cid, offset: int, length: int) -> bytes:
        """A checked range of a held file, shorter at its end."""
        layout = self.index.layout(cid) if self.index.kind(cid) == "file" else None
        if layout is None:
            raise ContentMissing(f"file {cid} is not held here", remedy="get it first")
        if offset < 0 or length < 0:
            raise ContentError(f"no range of {length} bytes from {offset}", remedy="give counts from 0 up")
        end = min(layout.size, offset + length)
        indices = range(offset // LEAF_BYTES, -(-end // LEAF_BYTES)) if offset < end else range(0)
        start = indices.start * LEAF_BYTES
        data = b"".join(self.leaf(cid, layout, index) for index in indices)
        return data[offset - start : end - start]

    def leaf(self, cid: Cid, layout: Layout, index: int) -> bytes:
        """One checked leaf of a held file."""
        with self._watch(cid):
            return disk.read_leaf(self.folder.file(cid), layout, index)

    def public_block(self, cid: Cid) -> bytes | None:
        """The block `cid` as it may be served: from any file or directory that is provided."""
        for place in self.index.places(cid):
            if self.index.is_provided(place.root):
                data = self._block(place)
                if data is not None and hashlib.sha256(data).digest() == cid.digest:
                    return data
        return None

    def public_layout(self, cid: Cid) -> Layout | None:
        """The layout of a file that may be served."""
        if self.index.kind(cid) != "file" or not self.index.is_provided(cid):
            return None
        return self.index.layout(cid)

    def names(self, cid: Cid) -> dict[str, Cid] | None:
        """The names in a held directory; None if it is not held."""
        block = self.index.directory(cid)
        return None if block is None else entries(cid, block)

    def collect(self, grace_s: float) -> Freed:
        """Remove what no pin keeps and what killed processes left."""
        freed = self.index.collect(grace_s, self._on_disk, self.folder.remove)
        swept = self.folder.sweep(time.time() - grace_s)
        return Freed(entries=freed.entries, freed_bytes=freed.freed_bytes + swept)

    def _on_disk(self) -> list[Cid]:
        return [cid for _, cid in self.folder.whole_files()]

    def _index_files(self) -> None:
        """Rebuild the index from the folder if it was lost; nothing is provided or pinned."""
        for path, cid in self.folder.whole_files():
            layout = disk.layout_of(path)
            if layout.root() == cid:
                self.index.put_file(cid, layout, _in_place, provide=False)
            else:
                log.error("%s does not match its CID: it is not held", path)

    def _keep(self, private: Path, provide: bool, pin_until: float | None) -> Cid:
        cid = self._store(private, provide=provide).root()
        self._pin(cid, pin_until)
        return cid

    def _store(self, private: Path, *, provide: bool) -> Layout:
        layout = disk.layout_of(private)
        cid = layout.root()
        self.index.put_file(cid, layout, lambda: self.folder.commit(private, cid), provide=provide)
        return layout

    def _pin(self, cid: Cid, until: float | None) -> None:
        if until is not None:
            self.index.pin(cid, until)

    def _block(self, place: BlockLocation) -> bytes | None:
        if place.node is not None:
            return place.node
        layout = self.index.layout(place.root)
        try:
            return None if layout is None else self.leaf(place.root, layout, place.leaf)
        except ContentCorrupt:
            return None

    @contextmanager
    def _watch(self, cid: Cid) -> Iterator[None]:
        """If a stored file is damaged, stop serving it."""
        try:
            yield
        except ContentCorrupt as error:
            log.error("%s", error)  # noqa: TRY400 - it is handled, and the message is complete
            self.index.set_damaged(cid)
            raise


def _in_place() -> None:
    """The file is already in place."""
