// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Aggregators of a job
/// @notice Up to 32 seats; they are elected in rotation. Implemented by the module `Membership`.
interface IAggregators {
    /// @notice An aggregator took a seat.
    /// @dev `index` is 0 to 31.
    event AggregatorEnlisted(uint64 indexed job, address indexed account, uint8 index);

    /// @notice An aggregator gave up its seat or was removed.
    /// @dev `removed`: by `removeAggregator` rather than by itself.
    event AggregatorRetired(uint64 indexed job, address indexed account, uint8 index, bool removed);

    /// @notice The account has no aggregator's seat here.
    /// @dev Cause: it never enlisted, retired, was removed, or acts with another key; in `post`, also a `poster` that is
    /// not the caller's identity. Cure: `enlist`, `reseat`, or put the right identity in the result.
    error NotAggregator(uint64 job, address caller);

    /// @notice The identity already has an aggregator's seat here.
    /// @dev Cause: it enlisted before. Cure: none needed.
    error AlreadyAggregator(uint64 job, address account);

    /// @notice All 32 seats are taken.
    /// @dev Cause: 32 aggregators are enlisted. Cure: wait until one retires or can be removed.
    error AggregatorSeatsFull(uint64 job);

    /// @notice Takes an aggregator's seat for the caller's identity.
    /// @dev Who may call: the operator key of a registered identity, in a job that is not closed or aborted. Requires a
    /// free bond of the job's size, which only `post` locks. Takes the lowest free seat.
    /// Errors: `UnknownJob`, `JobOver`, `NotRegistered`, `AlreadyAggregator`, `OperatorTaken`, `InsufficientFree`,
    /// `AggregatorSeatsFull`.
    function enlist(uint64 job) external;

    /// @notice Gives up the caller's aggregator seat at once.
    /// @dev Who may call: the seat's operator key or its identity. Requires that no result of it waits to be final.
    /// Bonds stay locked until `claimPosts` or `releaseBond`. Errors: `NotAllowed`, `NotAggregator`, `StillCommitted`.
    function retire(uint64 job) external;

    /// @notice Removes an aggregator that missed its last three elections or cannot cover the bond.
    /// @dev Who may call: anyone. An election counts as missed if another seat posted in its place, the result stands,
    /// and the aggregator has posted no standing result since. Errors: `NotAbsent`, `NotAggregator`, `StillCommitted`.
    function removeAggregator(uint64 job, address account) external;
}
