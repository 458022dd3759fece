// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRoundRecovery} from "../interfaces/IRoundRecovery.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {JobState, JobTerms, Result, Round, Submission} from "../interfaces/JobTypes.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {RoundFields} from "./RoundFields.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Rules of rounds that several calls share
/// @notice Deadlines, sets of slots, holds, results and openings. RoundFields reads a round's fields.
library RoundLib {
    using RoundFields for Round;
    using Slots for JobState;
    using Slots for Round;

    /// @notice The base of an opening.
    struct Opening {
        uint256 number; // of the round
        uint256 parentSerial;
        uint256 before; // members at the parent's opening
        uint256 submitters; // of them, who submitted then
        bool withPost; // it opens with its parent's post
    }

    // Status of a job.
    uint8 internal constant RUNNING = 0;
    uint8 internal constant STOPPED = 1;
    uint8 internal constant CLOSED = 2;
    uint8 internal constant ABORTED = 3;

    // Causes for which a result is void.
    uint8 internal constant NOT_HELD = 0;
    uint8 internal constant CONVICTED = 1;
    uint8 internal constant BUILT_ON_VOID = 2;

    uint256 internal constant MAX_UNSETTLED = 4;
    uint256 internal constant COMMITTEE_SIZE = 16;

    /// @notice How many of a committee must attest or hold.
    function threshold(uint256 size) internal pure returns (uint256) {
        return size / 2 + 1;
    }

    // ---------------------------------------------------------------- deadlines
    function holdBy(Round memory posted, JobTerms storage terms) internal view returns (uint40) {
        return posted.postedAt() + terms.submitWindow;
    }

    /// @notice The time from which on a posted result cannot be challenged, 0 while it is not held.
    function finalAt(Round memory posted, JobTerms storage terms) internal view returns (uint40) {
        uint40 heldAt = posted.heldAt();
        // Zero stands for "not held"; it is not a time that anyone could choose.
        // slither-disable-next-line incorrect-equality
        return heldAt == 0 ? 0 : heldAt + terms.challengeWindow;
    }

    // ---------------------------------------------------------------- sets
    function submitted(Job storage job, Round memory round, uint256 serial) internal view returns (uint256) {
        return job.sets[round.setVersion] & ~job.missing[serial];
    }

    /// @notice The committee of the current try; zero if it is yet to be drawn.
    function committee(Job storage job, Round memory round, uint256 serial, uint256 submitters)
        internal
        view
        returns (uint256)
    {
        if (round.has(RoundFields.COMMITTEE_STORED)) return job.committees[serial];
        return BitCounters.count(submitters) > COMMITTEE_SIZE ? 0 : submitters;
    }

    /// @notice Updates that K of the committee attest, and who of the committee was heard.
    function included(Job storage job, Round memory round, uint256 serial, uint256 submitters, uint256 members)
        internal
        view
        returns (uint256 slots, uint256 heard)
    {
        uint256 size = BitCounters.count(members);
        uint256[] memory bitmaps = new uint256[](size);
        mapping(uint256 => uint256) storage attestations = job.attestations[serial];
        uint256 attempt = uint256(round.tries) << 8;
        uint256 left = members;
        unchecked {
            for (uint256 i; i < size; ++i) {
                uint256 slot = BitCounters.lowest(left);
                left &= left - 1;
                uint256 bitmap = attestations[attempt | slot];
                bitmaps[i] = bitmap;
                if (bitmap != 0) heard |= 1 << slot;
            }
        }

        slots = BitCounters.inAtLeast(bitmaps, threshold(size)) & submitters;
        if (round.has(RoundFields.HAS_MALFORMED)) slots &= ~job.malformed[serial];
    }

    /// @notice Changes who takes part from the next opening on. The caller stores `state`.
    /// @dev A set that an opening uses never changes; the next version does.
    function setMembers(Job storage job, JobState memory state, uint256 members) internal {
        if (state.frozen) {
            ++state.setVersion;
            state.frozen = false;
        }
        job.sets[state.setVersion] = members;
    }

    /// @notice Takes a slot out of the next openings. The caller stores `state`.
    function removeFromSet(Job storage job, JobState memory state, uint256 slot) internal {
        setMembers(job, state, job.sets[state.setVersion] & ~(1 << slot));
    }

    // ---------------------------------------------------------------- holds
    /// @notice Committee members that hold a posted result: by `hold`, or by submitting to the opening that came with
    /// it.
    /// @param child The opening that stands on the result, 0 if there is none.
    function holders(Job storage job, Round memory posted, uint256 serial, uint256 child)
        internal
        view
        returns (uint256 slots)
    {
        uint256 members = committee(job, posted, serial, submitted(job, posted, serial));
        if (child != 0) {
            Round memory next = job.rounds[child].load();
            if (next.has(RoundFields.HELD_WITH_OPENING)) slots = submitted(job, next, child) & members;
        }
        for (uint256 left = posted.holderRanks(); left != 0; left &= left - 1) {
            slots |= 1 << BitCounters.nth(members, BitCounters.lowest(left));
        }
    }

    /// @notice Has the challenge window start if K members hold the result. Returns whether they do.
    /// @dev Submissions are not counted as they come, which would cost each of them a write; the window starts when
    /// they are first counted, so a challenger never has less time.
    function countHolds(Job storage job, Round memory posted, uint64 id, uint256 serial, uint256 child)
        internal
        returns (bool)
    {
        if (posted.isHeld()) return true;
        if (BitCounters.count(holders(job, posted, serial, child)) < threshold(posted.committeeSize())) return false;

        posted.setHeld();
        job.rounds[serial].store(posted);

        emit IRoundRecovery.ThresholdHeld(id, uint64(serial), job.results[serial], finalAt(posted, job.terms));
        return true;
    }

    /// @notice Whether a posted result's time is over and too few hold it.
    function expired(Job storage job, Round memory posted, uint256 serial) internal view returns (bool) {
        if (posted.isHeld() || block.timestamp < holdBy(posted, job.terms)) return false;
        uint256 held = holders(job, posted, serial, childOf(job, serial));
        return BitCounters.count(held) < threshold(posted.committeeSize());
    }

    /// @notice The opening that stands on `serial`, 0 if there is none.
    function childOf(Job storage job, uint256 serial) internal view returns (uint256 child) {
        uint256 at = job.state.head;
        while (at > serial) {
            child = at;
            at = job.rounds[at].parentSerial;
        }
    }

    // ---------------------------------------------------------------- results
    /// @notice `keccak256(abi.encode(result))`: the calldata of a static struct is its encoding.
    function idOf(Result calldata result) internal pure returns (bytes32 id) {
        assembly ("memory-safe") {
            let at := mload(0x40)
            calldatacopy(at, result, 384)
            id := keccak256(at, 384)
        }
    }

    /// @notice `keccak256(abi.encode(submission))`, in the same way.
    function hashOf(Submission calldata submission) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let at := mload(0x40)
            calldatacopy(at, submission, 256)
            hash := keccak256(at, 256)
        }
    }

    function requireParent(Job storage job, uint256 parentSerial, bytes32 parent) internal view {
        bytes32 current = job.results[parentSerial];
        if (current == 0 || current != parent) revert IRounds.WrongParent(current, parent);
    }

    /// @notice The serial of the oldest opening or result that is not final, max if there is none.
    function oldestUnsettled(Job storage job, JobState memory state) internal view returns (uint256 serial) {
        serial = type(uint256).max;
        uint256 at = state.head;
        while (at != state.settledSerial) {
            serial = at;
            at = job.rounds[at].parentSerial;
        }
    }

    /// @notice Makes void all that is built on `serial`, which becomes the head. At most five steps.
    function voidAbove(Job storage job, JobState memory state, uint64 id, uint256 serial) internal {
        uint256 at = state.head;
        while (at != serial) {
            Round memory round = job.rounds[at].load();
            if (job.results[at] != 0) voidResult(job, round, id, at, BUILT_ON_VOID);
            else emit IRounds.OpeningVoid(id, uint64(at));
            at = round.parentSerial;
        }
        state.head = uint32(serial);
    }

    /// @notice Makes one result void. Unless convicted, its bond stays behind for its round.
    function voidResult(Job storage job, Round memory round, uint64 id, uint256 serial, uint8 cause) internal {
        address poster = job.aggregators[job.aggregatorSeats[round.posterSeat()]].account;
        bytes32 result = job.results[serial];
        delete job.results[serial];
        if (cause != CONVICTED) ++job.leftBonds[round.number][poster];

        emit IRounds.ResultVoid(id, uint64(serial), result, poster, cause);
    }

    /// @notice Counts holds that are due and makes final, oldest first, what can be. The caller stores `state`.
    function settle(Job storage job, JobState memory state, uint64 id) internal {
        uint256[] memory path = new uint256[](MAX_UNSETTLED + 1);
        // From zero.
        // slither-disable-next-line uninitialized-local
        uint256 length;
        for (uint256 at = state.head; at != state.settledSerial; at = job.rounds[at].parentSerial) {
            path[length++] = at;
        }

        bool pending;
        while (length != 0) {
            uint256 serial = path[--length];
            bytes32 result = job.results[serial];
            if (result == 0) break;
            Round memory round = job.rounds[serial].load();
            bool held = countHolds(job, round, id, serial, length == 0 ? 0 : path[length - 1]);
            pending = pending || !held || block.timestamp < finalAt(round, job.terms);
            if (pending) continue;

            state.settledSerial = uint32(serial);
            state.settledNumber = round.number;
            state.unresolved += uint32(round.submissionCount() + round.committeeSize() + 1);
            emit IRoundRecovery.Final(id, uint64(serial), round.number, result);
        }
    }

    // ---------------------------------------------------------------- openings
    /// @notice Whether a round's longest course from now on ends before the job's deadline.
    function fits(JobTerms storage terms) internal view returns (bool) {
        uint256 tries = uint256(terms.maxTries) + 1;
        uint256 course =
            uint256(terms.submitWindow) + tries * (uint256(terms.attestWindow) + terms.postWindow + terms.submitWindow);
        return block.timestamp + course <= terms.deadline;
    }

    /// @notice Why no round `number` can be opened on results that stand, or zero.
    function whyNotOpen(Job storage job, JobState memory state, uint256 number, uint256 members)
        internal
        view
        returns (bytes32)
    {
        if (state.status != RUNNING) return "stopped";
        if (number > job.terms.rounds) return "rounds";
        // Members can still go, and the job can be closed.
        if (state.setVersion == type(uint16).max) return "sets";
        if (state.failures > job.terms.maxFailures) return "failures";
        if (number - state.settledNumber > MAX_UNSETTLED) return "unsettled";
        if (BitCounters.count(members) < job.terms.minUpdates) return "members";
        if (!fits(job.terms)) return "deadline";
        return 0;
    }

    /// @notice Opens submissions. The caller stores `state`.
    function open(Job storage job, JobState memory state, uint64 id, Opening memory opening) internal {
        uint256 members = job.sets[state.setVersion];
        uint256 expected = BitCounters.count(members & (opening.submitters | ~opening.before));
        uint8 flags = expected < job.terms.minUpdates ? RoundFields.NO_EARLY_CLOSE : 0;
        if (opening.withPost) flags |= RoundFields.HELD_WITH_OPENING;
        uint256 serial = ++state.lastSerial;

        state.head = uint32(serial);
        state.frozen = true;
        job.missing[serial] = members;
        Round memory round = Round({
            number: uint24(opening.number),
            parentSerial: uint32(opening.parentSerial),
            weightSum: 0,
            setVersion: state.setVersion,
            tries: 0,
            posts: 0,
            flags: flags,
            clock: uint40(block.timestamp) + job.terms.submitWindow, // submissionsEnd
            mark: uint40(block.number), // openingBlock
            tally: uint48(expected << 32) // awaited
        });
        job.rounds[serial].store(round);

        _emitOpened(job, round, id, serial, members);
    }

    function _emitOpened(Job storage job, Round memory round, uint64 id, uint256 serial, uint256 members) private {
        emit IRounds.RoundOpened(
            id,
            uint64(serial),
            round.number,
            job.results[round.parentSerial],
            round.parentSerial,
            members,
            uint16(round.awaited()),
            round.submissionsEnd()
        );
    }
}
