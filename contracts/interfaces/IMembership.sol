// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Members of a job
/// @notice Workers take seats, leave them and get their stakes back. Implemented by the module `Membership`.
interface IMembership {
    /// @notice A worker took a seat; it takes part from the next opening on.
    /// @dev `shard` is the shard's index plus one if admitted by shards, else 0; `codec` and `digest` are the CID of its
    /// data, zeros if unpublished.
    event Joined(
        uint64 indexed job,
        address indexed worker,
        address operator,
        uint8 slot,
        uint24 weight,
        uint32 shard,
        uint8 codec,
        bytes32 digest
    );

    /// @notice A worker left or was removed; it takes part up to opening `until`.
    /// @dev `removed`: by `removeMember` or a conviction rather than by itself.
    event Left(uint64 indexed job, address indexed worker, uint8 slot, uint32 until, bool removed);

    /// @notice A seat is free again and its stake, if not slashed, unlocked.
    event Released(uint64 indexed job, address indexed worker, uint8 slot);

    /// @notice A seat moved to the present operator key of its identity.
    /// @dev Emitted once for a member's seat and once for an aggregator's.
    event Reseated(uint64 indexed job, address indexed account, address operator);

    /// @notice The account has no seat that takes part here.
    /// @dev Cause: it never joined, left, was removed, or joined after this round opened; or the seat is under another
    /// operator key. Cure: `join`, wait for the next opening, or `reseat`.
    error NotMember(uint64 job, address caller);

    /// @notice The identity already has a seat in this job.
    /// @dev Cause: it joined before and was not released. Cure: none needed, or `leave` and `release` first.
    error AlreadyMember(uint64 job, address worker);

    /// @notice Every slot is taken.
    /// @dev Cause: `maxMembers` slots are taken, those of leaving members included. Cure: wait for a `release`.
    error JobFull(uint64 job, uint256 maxMembers);

    /// @notice The proof of admission does not fit.
    /// @dev Cause: shard or invitation, weight, CID and proof are not a leaf of the admission root, or the weight is 0
    /// or at least 2^20. Cure: take them from the job's manifest, or ask the sponsor.
    error NotAdmitted(uint64 job, address worker);

    /// @notice Another member trains on this shard.
    /// @dev Cause: its index is taken until that member is released. Cure: choose another shard.
    error ShardTaken(uint64 job, uint32 shard);

    /// @notice The identity's record does not meet the terms.
    /// @dev Cause: fewer included rounds than `minIncluded`, or more convictions than `maxSlashed`. Cure: earn included
    /// rounds in other jobs; convictions stay.
    error ReputationTooLow(address worker, uint32 included, uint16 slashed);

    /// @notice Rounds of this account are not settled.
    /// @dev Cause: for a member, it has not left, or an opening up to `until` is neither final nor void; for an
    /// aggregator, its result of serial `until` is not final. Cure: leave first, then wait and `settle`.
    error StillCommitted(uint64 job, address worker, uint32 until);

    /// @notice The account cannot be removed.
    /// @dev Cause: a member submitted to one of the last three openings with a result, or took part in fewer than three;
    /// an aggregator missed fewer than three elections and covers its bond. Cure: wait for further rounds.
    error NotAbsent(uint64 job, address account);

    /// @notice Takes a seat for the caller's identity and locks the job's stake.
    /// @dev Who may call: the operator key of a registered identity. By shards (admission 1): `index`, `weight`, CID and
    /// `proof` must show a leaf of the admission root. By invitation (2): the caller's identity with `weight` and CID
    /// must. Open (0): the weight counts as 1, and `proof` is not read. `weight` is 1 to 2^20 - 1.
    /// Takes the lowest free slot, from the next opening on. Requires a running job and a free stake.
    /// Does not prove that the worker has the data.
    /// Errors: `UnknownJob`, `JobOver`, `NotRegistered`, `AlreadyMember`, `ReputationTooLow`, `OperatorTaken`,
    /// `JobFull`, `NotAdmitted`, `ShardTaken`, `InsufficientFree`.
    /// @param index Of the shard; read only if admitted by shards.
    /// @param codec CID of the member's data, zeros if unpublished.
    function join(uint64 job, uint32 index, uint24 weight, uint8 codec, bytes32 digest, bytes32[] calldata proof)
        external;

    /// @notice Leaves the job from the next opening on.
    /// @dev Who may call: the member's operator key or its identity. The stake stays locked until `release`.
    /// Errors: `NotAllowed`, `NotMember`.
    function leave(uint64 job) external;

    /// @notice Removes a member that missed the last three openings with a result.
    /// @dev Who may call: anyone. Only openings with a result that stands count, and only those that it was a member of.
    /// The stake is not slashed and stays locked until `release`.
    /// Errors: `NotMember`, `NotAbsent`.
    function removeMember(uint64 job, address worker) external;

    /// @notice Unlocks the stake of a member that left and frees its slot and shard.
    /// @dev Who may call: anyone. Requires that every opening that it took part in is final or void, or that the job is
    /// closed or aborted, in which case it need not have left. Settles what can be. Errors: `NotMember`,
    /// `StillCommitted`.
    function release(uint64 job, address worker) external;

    /// @notice Moves the seats of an identity to its present operator key.
    /// @dev Who may call: anyone. Moves a member's and an aggregator's seat; does nothing if they are there already.
    /// Errors: `OperatorTaken` if that key has a seat of another identity.
    function reseat(uint64 job, address worker) external;
}
