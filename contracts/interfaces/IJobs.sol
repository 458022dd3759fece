// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {JobTerms} from "./JobTypes.sol";

/// @title Creating a job
/// @notice A sponsor fixes the terms of a job and escrows its whole bounty. Implemented by the module `Membership`.
interface IJobs {
    /// @notice A job was created and its bounty escrowed.
    /// @dev `terms` never change afterwards.
    event JobCreated(uint64 indexed job, address indexed sponsor, JobTerms terms);

    /// @notice No job has this number.
    /// @dev Cause: a wrong number or a wrong deployment. Cure: numbers run from 1 to `jobCount`.
    error UnknownJob(uint64 job);

    /// @notice Only the sponsor may do this.
    /// @dev Cause: `caller` did not create the job. Cure: send from the sponsor's account.
    error NotSponsor(uint64 job, address caller);

    /// @notice A field of the terms is out of range.
    /// @dev Cause: `field` holds the field's name in ASCII, padded with zeros; `windows` stands for all five windows,
    /// `bps` for the sum of the three shares, `token` for a token that delivered less than it was asked for. Cure:
    /// change that field within the range that `createJob` gives.
    error BadTerms(bytes32 field);

    /// @notice The job no longer takes this call.
    /// @dev Cause: the job's status is 1 (stopped), 2 (closed) or 3 (aborted). Cure: none for this job; choose another.
    error JobOver(uint64 job, uint8 status);

    /// @notice Creates a job and escrows `pool * rounds` of the terms' token.
    /// @dev Who may call: anyone; the caller becomes the sponsor. Requires that the caller has approved the Vault for
    /// the escrow. Each field must lie in its range:
    /// `blockCount` 1 to 2^28; a known `encoding`; a `rule` and `trim` that the chain takes (RuleLib); `beta` at most
    /// 2^16; `lr` 1 to 2^24; the submit, attest, turn and challenge windows at least the deployment's minimum, each
    /// window at most 365 days, `postWindow` longer than `turnWindow`; `minUpdates` 1 to `maxMembers`; `maxMembers` at
    /// most 256; `rounds` at least 1; `maxTries` 2 to 64; `admission` 0 to 2; the three shares add up to 10,000 bps;
    /// `manifestCodec` 0x55 or 0x70; `deadline` at most 3,650 days ahead and late enough for one whole round.
    /// Does not prove that the manifest exists or fits the terms, or that `stateRoot` is the initial model's.
    /// Errors: `BadTerms`; those of the token; `SafeCastOverflowedUintDowncast` for an escrow of 2^96 units or more.
    /// @return job Its number, from 1 up.
    function createJob(JobTerms calldata terms) external returns (uint64 job);
}
