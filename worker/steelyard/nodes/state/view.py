"""The state of a job as its events give it. `folding` builds it from the chain's log, without I/O.

Events do not carry an opening's `clock` after a call that takes its time from the block. It is None until the
caller has read it from the chain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from steelyard.chain.generated import events as ev
from steelyard.chain.generated.events import AccessGranted
from steelyard.chain.generated.structs import Result, Submission
from steelyard.core.cid import DAG_PB, RAW, Cid
from steelyard.nodes.state.access import AccessLog

NOT_HELD, CONVICTED, PARENT_VOID = range(3)


def cid_on_chain(codec: int, digest: bytes) -> Cid | None:
    """The CID that an event names. None if the codec is unknown: contracts do not check it."""
    return Cid.from_chain(codec, digest) if codec in (RAW, DAG_PB) else None


def update_cid(submission: Submission) -> Cid | None:
    """CID of a submission's update file; None if what was submitted is not a CID."""
    return cid_on_chain(submission.codec, submission.digest)


def envelope_cid(grant: AccessGranted) -> Cid | None:
    """CID of the envelope that a grant names; None if it is not a CID."""
    return cid_on_chain(grant.codec, grant.digest)


@dataclass(kw_only=True)
class Post:
    """A posted result."""

    id: bytes
    result: Result
    number: int
    committee: int  # bitmap of the members that may hold it
    committee_size: int
    hold_by: int
    block: int
    transaction: str
    skipped: str | None = None  # the elected aggregator, if another one posted
    hold_calls: int = 0  # bitmap of the members that called `hold`
    final_at: int | None = None  # unix seconds; None until the threshold of members holds it
    final: bool = False
    void: int | None = None  # cause code

    @property
    def serial(self) -> int:
        """Serial of the opening whose result this is."""
        return self.result.serial

    @property
    def cid(self) -> Cid | None:
        """CID of its file, the state followed by the momentum; None if what was posted is not a CID."""
        return cid_on_chain(self.result.codec, self.result.digest)


@dataclass(kw_only=True)
class Opening:
    """One opening of a round for submissions, and its progress."""

    serial: int
    number: int
    parent: bytes  # id of the result that it builds on
    parent_serial: int
    members: int  # bitmap
    submit_by: int
    block: int
    clock: int | None  # end of submissions, or start of the current try; None = read it from the chain
    submissions: dict[int, Submission] = field(default_factory=dict)
    closing_block: int = 0  # its time is the clock, if all awaited members had submitted
    closed: bool = False  # submissions ended before the deadline
    tries: int = 0
    drawn: int | None = None  # bitmap of the committee that the chain stored
    attestations: dict[int, int] = field(default_factory=dict)  # bitmaps of the current try, by slot
    malformed: int = 0
    posts: int = 0
    post: Post | None = None  # the standing result
    void: bool = False
    seed_recorded: bool = False  # the seed of the committee draw is on chain
    opened_by_post: bool = False  # a submission then counts as holding the parent
    demoted: int = 0  # bitmap of aggregator seats that come last in the rotation
    has_unreleased_bond: bool = False  # bond of a result that was not held; it backs the poster's next one
    ready: int = 0  # bitmap of returning members that asked the opening to wait for them

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
    cid: Cid | None  # of its training data
    block: int  # in which it joined
    leaving: bool = False
    removed: bool = False


class View:
    """The state of one job after the last applied event."""

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
        self.unreleased_bonds: Counter[tuple[int, str]] = Counter()  # by round number and account
        self.enlisted_after: dict[str, int] = {}  # highest serial when an aggregator enlisted
        self.retirements: Counter[str] = Counter()  # of aggregators, by account
        self.retired_by_owner: set[str] = set()  # aggregators that last retired themselves
        self.access = AccessLog()
        self.initial: bytes | None = None  # id of the initial model; None before the first opening

    @property
    def head(self) -> Opening | None:
        """The latest opening that is not void."""
        standing = [o for o in self.openings.values() if not o.void]
        return max(standing, key=lambda o: o.serial, default=None)

    def unsettled(self) -> list[Post]:
        """Standing results that the head builds on and that are not final, oldest first."""
        found: list[Post] = []
        opening = self.head
        while opening is not None and opening.serial > self.settled_serial:
            if opening.post is not None and not opening.post.final:
                found.append(opening.post)
            opening = self.openings.get(opening.parent_serial)
        return found[::-1]

    def holders(self, post: Post) -> int:
        """Bitmap of the committee members that hold a result, by `hold` or by submitting on top of it."""
        slots = post.hold_calls
        for opening in self.openings.values():
            if opening.parent == post.id and opening.opened_by_post and not opening.void:
                slots |= opening.submitted
        return slots & post.committee

    def ancestors(self, serial: int) -> Iterable[Opening]:
        """The openings whose results `serial` builds on, nearest first."""
        opening = self.openings.get(serial)
        while opening is not None and (parent := self.openings.get(opening.parent_serial)) is not None:
            yield parent
            opening = parent

    def final_posts(self) -> list[Post]:
        """Final results, oldest first."""
        return sorted((p for p in self.posts.values() if p.final), key=lambda p: p.serial)
