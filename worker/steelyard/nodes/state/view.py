"""A job as its events tell it. `folding` builds it from the chain's log, with no I/O.

One thing that events do not say is filled in by whoever reads the chain: an opening's `clock` after a move
that takes its time from the block (`clock is None` until then).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from steelyard.chain.generated import events as ev
from steelyard.chain.generated.structs import Result
from steelyard.content.cid import DAG_PB, RAW, Cid
from steelyard.nodes.state.access import AccessLog

NOT_HELD, CONVICTED, PARENT_VOID = range(3)


def cid_on_chain(codec: int, digest: bytes) -> Cid | None:
    """The CID that an event names; contracts do not check the codec, so it may be none."""
    return Cid.from_chain(codec, digest) if codec in (RAW, DAG_PB) else None


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """A submission as the chain shows it."""

    slot: int
    worker: str
    weight: int
    sealed_root: bytes
    codec: int
    digest: bytes

    @property
    def cid(self) -> Cid | None:
        """Of the update file; None where what was submitted is no CID."""
        return cid_on_chain(self.codec, self.digest)


@dataclass(kw_only=True)
class Post:
    """A posted result."""

    id: bytes
    result: Result
    number: int
    committee: int  # bitmap of those who attested, or might have, and may hold it
    committee_size: int
    hold_by: int
    block: int
    transaction: str
    skipped: str | None = None  # the aggregator whose turn the poster took
    said: int = 0  # bitmap of those who said so by `hold`
    final_at: int | None = None  # None until enough hold it
    final: bool = False
    void: int | None = None  # the cause

    @property
    def serial(self) -> int:
        """Of the opening that it is the result of."""
        return self.result.serial

    @property
    def cid(self) -> Cid | None:
        """Of its state file, momentum behind it; None where what was posted is no CID."""
        return cid_on_chain(self.result.codec, self.result.digest)


@dataclass(kw_only=True)
class Opening:
    """One opening of submissions, and how far it came."""

    serial: int
    number: int
    parent: bytes  # id of the result it builds on
    parent_serial: int
    members: int  # bitmap
    submit_by: int
    block: int
    clock: int | None  # when submissions end or ended, or the current try began; None = ask the chain
    submissions: dict[int, Sealed] = field(default_factory=dict)
    closing_block: int = 0  # whose time is the clock, where everyone awaited had submitted
    closed: bool = False  # before its deadline, by everyone awaited, or by what came later
    tries: int = 0
    drawn: int | None = None  # committee that the chain stored
    heard: dict[int, int] = field(default_factory=dict)  # bitmaps of the current try, by slot
    malformed: int = 0
    posts: int = 0
    post: Post | None = None  # the one that stands
    void: bool = False
    seeded: bool = False  # whoever submitted in a later block has recorded the draw's seed
    with_post: bool = False  # opened by its parent's post, so that a submission says that it is held
    demoted: int = 0  # aggregator seats that go last
    left_bond: bool = False  # a result of it was not held, whose bond backs the poster's next one here
    ready: int = 0  # members that were away and that it waits for on their own word

    @property
    def submitted(self) -> int:
        """Bitmap of the submissions."""
        return sum(1 << slot for slot in self.submissions)


@dataclass(kw_only=True)
class MemberSeat:
    """A member of the job, present or past."""

    worker: str
    operator: str
    slot: int
    weight: int
    shard: int | None  # index
    cid: Cid | None  # of its data
    block: int  # of its joining
    leaving: bool = False
    removed: bool = False


class View:
    """The job, as of the last event applied."""

    def __init__(self, job: int) -> None:
        self.job = job
        self.openings: dict[int, Opening] = {}
        self.posts: dict[bytes, Post] = {}
        self.seats: dict[str, MemberSeat] = {}  # by identity
        self.aggregators: dict[int, str] = {}  # identity by seat
        self.settled_serial = 0
        self.settled_number = 0
        self.failures = 0
        self.stopped = False
        self.ended: ev.JobEnded | None = None
        self.paid_posts: set[int] = set()  # serials
        self.claimed: set[tuple[int, int]] = set()  # serial, slot
        self.left_bonds: Counter[tuple[int, str]] = Counter()  # by round number and account
        self.enlisted: dict[str, int] = {}  # last serial given out before an aggregator came
        self.retirements: Counter[str] = Counter()  # of aggregators, by account
        self.gave_up: set[str] = set()  # aggregators whose last retirement was their own wish
        self.access = AccessLog()
        self.initial: bytes | None = None  # id of the initial model, known from the first opening

    @property
    def head(self) -> Opening | None:
        """The latest opening that stands."""
        standing = [o for o in self.openings.values() if not o.void]
        return max(standing, key=lambda o: o.serial, default=None)

    def unsettled(self) -> list[Post]:
        """Posted results on the way to the head that are not final, oldest first."""
        found: list[Post] = []
        at = self.head
        while at is not None and at.serial > self.settled_serial:
            if at.post is not None and not at.post.final:
                found.append(at.post)
            at = self.openings.get(at.parent_serial)
        return found[::-1]

    def holders(self, post: Post) -> int:
        """Bitmap of the committee members that hold a result, by `hold` or by submitting on top of it."""
        slots = post.said
        for opening in self.openings.values():
            if opening.parent == post.id and opening.with_post and not opening.void:
                slots |= opening.submitted
        return slots & post.committee

    def ancestors(self, serial: int) -> Iterable[Opening]:
        """The openings whose results `serial` builds on, nearest first."""
        at = self.openings.get(serial)
        while at is not None and (parent := self.openings.get(at.parent_serial)) is not None:
            yield parent
            at = parent

    def final_posts(self) -> list[Post]:
        """Final results, oldest first."""
        return sorted((p for p in self.posts.values() if p.final), key=lambda p: p.serial)
