// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Result} from "./JobTypes.sol";

/// @title A round: submit, attest, post
/// @notice The calls of every round. Implemented by the Coordinator itself.
/// @dev Windows are half-open: a call is in time strictly before the deadline. Times are in seconds, as the block's.
interface IRounds {
    /// @notice Submissions to a new opening are open until `submitBy`.
    /// @dev `serial` counts openings and `number` rounds; `parent` is the id of the result built on, of `parentSerial`;
    /// `members` is a bitmap of slots; submissions close early once `awaited` of them have submitted.
    event RoundOpened(
        uint64 indexed job,
        uint64 indexed serial,
        uint24 number,
        bytes32 parent,
        uint64 parentSerial,
        uint256 members,
        uint16 awaited,
        uint40 submitBy
    );

    /// @notice A member submitted a sealed update.
    /// @dev `codec` and `digest` are the CID of the update file.
    event Submitted(
        uint64 indexed job,
        uint64 indexed serial,
        address worker,
        uint8 slot,
        uint24 weight,
        bytes32 sealedRoot,
        uint8 codec,
        bytes32 digest
    );

    /// @notice Everyone awaited has submitted, so submissions ended early.
    event SubmissionsClosed(uint64 indexed job, uint64 indexed serial);

    /// @notice A committee member attested the updates in `bitmap` in try `tries`.
    event Attested(uint64 indexed job, uint64 indexed serial, uint8 tries, uint8 slot, uint256 bitmap);

    /// @notice A result was posted; K = committeeSize / 2 + 1 members must hold it before `holdBy`.
    /// @dev `id` is `keccak256(abi.encode(result))`.
    event Posted(
        uint64 indexed job, uint64 indexed serial, bytes32 id, Result result, uint8 committeeSize, uint40 holdBy
    );

    /// @notice A result no longer stands.
    /// @dev `cause`: 0 not held in time, 1 convicted, 2 built on a result that is void.
    event ResultVoid(uint64 indexed job, uint64 indexed serial, bytes32 id, address poster, uint8 cause);

    /// @notice An opening without a result no longer stands; its submissions count for nothing.
    event OpeningVoid(uint64 indexed job, uint64 indexed serial);

    /// @notice The call is about another opening than the job's present one.
    /// @dev Cause: the round moved on, or a claim's submission is of another job or serial. Cure: use `current`.
    error WrongSerial(uint64 job, uint64 current, uint64 given);

    /// @notice The result that the round builds on is another one.
    /// @dev Cause: the parent was voided or replaced (`current` zero: none stands). Cure: read the round again and work
    /// from the parent that stands.
    error WrongParent(bytes32 current, bytes32 given);

    /// @notice The result given is not the one that stands.
    /// @dev Cause: it was voided or replaced, or a field differs. Cure: take the result from the latest `Posted`.
    error WrongResult(bytes32 current, bytes32 given);

    /// @notice The result's `attempt` is not the number of results posted before for this serial.
    /// @dev Cause: another result was posted and voided meanwhile. Cure: set `attempt` to `current`.
    error WrongAttempt(uint64 job, uint64 serial, uint8 current, uint8 given);

    /// @notice The submission given is not the one stored.
    /// @dev Cause: a field differs, or `stored` is zero since there is none or it was claimed. Cure: take it from its
    /// `Submitted` event.
    error WrongSubmission(bytes32 stored, bytes32 given);

    /// @notice Submissions to this opening have ended.
    /// @dev Cause: `submitBy` has passed, everyone awaited has submitted, or a result was posted. Cure: submit to the
    /// next opening; raise `submitWindow` or train for a shorter time.
    error SubmissionClosed(uint64 job, uint64 serial, uint40 submitBy);

    /// @notice Submissions to this opening have not ended.
    /// @dev Cause: it is before `submitBy`. Cure: wait for that time or for `SubmissionsClosed`.
    error SubmissionOpen(uint64 job, uint64 serial, uint40 submitBy);

    /// @notice The slot has submitted to this opening.
    /// @dev Cause: one submission per opening counts. Cure: none needed.
    error AlreadySubmitted(uint64 job, uint64 serial, uint8 slot);

    /// @notice Attesting in this try has ended.
    /// @dev Cause: `attestBy` has passed or `tries` is not the current try. Cure: attest in the current try.
    error AttestClosed(uint64 job, uint64 serial, uint40 attestBy);

