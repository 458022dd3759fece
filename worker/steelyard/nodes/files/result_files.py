"""Files of results: the initial model, posted results and results computed here."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from steelyard.content import Cid, ContentStore, cid_of_path
from steelyard.core.aggregation import Inputs, PostedResult, Roots, aggregate
from steelyard.core.state_file import open_state
from steelyard.core.trees import ZERO_ROOT
from steelyard.errors import FormatError, NodeError
from steelyard.nodes.job_info import JobInfo, fetch
from steelyard.nodes.state.view import Post
from steelyard.util.atomic import atomic

CHUNK = 1 << 20  # bytes copied at a time


@dataclass(frozen=True, kw_only=True)
class ComputedResult:
    """A result computed by this node: the fields of a post, and its files."""

    roots: Roots
    table_hash: bytes
    cid: Cid
    state: Path
    momentum: Path | None
    published: Path  # the file of that CID


class ResultFiles:
    """A folder of results, named by opening and inputs if computed here, or by result id if fetched."""

    def __init__(self, info: JobInfo, store: ContentStore, folder: Path) -> None:
        self._info, self._store, self._folder = info, store, folder

    def opened(self, state: Path, momentum: Path | None) -> PostedResult:
        """Map both files into memory. Raises FormatError for a wrong length."""
        count = self._info.step.block_count
        return PostedResult(
            state=open_state(state, count), momentum=None if momentum is None else open_state(momentum, count)
        )

    def roots(self, state: Path, momentum: Path | None) -> tuple[bytes, bytes]:
        """Roots of state and momentum, as in a post."""
        files = self.opened(state, momentum)
        return files.state.root(), ZERO_ROOT if files.momentum is None else files.momentum.root()

    def aggregate(self, inputs: Inputs, serial: int, included: int, parent: bytes) -> ComputedResult:
        """Aggregate into new files."""
        digest = hashlib.sha256(included.to_bytes(32, "big") + parent).hexdigest()[:16]
        folder = self._folder / f"{serial}-{digest}"
        folder.mkdir(parents=True, exist_ok=True)
        state, momentum = folder / "state", folder / "momentum" if self._info.step.momentum else None
        result = aggregate(inputs, out_state=state, out_momentum=momentum)
        published = publishable(state, momentum)
        return ComputedResult(
            roots=result.roots,
            table_hash=result.table_hash,
            cid=cid_of_path(published),
            state=state,
            momentum=momentum,
            published=published,
        )

    async def initial(self, timeout_s: float) -> tuple[Path, Path | None]:
        """State and momentum files of the initial model. Raises NodeError if the root is not the chain's."""
        initial, folder = self._info.manifest.initial, self._folder / "initial"
        state = await fetch(
            self._store,
            Cid.parse(initial.cid),
            folder / "state",
            max_bytes=self._info.state_bytes,
            timeout_s=timeout_s,
        )
        root, _ = await asyncio.to_thread(self.roots, state, None)
        if root != self._info.terms.state_root:
            raise NodeError(
                f"the initial model {initial.cid} has root 0x{root.hex()}, but on chain it is "
                f"0x{self._info.terms.state_root.hex()}",
                remedy="the sponsor must create the job again",
            )
        if not self._info.step.momentum:
            return state, None
        with atomic(folder / "momentum") as file:
            file.truncate(self._info.state_bytes)
        return state, folder / "momentum"

    async def posted(self, post: Post, timeout_s: float) -> tuple[Path, Path | None]:
        """Fetch the file that a post names and split it into state and momentum.

        Raises ContentError, FormatError.
        """
        if post.cid is None:
            raise FormatError("what was posted is not a CID", remedy="it cannot be rebuilt")
        folder, size = self._folder / f"{post.serial}-posted-{post.id.hex()[:16]}", self._info.result_bytes
        whole = await fetch(
            self._store,
            post.cid,
            folder / "result",
            max_bytes=size,
            timeout_s=timeout_s,
            pin_until=self._info.unsettled_until,
        )
        if whole.stat().st_size != size:
            raise FormatError(
                f"its file has {whole.stat().st_size} bytes, not {size}", remedy="it cannot be rebuilt"
            )
        if not self._info.step.momentum:
            return whole, None
        await asyncio.to_thread(_split, whole, self._info.state_bytes, folder)
        return folder / "state", folder / "momentum"

    def drop_before(self, serial: int) -> None:
        """Remove the files of openings before `serial`."""
        for folder in self._folder.glob("[0-9]*-*"):
            if int(folder.name.partition("-")[0]) < serial:
                shutil.rmtree(folder, ignore_errors=True)


def publishable(state: Path, momentum: Path | None) -> Path:
    """The file that a post names: the state, followed by the momentum if there is one."""
    if momentum is None:
        return state
    path = state.with_name("result")
    with atomic(path) as out:
        for part in (state, momentum):
            with part.open("rb") as source:
                shutil.copyfileobj(source, out, CHUNK)
    return path


def _split(whole: Path, at: int, folder: Path) -> None:
    with whole.open("rb") as source:
        for name in ("state", "momentum"):
            with atomic(folder / name) as out:
                for start in range(0, at, CHUNK):
                    out.write(source.read(min(CHUNK, at - start)))
