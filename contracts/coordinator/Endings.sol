// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICoordinator, JobState, Round} from "../interfaces/ICoordinator.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title How a job ends
/// @notice Part of the module of claims; `ICoordinator` describes each act.
abstract contract Endings is CoordinatorBase {
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    function stop(uint64 id) external {
        Job storage job = _self.jobs[id];
        if (msg.sender != job.sponsor) revert ICoordinator.NotSponsor(id, msg.sender);
        uint8 status = job.state.status;
        if (status != RoundLib.RUNNING) revert ICoordinator.JobOver(id, status);

        job.state.status = RoundLib.STOPPED;

        emit ICoordinator.JobStopped(id);
    }

    function close(uint64 id) external {
        Job storage job = _self.jobs[id];
        JobState memory state = _running(job, id);
        job.settle(state, id);
        if (state.head != state.settledSerial) revert ICoordinator.CannotEnd(id, "unsettled");
        bytes32 why = job.whyNotOpen(state, uint256(state.settledNumber) + 1, job.sets[state.setVersion]);
        // A lack of members can pass.
        if (why == 0 || why == "members") revert ICoordinator.CannotEnd(id, "open");
        _end(job, state, id, RoundLib.CLOSED);
    }

    function abort(uint64 id) external {
        Job storage job = _self.jobs[id];
        JobState memory state = _running(job, id);
        job.settle(state, id);
        bool due = state.failures > job.terms.maxFailures || block.timestamp >= job.terms.deadline;
        if (!due) revert ICoordinator.CannotEnd(id, "running");
        // All that is not final builds on the oldest of it.
        uint256 oldest = job.oldestUnsettled(state);
        if (oldest != type(uint256).max && job.results[oldest] != 0) {
            if (!job.expired(job.rounds[oldest].load(), oldest)) revert ICoordinator.CannotEnd(id, "unsettled");
        }
        job.voidAbove(state, id, state.settledSerial);
        _end(job, state, id, RoundLib.ABORTED);
    }

    /// @dev Gives the sponsor what shares rounded down have left of the escrow.
    function _returnDust(Job storage job, uint64 id) internal {
        (, uint256 left) = VAULT.escrowOf(id);
        if (left == 0) return;
        emit ICoordinator.Returned(id, 0, left);
        VAULT.pay(id, job.sponsor, left);
    }

    function _end(Job storage job, JobState memory state, uint64 id, uint8 status) private {
        uint256 unearned = uint256(job.terms.pool) * (job.terms.rounds - state.settledNumber);

        state.status = status;
        job.state.store(state);

        emit ICoordinator.JobEnded(id, status == RoundLib.ABORTED, state.settledNumber, unearned);

        if (unearned != 0) VAULT.pay(id, job.sponsor, unearned);
        if (state.unresolved == 0) _returnDust(job, id);
    }

    function _running(Job storage job, uint64 id) private view returns (JobState memory state) {
        state = job.state.load();
        if (job.sponsor == address(0)) revert ICoordinator.UnknownJob(id);
        if (state.status >= RoundLib.CLOSED) revert ICoordinator.JobOver(id, state.status);
    }
}
