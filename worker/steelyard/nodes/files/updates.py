"""Update files of others: fetched by CID, checked, and kept until their round is settled."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from steelyard.content import ContentStore
from steelyard.core.encodings import Encoding
from steelyard.core.files import open_update
from steelyard.core.proofs import MalformedProof, malformed_proof
from steelyard.core.update_file import HEADER, UpdateFile
from steelyard.errors import CidError, ContentTooLarge, FormatError
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.job_info import JobInfo, fetch
from steelyard.nodes.state.local import UpdateCheck
from steelyard.nodes.state.view import Opening, Sealed

AT_ONCE = 8  # files fetched at a time


@dataclass(frozen=True, kw_only=True)
class _Inspection:
    """What a file's bytes say."""

    update: UpdateFile | None  # in the job's shape
    update_root: bytes = b""
    proof: MalformedProof | None = None
    why: str = ""


class Updates:
    """The update files of one job, in a folder by serial and slot."""

    def __init__(self, info: JobInfo, store: ContentStore, folder: Path) -> None:
        self._info, self._store, self._folder = info, store, folder
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._opened: dict[Path, UpdateFile] = {}
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)

    def path(self, serial: int, sealed: Sealed) -> Path:
        """Where the file of a submission is, or will be."""
        name = sealed.cid.digest.hex()[:16] if sealed.cid else "none"
        return self._folder / str(serial) / f"{sealed.slot}-{name}.update"

    async def check(self, opening: Opening, slot: int, timeout_s: float) -> UpdateCheck:
        """Get the file of a submission and say whether it is held: bytes, form, and seal.

        Raises ContentError where nobody hands it out in time: it may come yet.
        """
        sealed = opening.submissions[slot]
        path = self.path(opening.serial, sealed)
        if sealed.cid is None:
            return UpdateCheck(path=path, held=False, why="no CID was submitted")
        try:
            async with self._gate:
                await fetch(
                    self._store,
                    sealed.cid,
                    path,
                    max_bytes=self._info.update_bytes,
                    timeout_s=timeout_s,
                    pin_until=self._info.unsettled_until,
                )
        except (ContentTooLarge, CidError) as error:
            return UpdateCheck(path=path, held=False, why=error.message)
        crashpoint("fetch.after")
        looked = await asyncio.to_thread(self._look, path, opening.serial)
        opens = bool(looked.update_root) and (
            self._info.seal(opening.serial, sealed.worker, looked.update_root) == sealed.sealed_root
        )
        if not opens:
            return UpdateCheck(path=path, held=False, why=looked.why or "its root does not open the seal")
        if looked.update is not None:
            self._opened[path] = looked.update
        held = looked.update is not None and looked.proof is None
        return UpdateCheck(
            path=path, held=held, why=looked.why, update_root=looked.update_root, proof=looked.proof
        )

    async def open(self, opening: Opening, slot: int, timeout_s: float) -> UpdateFile:
        """The parsed file of an included submission. Raises ContentError, FormatError."""
        path = self.path(opening.serial, opening.submissions[slot])
        async with self._locks[path]:
            if path not in self._opened:
                checked = await self.check(opening, slot, timeout_s)
                if path not in self._opened:
                    raise FormatError(
                        f"update of slot {slot}: {checked.why}", remedy="it cannot be rebuilt from"
                    )
            return self._opened[path]

    def drop(self, serial: int) -> None:
        """Remove an opening's files from the folder; the store collects its own when they are unpinned."""
        place = self._folder / str(serial)
        for path in [path for path in self._opened if path.parent == place]:
            del self._opened[path]
        for path in [path for path in self._locks if path.parent == place]:
            del self._locks[path]
        shutil.rmtree(place, ignore_errors=True)

    def _look(self, path: Path, serial: int) -> _Inspection:
        step = self._info.step
        try:
            update = open_update(
                path, encoding=step.encoding, job=self._info.job, serial=serial, block_count=step.block_count
            )
        except FormatError as error:
            return self._other_shape(path, serial, error.message)
        summary = update.summary
        if summary.well_formed:
            return _Inspection(update=update, update_root=summary.update_root)
        return _Inspection(
            update=update,
            update_root=summary.update_root,
            proof=malformed_proof(update),
            why=f"block {summary.first_refused} is refused",
        )

    def _other_shape(self, path: Path, serial: int, why: str) -> _Inspection:
        """A file that says another encoding or block count than the job's: its root proves it malformed."""
        with path.open("rb") as file:
            head = file.read(HEADER.size)
        if len(head) < HEADER.size:
            return _Inspection(update=None, why=why)
        _, encoding, _, _, _, count, _ = HEADER.unpack(head)
        if (encoding, count) == (int(self._info.step.encoding), self._info.step.block_count):
            return _Inspection(update=None, why=why)
        try:
            update = open_update(
                path, encoding=Encoding(encoding), job=self._info.job, serial=serial, block_count=count
            )
        except (FormatError, ValueError):
            return _Inspection(update=None, why=why)
        root = update.summary.root
        return _Inspection(update=None, update_root=root.digest(), proof=MalformedProof(root=root), why=why)
