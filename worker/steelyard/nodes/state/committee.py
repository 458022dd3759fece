"""Committee, included updates and deadlines of an opening, as on chain (protocol.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.chain.generated.structs import JobTerms
from steelyard.nodes.state.view import Opening

COMMITTEE_SIZE = 16
MAX_UNSETTLED = 4
BLOCKHASHES = 256  # recent blocks whose hashes the EVM can read
SEED_AGE = BLOCKHASHES // 2  # blocks after which `recordSeed` is called, if no submission recorded the seed
SEEDED = 8  # flag of a round: the seed of the committee draw is recorded


def threshold(size: int) -> int:
    """Number K of committee members that must attest an update, or hold a result."""
    return size // 2 + 1


def of(opening: Opening) -> int | None:
    """Bitmap of the current try's committee; None if it has to be drawn first."""
    if opening.drawn is not None:
        return opening.drawn
    submitted = opening.submitted
    return submitted if submitted.bit_count() <= COMMITTEE_SIZE else None


def included(opening: Opening) -> int:
    """Bitmap of the updates that K committee members have attested and that are not proven malformed."""
    members = of(opening)
    if not members:
        return 0
    bitmaps = [bitmap for slot, bitmap in opening.attestations.items() if members >> slot & 1]
    enough = threshold(members.bit_count())
    slots = 0
    for slot in opening.submissions:
        if sum(bitmap >> slot & 1 for bitmap in bitmaps) >= enough:
            slots |= 1 << slot
    return slots & ~opening.malformed


def lacks_seed(opening: Opening) -> bool:
    """True if a committee may have to be drawn and its seed is not known to be recorded.

    The seed is the hash of the opening's block, which the EVM can read for 256 blocks only. Recording it
    emits no event.
    """
    may_draw = opening.post is None and opening.drawn is None
    return may_draw and not opening.seed_recorded and opening.members.bit_count() > COMMITTEE_SIZE


def attested(opening: Opening) -> int:
    """Bitmap of the committee members that have attested in the current try."""
    return sum(1 << slot for slot in opening.attestations) & (of(opening) or 0)


@dataclass(frozen=True, kw_only=True)
class CommitteeWindows:
    """Deadlines of an opening without a result, in chain time (unix seconds).

    A call is in time strictly before its deadline.
    """

    clock: int
    attest_by: int
    anyone_from: int
    post_by: int

    @classmethod
    def of(cls, opening: Opening, terms: JobTerms) -> CommitteeWindows | None:
        """The deadlines; None if the clock has to be read from the chain first."""
        if opening.clock is None:
            return None
        attest_by = opening.clock + terms.attest_window
        return cls(
            clock=opening.clock,
            attest_by=attest_by,
            anyone_from=attest_by + terms.turn_window,
            post_by=min(attest_by + terms.post_window, terms.deadline),
        )


def submissions_over(opening: Opening, now: int) -> bool:
    """True if no more submissions are accepted."""
    return opening.closed or now >= opening.submit_by


def enough_submitted(opening: Opening, terms: JobTerms) -> bool:
    """True if there are enough submissions for a round."""
    return len(opening.submissions) >= terms.min_updates


def included_is_fixed(opening: Opening, windows: CommitteeWindows, now: int) -> bool:
    """True if no attestation can change the included updates any more, or all sound updates are included."""
    sound = opening.submitted & ~opening.malformed
    return now >= windows.attest_by or attested(opening) == (of(opening) or -1) or included(opening) == sound


def may_post(opening: Opening, windows: CommitteeWindows, terms: JobTerms, now: int) -> bool:
    """True if the contract accepts a post with the present attestations from the elected aggregator."""
    if not submissions_over(opening, now) or not of(opening) or opening.post is not None:
        return False
    count = included(opening).bit_count()
    return count >= terms.min_updates and now < windows.post_by and included_is_fixed(opening, windows, now)


def elected(opening: Opening, seats: int) -> int | None:
    """The aggregator seat that the rotation gives for this round; seats with a void result here come last.

    seats: bitmap of taken seats. Returns None if there is none.
    """
    candidates = seats & ~opening.demoted or seats
    if not candidates:
        return None
    order = [seat for seat in range(candidates.bit_length()) if candidates >> seat & 1]
    return order[opening.number % len(order)]
