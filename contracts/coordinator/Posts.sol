// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAggregators} from "../interfaces/IAggregators.sol";
import {IJobs} from "../interfaces/IJobs.sol";
import {IRoundRecovery} from "../interfaces/IRoundRecovery.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {IVault} from "../interfaces/IVault.sol";
import {Aggregator, JobState, Result, Round} from "../interfaces/JobTypes.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Posting a result
/// @notice Part of the Coordinator; IRounds describes `post`.
abstract contract Posts is CoordinatorBase {
    using RoundFields for Round;
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
        _judge(j, state, round, result, submitters);
        // A bond that a result of this opening left behind backs the next one.
        bool bonded = round.has(RoundFields.LEFT_BOND) && j.leftBonds[round.number][result.poster] != 0;

        bytes32 id = RoundLib.idOf(result);
        j.results[serial] = id;
        round.setPosted();
        j.rounds[serial].store(round);
        if (bonded) --j.leftBonds[round.number][result.poster];

        emit IRounds.Posted(job, serial, id, result, uint8(round.committeeSize()), RoundLib.holdBy(round, j.terms));

        _openNext(j, state, round, result, submitters);

        if (!bonded) VAULT.lock(result.poster, IVault.Collateral.Bond, j.terms.bond);
    }

    function _electedOf(uint64 id) internal view returns (address account, uint40 anyoneFrom) {
        Job storage j = _self.jobs[id];
        JobState memory state = j.state.load();
        Round memory round = j.rounds[state.head].load();
        if (state.aggregators == 0) return (address(0), 0);
        account = j.aggregators[j.aggregatorSeats[_elected(j, state, round)]].account;
        anyoneFrom = round.tryStartedAt() + j.terms.attestWindow + j.terms.turnWindow;
    }

    function _requirePostable(Job storage j, JobState memory state, Round memory round, Result calldata result)
        private
        view
    {
        if (state.status >= RoundLib.CLOSED) revert IJobs.JobOver(result.job, state.status);
        if (result.serial != state.head || result.serial == 0) {
            revert IRounds.WrongSerial(result.job, state.head, result.serial);
        }
        if (round.has(RoundFields.POSTED)) revert IRounds.AlreadyPosted(result.job, result.serial);
        uint40 tryStart = round.tryStartedAt();
        if (block.timestamp < tryStart) revert IRounds.SubmissionOpen(result.job, result.serial, tryStart);
        uint40 postBy = tryStart + j.terms.attestWindow + j.terms.postWindow;
        if (postBy > j.terms.deadline) postBy = j.terms.deadline;
        if (block.timestamp >= postBy) revert IRounds.PostClosed(result.job, result.serial, postBy);
        RoundLib.requireParent(j, round.parentSerial, result.parent);
        _requireHeldOrInTime(j, result.job, round.parentSerial);
        if (result.attempt != round.posts) {
            revert IRounds.WrongAttempt(result.job, result.serial, round.posts, result.attempt);
        }
    }

    /// @dev Counting holds is for `settle`, which also starts the challenge window.
    function _requireHeldOrInTime(Job storage j, uint64 job, uint64 serial) private view {
        Round storage parent = j.rounds[serial];
        if (parent.isStoredHeld()) return;
        uint40 holdBy = RoundLib.holdBy(parent.load(), j.terms);
        if (block.timestamp >= holdBy) revert IRoundRecovery.ParentNotHeld(job, serial, holdBy);
    }

    /// @dev Checks the included set and the poster, and records in `round` what came of it.
    function _judge(
        Job storage j,
        JobState memory state,
        Round memory round,
        Result calldata result,
        uint256 submitters
    ) private view {
        bool early = block.timestamp < round.tryStartedAt() + j.terms.attestWindow;
        uint256 size = _checkIncluded(j, round, result, submitters, early);
        (uint256 seat, uint256 skipped) = _requireElected(j, state, round, result);
        // A conviction leaves no more time to attest, so what follows an early post is as early.
        early = early || round.postedEarly();
        round.setOutcome(size, seat, BitCounters.count(submitters), early, skipped);
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
        if (committee == 0) revert IRounds.CommitteeNotDrawn(result.job, result.serial);
        (uint256 included, uint256 heard) = j.included(round, result.serial, submitters, committee);
        if (included != result.included) revert IRounds.WrongIncluded(included, result.included);
        uint256 count = BitCounters.count(included);
        if (count < j.terms.minUpdates) revert IRounds.TooFewIncluded(count, j.terms.minUpdates);
        if (early && heard != committee) {
            uint256 sound = submitters;
            if (round.has(RoundFields.HAS_MALFORMED)) sound &= ~j.malformed[result.serial];
            if (included != sound) {
                revert IRounds.AttestOpen(result.job, result.serial, round.tryStartedAt() + j.terms.attestWindow);
            }
        }
        return BitCounters.count(committee);
    }

    /// @dev Checks that the caller may post. Returns the poster's seat, and the elected seat that it replaces, plus one;
    /// 0 if the poster is the elected one.
    function _requireElected(Job storage j, JobState memory state, Round memory round, Result calldata result)
        private
        view
        returns (uint256 index, uint256 skipped)
    {
        Aggregator memory seat = j.aggregators[msg.sender];
        if (seat.account == address(0) || seat.account != result.poster) {
            revert IAggregators.NotAggregator(result.job, msg.sender);
        }
        index = seat.index - 1;
        uint256 elected = _elected(j, state, round);
        if (index != elected) {
            uint40 anyoneFrom = round.tryStartedAt() + j.terms.attestWindow + j.terms.turnWindow;
            if (block.timestamp < anyoneFrom) {
                address account = j.aggregators[j.aggregatorSeats[elected]].account;
                revert IRounds.NotYourTurn(result.job, result.serial, account, anyoneFrom);
            }
            skipped = elected + 1;
        }
    }

    /// @dev Seats rotate with the round's number; those whose result in this round became void go last.
    function _elected(Job storage j, JobState memory state, Round memory round) private view returns (uint256) {
        uint256 seats = state.aggregators;
        uint256 willing = round.posts == 0 ? seats : seats & ~j.demoted[state.head];
        if (willing == 0) willing = seats;
        return BitCounters.nth(willing, round.number % BitCounters.count(willing));
    }
}
