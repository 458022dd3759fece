// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Step} from "./IFaultProver.sol";

/// @notice What a sponsor fixes when it creates a job; in storage in this order, eight slots. Windows are in seconds, at
/// most 365 days.
struct JobTerms {
    Step step;
    // slot 1: all that a post needs
    uint32 submitWindow; // also how long a result may wait to be held
    uint32 attestWindow;
    uint32 turnWindow; // after attesting: only the elected aggregator posts before this has passed
    uint32 postWindow; // after attesting: no one posts after this has passed
    uint40 deadline; // absolute time from which on nothing is posted, at most 10 years of 365 days ahead
    uint24 rounds; // at most; fewer where the sponsor stops or the deadline is near
    uint16 minUpdates; // submissions and included updates that make a round
    uint8 maxTries; // attestings of one opening after the first, at least 2
    uint8 maxFailures; // failed openings that the job survives
    bool autoOpen; // rounds after the first open by themselves; else by the sponsor's call
    // slot 2
    uint128 stake; // locked per member
    uint128 bond; // locked per posted result
    // slot 3
    uint128 pool; // paid per final round; pool * rounds is escrowed at creation
    uint16 workerBps; // of the pool, to included workers; 1 = 0.01 %
    uint16 aggregatorBps; // of the pool, to the poster
    uint16 attestorBps; // of the pool, to attestors; the three add up to 10,000
    uint16 maxMembers; // 1 to 256
    uint16 maxSlashed; // convictions that a member may have at most
    uint32 challengeWindow; // after the K-th member holds
    uint8 admission; // 0 open (weight 1), 1 by shards, 2 by invitation
    uint8 manifestCodec; // CID of the manifest: 0x55 raw or 0x70 dag-pb
    // slot 4
    address token; // of the bounty, any plain ERC-20
    uint32 minIncluded; // included rounds that a member must have at least
    // slots 5 to 7
    bytes32 admissionRoot; // Merkle root over shards or invitations
    bytes32 manifestDigest;
    bytes32 stateRoot; // of the initial model; the initial momentum is all zeros
}

/// @notice A posted result. Its id is `keccak256(abi.encode(result))`. The CID is that of the new state file, followed
/// in the same file by the new momentum where the job uses it.
struct Result {
    uint64 job;
    uint64 serial;
    uint8 attempt; // how many results were posted for this serial before
    bytes32 parent; // id of the result that it builds on
    uint256 included; // bitmap of slots
    bytes32 stateRoot;
    bytes32 momentumRoot; // zero where the job uses no momentum
    bytes32 transcriptRoot;
    bytes32 table;
    uint8 codec;
    bytes32 digest;
    address poster; // identity
}

/// @notice A submission. Stored is `keccak256(abi.encode(submission))`, and zero once claimed.
struct Submission {
    uint64 job;
    uint64 serial;
    uint8 slot;
    address worker; // identity
    uint24 weight;
    bytes32 sealedRoot;
    uint8 codec; // CID of the update file
    bytes32 digest;
}

/// @notice One opening of submissions, and what came of it. One slot; three fields change their meaning with a post.
struct Round {
    uint24 number; // 1 for the first round; serials differ where a round was opened again
    uint32 parentSerial; // of the result it builds on; 0 is the initial model
    uint32 weightSum; // of all submissions
    uint16 setVersion; // which member set takes part
    uint8 tries; // attestings after the first
    uint8 posts; // results posted so far
    uint8 flags; // see RoundLib
    uint40 clock; // before a post: when submissions end (or ended), or the current try began; after: when posted
    uint40 mark; // before a post: block number of the opening; after: when the K-th member held it, 0 = not yet
    uint48 tally; // before a post: seed (32 bits, low), awaited submissions (16); after: see RoundLib
}

/// @notice A job's moving parts. One slot.
struct JobState {
    uint32 head; // the latest opening that still stands
    uint32 lastSerial; // given out so far
    uint32 settledSerial; // the latest final result
    uint24 settledNumber; // its round's number = final rounds so far
    uint16 setVersion; // member set for the next opening
    uint32 unresolved; // shares of final rounds that were neither claimed nor returned
    uint8 failures;
    uint8 status; // 0 running, 1 stopped, 2 closed, 3 aborted
    uint32 aggregators; // bitmap of taken aggregator seats
    bool frozen; // an opening uses member set `setVersion`, so a change makes a new one
}

/// @notice A member's seat, found by its operator key. One slot.
struct Seat {
    address worker; // identity
    uint8 slot;
    uint24 weight;
    uint32 since; // last serial given out before it joined
    uint32 until; // last serial it takes part in; max = stays
}

