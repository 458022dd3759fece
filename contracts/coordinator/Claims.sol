// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICoordinator, JobState, JobTerms, Result, Round, Submission} from "../interfaces/ICoordinator.sol";
import {IWorkerRegistry} from "../interfaces/IWorkerRegistry.sol";
import {IFaultProver} from "../interfaces/IFaultProver.sol";
import {IVault} from "../interfaces/IVault.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {Endings} from "./Endings.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Rewards
/// @notice Module of the Coordinator; `ICoordinator` describes each act. Shares are rounded down; what is left over
/// goes back to the sponsor with the last share of an ended job.
contract Claims is Endings {
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    uint256 private constant BPS = 10_000;
    bytes32 private constant CLAIMED = bytes32(uint256(1));

    constructor(IWorkerRegistry registry, IVault vault, IFaultProver prover, uint40 minWindow)
        CoordinatorBase(registry, vault, prover, minWindow)
    {}

    function claim(Result[] calldata results, Submission[] calldata submissions) external {
        if (results.length != submissions.length) {
            revert ICoordinator.LengthMismatch(results.length, submissions.length);
        }
        for (uint256 i; i < results.length; ++i) {
            _claim(results[i], submissions[i]);
        }
    }

    function claimPosts(Result[] calldata results) external {
        for (uint256 i; i < results.length; ++i) {
            _claimPost(results[i]);
        }
    }

    function releaseBond(uint64 id, uint24 number, address account) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        if (state.status < RoundLib.CLOSED) {
            job.settle(state, id);
            job.state.store(state);
        }
        bool over = state.status >= RoundLib.CLOSED || number <= state.settledNumber;
        if (!over || !job.leftBonds[number][account]) revert ICoordinator.NoBondHere(id, number, account);

        job.leftBonds[number][account] = false;

        emit ICoordinator.BondReleased(id, number, account);

        VAULT.unlock(account, IVault.Purse.Bond, job.terms.bond);
    }

    /// @dev The job's share of each kind, and what it comes to.
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
            revert ICoordinator.WrongSerial(id, result.serial, submission.serial);
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
        return
            !RoundLib.has(round, RoundLib.HAS_MALFORMED)
                || !BitCounters.has(job.malformed[result.serial], submission.slot);
    }

    /// @dev Reckons the shares of a submission's slot, uses its attestation up, and says so.
    function _due(Job storage job, Round memory round, Submission calldata submission, bool included)
        private
        returns (Due memory due)
    {
        (uint256 workers, uint256 attestors) = _pools(job);
        due.work = workers * submission.weight / round.weightSum;
        due.shares = 1;
        uint256 worked = included ? due.work : 0;
        uint256 attested;
        (bool sits, bool heard) = _attested(job, round, submission.serial, submission.slot);
        if (sits) {
            due.shares = 2;
            due.attesting = attestors / RoundLib.committeeSize(round);
            if (heard) attested = due.attesting;
        }
        due.earned = worked + attested;

        emit ICoordinator.Claimed(
            submission.job, submission.serial, submission.worker, submission.slot, worked, attested
        );
    }

    function _return(Job storage job, uint64 id, uint64 serial, uint256 amount) private {
        if (amount == 0) return;
        emit ICoordinator.Returned(id, serial, amount);
        VAULT.pay(id, job.sponsor, amount);
    }

    function _pools(Job storage job) private view returns (uint256 workers, uint256 attestors) {
        JobTerms storage terms = job.terms;
        uint256 pool = terms.pool;
        workers = pool * terms.workerBps / BPS;
        attestors = pool * terms.attestorBps / BPS;
    }

    function _claimPost(Result calldata result) private {
        (uint64 id, uint64 serial) = (result.job, result.serial);
        Job storage job = _self.jobs[id];
        Round memory round = _requireFinal(job, result);
        if (RoundLib.has(round, RoundLib.POSTER_PAID)) revert ICoordinator.AlreadyClaimed(id, serial, 0);
        uint256 amount = uint256(job.terms.pool) * job.terms.aggregatorBps / BPS;

        job.rounds[serial].flags = round.flags | RoundLib.POSTER_PAID;

        emit ICoordinator.AggregatorPaid(id, serial, result.poster, amount);

        if (amount != 0) VAULT.pay(id, result.poster, amount);
        VAULT.unlock(result.poster, IVault.Purse.Bond, job.terms.bond);
        _resolve(job, id, 1);
    }

    function _requireFinal(Job storage job, Result calldata result) private returns (Round memory) {
        (uint64 id, uint64 serial) = (result.job, result.serial);
        bytes32 resultId = RoundLib.idOf(result);
        if (serial == 0 || job.results[serial] != resultId) {
            revert ICoordinator.WrongResult(job.results[serial], resultId);
        }
        if (serial > job.state.settledSerial) {
            JobState memory state = job.state.load();
            job.settle(state, id);
            if (serial > state.settledSerial) revert ICoordinator.NotFinal(id, serial);
            job.state.store(state);
        }
        return job.rounds[serial].load();
    }

    /// @dev A word of 1 still says that the slot submitted.
    function _consume(Job storage job, Submission calldata submission) private {
        bytes32 stored = job.submissions[submission.serial][submission.slot];
        if (stored == CLAIMED) {
            revert ICoordinator.AlreadyClaimed(submission.job, submission.serial, submission.slot);
        }
        bytes32 hash = RoundLib.hashOf(submission);
        if (stored != hash) revert ICoordinator.WrongSubmission(stored, hash);

        job.submissions[submission.serial][submission.slot] = CLAIMED;
    }

    /// @dev Whether the slot sits in the committee that attested the result, and was heard. Uses the attestation up.
    function _attested(Job storage job, Round memory round, uint64 serial, uint8 slot)
        private
        returns (bool sits, bool heard)
    {
        sits = !RoundLib.has(round, RoundLib.COMMITTEE_STORED) || BitCounters.has(job.committees[serial], slot);
        if (!sits) return (false, false);
        uint256 key = (uint256(round.tries) << 8) | slot;
        heard = job.attestations[serial][key] != 0;
        if (heard) job.attestations[serial][key] = 0;
    }

    function _resolve(Job storage job, uint64 id, uint32 shares) private {
        uint32 left = job.state.unresolved - shares;
        job.state.unresolved = left;
        if (left == 0 && job.state.status >= RoundLib.CLOSED) _returnDust(job, id);
    }
}
