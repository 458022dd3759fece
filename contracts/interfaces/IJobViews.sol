// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Aggregator, JobState, JobTerms, Member, Round, Seat} from "./JobTypes.sol";

/// @title Reads of jobs and rounds
/// @notice Anyone may call; unknown jobs, serials and accounts read as zeros. Implemented by the Coordinator itself.
interface IJobViews {
    /// @notice How many jobs were created: their numbers run from 1 to this.
    function jobCount() external view returns (uint64);

    /// @notice The terms of a job and its sponsor.
    function termsOf(uint64 job) external view returns (JobTerms memory terms, address sponsor);

    /// @notice The state of a job.
    function stateOf(uint64 job) external view returns (JobState memory);

    /// @notice An opening and what came of it; sets are bitmaps of slots.
    /// @return round As stored; `clock`, `mark` and `tally` change their meaning with a post.
    /// @return result Id of the result that stands, zero if none does.
    /// @return submitted Who submitted.
    /// @return committee Of the current try; zero if it is yet to be drawn.
    /// @return malformed Submissions proven malformed.
    function roundOf(uint64 job, uint64 serial)
        external
        view
        returns (Round memory round, bytes32 result, uint256 submitted, uint256 committee, uint256 malformed);

    /// @notice The hash of a slot's submission, zero if there is none or it was claimed.
    function submissionOf(uint64 job, uint64 serial, uint8 slot) external view returns (bytes32);

    /// @notice The bitmap that a slot attested in a try, zero if it did not or its share was claimed.
    function attestationOf(uint64 job, uint64 serial, uint8 tries, uint8 slot) external view returns (uint256);

    /// @notice A member's seat, by its operator key.
    function seatOf(uint64 job, address operator) external view returns (Seat memory);

    /// @notice A member, by its identity.
    function memberOf(uint64 job, address worker) external view returns (Member memory);

    /// @notice An aggregator's seat, by its operator key.
    function aggregatorOf(uint64 job, address operator) external view returns (Aggregator memory);

    /// @notice The operator keys of the 32 aggregator seats, zero if free.
    function aggregatorsOf(uint64 job) external view returns (address[32] memory);

    /// @notice The aggregator elected for the open round, and the time from which any of them may post.
    function electedOf(uint64 job) external view returns (address account, uint40 anyoneFrom);

    /// @notice True if the result of `serial` is final, or would be with `settle`.
    /// @dev Holds that were never counted do not count here.
    function isFinal(uint64 job, uint64 serial) external view returns (bool);
}
