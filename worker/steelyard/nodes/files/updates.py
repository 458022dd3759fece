"""Update files of other workers: fetched by CID, checked, and stored until their round is settled."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from steelyard.chain.generated.structs import Submission
from steelyard.content import Cid, ContentStore
from steelyard.core.encodings import Encoding
from steelyard.core.proofs import MalformedProof, malformed_proof
from steelyard.core.update_file import HEADER, UpdateFile, open_update
from steelyard.errors import CidError, ContentTooLarge, FormatError
from steelyard.nodes.crashpoints import crashpoint
from steelyard.nodes.job_info import JobInfo, fetch
from steelyard.nodes.state.local import UpdateCheck
from steelyard.nodes.state.view import Opening, update_cid

MAX_FETCHES = 8  # files fetched at the same time


@dataclass(frozen=True, kw_only=True)
class _Inspection:
    """Result of parsing an update file."""

    update: UpdateFile | None  # None if its encoding or block count is not the job's
    update_root: bytes = b""
    proof: MalformedProof | None = None
    why: str = ""


class Updates:
    """The update files of one job, in a folder per serial and a file per slot."""

    def __init__(self, info: JobInfo, store: ContentStore, folder: Path) -> None:
        self._info, self._store, self._folder = info, store, folder
        self._fetches = asyncio.Semaphore(MAX_FETCHES)
        self._opened: dict[Path, UpdateFile] = {}
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)

    def path(self, submission: Submission) -> Path:
        """Path of a submission's file, whether or not it was fetched."""
        cid = update_cid(submission)
        name = cid.digest.hex()[:16] if cid else "none"
        return self._folder / str(submission.serial) / f"{submission.slot}-{name}.update"

    async def check(self, opening: Opening, slot: int, timeout_s: float) -> UpdateCheck:
        """Fetch the file of a submission and check its bytes, its format and the submitted commitment.

        Raises ContentError if no peer serves it in time; that is not a verdict.
        """
        submission = opening.submissions[slot]
        path, cid = self.path(submission), update_cid(submission)
        if cid is None:
            return UpdateCheck(path=path, held=False, why="what was submitted is not a CID")
        try:
            await self._fetch(cid, path, timeout_s)
        except (ContentTooLarge, CidError) as error:
            return UpdateCheck(path=path, held=False, why=error.message)
        crashpoint("fetch.after")
        found = await asyncio.to_thread(self._inspect, path, opening.serial)
        opens = bool(found.update_root) and (
            self._info.seal(opening.serial, submission.worker, found.update_root) == submission.sealed_root
        )
        if not opens:
            why = found.why or "its root does not open the submitted commitment"
            return UpdateCheck(path=path, held=False, why=why)
        if found.update is not None:
            self._opened[path] = found.update
        held = found.update is not None and found.proof is None
        return UpdateCheck(
            path=path, held=held, why=found.why, update_root=found.update_root, proof=found.proof
        )

    async def _fetch(self, cid: Cid, path: Path, timeout_s: float) -> None:
        async with self._fetches:
            await fetch(
                self._store,
                cid,
                path,
                max_bytes=self._info.update_bytes,
                timeout_s=timeout_s,
                pin_until=self._info.unsettled_until,
            )

    async def open(self, opening: Opening, slot: int, timeout_s: float) -> UpdateFile:
        """The parsed file of an included submission. Raises ContentError, FormatError."""
        path = self.path(opening.submissions[slot])
        async with self._locks[path]:
            if path not in self._opened:
                checked = await self.check(opening, slot, timeout_s)
                if path not in self._opened:
                    raise FormatError(
                        f"update of slot {slot}: {checked.why}",
                        remedy="no result that includes it can be rebuilt",
                    )
            return self._opened[path]

    def drop(self, serial: int) -> None:
        """Remove an opening's files from the folder. The store's copies go when they are unpinned."""
        folder = self._folder / str(serial)
        for path in [path for path in self._opened if path.parent == folder]:
            del self._opened[path]
        for path in [path for path in self._locks if path.parent == folder]:
            del self._locks[path]
        shutil.rmtree(folder, ignore_errors=True)

    def _inspect(self, path: Path, serial: int) -> _Inspection:
        step = self._info.step
        try:
            update = open_update(
                path, encoding=step.encoding, job=self._info.job, serial=serial, block_count=step.block_count
            )
        except FormatError as error:
            return self._inspect_other_format(path, serial, error.message)
        summary = update.summary
        if summary.well_formed:
            return _Inspection(update=update, update_root=summary.update_root)
        return _Inspection(
            update=update,
            update_root=summary.update_root,
            proof=malformed_proof(update),
            why=f"block {summary.first_refused} is not valid",
        )

    def _inspect_other_format(self, path: Path, serial: int, why: str) -> _Inspection:
        """A file with another encoding or block count than the job's: its root proves it malformed."""
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
