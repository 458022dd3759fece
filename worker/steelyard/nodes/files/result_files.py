"""The files of results: of the initial model, of what was posted, of what was worked out here."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from steelyard.content import Cid, ContentStore, cid_of_path
from steelyard.core.aggregation import Inputs, PostedResult, Roots, aggregate
from steelyard.core.files import atomic, open_state
from steelyard.core.trees import ZERO_ROOT
from steelyard.errors import FormatError, NodeError
from steelyard.nodes.job_info import JobInfo, fetch
from steelyard.nodes.state.view import Post

PIECE = 1 << 20  # bytes copied at a time


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A result worked out here: what a post carries, and its files."""

    roots: Roots
    table_hash: bytes
    cid: Cid
    state: Path
    momentum: Path | None
    published: Path  # the file of that CID


class ResultFiles:
    """A folder of results: by opening and what they were made of, or by id where they were fetched."""

    def __init__(self, info: JobInfo, store: ContentStore, folder: Path) -> None:
        self._info, self._store, self._folder = info, store, folder

    def opened(self, state: Path, momentum: Path | None) -> PostedResult:
        """Both files, mapped. Raises FormatError for a wrong length."""
        count = self._info.step.block_count
        return PostedResult(
            state=open_state(state, count), momentum=None if momentum is None else open_state(momentum, count)
        )

    def roots(self, state: Path, momentum: Path | None) -> tuple[bytes, bytes]:
        """Roots of state and momentum, as a post carries them."""
        files = self.opened(state, momentum)
        return files.state.root(), ZERO_ROOT if files.momentum is None else files.momentum.root()

    def aggregate(self, inputs: Inputs, serial: int, included: int, parent: bytes) -> Computed:
        """Work out a result into files of its own."""
        digest = hashlib.sha256(included.to_bytes(32, "big") + parent).hexdigest()[:16]
        place = self._folder / f"{serial}-{digest}"
        place.mkdir(parents=True, exist_ok=True)
        state, momentum = place / "state", place / "momentum" if self._info.step.momentum else None
        result = aggregate(inputs, out_state=state, out_momentum=momentum)
        published = publishable(state, momentum)
        return Computed(
            roots=result.roots,
            table_hash=result.table_hash,
            cid=cid_of_path(published),
            state=state,
            momentum=momentum,
            published=published,
        )

    async def initial(self, timeout_s: float) -> tuple[Path, Path | None]:
        """Files of the initial model. Raises NodeError where they are not the chain's."""
        initial, place = self._info.manifest.initial, self._folder / "initial"
        state = await fetch(
            self._store,
            Cid.parse(initial.cid),
            place / "state",
            max_bytes=self._info.state_bytes,
            timeout_s=timeout_s,
        )
        root, _ = await asyncio.to_thread(self.roots, state, None)
        if root != self._info.terms.state_root:
            raise NodeError(
                f"the initial model {initial.cid} has root 0x{root.hex()}, the chain says "
                f"0x{self._info.terms.state_root.hex()}",
                remedy="the sponsor must post the job again",
            )
        if not self._info.step.momentum:
            return state, None
        with atomic(place / "momentum") as file:
            file.truncate(self._info.state_bytes)
        return state, place / "momentum"

    async def posted(self, post: Post, timeout_s: float) -> tuple[Path, Path | None]:
        """State and momentum of the file that a post names. Raises ContentError, FormatError."""
        if post.cid is None:
            raise FormatError("what it names is no CID", remedy="it cannot be rebuilt")
        place, size = self._folder / f"{post.serial}-posted-{post.id.hex()[:16]}", self._info.result_bytes
        whole = await fetch(
            self._store,
            post.cid,
            place / "result",
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
        await asyncio.to_thread(_split, whole, self._info.state_bytes, place)
        return place / "state", place / "momentum"

    def drop_before(self, serial: int) -> None:
        """Remove what belongs to earlier openings."""
        for place in self._folder.glob("[0-9]*-*"):
            if int(place.name.partition("-")[0]) < serial:
                shutil.rmtree(place, ignore_errors=True)


def publishable(state: Path, momentum: Path | None) -> Path:
    """The file that a post names: the state, and the momentum behind it where there is one."""
    if momentum is None:
        return state
    path = state.with_name("result")
    with atomic(path) as out:
        for part in (state, momentum):
            with part.open("rb") as source:
                shutil.copyfileobj(source, out, PIECE)
    return path


def _split(whole: Path, at: int, place: Path) -> None:
    with whole.open("rb") as source:
        for name in ("state", "momentum"):
            with atomic(place / name) as out:
                for start in range(0, at, PIECE):
                    out.write(source.read(min(PIECE, at - start)))