    /// @notice Attesting must run on before this result can be posted.
    /// @dev Cause: before `attestBy` a post needs that the whole committee attested, or that it includes every sound
    /// submission. Cure: wait for `attestBy` or for the others.
    error AttestOpen(uint64 job, uint64 serial, uint40 attestBy);

    /// @notice The member is not in the committee of this try.
    /// @dev Cause: it did not submit, or was not drawn. Cure: none; the committee attests without it.
    error NotInCommittee(uint64 job, uint64 serial, address worker);

    /// @notice The member has attested in this try.
    /// @dev Cause: one bitmap per try counts. Cure: none needed.
    error AlreadyAttested(uint64 job, uint64 serial, uint8 slot);

    /// @notice The committee has not been drawn.
    /// @dev Cause: more than 16 submitted and nobody called `drawCommittee`, or none submitted. Cure: `drawCommittee`.
    error CommitteeNotDrawn(uint64 job, uint64 serial);

    /// @notice A result of this opening stands.
    /// @dev Cause: another aggregator posted. Cure: none needed.
    error AlreadyPosted(uint64 job, uint64 serial);

    /// @notice The included set is not the one that the attestations give.
    /// @dev Cause: an attestation or a conviction came in between. Cure: rebuild the result with `computed`.
    error WrongIncluded(uint256 computed, uint256 given);

    /// @notice Fewer updates are included than a round needs.
    /// @dev Cause: too few updates are attested by K members. Cure: `retry` after attesting has ended.
    error TooFewIncluded(uint256 included, uint256 minUpdates);

    /// @notice Another aggregator is elected.
    /// @dev Cause: before `anyoneFrom` only `elected` may post. Cure: wait for that time.
    error NotYourTurn(uint64 job, uint64 serial, address elected, uint40 anyoneFrom);

    /// @notice The time to post has passed.
    /// @dev Cause: `postBy`, the end of the post window or the job's deadline, has passed. Cure: `retry`.
    error PostClosed(uint64 job, uint64 serial, uint40 postBy);

    /// @notice Submits a sealed update to an opening.
    /// @dev Who may call: the operator key of a member of this opening, once. Requires that submissions are open and
    /// that `parent` stands. Counts as holding the parent if this opening came with the parent's post. Ends
    /// submissions if it is the last one awaited. Records the draw's seed if it is not there.
    /// Does not prove that `sealedRoot` commits to an update, that the file exists or that it is well formed:
    /// `attest` and `convictUpdate` are for that.
    /// Errors: `NotMember`, `SubmissionClosed`, `WrongParent`, `AlreadySubmitted`.
    /// @param sealedRoot keccak256(abi.encode(chain id, coordinator, job, serial, worker, update root)).
    /// @param codec CID of the update file.
    function submit(uint64 job, uint64 serial, bytes32 parent, bytes32 sealedRoot, uint8 codec, bytes32 digest) external;

    /// @notice Attests which updates the caller has and found well formed.
    /// @dev Who may call: the operator key of a member of this try's committee, once per try, after submissions and
    /// within the attest window. The caller's own bit is always set.
    /// Does not prove that the caller has the updates: an update counts if K of the committee attest it.
    /// Errors: `NotMember`, `AlreadyPosted`, `SubmissionOpen`, `AttestClosed`, `WrongParent`, `NotInCommittee`,
    /// `AlreadyAttested`.
    /// @param tries The round's, 0 for the first attesting.
    /// @param bitmap Of slots.
    function attest(uint64 job, uint64 serial, bytes32 parent, uint8 tries, uint256 bitmap) external;

    /// @notice Posts the result of the job's present opening and locks the poster's bond.
    /// @dev Who may call: the elected aggregator; any aggregator from `turnWindow` after attesting on. Requires that
    /// submissions have ended, that the post window is open, that the parent stands and is held or may still be, that
    /// `included` is what the attestations give and is at least `minUpdates`, and that `attempt` and `poster` are right.
    /// Opens the next round if the terms say so and it may open. A bond left by a void result of this round backs
    /// the new one.
    /// Does not prove that the roots, the table or the file are right: committee members hold what they rebuilt,
    /// and `convict` is for the arithmetic.
    /// Errors: `JobOver`, `WrongSerial`, `AlreadyPosted`, `SubmissionOpen`, `PostClosed`, `WrongParent`,
    /// `ParentNotHeld`, `WrongAttempt`, `CommitteeNotDrawn`, `WrongIncluded`, `TooFewIncluded`, `AttestOpen`,
    /// `NotAggregator`, `NotYourTurn`, `InsufficientFree`.
    function post(Result calldata result) external;
}
