// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Result} from "./JobTypes.sol";

/// @title Posters' pay and bonds, and how a job ends
/// @notice Implemented by the module `JobClosure`.
interface IJobClosure {
    /// @notice The poster of a final result was paid and its bond unlocked.
    event AggregatorPaid(uint64 indexed job, uint64 indexed serial, address indexed account, uint256 amount);

    /// @notice Bonds that void results of round `number` left behind were unlocked.
    event BondReleased(uint64 indexed job, uint24 indexed number, address indexed account);

    /// @notice No further round opens.
    event JobStopped(uint64 indexed job);

    /// @notice The job ended after `finalRounds` final rounds; `returned` units went back to the sponsor.
    event JobEnded(uint64 indexed job, bool aborted, uint24 finalRounds, uint256 returned);

    /// @notice The job cannot end yet.
    /// @dev Cause, as `reason` in ASCII, padded with zeros: `unsettled` (a result may become final), `open` (a round is
    /// open or can be opened), `running` (neither the deadline nor `maxFailures` has passed). Cure: wait for the
    /// windows to end; `stop` before `close`.
    error CannotEnd(uint64 job, bytes32 reason);

    /// @notice No bond of this account waits here.
    /// @dev Cause: no void result left one in this round, it was released or used again, or the round has no final
    /// result yet. Cure: wait for that result or the job's end.
    error NoBondHere(uint64 job, uint24 number, address account);

    /// @notice Pays the posters of final results and unlocks their bonds.
    /// @dev Who may call: anyone, once per result. A poster gets `pool * aggregatorBps / 10000`, rounded down. Settles
    /// what can be. Errors: `WrongResult`, `NotFinal`, `AlreadyClaimed` (with slot 0).
    function claimPosts(Result[] calldata results) external;

    /// @notice Unlocks the bonds that an account's void results left behind in a round.
    /// @dev Who may call: anyone, once the round has a final result or the job is closed or aborted. Errors:
    /// `NoBondHere`.
    /// @param number Of the round, not a serial.
    function releaseBond(uint64 job, uint24 number, address account) external;

    /// @notice Stops a job: no further round opens and nobody joins; what is open runs its course.
    /// @dev Who may call: the sponsor. Errors: `NotSponsor`, `JobOver`.
    function stop(uint64 job) external;

    /// @notice Ends a job of which every result is final and in which no round is open or can open.
    /// @dev Who may call: anyone. Returns the pools of the rounds that were not used to the sponsor. A mere lack of
    /// members does not count, since it can pass. Settles what can be. Errors: `UnknownJob`, `JobOver`, `CannotEnd`.
    function close(uint64 job) external;

    /// @notice Ends a job after too many failures or its deadline, and voids what is not final.
    /// @dev Who may call: anyone, once no posted result can become final. Returns the pools of all rounds without a
    /// final result to the sponsor. Errors: `UnknownJob`, `JobOver`, `CannotEnd`.
    function abort(uint64 job) external;
}
