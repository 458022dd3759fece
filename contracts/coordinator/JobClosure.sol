// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFaultProver} from "../interfaces/IFaultProver.sol";
import {IJobClosure} from "../interfaces/IJobClosure.sol";
import {IJobs} from "../interfaces/IJobs.sol";
import {IPayouts} from "../interfaces/IPayouts.sol";
import {IVault} from "../interfaces/IVault.sol";
import {IWorkerRegistry} from "../interfaces/IWorkerRegistry.sol";
import {JobState, Result, Round} from "../interfaces/JobTypes.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {Payouts} from "./Payouts.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Posters' pay and bonds, and how a job ends
/// @notice Module of the Coordinator.
contract JobClosure is Payouts, IJobClosure {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    constructor(IWorkerRegistry registry, IVault vault, IFaultProver prover, uint40 minWindow)
        CoordinatorBase(registry, vault, prover, minWindow)
    {}

    /// @inheritdoc IJobClosure
    function claimPosts(Result[] calldata results) external {
        for (uint256 i; i < results.length; ++i) {
            _claimPost(results[i]);
        }
    }

    /// @inheritdoc IJobClosure
    function releaseBond(uint64 id, uint24 number, address account) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        if (state.status < RoundLib.CLOSED) {
            job.settle(state, id);
            job.state.store(state);
        }
        bool over = state.status >= RoundLib.CLOSED || number <= state.settledNumber;
        uint256 bonds = job.leftBonds[number][account];
        if (!over || bonds == 0) revert IJobClosure.NoBondHere(id, number, account);

        job.leftBonds[number][account] = 0;

        emit IJobClosure.BondReleased(id, number, account);

        VAULT.unlock(account, IVault.Collateral.Bond, bonds * job.terms.bond);
    }

    /// @inheritdoc IJobClosure
    function stop(uint64 id) external {
        Job storage job = _self.jobs[id];
        if (msg.sender != job.sponsor) revert IJobs.NotSponsor(id, msg.sender);
        uint8 status = job.state.status;
        if (status != RoundLib.RUNNING) revert IJobs.JobOver(id, status);

        job.state.status = RoundLib.STOPPED;

        emit IJobClosure.JobStopped(id);
    }

    /// @inheritdoc IJobClosure
    function close(uint64 id) external {
        Job storage job = _self.jobs[id];
        JobState memory state = _running(job, id);
        job.settle(state, id);
        if (state.head != state.settledSerial) revert IJobClosure.CannotEnd(id, "unsettled");
        bytes32 why = job.whyNotOpen(state, uint256(state.settledNumber) + 1, job.sets[state.setVersion]);
        // A lack of members can pass.
        if (why == 0 || why == "members") revert IJobClosure.CannotEnd(id, "open");
        _end(job, state, id, RoundLib.CLOSED);
    }

    /// @inheritdoc IJobClosure
    function abort(uint64 id) external {
        Job storage job = _self.jobs[id];
        JobState memory state = _running(job, id);
        job.settle(state, id);
        bool due = state.failures > job.terms.maxFailures || block.timestamp >= job.terms.deadline;
        if (!due) revert IJobClosure.CannotEnd(id, "running");
        // All that is not final builds on the oldest of it.
        uint256 oldest = job.oldestUnsettled(state);
        if (oldest != type(uint256).max && job.results[oldest] != 0) {
            if (!job.expired(job.rounds[oldest].load(), oldest)) revert IJobClosure.CannotEnd(id, "unsettled");
        }
        job.voidAbove(state, id, state.settledSerial);
        _end(job, state, id, RoundLib.ABORTED);
    }

    function _claimPost(Result calldata result) private {
        (uint64 id, uint64 serial) = (result.job, result.serial);
        Job storage job = _self.jobs[id];
        Round memory round = _requireFinal(job, result);
        if (round.has(RoundFields.POSTER_PAID)) revert IPayouts.AlreadyClaimed(id, serial, 0);
        uint256 amount = uint256(job.terms.pool) * job.terms.aggregatorBps / BPS;

        job.rounds[serial].flags = round.flags | RoundFields.POSTER_PAID;

        emit IJobClosure.AggregatorPaid(id, serial, result.poster, amount);

        if (amount != 0) VAULT.pay(id, result.poster, amount);
        VAULT.unlock(result.poster, IVault.Collateral.Bond, job.terms.bond);
        _resolve(job, id, 1);
    }

    function _end(Job storage job, JobState memory state, uint64 id, uint8 status) private {
        uint256 unearned = uint256(job.terms.pool) * (job.terms.rounds - state.settledNumber);

        state.status = status;
        job.state.store(state);

        emit IJobClosure.JobEnded(id, status == RoundLib.ABORTED, state.settledNumber, unearned);

        if (unearned != 0) VAULT.pay(id, job.sponsor, unearned);
        if (state.unresolved == 0) _returnDust(job, id);
    }

    function _settleNow(uint64 id) internal override {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        job.settle(state, id);
        job.state.store(state);
    }

    function _running(Job storage job, uint64 id) private view returns (JobState memory state) {
        state = job.state.load();
        if (job.sponsor == address(0)) revert IJobs.UnknownJob(id);
        if (state.status >= RoundLib.CLOSED) revert IJobs.JobOver(id, state.status);
    }
}
