// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Step} from "./IFaultProver.sol";

/// @notice The terms that a sponsor fixes when it creates a job; in storage in this order, eight slots. Windows are in
/// seconds, at most 365 days.
struct JobTerms {
    Step step;
    // slot 1: all that a post needs
    uint32 submitWindow; // also how long a result may wait to be held
    uint32 attestWindow;
    uint32 turnWindow; // after attesting: only the elected aggregator posts before this has passed
    uint32 postWindow; // after attesting: no one posts after this has passed
    uint40 deadline; // absolute time from which on nothing is posted, at most 10 years of 365 days ahead
    uint24 rounds; // at most; fewer if the sponsor stops or the deadline is near
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
/// in the same file by the new momentum if the job uses it.
struct Result {
    uint64 job;
    uint64 serial;
    uint8 attempt; // how many results were posted for this serial before
    bytes32 parent; // id of the result that it builds on
    uint256 included; // bitmap of slots
    bytes32 stateRoot;
    bytes32 momentumRoot; // zero if the job uses no momentum
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

/// @notice One opening of submissions, and what came of it. One slot. `clock`, `mark` and `tally` change their meaning
/// with a post.
struct Round {
    uint24 number; // 1 for the first round; serials differ if a round was opened again
    uint32 parentSerial; // of the result it builds on; 0 is the initial model
    uint32 weightSum; // of all submissions
    uint16 setVersion; // which member set takes part
    uint8 tries; // attestings after the first
    uint8 posts; // results posted so far
    uint8 flags; // see RoundFields
    uint40 clock; // RoundFields reads this and the next two by names that fit the phase
    uint40 mark;
    uint48 tally;
}

/// @notice The state of a job. One slot.
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
    uint32 shard; // index + 1 if admitted by shards
    bool staked; // its stake is locked; false once slashed
}

/// @notice An aggregator's seat in a job, found by its operator key. One slot.
struct Aggregator {
    address account; // identity
    uint8 index; // plus one
    uint32 since; // last serial given out before it enlisted
}
