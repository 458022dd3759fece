// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ICoordinator, JobState, Result, Round} from "../interfaces/ICoordinator.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title What all payments out of a job's escrow share
abstract contract Payouts is CoordinatorBase {
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    uint256 internal constant BPS = 10_000;

    function _requireFinal(Job storage job, Result calldata result) internal returns (Round memory) {
        (uint64 id, uint64 serial) = (result.job, result.serial);
        bytes32 resultId = RoundLib.idOf(result);
        if (serial == 0 || job.results[serial] != resultId) {
            revert ICoordinator.WrongResult(job.results[serial], resultId);
        }
        if (serial > job.state.settledSerial) {
            _settleNow(id);
            if (serial > job.state.settledSerial) revert ICoordinator.NotFinal(id, serial);
        }
        return job.rounds[serial].load();
    }

    function _resolve(Job storage job, uint64 id, uint32 shares) internal {
        JobState storage slot = job.state;
        JobState memory state = slot.load();
        state.unresolved -= shares;
        slot.store(state);
        if (state.unresolved == 0 && state.status >= RoundLib.CLOSED) _returnDust(job, id);
    }

    /// @dev Gives the sponsor what shares rounded down have left of the escrow.
    function _returnDust(Job storage job, uint64 id) internal {
        // The token is in the job's terms.
        // slither-disable-next-line unused-return
        (, uint256 left) = VAULT.escrowOf(id);
        if (left == 0) return;
        emit ICoordinator.Returned(id, 0, left);
        VAULT.pay(id, job.sponsor, left);
    }

    /// @dev Makes final what can be, as `ICoordinator.settle` does.
    function _settleNow(uint64 id) internal virtual;
}
