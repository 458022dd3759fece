// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPayouts} from "../interfaces/IPayouts.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {JobState, Result, Round} from "../interfaces/JobTypes.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Steps common to all payments out of a job's escrow
abstract contract Payouts is CoordinatorBase {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    uint256 internal constant BPS = 10_000;

    function _requireFinal(Job storage job, Result calldata result) internal returns (Round memory) {
        (uint64 id, uint64 serial) = (result.job, result.serial);
        bytes32 resultId = RoundLib.idOf(result);
        if (serial == 0 || job.results[serial] != resultId) {
            revert IRounds.WrongResult(job.results[serial], resultId);
        }
        if (serial > job.state.settledSerial) {
            _settleNow(id);
            if (serial > job.state.settledSerial) revert IPayouts.NotFinal(id, serial);
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

    /// @dev Returns to the sponsor the rest that rounding down left in the escrow.
    function _returnDust(Job storage job, uint64 id) internal {
        // The token is in the job's terms.
        // slither-disable-next-line unused-return
        (, uint256 left) = VAULT.escrowOf(id);
        if (left == 0) return;
        emit IPayouts.Returned(id, 0, left);
        VAULT.pay(id, job.sponsor, left);
    }

    /// @dev Makes final what can be, as `IRoundRecovery.settle` does.
    function _settleNow(uint64 id) internal virtual;
}
