// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";

import {IAccessLog} from "./interfaces/IAccessLog.sol";
import {IAggregators} from "./interfaces/IAggregators.sol";
import {ICoordinator} from "./interfaces/ICoordinator.sol";
import {IDisputes} from "./interfaces/IDisputes.sol";
import {IFaultProver} from "./interfaces/IFaultProver.sol";
import {IJobClosure} from "./interfaces/IJobClosure.sol";
import {IJobs} from "./interfaces/IJobs.sol";
import {IMembership} from "./interfaces/IMembership.sol";
import {IPayouts} from "./interfaces/IPayouts.sol";
import {IRoundRecovery} from "./interfaces/IRoundRecovery.sol";
import {IRounds} from "./interfaces/IRounds.sol";
import {IVault} from "./interfaces/IVault.sol";
import {IWorkerRegistry} from "./interfaces/IWorkerRegistry.sol";
import {JobTerms, Result, Round, Seat, Submission} from "./interfaces/JobTypes.sol";
import {Claims} from "./coordinator/Claims.sol";
import {CoordinatorBase} from "./coordinator/CoordinatorBase.sol";
import {JobViews} from "./coordinator/JobViews.sol";
import {RoundFields} from "./coordinator/RoundFields.sol";
import {RoundLib} from "./coordinator/RoundLib.sol";
import {Slots} from "./coordinator/Slots.sol";
import {Job} from "./coordinator/State.sol";
import {BitCounters} from "./libraries/BitCounters.sol";

