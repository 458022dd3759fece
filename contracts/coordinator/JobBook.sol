// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {
    Aggregator,
    ICoordinator,
    JobState,
    JobTerms,
    Member,
    Result,
    Round,
    Seat
} from "../interfaces/ICoordinator.sol";
import {IFaultProver} from "../interfaces/IFaultProver.sol";
import {IVault} from "../interfaces/IVault.sol";
import {IWorkerRegistry} from "../interfaces/IWorkerRegistry.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {Trees} from "../libraries/Trees.sol";
import {Aggregators} from "./Aggregators.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Jobs and members; aggregators are in a part of its own
/// @notice Module of the Coordinator; `ICoordinator` describes each act.
contract JobBook is Aggregators {
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;
    using Slots for Seat;

    /// @notice What a worker brings to join with.
    struct Ticket {
        uint32 index; // of its shard
        uint24 weight;
        uint8 codec; // CID of its shard, zero where it is not published
        bytes32 digest;
    }

    uint32 private constant STAYS = type(uint32).max;
    uint40 private constant LONGEST_WINDOW = 365 days;
    uint40 private constant LONGEST_JOB = 10 * 365 days; // what stays locked does so no longer

    // Admissions.
    uint8 private constant OPEN = 0;
    uint8 private constant BY_SHARDS = 1;
    uint8 private constant BY_INVITATION = 2;

    constructor(IWorkerRegistry registry, IVault vault, IFaultProver prover, uint40 minWindow)
        CoordinatorBase(registry, vault, prover, minWindow)
    {}

    function createJob(JobTerms calldata terms) external returns (uint64 id) {
        _check(terms, MIN_WINDOW);

        id = ++_self.jobCount;
        Job storage job = _self.jobs[id];
        job.terms = terms;
        bool ends = terms.deadline <= block.timestamp + LONGEST_JOB;
        if (!ends || !RoundLib.fits(job.terms)) revert ICoordinator.BadTerms("deadline");
        job.sponsor = msg.sender;
        job.results[0] = keccak256(abi.encode(_initial(id, terms)));
        job.state.frozen = true; // set 0 is empty and stays so: the initial model had no members
        job.rounds[0].clock = uint40(block.timestamp);
        job.rounds[0].mark = uint40(block.timestamp); // nobody needs to hold the initial model

        emit ICoordinator.JobCreated(id, msg.sender, terms);

        uint256 escrow = uint256(terms.pool) * terms.rounds;
        uint256 received = VAULT.fund(id, terms.token, msg.sender, escrow);
        if (received != escrow) revert ICoordinator.BadTerms("token");
    }

    function join(uint64 id, uint32 index, uint24 weight, uint8 codec, bytes32 digest, bytes32[] calldata proof)
        external
    {
        _join(id, Ticket(index, weight, codec, digest), proof);
    }

    function _join(uint64 id, Ticket memory ticket, bytes32[] calldata proof) private {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        if (job.sponsor == address(0)) revert ICoordinator.UnknownJob(id);
        if (state.status != RoundLib.RUNNING) revert ICoordinator.JobOver(id, state.status);
        address worker = REGISTRY.identityOf(msg.sender);
        _requireAdmissible(job, id, worker);
        _requireUnused(job, msg.sender);
        uint8 slot = _freeSlot(job, id);
        uint32 shard = _admit(job, id, worker, ticket, proof);

        job.occupied |= 1 << slot;
        job.seats[msg.sender] =
            Seat({worker: worker, slot: slot, weight: ticket.weight, since: state.lastSerial, until: STAYS});
        job.members[worker] = Member({operator: msg.sender, ready: 0, shard: shard, staked: true});
        job.setMembers(state, job.sets[state.setVersion] | (1 << slot));
        job.state.store(state);

        emit ICoordinator.Joined(id, worker, msg.sender, slot, ticket.weight, shard, ticket.codec, ticket.digest);

        VAULT.lock(worker, IVault.Purse.Stake, job.terms.stake);
    }

    function leave(uint64 id) external {
        Job storage job = _self.jobs[id];
        address worker = job.seats[msg.sender].worker;
        if (worker == address(0)) worker = msg.sender; // an identity whose operator is another key
        _requireOwn(worker);
        _vacate(job, id, worker, false);
    }

    function removeMember(uint64 id, address worker) external {
        Job storage job = _self.jobs[id];
        Seat memory seat = _seat(job, id, worker);
        uint256 at = job.state.head;
        uint256 absences;
        while (absences < ABSENCES) {
            Round memory round = job.rounds[at].load();
            // Beyond its first opening, or at the initial model: too short a time to tell.
            if (at <= seat.since) revert ICoordinator.NotAbsent(id, worker);
            if (job.results[at] != 0) {
                if (!BitCounters.has(job.missing[at], seat.slot)) revert ICoordinator.NotAbsent(id, worker);
                ++absences;
            }
            at = round.parentSerial;
        }
        _vacate(job, id, worker, true);
    }

    function release(uint64 id, address worker) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        Seat memory seat = _seat(job, id, worker);
        Member memory member = job.members[worker];
        if (state.status < RoundLib.CLOSED) {
            job.settle(state, id);
            if (seat.until == STAYS || job.oldestUnsettled(state) <= seat.until) {
                revert ICoordinator.StillCommitted(id, worker, seat.until);
            }
            job.state.store(state);
        }

        job.occupied &= ~(1 << seat.slot);
        if (member.shard != 0) job.shards[(member.shard - 1) >> 8] &= ~(1 << ((member.shard - 1) & 0xff));
        delete job.seats[member.operator];
        delete job.members[worker];

        emit ICoordinator.Released(id, worker, seat.slot);

        if (member.staked) VAULT.unlock(worker, IVault.Purse.Stake, job.terms.stake);
    }

    function reseat(uint64 id, address account) external {
        Job storage job = _self.jobs[id];
        address operator = REGISTRY.accountOf(account).operator;
        address before = job.members[account].operator;
        if (before != address(0) && before != operator) {
            _requireUnused(job, operator);
            job.seats[operator] = job.seats[before];
            delete job.seats[before];
            job.members[account].operator = operator;
            emit ICoordinator.Reseated(id, account, operator);
        }
        address aggregating = job.aggregatorOperators[account];
        if (aggregating != address(0) && aggregating != operator) {
            _requireUnusedByAggregator(job, operator);
            Aggregator memory seat = job.aggregators[aggregating];
            job.aggregators[operator] = seat;
            delete job.aggregators[aggregating];
            job.aggregatorOperators[account] = operator;
            job.aggregatorSeats[seat.index - 1] = operator;
            emit ICoordinator.Reseated(id, account, operator);
        }
    }

    // ---------------------------------------------------------------- terms
    function _check(JobTerms calldata terms, uint40 minWindow) private pure {
        if (terms.step.blockCount == 0 || terms.step.blockCount > 1 << 28) revert ICoordinator.BadTerms("blockCount");
        if (terms.step.encoding > 2) revert ICoordinator.BadTerms("encoding");
        if (terms.step.rule != 0 || terms.step.trim != 0) revert ICoordinator.BadTerms("rule"); // FedAvg alone so far
        if (terms.step.beta > 1 << 16) revert ICoordinator.BadTerms("beta");
        if (terms.step.lr == 0 || terms.step.lr > 1 << 24) revert ICoordinator.BadTerms("lr");
        _checkWindows(terms, minWindow);
        if (terms.minUpdates == 0 || terms.minUpdates > terms.maxMembers) revert ICoordinator.BadTerms("minUpdates");
        if (terms.maxMembers > 256) revert ICoordinator.BadTerms("maxMembers");
        if (terms.rounds == 0) revert ICoordinator.BadTerms("rounds");
        if (terms.maxTries < 2 || terms.maxTries > 64) revert ICoordinator.BadTerms("maxTries");
        if (terms.admission > BY_INVITATION) revert ICoordinator.BadTerms("admission");
        if (uint256(terms.workerBps) + terms.aggregatorBps + terms.attestorBps != 10_000) {
            revert ICoordinator.BadTerms("bps");
        }
        if (terms.manifestCodec != 0x55 && terms.manifestCodec != 0x70) revert ICoordinator.BadTerms("manifestCodec");
    }

    function _checkWindows(JobTerms calldata terms, uint40 minWindow) private pure {
        if (
            terms.submitWindow < minWindow || terms.attestWindow < minWindow || terms.turnWindow < minWindow
                || terms.postWindow <= terms.turnWindow || terms.challengeWindow < minWindow
                || terms.submitWindow > LONGEST_WINDOW || terms.attestWindow > LONGEST_WINDOW
                || terms.postWindow > LONGEST_WINDOW || terms.challengeWindow > LONGEST_WINDOW
        ) revert ICoordinator.BadTerms("windows");
    }

    function _initial(uint64 id, JobTerms calldata terms) private view returns (Result memory result) {
        result.job = id;
        result.stateRoot = terms.stateRoot;
        if (terms.step.beta != 0) result.momentumRoot = Trees.zeroStateRoot(terms.step.blockCount);
        result.codec = terms.manifestCodec;
        result.digest = terms.manifestDigest;
        result.poster = msg.sender;
    }

    // ---------------------------------------------------------------- members
    function _requireAdmissible(Job storage job, uint64 id, address worker) private view {
        if (job.members[worker].operator != address(0)) revert ICoordinator.AlreadyMember(id, worker);
        IWorkerRegistry.Account memory account = REGISTRY.accountOf(worker);
        if (account.included < job.terms.minIncluded || account.slashed > job.terms.maxSlashed) {
            revert ICoordinator.ReputationTooLow(worker, account.included, account.slashed);
        }
    }

    function _freeSlot(Job storage job, uint64 id) private view returns (uint8) {
        uint256 occupied = job.occupied;
        uint256 maxMembers = job.terms.maxMembers;
        uint256 slot = occupied == type(uint256).max ? maxMembers : BitCounters.lowest(~occupied);
        if (slot >= maxMembers) revert ICoordinator.JobFull(id, maxMembers);
        return uint8(slot);
    }

    /// @dev Checks the ticket and takes its shard. Returns the shard's index plus one, 0 where there are none.
    function _admit(Job storage job, uint64 id, address worker, Ticket memory ticket, bytes32[] calldata proof)
        private
        returns (uint32)
    {
        uint8 admission = job.terms.admission;
        if (admission == OPEN) {
            ticket.weight = 1;
            return 0;
        }

        bytes memory leaf = admission == BY_SHARDS
            ? abi.encode(uint256(ticket.index), ticket.codec, ticket.digest, uint256(ticket.weight))
            : abi.encode(worker, uint256(ticket.weight), ticket.codec, ticket.digest);
        bytes32 hash = keccak256(bytes.concat(keccak256(leaf)));
        bool weighs = ticket.weight != 0 && ticket.weight < 1 << 20;
        if (!weighs || !MerkleProof.verifyCalldata(proof, job.terms.admissionRoot, hash)) {
            revert ICoordinator.NotAdmitted(id, worker);
        }
        if (admission == BY_INVITATION) return 0;

        uint32 index = ticket.index;
        uint256 taken = job.shards[index >> 8];
        if (BitCounters.has(taken, index & 0xff)) revert ICoordinator.ShardTaken(id, index);
        job.shards[index >> 8] = taken | (1 << (index & 0xff));
        return index + 1;
    }

    function _vacate(Job storage job, uint64 id, address worker, bool removed) private {
        Seat memory seat = _seat(job, id, worker);
        if (seat.until != STAYS) revert ICoordinator.NotMember(id, worker);
        JobState memory state = job.state.load();

        job.seats[job.members[worker].operator].until = state.lastSerial;
        job.removeFromSet(state, seat.slot);
        job.state.store(state);

        emit ICoordinator.Left(id, worker, seat.slot, state.lastSerial, removed);
    }

    function _seat(Job storage job, uint64 id, address worker) private view returns (Seat memory seat) {
        seat = job.seats[job.members[worker].operator].load();
        if (seat.worker == address(0)) revert ICoordinator.NotMember(id, worker);
    }

    /// @dev A key that its former identity gave up may still sit here for it, until that one is reseated.
    function _requireUnused(Job storage job, address operator) private view {
        address other = job.seats[operator].worker;
        if (other != address(0)) revert IWorkerRegistry.OperatorTaken(operator, other);
    }
}
