// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPayouts} from "../interfaces/IPayouts.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {JobState, JobTerms, Result, Round, Submission} from "../interfaces/JobTypes.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {Payouts} from "./Payouts.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Rewards
/// @notice Part of the Coordinator; IPayouts describes `claim`. Shares are rounded down; what is left over
/// goes back to the sponsor with the last share of an ended job.
abstract contract Claims is Payouts {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    function _claimAll(Result[] calldata results, Submission[] calldata submissions) internal {
        if (results.length != submissions.length) {
            revert IPayouts.LengthMismatch(results.length, submissions.length);
        }
        for (uint256 i; i < results.length; ++i) {
            _claim(results[i], submissions[i]);
        }
    }

    /// @dev The slot's share of each kind, in units of the token.
    struct Due {
        uint256 work;
        uint256 attesting;
        uint256 earned; // by the worker, of the two
        uint32 shares; // resolved
    }

    function _claim(Result calldata result, Submission calldata submission) private {
        uint64 id = result.job;
        Job storage job = _self.jobs[id];
        Round memory round = _requireFinal(job, result);
        if (submission.job != id || submission.serial != result.serial) {
            revert IRounds.WrongSerial(id, result.serial, submission.serial);
        }
        _consume(job, submission);
        bool included = _earns(job, round, result, submission);
        Due memory due = _due(job, round, submission, included);
        address worker = submission.worker;

        uint256 earned = due.earned;
        if (earned != 0) VAULT.pay(id, worker, earned);
        _return(job, id, result.serial, due.work + due.attesting - earned);
        REGISTRY.record(worker, 1, included ? 1 : 0, 0);
        _resolve(job, id, due.shares);
    }

    function _earns(Job storage job, Round memory round, Result calldata result, Submission calldata submission)
        private
        view
        returns (bool)
    {
        if (!BitCounters.has(result.included, submission.slot)) return false;
        return !round.has(RoundFields.HAS_MALFORMED) || !BitCounters.has(job.malformed[result.serial], submission.slot);
    }

    /// @dev Computes the shares of a submission's slot, deletes its attestation, and emits the event.
    function _due(Job storage job, Round memory round, Submission calldata submission, bool included)
        private
        returns (Due memory due)
    {
        (uint256 workers, uint256 attestors) = _pools(job);
        due.work = workers * submission.weight / round.weightSum;
        due.shares = 1;
        uint256 worked = included ? due.work : 0;
        // Nothing if not heard.
        // slither-disable-next-line uninitialized-local
        uint256 attested;
        (bool sits, bool heard) = _attested(job, round, submission.serial, submission.slot);
        if (sits) {
            due.shares = 2;
            due.attesting = attestors / round.committeeSize();
            if (heard) attested = due.attesting;
        }
        due.earned = worked + attested;

        emit IPayouts.Claimed(submission.job, submission.serial, submission.worker, submission.slot, worked, attested);
    }

    function _return(Job storage job, uint64 id, uint64 serial, uint256 amount) private {
        if (amount == 0) return;
        emit IPayouts.Returned(id, serial, amount);
        VAULT.pay(id, job.sponsor, amount);
    }

    function _pools(Job storage job) private view returns (uint256 workers, uint256 attestors) {
        JobTerms storage terms = job.terms;
        uint256 pool = terms.pool;
        workers = pool * terms.workerBps / BPS;
        attestors = pool * terms.attestorBps / BPS;
    }

    function _consume(Job storage job, Submission calldata submission) private {
        mapping(uint256 => bytes32) storage words = job.submissions[submission.serial];
        bytes32 stored = words[submission.slot];
        if (stored == 0) revert IPayouts.AlreadyClaimed(submission.job, submission.serial, submission.slot);
        bytes32 hash = RoundLib.hashOf(submission);
        if (stored != hash) revert IRounds.WrongSubmission(stored, hash);

        words[submission.slot] = 0;
    }

    /// @dev Whether the slot sits in the committee that attested the result, and attested. Deletes the attestation.
    function _attested(Job storage job, Round memory round, uint64 serial, uint8 slot)
        private
        returns (bool sits, bool heard)
    {
        sits = !round.has(RoundFields.COMMITTEE_STORED) || BitCounters.has(job.committees[serial], slot);
        if (!sits) return (false, false);
        mapping(uint256 => uint256) storage words = job.attestations[serial];
        uint256 key = (uint256(round.tries) << 8) | slot;
        heard = words[key] != 0;
        if (heard) words[key] = 0;
    }
}
