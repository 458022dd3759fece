"""Who attests, what they include, and when: the contract's own reckoning (protocol.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from steelyard.chain.generated.structs import JobTerms

if TYPE_CHECKING:
    from steelyard.nodes.state.view import Opening

COMMITTEE_SIZE = 16
MAX_UNSETTLED = 4
BLOCKHASHES = 256  # how far back the chain knows them
SEED_AGE = BLOCKHASHES // 2  # blocks after which a draw's seed is recorded apart, if no submission did so
SEEDED = 8  # flag of a round: the seed is recorded


def threshold(size: int) -> int:
    """How many of a committee of this size must attest an update, or hold a result."""
    return size // 2 + 1


def of(opening: Opening) -> int | None:
    """Bitmap of the current try's committee; None where it is yet to be drawn."""
    if opening.drawn is not None:
        return opening.drawn
    submitted = opening.submitted
    return submitted if submitted.bit_count() <= COMMITTEE_SIZE else None


def included(opening: Opening) -> int:
    """Bitmap of the updates that enough of the committee attest by now and that are not proven malformed."""
    members = of(opening)
    if not members:
        return 0
    bitmaps = [bitmap for slot, bitmap in opening.heard.items() if members >> slot & 1]
    enough = threshold(members.bit_count())
    slots = 0
    for slot in opening.submissions:
        if sum(bitmap >> slot & 1 for bitmap in bitmaps) >= enough:
            slots |= 1 << slot
    return slots & ~opening.malformed


def lacks_seed(opening: Opening) -> bool:
    """Whether a committee may have to be drawn, and nothing tells that its seed is recorded.

    It is the hash of the opening's block, which the chain forgets; recording it leaves no event.
    """
    may_draw = opening.post is None and opening.drawn is None
    return may_draw and not opening.seeded and opening.members.bit_count() > COMMITTEE_SIZE


def heard(opening: Opening) -> int:
    """Bitmap of the committee members who have attested in the current try."""
    return sum(1 << slot for slot in opening.heard) & (of(opening) or 0)


@dataclass(frozen=True, kw_only=True)
class CommitteeWindows:
    """Deadlines of an opening without a result, in chain time.

    Half-open: an act is in time strictly before.
    """

    clock: int
    attest_by: int
    anyone_from: int
    post_by: int

    @classmethod
    def of(cls, opening: Opening, terms: JobTerms) -> CommitteeWindows | None:
        """None where the chain has to be asked for the clock first."""
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
    """Whether nobody can submit any more."""
    return opening.closed or now >= opening.submit_by


def enough_submitted(opening: Opening, terms: JobTerms) -> bool:
    """Whether the submissions make a round."""
    return len(opening.submissions) >= terms.min_updates


def included_is_fixed(opening: Opening, windows: CommitteeWindows, now: int) -> bool:
    """Whether no attestation can change any more what is included, or a post is possible without one."""
    sound = opening.submitted & ~opening.malformed
    return now >= windows.attest_by or heard(opening) == (of(opening) or -1) or included(opening) == sound


def may_post(opening: Opening, windows: CommitteeWindows, terms: JobTerms, now: int) -> bool:
    """Whether the contract takes a post of what is included now, from whoever's turn it is."""
    if not submissions_over(opening, now) or not of(opening) or opening.post is not None:
        return False
    count = included(opening).bit_count()
    return count >= terms.min_updates and now < windows.post_by and included_is_fixed(opening, windows, now)


def elected(opening: Opening, seats: int) -> int | None:
    """Aggregator seat whose turn it is: by the round's number, those whose result here became void last."""
    willing = seats & ~opening.demoted or seats
    if not willing:
        return None
    taken = [seat for seat in range(willing.bit_length()) if willing >> seat & 1]
    return taken[opening.number % len(taken)]
