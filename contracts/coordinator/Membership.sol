// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {IFaultProver} from "../interfaces/IFaultProver.sol";
import {IJobs} from "../interfaces/IJobs.sol";
import {IMembership} from "../interfaces/IMembership.sol";
import {IVault} from "../interfaces/IVault.sol";
import {IWorkerRegistry} from "../interfaces/IWorkerRegistry.sol";
import {Aggregator, JobState, JobTerms, Member, Result, Round, Seat} from "../interfaces/JobTypes.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {Blocks} from "../libraries/Blocks.sol";
import {RuleLib} from "../libraries/RuleLib.sol";
import {Trees} from "../libraries/Trees.sol";
import {Aggregators} from "./Aggregators.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Creating jobs, and their members
/// @notice Module of the Coordinator; aggregators are in the contract that it inherits.
contract Membership is Aggregators, IJobs, IMembership {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;
    using Slots for Seat;

    /// @notice The terms that a worker joins by.
    struct JoinTerms {
        uint32 index; // of its shard
        uint24 weight;
        uint8 codec; // CID of its shard, zero if it is not published
        bytes32 digest;
    }

    uint32 private constant STAYS = type(uint32).max;
    uint40 private constant LONGEST_WINDOW = 365 days;
    uint40 private constant LONGEST_JOB = 10 * 365 days; // bounds how long money can stay locked

    // Admissions.
    uint8 private constant OPEN = 0;
    uint8 private constant BY_SHARDS = 1;
    uint8 private constant BY_INVITATION = 2;

    constructor(IWorkerRegistry registry, IVault vault, IFaultProver prover, uint40 minWindow)
        CoordinatorBase(registry, vault, prover, minWindow)
    {}

    /// @inheritdoc IJobs
    function createJob(JobTerms calldata terms) external returns (uint64 id) {
        _check(terms, MIN_WINDOW);

        id = ++_self.jobCount;
        Job storage job = _self.jobs[id];
        job.terms = terms;
        bool ends = terms.deadline <= block.timestamp + LONGEST_JOB;
        if (!ends || !RoundLib.fits(job.terms)) revert IJobs.BadTerms("deadline");
        job.sponsor = msg.sender;
        job.results[0] = keccak256(abi.encode(_initial(id, terms)));
        job.state.frozen = true; // set 0 is empty and stays so: the initial model had no members
        job.rounds[0].setInitial();

        emit IJobs.JobCreated(id, msg.sender, terms);

        uint256 escrow = uint256(terms.pool) * terms.rounds;
        uint256 received = VAULT.fund(id, terms.token, msg.sender, escrow);
        if (received != escrow) revert IJobs.BadTerms("token");
    }

    /// @inheritdoc IMembership
    function join(uint64 id, uint32 index, uint24 weight, uint8 codec, bytes32 digest, bytes32[] calldata proof)
        external
    {
        _join(id, JoinTerms(index, weight, codec, digest), proof);
    }

    function _join(uint64 id, JoinTerms memory given, bytes32[] calldata proof) private {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        if (job.sponsor == address(0)) revert IJobs.UnknownJob(id);
        if (state.status != RoundLib.RUNNING) revert IJobs.JobOver(id, state.status);
        address worker = REGISTRY.identityOf(msg.sender);
        _requireAdmissible(job, id, worker);
        _requireUnused(job, msg.sender);
        uint8 slot = _freeSlot(job, id);
        uint32 shard = _admit(job, id, worker, given, proof);

        job.occupied |= 1 << slot;
        job.seats[msg.sender] =
            Seat({worker: worker, slot: slot, weight: given.weight, since: state.lastSerial, until: STAYS});
        job.members[worker] = Member({operator: msg.sender, ready: 0, shard: shard, staked: true});
        job.setMembers(state, job.sets[state.setVersion] | (1 << slot));
        job.state.store(state);

        emit IMembership.Joined(id, worker, msg.sender, slot, given.weight, shard, given.codec, given.digest);

        VAULT.lock(worker, IVault.Collateral.Stake, job.terms.stake);
    }

    /// @inheritdoc IMembership
    function leave(uint64 id) external {
        Job storage job = _self.jobs[id];
        address worker = job.seats[msg.sender].worker;
        if (worker == address(0)) worker = msg.sender; // an identity whose operator is another key
        _requireOwn(worker);
        _vacate(job, id, worker, false);
    }

    /// @inheritdoc IMembership
    function removeMember(uint64 id, address worker) external {
        Job storage job = _self.jobs[id];
        Seat memory seat = _seat(job, id, worker);
        uint256 at = job.state.head;
        uint256 absences;
        while (absences < ABSENCES) {
            Round memory round = job.rounds[at].load();
            // Beyond its first opening, or at the initial model: too short a time to tell.
            if (at <= seat.since) revert IMembership.NotAbsent(id, worker);
            if (job.results[at] != 0) {
                if (!BitCounters.has(job.missing[at], seat.slot)) revert IMembership.NotAbsent(id, worker);
                ++absences;
            }
            at = round.parentSerial;
        }
        _vacate(job, id, worker, true);
    }

    /// @inheritdoc IMembership
    function release(uint64 id, address worker) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        Seat memory seat = _seat(job, id, worker);
        Member memory member = job.members[worker];
        if (state.status < RoundLib.CLOSED) {
            job.settle(state, id);
            if (seat.until == STAYS || job.oldestUnsettled(state) <= seat.until) {
                revert IMembership.StillCommitted(id, worker, seat.until);
            }
            job.state.store(state);
        }

        job.occupied &= ~(1 << seat.slot);
        if (member.shard != 0) job.shards[(member.shard - 1) >> 8] &= ~(1 << ((member.shard - 1) & 0xff));
        delete job.seats[member.operator];
        delete job.members[worker];

        emit IMembership.Released(id, worker, seat.slot);

        if (member.staked) VAULT.unlock(worker, IVault.Collateral.Stake, job.terms.stake);
    }

    /// @inheritdoc IMembership
    function reseat(uint64 id, address account) external {
        Job storage job = _self.jobs[id];
        address operator = REGISTRY.accountOf(account).operator;
        address before = job.members[account].operator;
        if (before != address(0) && before != operator) {
            _requireUnused(job, operator);
            job.seats[operator] = job.seats[before];
            delete job.seats[before];
            job.members[account].operator = operator;
            emit IMembership.Reseated(id, account, operator);
        }
        address aggregating = job.aggregatorOperators[account];
        if (aggregating != address(0) && aggregating != operator) {
            _requireUnusedByAggregator(job, operator);
            Aggregator memory seat = job.aggregators[aggregating];
            job.aggregators[operator] = seat;
            delete job.aggregators[aggregating];
            job.aggregatorOperators[account] = operator;
            job.aggregatorSeats[seat.index - 1] = operator;
            emit IMembership.Reseated(id, account, operator);
        }
    }

    // ---------------------------------------------------------------- terms
    function _check(JobTerms calldata terms, uint40 minWindow) private pure {
        if (terms.step.blockCount == 0 || terms.step.blockCount > Trees.MAX_BLOCKS) {
            revert IJobs.BadTerms("blockCount");
        }
        if (!Blocks.known(terms.step.encoding)) revert IJobs.BadTerms("encoding");
        if (!RuleLib.accepts(terms.step.rule, terms.step.trim)) revert IJobs.BadTerms("rule");
        if (terms.step.beta > 1 << 16) revert IJobs.BadTerms("beta");
        if (terms.step.lr == 0 || terms.step.lr > 1 << 24) revert IJobs.BadTerms("lr");
        _checkWindows(terms, minWindow);
        if (terms.minUpdates == 0 || terms.minUpdates > terms.maxMembers) revert IJobs.BadTerms("minUpdates");
        if (terms.maxMembers > 256) revert IJobs.BadTerms("maxMembers");
        if (terms.rounds == 0) revert IJobs.BadTerms("rounds");
        if (terms.maxTries < 2 || terms.maxTries > 64) revert IJobs.BadTerms("maxTries");
        if (terms.admission > BY_INVITATION) revert IJobs.BadTerms("admission");
        if (uint256(terms.workerBps) + terms.aggregatorBps + terms.attestorBps != 10_000) {
            revert IJobs.BadTerms("bps");
        }
        if (terms.manifestCodec != 0x55 && terms.manifestCodec != 0x70) revert IJobs.BadTerms("manifestCodec");
    }

    function _checkWindows(JobTerms calldata terms, uint40 minWindow) private pure {
        if (
            terms.submitWindow < minWindow || terms.attestWindow < minWindow || terms.turnWindow < minWindow
                || terms.postWindow <= terms.turnWindow || terms.challengeWindow < minWindow
                || terms.submitWindow > LONGEST_WINDOW || terms.attestWindow > LONGEST_WINDOW
                || terms.postWindow > LONGEST_WINDOW || terms.challengeWindow > LONGEST_WINDOW
        ) revert IJobs.BadTerms("windows");
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
        if (job.members[worker].operator != address(0)) revert IMembership.AlreadyMember(id, worker);
        IWorkerRegistry.Account memory account = REGISTRY.accountOf(worker);
        if (account.included < job.terms.minIncluded || account.slashed > job.terms.maxSlashed) {
            revert IMembership.ReputationTooLow(worker, account.included, account.slashed);
        }
    }

    function _freeSlot(Job storage job, uint64 id) private view returns (uint8) {
        uint256 occupied = job.occupied;
        uint256 maxMembers = job.terms.maxMembers;
        uint256 slot = occupied == type(uint256).max ? maxMembers : BitCounters.lowest(~occupied);
        if (slot >= maxMembers) revert IMembership.JobFull(id, maxMembers);
        return uint8(slot);
    }

    /// @dev Checks the admission and takes the shard. Returns the shard's index plus one, 0 if there are none.
    function _admit(Job storage job, uint64 id, address worker, JoinTerms memory given, bytes32[] calldata proof)
        private
        returns (uint32)
    {
        uint8 admission = job.terms.admission;
        if (admission == OPEN) {
            given.weight = 1;
            return 0;
        }

        bytes memory leaf = admission == BY_SHARDS
            ? abi.encode(uint256(given.index), given.codec, given.digest, uint256(given.weight))
            : abi.encode(worker, uint256(given.weight), given.codec, given.digest);
        bytes32 hash = keccak256(bytes.concat(keccak256(leaf)));
        bool weighs = given.weight != 0 && given.weight < 1 << 20;
        if (!weighs || !MerkleProof.verifyCalldata(proof, job.terms.admissionRoot, hash)) {
            revert IMembership.NotAdmitted(id, worker);
        }
        if (admission == BY_INVITATION) return 0;

        uint32 index = given.index;
        uint256 taken = job.shards[index >> 8];
        if (BitCounters.has(taken, index & 0xff)) revert IMembership.ShardTaken(id, index);
        job.shards[index >> 8] = taken | (1 << (index & 0xff));
        return index + 1;
    }

    function _vacate(Job storage job, uint64 id, address worker, bool removed) private {
        Seat memory seat = _seat(job, id, worker);
        if (seat.until != STAYS) revert IMembership.NotMember(id, worker);
        JobState memory state = job.state.load();

        job.seats[job.members[worker].operator].until = state.lastSerial;
        job.removeFromSet(state, seat.slot);
        job.state.store(state);

        emit IMembership.Left(id, worker, seat.slot, state.lastSerial, removed);
    }

    function _seat(Job storage job, uint64 id, address worker) private view returns (Seat memory seat) {
        seat = job.seats[job.members[worker].operator].load();
        if (seat.worker == address(0)) revert IMembership.NotMember(id, worker);
    }

    /// @dev A key that its former identity gave up may still sit here for it, until that one is reseated.
    function _requireUnused(Job storage job, address operator) private view {
        address other = job.seats[operator].worker;
        if (other != address(0)) revert IWorkerRegistry.OperatorTaken(operator, other);
    }
}
