// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Opening, holding, retrying and settling rounds
/// @notice The calls that keep rounds going. Implemented by the module `RoundRecovery`.
interface IRoundRecovery {
    /// @notice The committee of 16 was drawn among more submitters.
    /// @dev `committee` is a bitmap of slots.
    event CommitteeDrawn(uint64 indexed job, uint64 indexed serial, uint256 committee);

    /// @notice The opening waits for a member that was away for the last round.
    event Ready(uint64 indexed job, uint64 indexed serial, address worker, uint8 slot);

    /// @notice A committee member holds the result.
    event Held(uint64 indexed job, uint64 indexed serial, bytes32 id, address worker, uint8 slot);

    /// @notice K members hold the result and were counted; its challenge window starts.
    /// @dev They hold it by `hold`, or by having submitted to the opening that came with it. It is final from `finalAt`
    /// on once its parent is.
    event ThresholdHeld(uint64 indexed job, uint64 indexed serial, bytes32 id, uint40 finalAt);

    /// @notice Attesting starts again.
    /// @dev `tries` is the new try's number, or the last one's again if none is left; `committee` a bitmap of slots.
    event Retried(uint64 indexed job, uint64 indexed serial, uint8 tries, uint256 committee);

    /// @notice An opening failed; `failures` of the job have failed so far.
    event Reopened(uint64 indexed job, uint64 indexed serial, uint8 failures);

    /// @notice The result of round `number` is final.
    event Final(uint64 indexed job, uint64 indexed serial, uint24 number, bytes32 id);

    /// @notice Too few hold the result that this round builds on.
    /// @dev Cause: K members do not hold it yet, or did not before `holdBy`. Cure: `hold` before that time, or `retry`
    /// the parent after it.
    error ParentNotHeld(uint64 job, uint64 parentSerial, uint40 holdBy);

    /// @notice There is no seed to record or to draw with.
    /// @dev Cause: for `recordSeed`, it is recorded, a result was posted, or the opening's block is this one or over 256
    /// blocks old; for `drawCommittee`, the seed is missing, 16 or fewer submitted, or the committee is drawn. Cure:
    /// wait one block, `recordSeed`, or `reopen` if the block is too old.
    error SeedPending(uint64 job, uint64 serial);

    /// @notice The time to hold this result has passed.
    /// @dev Cause: `holdBy` has passed with fewer than K holders. Cure: `retry`.
    error HoldClosed(uint64 job, uint64 serial, uint40 holdBy);

    /// @notice The call would change nothing.
    /// @dev Cause: the member holds the result already, or is not of its committee and is awaited anyhow. Cure: none
    /// needed.
    error AlreadyHeld(uint64 job, uint64 serial, address worker);

    /// @notice The round does not need a retry, or cannot have one.
    /// @dev Cause: the result is held or may still be, attesting or posting may still succeed, no committee exists, or
    /// no try is left. Cure: wait for the window's end, or `reopen`.
    error NothingToRetry(uint64 job, uint64 serial);

    /// @notice The opening has not failed.
    /// @dev Cause: submissions are open, a result was posted, or another try is possible. Cure: wait, or `retry`.
    error NothingToReopen(uint64 job, uint64 serial);

    /// @notice No round can be opened.
    /// @dev Cause, as `reason` in ASCII, padded with zeros: `stopped`, `rounds` (all are used), `sets` (65,535 changes
    /// of members), `failures`, `unsettled` (4 results wait to be final), `members` (fewer than `minUpdates`),
    /// `deadline` (a whole round no longer fits), `open` (one is open). Cure: `members` and `unsettled` pass with time;
    /// else end the job.
    error CannotOpen(uint64 job, bytes32 reason);

    /// @notice Opens the first round, or a round that did not open with its parent's post.
    /// @dev Who may call: the sponsor; anyone after the first round if the terms have `autoOpen`. Requires that K
    /// members hold the parent. Settles what can be. Errors: `CannotOpen`, `NotSponsor`, `ParentNotHeld`.
    function openRound(uint64 job) external;

    /// @notice Records the seed of the committee's draw: 32 bits of the opening's block hash.
    /// @dev Who may call: anyone, within 256 blocks of the opening, if no submission recorded it. Needed only with more
    /// than 16 submitters. Errors: `SeedPending`.
    function recordSeed(uint64 job, uint64 serial) external;

    /// @notice Draws the committee of 16 out of more submitters.
    /// @dev Who may call: anyone, once, after submissions. Takes the 16 of lowest keccak256(abi.encode(seed, slot)).
    /// Errors: `SubmissionOpen`, `SeedPending`.
    function drawCommittee(uint64 job, uint64 serial) external;

    /// @notice States that the caller holds a posted result, or that it is present for the open round.
    /// @dev Who may call: the operator key of a member. A committee member of `serial` counts as a holder, and K of them
    /// start the challenge window. A member that missed round `serial` makes the opening on it wait for it.
    /// Does not prove that the caller has the file.
    /// Errors: `NotMember`, `WrongResult`, `HoldClosed`, `AlreadyHeld`.
    /// @param id Of the result that stands for `serial`.
    function hold(uint64 job, uint64 serial, bytes32 id) external;

    /// @notice Starts attesting again after it came to nothing or the result was not held in time.
    /// @dev Who may call: anyone. Cases: too few included at the attest window's end; no post in the post window; a
    /// result held by fewer than K at `holdBy`, which is voided with all built on it, and its poster elected last.
    /// The new committee is those of the last one that attested, or the last one if none did or a post cut the try
    /// short. Errors: `JobOver`, `NothingToRetry`, `WrongSerial`, `ParentNotHeld`.
    function retry(uint64 job, uint64 serial) external;

    /// @notice Replaces an opening that failed by a new one; counts as a failure of the job.
    /// @dev Who may call: anyone. Cases: fewer than `minUpdates` submitted; the seed was never recorded and the chain no
    /// longer knows it; the last try came to nothing. If no round may open, the failed opening is dropped.
    /// Requires that K members hold the parent. Errors: `JobOver`, `WrongSerial`, `ParentNotHeld`, `NothingToReopen`.
    function reopen(uint64 job, uint64 serial) external;

    /// @notice Counts holds that are due and makes final, oldest first, what can be.
    /// @dev Who may call: anyone, at any time; it never reverts and does nothing if nothing is due.
    function settle(uint64 job) external;
}