/// @notice A member found by its identity. One slot.
struct Member {
    address operator; // under which its seat is found
    uint32 ready; // serial of the opening that waits for it on its own request
    uint32 shard; // index + 1 where admitted by shards
    bool staked; // its stake is locked; false once slashed
}

/// @notice An aggregator's seat in a job, found by its operator key. One slot.
struct Aggregator {
    address account; // identity
    uint8 index; // plus one
    uint32 since; // last serial given out before it enlisted
}

/// @title Jobs and rounds
/// @notice Phases derive from deadlines, counts and the latest block's time. Windows are half-open: an act is in time
/// strictly before the deadline. `docs/protocol.md` describes a round.
interface ICoordinator {
    // ---------------------------------------------------------------- events
    event JobCreated(uint64 indexed job, address indexed sponsor, JobTerms terms);
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
    event Left(uint64 indexed job, address indexed worker, uint8 slot, uint32 until, bool removed);
    event Released(uint64 indexed job, address indexed worker, uint8 slot);
    event Reseated(uint64 indexed job, address indexed account, address operator);
    event AggregatorEnlisted(uint64 indexed job, address indexed account, uint8 index);
    event AggregatorRetired(uint64 indexed job, address indexed account, uint8 index, bool removed);
    event AccessGranted(uint64 indexed job, address indexed worker, uint32 shard, uint8 codec, bytes32 digest);
    event AccessWithdrawn(uint64 indexed job, address indexed worker, uint32 shard);

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
    /// @notice Everyone awaited has submitted.
    event SubmissionsClosed(uint64 indexed job, uint64 indexed serial);
    event CommitteeDrawn(uint64 indexed job, uint64 indexed serial, uint256 committee);
    event Attested(uint64 indexed job, uint64 indexed serial, uint8 tries, uint8 slot, uint256 bitmap);
    /// @notice `threshold` members of the committee must hold it before `holdBy`.
    event Posted(
        uint64 indexed job, uint64 indexed serial, bytes32 id, Result result, uint8 committeeSize, uint40 holdBy
    );
    /// @notice The opening waits for a member that was away for the last round.
    event Ready(uint64 indexed job, uint64 indexed serial, address worker, uint8 slot);
    event Held(uint64 indexed job, uint64 indexed serial, bytes32 id, address worker, uint8 slot);
    /// @notice K members hold it, by `hold` or by having submitted to the opening that came with it, and were counted:
    /// it is final from `finalAt` on once its parent is.
    event HeldByAll(uint64 indexed job, uint64 indexed serial, bytes32 id, uint40 finalAt);
    /// @notice `cause`: 0 not held in time, 1 convicted, 2 built on a result that is void.
    event ResultVoid(uint64 indexed job, uint64 indexed serial, bytes32 id, address poster, uint8 cause);
    event OpeningVoid(uint64 indexed job, uint64 indexed serial);
    event Retried(uint64 indexed job, uint64 indexed serial, uint8 tries, uint256 committee);
    event Reopened(uint64 indexed job, uint64 indexed serial, uint8 failures);
    event Final(uint64 indexed job, uint64 indexed serial, uint24 number, bytes32 id);
    event UpdateMalformed(
        uint64 indexed job, uint64 indexed serial, address indexed worker, uint8 slot, address prover
    );
    event Convicted(
        uint64 indexed job, uint64 indexed serial, address indexed poster, address prover, bytes32 id, bool rewarded
    );
    event Committed(bytes32 indexed commitment, address indexed sender);
    event Claimed(
        uint64 indexed job, uint64 indexed serial, address indexed worker, uint8 slot, uint256 work, uint256 attesting
    );
    event Returned(uint64 indexed job, uint64 indexed serial, uint256 amount);
    event AggregatorPaid(uint64 indexed job, uint64 indexed serial, address indexed account, uint256 amount);
    event BondReleased(uint64 indexed job, uint24 indexed number, address indexed account);
    event JobStopped(uint64 indexed job);
    event JobEnded(uint64 indexed job, bool aborted, uint24 finalRounds, uint256 returned);

    // ---------------------------------------------------------------- errors
    error UnknownJob(uint64 job);
    error NotSponsor(uint64 job, address caller);
    error BadTerms(bytes32 field);
    error JobOver(uint64 job, uint8 status);
    error NotMember(uint64 job, address caller);
    error AlreadyMember(uint64 job, address worker);
    error JobFull(uint64 job, uint256 maxMembers);
    error NotAdmitted(uint64 job, address worker);
    error ShardTaken(uint64 job, uint32 shard);
    error ReputationTooLow(address worker, uint32 included, uint16 slashed);
    error StillCommitted(uint64 job, address worker, uint32 until);
    error NotAbsent(uint64 job, address account);
    error NotAggregator(uint64 job, address caller);
    error AlreadyAggregator(uint64 job, address account);
    error AggregatorSeatsFull(uint64 job);

