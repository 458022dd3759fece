// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";

import {Claims} from "./coordinator/Claims.sol";
import {CoordinatorBase} from "./coordinator/CoordinatorBase.sol";
import {Posts} from "./coordinator/Posts.sol";
import {RoundLib} from "./coordinator/RoundLib.sol";
import {Slots} from "./coordinator/Slots.sol";
import {Job} from "./coordinator/State.sol";
import {
    Aggregator,
    ICoordinator,
    JobState,
    JobTerms,
    Member,
    Result,
    Round,
    Seat,
    Submission
} from "./interfaces/ICoordinator.sol";
import {IFaultProver} from "./interfaces/IFaultProver.sol";
import {IVault} from "./interfaces/IVault.sol";
import {IWorkerRegistry} from "./interfaces/IWorkerRegistry.sol";
import {BitCounters} from "./libraries/BitCounters.sol";

/// @title Jobs and rounds
/// @dev Here are the acts of every round, written for gas; the rarer ones are in modules that work on the same storage,
/// because one contract cannot hold them all (see CoordinatorBase). Immutable: no proxy, no owner.
contract Coordinator is ICoordinator, Posts, Claims {
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;
    using Slots for Seat;

    address private immutable _JOB_BOOK;
    address private immutable _REPAIRS;
    address private immutable _DISPUTES;
    address private immutable _ENDINGS;

    constructor(
        IWorkerRegistry registry,
        IVault vault,
        IFaultProver prover,
        uint40 minWindow,
        address jobBook,
        address repairs,
        address disputes,
        address endings
    ) CoordinatorBase(registry, vault, prover, minWindow) {
        _JOB_BOOK = jobBook;
        _REPAIRS = repairs;
        _DISPUTES = disputes;
        _ENDINGS = endings;
    }

    // ---------------------------------------------------------------- jobs
    /// @inheritdoc ICoordinator
    function createJob(JobTerms calldata) external returns (uint64) {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function join(uint64, uint32, uint24, uint8, bytes32, bytes32[] calldata) external {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function leave(uint64) external {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function removeMember(uint64, address) external {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function release(uint64, address) external {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function reseat(uint64, address) external {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function enlist(uint64) external {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function retire(uint64) external {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function removeAggregator(uint64, address) external {
        _run(_JOB_BOOK);
    }

    /// @inheritdoc ICoordinator
    function grantAccess(uint64 job, address worker, uint32 shard, uint8 codec, bytes32 digest) external {
        if (msg.sender != _self.jobs[job].sponsor) revert NotSponsor(job, msg.sender);
        emit AccessGranted(job, worker, shard, codec, digest);
    }

    /// @inheritdoc ICoordinator
    function withdrawAccess(uint64 job, address worker, uint32 shard) external {
        if (msg.sender != _self.jobs[job].sponsor) revert NotSponsor(job, msg.sender);
        emit AccessWithdrawn(job, worker, shard);
    }

    // ---------------------------------------------------------------- rounds
    /// @inheritdoc ICoordinator
    function submit(uint64 job, uint64 serial, bytes32 parent, bytes32 sealedRoot, uint8 codec, bytes32 digest)
        external
    {
        Job storage j = _self.jobs[job];
        Seat memory seat = j.seats[msg.sender].load();
        Round memory round = j.rounds[serial].load();
        _requireMember(job, serial, seat);
        if (block.timestamp >= round.clock || RoundLib.has(round, RoundLib.POSTED)) {
            revert SubmissionClosed(job, serial, round.clock);
        }
        j.requireParent(round.parentSerial, parent);
        uint256 missing = j.missing[serial];
        if (!BitCounters.has(missing, seat.slot)) revert AlreadySubmitted(job, serial, seat.slot);

        // As the opening counted: newcomers and who submitted to the last round. A newcomer in the slot of one who had
        // missed that round was not counted, and says by `hold` that it is there.
        bool awaited =
            !BitCounters.has(j.missing[round.parentSerial], seat.slot) || j.members[seat.worker].ready == serial;
        j.missing[serial] = missing & ~(1 << seat.slot);
        j.submissions[serial][seat.slot] = keccak256(
            abi.encode(Submission(job, serial, seat.slot, seat.worker, seat.weight, sealedRoot, codec, digest))
        );
        round.weightSum += seat.weight;
        _recordSeed(round);
        if (awaited && round.tally >> 32 != 0) round.tally -= 1 << 32;
        bool closed = round.tally >> 32 == 0 && !RoundLib.has(round, RoundLib.NO_EARLY_CLOSE);
        if (closed) round.clock = uint40(block.timestamp);
        j.rounds[serial].store(round);

        emit Submitted(job, serial, seat.worker, seat.slot, seat.weight, sealedRoot, codec, digest);
        if (closed) emit SubmissionsClosed(job, serial);
    }

    /// @inheritdoc ICoordinator
    function recordSeed(uint64, uint64) external {
        _run(_REPAIRS);
    }

    /// @inheritdoc ICoordinator
    function drawCommittee(uint64, uint64) external {
        _run(_REPAIRS);
    }

    /// @inheritdoc ICoordinator
    function attest(uint64 job, uint64 serial, bytes32 parent, uint8 tries, uint256 bitmap) external {
        Job storage j = _self.jobs[job];
        (address worker, uint8 slot) = _attestor(j, job, serial);
        uint8 flags = _requireAttesting(j, job, serial, parent, tries);
        bool sits = flags & RoundLib.COMMITTEE_STORED != 0
            ? BitCounters.has(j.committees[serial], slot)
            : j.submissions[serial][slot] != 0;
        if (!sits) revert NotInCommittee(job, serial, worker);
        mapping(uint256 => uint256) storage bitmaps = j.attestations[serial];
        uint256 key = (uint256(tries) << 8) | slot;
        if (bitmaps[key] != 0) revert AlreadyAttested(job, serial, slot);

        bitmap |= 1 << slot;
        bitmaps[key] = bitmap;

        emit Attested(job, serial, tries, slot, bitmap);
    }

    /// @inheritdoc ICoordinator
    function post(Result calldata result) external {
        _post(result);
    }

    /// @inheritdoc ICoordinator
    function openRound(uint64) external {
        _run(_REPAIRS);
    }

    /// @inheritdoc ICoordinator
    function hold(uint64, uint64, bytes32) external {
        _run(_REPAIRS);
    }

    /// @inheritdoc ICoordinator
    function retry(uint64, uint64) external {
        _run(_REPAIRS);
    }

    /// @inheritdoc ICoordinator
    function reopen(uint64, uint64) external {
        _run(_REPAIRS);
    }

    /// @inheritdoc ICoordinator
    function settle(uint64) external {
        _run(_REPAIRS);
    }

    // ---------------------------------------------------------------- disputes
    /// @inheritdoc ICoordinator
    function commit(bytes32) external {
        _run(_DISPUTES);
    }

    /// @inheritdoc ICoordinator
    function convict(Result calldata, bytes calldata) external {
        _run(_DISPUTES);
    }

    /// @inheritdoc ICoordinator
    function convictUpdate(Submission calldata, bytes32, bytes calldata) external {
        _run(_DISPUTES);
    }

    // ---------------------------------------------------------------- money
    /// @inheritdoc ICoordinator
    function claim(Result[] calldata results, Submission[] calldata submissions) external {
        _claimAll(results, submissions);
    }

    /// @inheritdoc ICoordinator
    function claimPosts(Result[] calldata) external {
        _run(_ENDINGS);
    }

    /// @inheritdoc ICoordinator
    function releaseBond(uint64, uint24, address) external {
        _run(_ENDINGS);
    }

    // ---------------------------------------------------------------- endings
    /// @inheritdoc ICoordinator
    function stop(uint64) external {
        _run(_ENDINGS);
    }

    /// @inheritdoc ICoordinator
    function close(uint64) external {
        _run(_ENDINGS);
    }

    /// @inheritdoc ICoordinator
    function abort(uint64) external {
        _run(_ENDINGS);
    }

    // ---------------------------------------------------------------- reads
    /// @inheritdoc ICoordinator
    function jobCount() external view returns (uint64) {
        return _self.jobCount;
    }

    /// @inheritdoc ICoordinator
    function termsOf(uint64 job) external view returns (JobTerms memory terms, address sponsor) {
        return (_self.jobs[job].terms, _self.jobs[job].sponsor);
    }

    /// @inheritdoc ICoordinator
    function stateOf(uint64 job) external view returns (JobState memory) {
        return _self.jobs[job].state;
    }

    /// @inheritdoc ICoordinator
    function roundOf(uint64 job, uint64 serial)
        external
        view
        returns (Round memory round, bytes32 result, uint256 submitted, uint256 committee, uint256 malformed)
    {
        Job storage j = _self.jobs[job];
        round = j.rounds[serial].load();
        submitted = j.submitted(round, serial);
        return (round, j.results[serial], submitted, j.committee(round, serial, submitted), j.malformed[serial]);
    }

    /// @inheritdoc ICoordinator
    function submissionOf(uint64 job, uint64 serial, uint8 slot) external view returns (bytes32) {
        return _self.jobs[job].submissions[serial][slot];
    }

    /// @inheritdoc ICoordinator
    function attestationOf(uint64 job, uint64 serial, uint8 tries, uint8 slot) external view returns (uint256) {
        return _self.jobs[job].attestations[serial][(uint256(tries) << 8) | slot];
    }

    /// @inheritdoc ICoordinator
    function seatOf(uint64 job, address operator) external view returns (Seat memory) {
        return _self.jobs[job].seats[operator];
    }

    /// @inheritdoc ICoordinator
    function memberOf(uint64 job, address worker) external view returns (Member memory) {
        return _self.jobs[job].members[worker];
    }

    /// @inheritdoc ICoordinator
    function aggregatorOf(uint64 job, address operator) external view returns (Aggregator memory) {
        return _self.jobs[job].aggregators[operator];
    }

    /// @inheritdoc ICoordinator
    function aggregatorsOf(uint64 job) external view returns (address[32] memory) {
        return _self.jobs[job].aggregatorSeats;
    }

    /// @inheritdoc ICoordinator
    function electedOf(uint64 job) external view returns (address account, uint40 anyoneFrom) {
        return _electedOf(job);
    }

    /// @inheritdoc ICoordinator
    function isFinal(uint64 job, uint64 serial) external view returns (bool) {
        Job storage j = _self.jobs[job];
        uint256 settled = j.state.settledSerial;
        while (serial > settled) {
            Round memory round = j.rounds[serial].load();
            if (j.results[serial] == 0 || round.mark == 0 || block.timestamp < RoundLib.finalAt(round, j.terms)) {
                return false;
            }
            serial = round.parentSerial;
        }
        return j.results[serial] != 0;
    }

    // ---------------------------------------------------------------- shared by submissions
    function _requireMember(uint64 job, uint64 serial, Seat memory seat) private view {
        if (seat.worker == address(0) || serial <= seat.since || serial > seat.until) {
            revert NotMember(job, msg.sender);
        }
    }

    /// @dev As `_requireMember`, with what attesting needs of the seat left on the stack.
    function _attestor(Job storage j, uint64 job, uint64 serial) private view returns (address worker, uint8 slot) {
        uint256 since;
        uint256 until;
        (worker, slot, since, until) = j.seats[msg.sender].fields();
        if (worker == address(0) || serial <= since || serial > until) revert NotMember(job, msg.sender);
    }

    function _requireAttesting(Job storage j, uint64 job, uint64 serial, bytes32 parent, uint8 tries)
        private
        view
        returns (uint8)
    {
        (uint8 flags, uint256 clock, uint8 current, uint256 parentSerial) = j.rounds[serial].phase();
        if (flags & RoundLib.POSTED != 0) revert AlreadyPosted(job, serial);
        if (block.timestamp < clock) revert SubmissionOpen(job, serial, uint40(clock));
        uint256 attestBy = clock + j.terms.attestWindow;
        if (block.timestamp >= attestBy || tries != current) revert AttestClosed(job, serial, uint40(attestBy));
        bytes32 standing = j.results[parentSerial];
        if (standing != parent) revert WrongParent(standing, parent);
        return flags;
    }

    function _recordSeed(Round memory round) private view {
        if (RoundLib.has(round, RoundLib.SEEDED)) return;
        bytes32 hash = blockhash(round.mark);
        if (hash == 0) return;
        round.tally |= uint32(uint256(hash));
        round.flags |= RoundLib.SEEDED;
    }

    /// @dev Its code is in a module.
    function _settleNow(uint64 job) internal override {
        // `settle` returns nothing; where it reverts, so does this.
        // slither-disable-next-line unused-return
        Address.functionDelegateCall(_REPAIRS, abi.encodeCall(ICoordinator.settle, (job)));
    }

    /// @dev Hands the call as it is to a module, which works on this storage, and its answer back.
    function _run(address module) private {
        assembly ("memory-safe") {
            let at := mload(0x40)
            calldatacopy(at, 0, calldatasize())
            let done := delegatecall(gas(), module, at, calldatasize(), 0, 0)
            returndatacopy(at, 0, returndatasize())
            if iszero(done) { revert(at, returndatasize()) }
            return(at, returndatasize())
        }
    }
}