/// @title Jobs and rounds
/// @dev The calls of every round are here, written for gas. The rarer ones are in modules that work on the same storage,
/// because one contract cannot hold them all (see CoordinatorBase): each implements the same interface as the forwarding
/// functions below, so the compiler checks both. Immutable: no proxy, no owner.
contract Coordinator is ICoordinator, JobViews, Claims {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for Round;
    using Slots for Seat;

    address private immutable _MEMBERSHIP;
    address private immutable _ROUND_RECOVERY;
    address private immutable _DISPUTES;
    address private immutable _JOB_CLOSURE;

    constructor(
        IWorkerRegistry registry,
        IVault vault,
        IFaultProver prover,
        uint40 minWindow,
        address membership,
        address roundRecovery,
        address disputes,
        address jobClosure
    ) CoordinatorBase(registry, vault, prover, minWindow) {
        _MEMBERSHIP = membership;
        _ROUND_RECOVERY = roundRecovery;
        _DISPUTES = disputes;
        _JOB_CLOSURE = jobClosure;
    }

    // ---------------------------------------------------------------- jobs
    /// @inheritdoc IJobs
    function createJob(JobTerms calldata) external returns (uint64) {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IMembership
    function join(uint64, uint32, uint24, uint8, bytes32, bytes32[] calldata) external {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IMembership
    function leave(uint64) external {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IMembership
    function removeMember(uint64, address) external {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IMembership
    function release(uint64, address) external {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IMembership
    function reseat(uint64, address) external {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IAggregators
    function enlist(uint64) external {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IAggregators
    function retire(uint64) external {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IAggregators
    function removeAggregator(uint64, address) external {
        _run(_MEMBERSHIP);
    }

    /// @inheritdoc IAccessLog
    function grantAccess(uint64 job, address worker, uint32 shard, uint8 codec, bytes32 digest) external {
        if (msg.sender != _self.jobs[job].sponsor) revert NotSponsor(job, msg.sender);
        emit AccessGranted(job, worker, shard, codec, digest);
    }

    /// @inheritdoc IAccessLog
    function withdrawAccess(uint64 job, address worker, uint32 shard) external {
        if (msg.sender != _self.jobs[job].sponsor) revert NotSponsor(job, msg.sender);
        emit AccessWithdrawn(job, worker, shard);
    }

    // ---------------------------------------------------------------- rounds
    /// @inheritdoc IRounds
    function submit(uint64 job, uint64 serial, bytes32 parent, bytes32 sealedRoot, uint8 codec, bytes32 digest)
        external
    {
        Job storage j = _self.jobs[job];
        Seat memory seat = j.seats[msg.sender].load();
        Round memory round = j.rounds[serial].load();
        _requireMember(job, serial, seat);
        if (block.timestamp >= round.submissionsEnd() || round.has(RoundFields.POSTED)) {
            revert SubmissionClosed(job, serial, round.submissionsEnd());
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
        if (awaited && round.awaited() != 0) round.awaitOneLess();
        bool closed = round.awaited() == 0 && !round.has(RoundFields.NO_EARLY_CLOSE);
        if (closed) round.endSubmissions();
        j.rounds[serial].store(round);

        emit Submitted(job, serial, seat.worker, seat.slot, seat.weight, sealedRoot, codec, digest);
        if (closed) emit SubmissionsClosed(job, serial);
    }

    /// @inheritdoc IRoundRecovery
    function recordSeed(uint64, uint64) external {
        _run(_ROUND_RECOVERY);
    }

    /// @inheritdoc IRoundRecovery
    function drawCommittee(uint64, uint64) external {
        _run(_ROUND_RECOVERY);
    }

    /// @inheritdoc IRounds
    function attest(uint64 job, uint64 serial, bytes32 parent, uint8 tries, uint256 bitmap) external {
        Job storage j = _self.jobs[job];
        (address worker, uint8 slot) = _attestor(j, job, serial);
        uint8 flags = _requireAttesting(j, job, serial, parent, tries);
        bool sits = flags & RoundFields.COMMITTEE_STORED != 0
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

    /// @inheritdoc IRounds
    function post(Result calldata result) external {
        _post(result);
    }

    /// @inheritdoc IRoundRecovery
    function openRound(uint64) external {
        _run(_ROUND_RECOVERY);
    }

    /// @inheritdoc IRoundRecovery
    function hold(uint64, uint64, bytes32) external {
        _run(_ROUND_RECOVERY);
    }

    /// @inheritdoc IRoundRecovery
    function retry(uint64, uint64) external {
        _run(_ROUND_RECOVERY);
    }

    /// @inheritdoc IRoundRecovery
    function reopen(uint64, uint64) external {
        _run(_ROUND_RECOVERY);
    }

    /// @inheritdoc IRoundRecovery
    function settle(uint64) external {
        _run(_ROUND_RECOVERY);
    }

    // ---------------------------------------------------------------- disputes
    /// @inheritdoc IDisputes
    function commit(bytes32) external {
        _run(_DISPUTES);
    }

    /// @inheritdoc IDisputes
    function convict(Result calldata, bytes calldata) external {
        _run(_DISPUTES);
    }

    /// @inheritdoc IDisputes
    function convictUpdate(Submission calldata, bytes32, bytes calldata) external {
        _run(_DISPUTES);
    }

    // ---------------------------------------------------------------- payouts
    /// @inheritdoc IPayouts
    function claim(Result[] calldata results, Submission[] calldata submissions) external {
        _claimAll(results, submissions);
    }

    /// @inheritdoc IJobClosure
    function claimPosts(Result[] calldata) external {
        _run(_JOB_CLOSURE);
    }

    /// @inheritdoc IJobClosure
    function releaseBond(uint64, uint24, address) external {
        _run(_JOB_CLOSURE);
    }

    // ---------------------------------------------------------------- closure
    /// @inheritdoc IJobClosure
    function stop(uint64) external {
        _run(_JOB_CLOSURE);
    }

    /// @inheritdoc IJobClosure
    function close(uint64) external {
        _run(_JOB_CLOSURE);
    }

    /// @inheritdoc IJobClosure
    function abort(uint64) external {
        _run(_JOB_CLOSURE);
    }

    // ---------------------------------------------------------------- shared by submissions
    function _requireMember(uint64 job, uint64 serial, Seat memory seat) private view {
        if (seat.worker == address(0) || serial <= seat.since || serial > seat.until) {
            revert NotMember(job, msg.sender);
        }
    }

    /// @dev As `_requireMember`, with the fields of the seat that attesting needs left on the stack.
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
        (uint8 flags, uint256 tryStart, uint8 current, uint256 parentSerial) = j.rounds[serial].phase();
        if (flags & RoundFields.POSTED != 0) revert AlreadyPosted(job, serial);
        if (block.timestamp < tryStart) revert SubmissionOpen(job, serial, uint40(tryStart));
        uint256 attestBy = tryStart + j.terms.attestWindow;
        if (block.timestamp >= attestBy || tries != current) revert AttestClosed(job, serial, uint40(attestBy));
        bytes32 standing = j.results[parentSerial];
        if (standing != parent) revert WrongParent(standing, parent);
        return flags;
    }

    function _recordSeed(Round memory round) private view {
        if (round.has(RoundFields.SEEDED)) return;
        bytes32 hash = blockhash(round.openingBlock());
        if (hash != 0) round.setSeed(hash);
    }

    /// @dev The code of `settle` is in a module.
    function _settleNow(uint64 job) internal override {
        // `settle` returns nothing; if it reverts, so does this.
        // slither-disable-next-line unused-return
        Address.functionDelegateCall(_ROUND_RECOVERY, abi.encodeCall(IRoundRecovery.settle, (job)));
    }

    /// @dev Forwards the call unchanged to a module, which works on this storage, and returns its answer.
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