    error WrongSerial(uint64 job, uint64 current, uint64 given);
    error WrongParent(bytes32 current, bytes32 given);
    error WrongResult(bytes32 current, bytes32 given);
    error WrongAttempt(uint64 job, uint64 serial, uint8 current, uint8 given);
    error LengthMismatch(uint256 results, uint256 submissions);
    error WrongSubmission(bytes32 stored, bytes32 given);
    error ParentNotHeld(uint64 job, uint64 parentSerial, uint40 holdBy);
    error SubmissionClosed(uint64 job, uint64 serial, uint40 submitBy);
    error SubmissionOpen(uint64 job, uint64 serial, uint40 submitBy);
    error AlreadySubmitted(uint64 job, uint64 serial, uint8 slot);
    error AttestClosed(uint64 job, uint64 serial, uint40 attestBy);
    error AttestOpen(uint64 job, uint64 serial, uint40 attestBy);
    error NotInCommittee(uint64 job, uint64 serial, address worker);
    error AlreadyAttested(uint64 job, uint64 serial, uint8 slot);
    error CommitteeNotDrawn(uint64 job, uint64 serial);
    error SeedPending(uint64 job, uint64 serial);
    error AlreadyPosted(uint64 job, uint64 serial);
    error NotPosted(uint64 job, uint64 serial);
    error WrongIncluded(uint256 computed, uint256 given);
    error TooFewIncluded(uint256 included, uint256 minUpdates);
    error NotYourTurn(uint64 job, uint64 serial, address elected, uint40 anyoneFrom);
    error PostClosed(uint64 job, uint64 serial, uint40 postBy);
    error HoldClosed(uint64 job, uint64 serial, uint40 holdBy);
    error AlreadyHeld(uint64 job, uint64 serial, address worker);
    error ChallengeOver(uint64 job, uint64 serial, uint40 finalAt);
    error NothingToRetry(uint64 job, uint64 serial);
    error NothingToReopen(uint64 job, uint64 serial);
    error CannotOpen(uint64 job, bytes32 reason);
    error CannotEnd(uint64 job, bytes32 reason);
    error NotFinal(uint64 job, uint64 serial);
    error AlreadyClaimed(uint64 job, uint64 serial, uint8 slot);
    error AlreadyMalformed(uint64 job, uint64 serial, uint8 slot);
    error SealMismatch(bytes32 submitted, bytes32 computed);
    error AlreadyCommitted(bytes32 commitment);
    error NoBondHere(uint64 job, uint24 number, address account);

    // ---------------------------------------------------------------- jobs
    /// @notice Escrows `pool * rounds` (approve the Vault first) and opens the job for members and aggregators.
    function createJob(JobTerms calldata terms) external returns (uint64 job);

    /// @notice Takes a seat with the caller's identity and locks the job's stake. By shards: `index`, `weight`, CID and
    /// `proof` show a leaf of the admission root; by invitation: the caller's identity with `weight` and CID; open: a
    /// weight of 1, and the CID of own data if it is published (else zeros).
    function join(uint64 job, uint32 index, uint24 weight, uint8 codec, bytes32 digest, bytes32[] calldata proof)
        external;

    /// @notice Leaves from the next opening on. By the operator or the identity.
    function leave(uint64 job) external;

    /// @notice Removes a member that submitted to none of the last three openings that came to a result and that it
    /// was a member of.
    function removeMember(uint64 job, address worker) external;

    /// @notice Unlocks the stake of one who left, once every opening that it took part in is settled or void, and frees
    /// its slot and shard. Anyone may call.
    function release(uint64 job, address worker) external;

    /// @notice Moves a member's or aggregator's seats to its present operator key. Anyone may call.
    function reseat(uint64 job, address worker) external;

    /// @notice Enters the caller's identity in the turn of aggregators. Needs a free bond of the job's size.
    function enlist(uint64 job) external;

    function retire(uint64 job) external;

    /// @notice Removes an aggregator whose last three turns others took, in results that stand and with no post of its
    /// own since, or that cannot cover the bond.
    function removeAggregator(uint64 job, address account) external;

    /// @notice The sponsor's log of who may read a private shard (CID of its wrapped key).
    function grantAccess(uint64 job, address worker, uint32 shard, uint8 codec, bytes32 digest) external;
    function withdrawAccess(uint64 job, address worker, uint32 shard) external;

