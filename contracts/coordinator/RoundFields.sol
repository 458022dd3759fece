// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Round} from "../interfaces/JobTypes.sol";

/// @title Fields of a round under the names of its phase
/// @notice Three fields of `Round` change their meaning with a post; only this library and Slots know them.
/// @dev
/// | field | before a post                                     | after a post                                |
/// |-------|---------------------------------------------------|---------------------------------------------|
/// | clock | end of submissions, or start of the current try   | time of the post                            |
/// | mark  | block number of the opening                       | time when K members held it, 0 = not yet    |
/// | tally | seed (32 bits, lowest), awaited submissions (16)  | see below                                   |
///
/// `tally` after a post, lowest bits first: holders by `hold`, by rank in the committee (16) | committee size (8) |
/// poster's seat (8) | submissions (9) | posted early (1) | elected seat that the poster replaced, plus one (6).
/// A result that became void leaves these as they were, so a retry can read `postedEarly`.
library RoundFields {
    // Flags of a round.
    uint8 internal constant POSTED = 1;
    uint8 internal constant COMMITTEE_STORED = 2;
    uint8 internal constant HAS_MALFORMED = 4;
    uint8 internal constant SEEDED = 8;
    uint8 internal constant NO_EARLY_CLOSE = 16; // fewer are awaited than a round needs
    uint8 internal constant HELD_WITH_OPENING = 32; // its submissions end when the parent must be held
    uint8 internal constant POSTER_PAID = 64;
    uint8 internal constant LEFT_BOND = 128; // a result of it was void because it was not held

    uint48 private constant ONE_AWAITED = 1 << 32;
    uint48 private constant EARLY = 1 << 41; // before a post no count there is as high

    function has(Round memory round, uint8 flag) internal pure returns (bool) {
        return round.flags & flag != 0;
    }

    // ---------------------------------------------------------------- before a post
    /// @notice When submissions end or ended, in seconds; the start of attesting in the first try.
    function submissionsEnd(Round memory round) internal pure returns (uint40) {
        return round.clock;
    }

    /// @notice When attesting in the current try started or starts, in seconds.
    function tryStartedAt(Round memory round) internal pure returns (uint40) {
        return round.clock;
    }

    /// @notice The block in which submissions were opened.
    function openingBlock(Round memory round) internal pure returns (uint40) {
        return round.mark;
    }

    /// @notice 32 bits of the opening block's hash, which the committee is drawn with. Only if SEEDED.
    function seed(Round memory round) internal pure returns (uint32) {
        return uint32(round.tally);
    }

    /// @notice How many members have not submitted but are waited for.
    function awaited(Round memory round) internal pure returns (uint256) {
        return round.tally >> 32;
    }

    function endSubmissions(Round memory round) internal view {
        round.clock = uint40(block.timestamp);
    }

    function setTryStart(Round memory round, uint40 time) internal pure {
        round.clock = time;
    }

    function setSeed(Round memory round, bytes32 blockHash) internal pure {
        round.tally |= uint32(uint256(blockHash));
        round.flags |= SEEDED;
    }

    /// @notice Stores that one more is awaited than in `round`, the copy of `slot` in memory.
    function storeOneMoreAwaited(Round storage slot, Round memory round) internal {
        slot.tally = round.tally + ONE_AWAITED;
    }

    function awaitOneLess(Round memory round) internal pure {
        round.tally -= ONE_AWAITED;
    }

    // ---------------------------------------------------------------- after a post
    /// @notice When the result was posted, in seconds.
    function postedAt(Round memory posted) internal pure returns (uint40) {
        return posted.clock;
    }

    /// @notice When K members held the result and were counted, in seconds; 0 = not yet.
    function heldAt(Round memory posted) internal pure returns (uint40) {
        return posted.mark;
    }

    /// @notice Whether K members held the result and were counted.
    function isHeld(Round memory posted) internal pure returns (bool) {
        return posted.mark != 0;
    }

    /// @notice As `isHeld`, from one read of storage.
    function isStoredHeld(Round storage posted) internal view returns (bool) {
        return posted.mark != 0;
    }

    /// @notice Bitmap of the committee members that called `hold`, by their rank in the committee.
    function holderRanks(Round memory posted) internal pure returns (uint256) {
        return uint16(posted.tally);
    }

    function committeeSize(Round memory posted) internal pure returns (uint256) {
        return (posted.tally >> 16) & 0xff;
    }

    function posterSeat(Round memory posted) internal pure returns (uint256) {
        return (posted.tally >> 24) & 0xff;
    }

    function submissionCount(Round memory posted) internal pure returns (uint256) {
        return (posted.tally >> 32) & 0x1ff;
    }

    /// @notice Whether the current try's attesting was cut short by a post, even if that is void by now.
    function postedEarly(Round memory round) internal pure returns (bool) {
        return round.tally & EARLY != 0;
    }

    /// @notice The elected seat that another poster replaced, plus one; 0 if the elected one posted.
    function skippedSeat(Round memory posted) internal pure returns (uint256) {
        return posted.tally >> 42;
    }

    function setOutcome(
        Round memory round,
        uint256 size,
        uint256 seat,
        uint256 submissions,
        bool early,
        uint256 skipped
    ) internal pure {
        round.tally = uint48((size << 16) | (seat << 24) | (submissions << 32) | (skipped << 42)) | (early ? EARLY : 0);
    }

    function setPosted(Round memory round) internal view {
        round.flags |= POSTED;
        round.posts += 1;
        round.clock = uint40(block.timestamp);
        round.mark = 0;
    }

    function setHeld(Round memory posted) internal view {
        posted.mark = uint40(block.timestamp);
    }

    function addHolder(Round memory posted, uint256 rank) internal pure {
        posted.tally |= uint48(1 << rank);
    }

    function clearEarly(Round memory round) internal pure {
        round.tally &= ~EARLY;
    }

    /// @notice Serial 0, the initial model: posted now, and held, since nobody needs to hold it.
    function setInitial(Round storage initial) internal {
        initial.clock = uint40(block.timestamp);
        initial.mark = uint40(block.timestamp);
    }
}
