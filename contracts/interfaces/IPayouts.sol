// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Result, Submission} from "./JobTypes.sol";

/// @title Rewards of workers and attestors
/// @notice Payments go to credits in the Vault, in units of the job's token. Implemented by the Coordinator itself.
interface IPayouts {
    /// @notice A submission's shares were resolved.
    /// @dev `work` and `attesting` went to the worker, each 0 if not earned.
    event Claimed(
        uint64 indexed job, uint64 indexed serial, address indexed worker, uint8 slot, uint256 work, uint256 attesting
    );

    /// @notice Shares that nobody earned went back to the sponsor.
    /// @dev `serial` 0: the rest that rounding left in the escrow of an ended job.
    event Returned(uint64 indexed job, uint64 indexed serial, uint256 amount);

    /// @notice The two lists of a claim have different lengths.
    /// @dev Cause: `results[i]` must belong to `submissions[i]`. Cure: give one result per submission.
    error LengthMismatch(uint256 results, uint256 submissions);

    /// @notice The round is not final.
    /// @dev Cause: its challenge window, or that of a round below, has not ended, or too few hold it. Cure: wait.
    error NotFinal(uint64 job, uint64 serial);

    /// @notice This share was paid before.
    /// @dev Cause: someone claimed it; anyone may. Also a slot that never submitted. Cure: none needed.
    error AlreadyClaimed(uint64 job, uint64 serial, uint8 slot);

    /// @notice Pays the shares of submissions in final rounds.
    /// @dev Who may call: anyone, once per submission. The work share is `pool * workerBps / 10000 * weight / weightSum`
    /// and goes to the worker if included and not malformed; the attestor's share is `pool * attestorBps / 10000 /
    /// committeeSize` and goes to a committee member that attested. Shares that are not earned go to the sponsor.
    /// Every division rounds down; the last share of an ended job returns what is left over to the sponsor.
    /// Settles what can be and counts the round in the worker's reputation.
    /// Errors: `LengthMismatch`, `WrongResult`, `NotFinal`, `WrongSerial`, `AlreadyClaimed`, `WrongSubmission`.
    /// @param results `results[i]` is the result of the round of `submissions[i]`.
    function claim(Result[] calldata results, Submission[] calldata submissions) external;
}