    // ---------------------------------------------------------------- rounds
    /// @notice Opens the first round, or one that did not open with a post. The sponsor, or anyone where the job opens
    /// rounds by itself and has `minUpdates` members.
    function openRound(uint64 job) external;

    /// @notice Seals an update. Says as well that the caller holds the parent.
    function submit(uint64 job, uint64 serial, bytes32 parent, bytes32 sealedRoot, uint8 codec, bytes32 digest) external;

    /// @notice Records the seed of the draw where no submission did (more than 16 submitters only).
    function recordSeed(uint64 job, uint64 serial) external;

    /// @notice Draws the committee of 16 where there are more submitters.
    function drawCommittee(uint64 job, uint64 serial) external;

    /// @notice Says which updates the caller holds. Its own bit is always set. `tries` is the round's.
    function attest(uint64 job, uint64 serial, bytes32 parent, uint8 tries, uint256 bitmap) external;

    /// @notice Posts a result. `attempt` and `poster` in it are filled in by the contract and must match.
    function post(Result calldata result) external;

    /// @notice A committee member holds a result; any other member says that it is there, so that submissions wait for
    /// it.
    function hold(uint64 job, uint64 serial, bytes32 id) external;

    /// @notice Attesting again: too few included, no post in time, or the result not held (which voids it).
    function retry(uint64 job, uint64 serial) external;

    /// @notice A fresh opening after too few submissions, a seed never recorded, or the last try. Counts as a failure.
    /// Where no round may open, the failed opening is dropped instead.
    function reopen(uint64 job, uint64 serial) external;

    /// @notice Makes final what can be.
    function settle(uint64 job) external;

    // ---------------------------------------------------------------- disputes
    /// @notice Announces a conviction, for half of what is slashed: `keccak256(abi.encode(block.chainid, coordinator,
    /// prover, keccak256(abi.encode(id, updateRoot, proof))))`, where `id` is the result's id and `updateRoot` zero, or
    /// `id` is `keccak256(abi.encode(submission))`. It counts from the next block on, and for a result only if made
    /// no earlier than the post.
    function commit(bytes32 commitment) external;

    /// @notice Convicts the poster of a result: voids it and all built on it and slashes its bond.
    function convict(Result calldata result, bytes calldata proof) external;

    /// @notice Convicts the worker of a malformed update and slashes its stake.
    function convictUpdate(Submission calldata submission, bytes32 updateRoot, bytes calldata proof) external;

    // ---------------------------------------------------------------- money
    /// @notice Pays the shares of submissions in final rounds: to the worker if included and not malformed, else back
    /// to the sponsor; likewise the attestor's share. `results[i]` belongs to `submissions[i]`. Anyone may call.
    function claim(Result[] calldata results, Submission[] calldata submissions) external;

    /// @notice Pays the posters of final results and unlocks their bonds. Anyone may call.
    function claimPosts(Result[] calldata results) external;

    /// @notice Unlocks a bond left behind by a void result, once its round has a final one or the job is over.
    function releaseBond(uint64 job, uint24 number, address account) external;

    // ---------------------------------------------------------------- endings
    /// @notice No further round opens. Only the sponsor.
    function stop(uint64 job) external;

    /// @notice Ends a job of which every result is final and in which no round is open or can open.
    function close(uint64 job) external;

    /// @notice Ends a job in which no posted result can become final any more, after too many failures or its deadline.
    function abort(uint64 job) external;

    // ---------------------------------------------------------------- reads
    function jobCount() external view returns (uint64);
    function termsOf(uint64 job) external view returns (JobTerms memory terms, address sponsor);
    function stateOf(uint64 job) external view returns (JobState memory);
    function roundOf(uint64 job, uint64 serial)
        external
        view
        returns (Round memory round, bytes32 result, uint256 submitted, uint256 committee, uint256 malformed);
    function submissionOf(uint64 job, uint64 serial, uint8 slot) external view returns (bytes32);
    function attestationOf(uint64 job, uint64 serial, uint8 tries, uint8 slot) external view returns (uint256);
    function seatOf(uint64 job, address operator) external view returns (Seat memory);
    function memberOf(uint64 job, address worker) external view returns (Member memory);
    function aggregatorOf(uint64 job, address operator) external view returns (Aggregator memory);
    /// @notice The operator keys of the 32 aggregator seats, zero where free.
    function aggregatorsOf(uint64 job) external view returns (address[32] memory);
    /// @notice The aggregator whose turn the open round is, and from when on anyone may post.
    function electedOf(uint64 job) external view returns (address account, uint40 anyoneFrom);
    function isFinal(uint64 job, uint64 serial) external view returns (bool);
}
