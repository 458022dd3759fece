// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Aggregator, ICoordinator, JobState, Result, Round} from "../interfaces/ICoordinator.sol";
import {IVault} from "../interfaces/IVault.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Posting a result
/// @notice Part of the Coordinator; `ICoordinator` describes each act.
abstract contract Posts is CoordinatorBase {
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    function _post(Result calldata result) internal {
        (uint64 job, uint64 serial) = (result.job, result.serial);
        Job storage j = _self.jobs[job];
        JobState memory state = j.state.load();
        Round memory round = j.rounds[serial].load();
        _requirePostable(j, state, round, result);

        uint256 submitters = j.submitted(round, serial);
        round.tally = _judge(j, state, round, result, submitters);
        // A bond that a result of this opening left behind backs the next one.
        bool bonded = RoundLib.has(round, RoundLib.LEFT_BOND) && j.leftBonds[round.number][result.poster] != 0;

        bytes32 id = RoundLib.idOf(result);
        j.results[serial] = id;
        round.flags |= RoundLib.POSTED;
        round.posts += 1;
        round.clock = uint40(block.timestamp);
        round.mark = 0;
        j.rounds[serial].store(round);
        if (bonded) --j.leftBonds[round.number][result.poster];

        emit ICoordinator.Posted(
            job, serial, id, result, uint8(RoundLib.committeeSize(round)), RoundLib.holdBy(round, j.terms)
        );

        _openNext(j, state, round, result, submitters);

        if (!bonded) VAULT.lock(result.poster, IVault.Purse.Bond, j.terms.bond);
    }

    function _electedOf(uint64 id) internal view returns (address account, uint40 anyoneFrom) {
        Job storage j = _self.jobs[id];
        JobState memory state = j.state.load();
        Round memory round = j.rounds[state.head].load();
        if (state.aggregators == 0) return (address(0), 0);
        account = j.aggregators[j.aggregatorSeats[_elected(j, state, round)]].account;
        anyoneFrom = round.clock + j.terms.attestWindow + j.terms.turnWindow;
    }

    function _requirePostable(Job storage j, JobState memory state, Round memory round, Result calldata result)
        private
        view
    {
        if (state.status >= RoundLib.CLOSED) revert ICoordinator.JobOver(result.job, state.status);
        if (result.serial != state.head || result.serial == 0) {
            revert ICoordinator.WrongSerial(result.job, state.head, result.serial);
        }
        if (RoundLib.has(round, RoundLib.POSTED)) revert ICoordinator.AlreadyPosted(result.job, result.serial);
        if (block.timestamp < round.clock) revert ICoordinator.SubmissionOpen(result.job, result.serial, round.clock);
        uint40 postBy = round.clock + j.terms.attestWindow + j.terms.postWindow;
        if (postBy > j.terms.deadline) postBy = j.terms.deadline;
        if (block.timestamp >= postBy) revert ICoordinator.PostClosed(result.job, result.serial, postBy);
        RoundLib.requireParent(j, round.parentSerial, result.parent);
        _requireHeldOrInTime(j, result.job, round.parentSerial);
        if (result.attempt != round.posts) {
            revert ICoordinator.WrongAttempt(result.job, result.serial, round.posts, result.attempt);
        }
    }

    /// @dev Counting holds is for `settle`, which also starts the challenge window.
    function _requireHeldOrInTime(Job storage j, uint64 job, uint64 serial) private view {
        Round storage parent = j.rounds[serial];
        if (parent.mark != 0) return;
        uint40 holdBy = RoundLib.holdBy(parent.load(), j.terms);
        if (block.timestamp >= holdBy) revert ICoordinator.ParentNotHeld(job, serial, holdBy);
    }

    /// @dev Checks what was included and whose turn it is. Returns the tally of the posted round.
    function _judge(
        Job storage j,
        JobState memory state,
        Round memory round,
        Result calldata result,
        uint256 submitters
    ) private view returns (uint48) {
        bool early = block.timestamp < round.clock + j.terms.attestWindow;
        uint256 size = _checkIncluded(j, round, result, submitters, early);
        (uint256 seat, uint256 skipped) = _takeTurn(j, state, round, result);
        // A conviction leaves no more time to attest, so what follows an early post is as early.
        early = early || RoundLib.postedEarly(round);
        return RoundLib.postTally(size, seat, BitCounters.count(submitters), early, skipped);
    }

    function _openNext(
        Job storage j,
        JobState memory state,
        Round memory round,
        Result calldata result,
        uint256 submitters
    ) private {
        uint256 number = uint256(round.number) + 1;
        if (!j.terms.autoOpen || j.whyNotOpen(state, number, j.sets[state.setVersion]) != 0) return;
        uint256 before = j.sets[round.setVersion];
        j.open(state, result.job, RoundLib.Opening(number, result.serial, before, submitters, true));
        j.state.store(state);
    }

    /// @dev Returns the committee's size.
    function _checkIncluded(Job storage j, Round memory round, Result calldata result, uint256 submitters, bool early)
        private
        view
        returns (uint256 size)
    {
        uint256 committee = j.committee(round, result.serial, submitters);
        if (committee == 0) revert ICoordinator.CommitteeNotDrawn(result.job, result.serial);
        (uint256 included, uint256 heard) = j.included(round, result.serial, submitters, committee);
        if (included != result.included) revert ICoordinator.WrongIncluded(included, result.included);
        uint256 count = BitCounters.count(included);
        if (count < j.terms.minUpdates) revert ICoordinator.TooFewIncluded(count, j.terms.minUpdates);
        if (early && heard != committee) {
            uint256 sound = submitters;
            if (RoundLib.has(round, RoundLib.HAS_MALFORMED)) sound &= ~j.malformed[result.serial];
            if (included != sound) {
                revert ICoordinator.AttestOpen(result.job, result.serial, round.clock + j.terms.attestWindow);
            }
        }
        return BitCounters.count(committee);
    }

    /// @dev Checks whose turn it is. Returns the poster's seat, and the one whose turn it took, plus one; 0 where it was
    /// its own.
    function _takeTurn(Job storage j, JobState memory state, Round memory round, Result calldata result)
        private
        view
        returns (uint256 index, uint256 skipped)
    {
        Aggregator memory seat = j.aggregators[msg.sender];
        if (seat.account == address(0) || seat.account != result.poster) {
            revert ICoordinator.NotAggregator(result.job, msg.sender);
        }
        index = seat.index - 1;
        uint256 elected = _elected(j, state, round);
        if (index != elected) {
            uint40 anyoneFrom = round.clock + j.terms.attestWindow + j.terms.turnWindow;
            if (block.timestamp < anyoneFrom) {
                address account = j.aggregators[j.aggregatorSeats[elected]].account;
                revert ICoordinator.NotYourTurn(result.job, result.serial, account, anyoneFrom);
            }
            skipped = elected + 1;
        }
    }

    /// @dev Seats take turns by the round's number; those whose result in this round became void go last.
    function _elected(Job storage j, JobState memory state, Round memory round) private view returns (uint256) {
        uint256 seats = state.aggregators;
        uint256 willing = round.posts == 0 ? seats : seats & ~j.demoted[state.head];
        if (willing == 0) willing = seats;
        return BitCounters.nth(willing, round.number % BitCounters.count(willing));
    }
}
