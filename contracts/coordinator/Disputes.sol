// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IDisputes} from "../interfaces/IDisputes.sol";
import {IFaultProver} from "../interfaces/IFaultProver.sol";
import {IMembership} from "../interfaces/IMembership.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {IVault} from "../interfaces/IVault.sol";
import {IWorkerRegistry} from "../interfaces/IWorkerRegistry.sol";
import {JobState, Member, Result, Round, Seat, Submission} from "../interfaces/JobTypes.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {Trees} from "../libraries/Trees.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Convictions
/// @notice Module of the Coordinator.
contract Disputes is CoordinatorBase, IDisputes {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    constructor(IWorkerRegistry registry, IVault vault, IFaultProver prover, uint40 minWindow)
        CoordinatorBase(registry, vault, prover, minWindow)
    {}

    /// @inheritdoc IDisputes
    function commit(bytes32 commitment) external {
        if (_self.commitments[commitment] != 0) revert IDisputes.AlreadyCommitted(commitment);

        _self.commitments[commitment] = (block.timestamp << 64) | block.number;

        emit IDisputes.Committed(commitment, msg.sender);
    }

    /// @inheritdoc IDisputes
    function convict(Result calldata result, bytes calldata proof) external {
        (uint64 id, uint64 serial) = (result.job, result.serial);
        Job storage job = _self.jobs[id];
        bytes32 resultId = RoundLib.idOf(result);
        if (serial == 0 || job.results[serial] != resultId) {
            revert IRounds.WrongResult(job.results[serial], resultId);
        }
        Round memory round = job.rounds[serial].load();
        if (round.isHeld() && block.timestamp >= RoundLib.finalAt(round, job.terms)) {
            revert IDisputes.ChallengeOver(id, serial, RoundLib.finalAt(round, job.terms));
        }
        PROVER.checkArithmetic(
            job.terms.step, result.transcriptRoot, result.table, BitCounters.count(result.included), proof
        );
        bool rewarded = _announced(keccak256(abi.encode(resultId, bytes32(0), proof)), round.postedAt());

        JobState memory state = job.state.load();
        job.voidAbove(state, id, serial);
        job.voidResult(round, id, serial, RoundLib.CONVICTED);
        job.state.store(state);
        job.demoted[serial] |= 1 << round.posterSeat();
        // The same submissions and bitmaps: attesting is over, posting starts again.
        round.flags = (round.flags & ~RoundFields.POSTED) | RoundFields.SEEDED;
        round.setTryStart(uint40(block.timestamp) - job.terms.attestWindow);
        job.rounds[serial].store(round);

        emit IDisputes.Convicted(id, serial, result.poster, msg.sender, resultId, rewarded);

        VAULT.slash(result.poster, IVault.Collateral.Bond, job.terms.bond, rewarded ? msg.sender : address(0));
    }

    /// @inheritdoc IDisputes
    function convictUpdate(Submission calldata submission, bytes32 updateRoot, bytes calldata proof) external {
        (uint64 id, uint64 serial) = (submission.job, submission.serial);
        Job storage job = _self.jobs[id];
        bytes32 hash = _requireSubmission(job, submission, updateRoot);
        uint256 malformed = job.malformed[serial];
        if (BitCounters.has(malformed, submission.slot)) {
            revert IDisputes.AlreadyMalformed(id, serial, submission.slot);
        }
        PROVER.checkMalformed(job.terms.step, updateRoot, proof);
        bool rewarded = _announced(keccak256(abi.encode(hash, updateRoot, proof)), 0);

        job.malformed[serial] = malformed | (1 << submission.slot);
        job.rounds[serial].flags |= RoundFields.HAS_MALFORMED;
        bool slashed = _dismiss(job, id, submission);

        emit IDisputes.UpdateMalformed(id, serial, submission.worker, submission.slot, msg.sender);

        if (slashed) {
            VAULT.slash(submission.worker, IVault.Collateral.Stake, job.terms.stake, rewarded ? msg.sender : address(0));
            REGISTRY.record(submission.worker, 0, 0, 1);
        }
    }

    /// @dev Final rounds are paid for as they are.
    function _requireSubmission(Job storage job, Submission calldata submission, bytes32 updateRoot)
        private
        view
        returns (bytes32 hash)
    {
        (uint64 id, uint64 serial) = (submission.job, submission.serial);
        hash = RoundLib.hashOf(submission);
        bytes32 stored = job.submissions[serial][submission.slot];
        if (stored != hash) revert IRounds.WrongSubmission(stored, hash);
        Round memory round = job.rounds[serial].load();
        bool settled = round.has(RoundFields.POSTED) && serial <= job.state.settledSerial;
        if (settled) revert IDisputes.ChallengeOver(id, serial, RoundLib.finalAt(round, job.terms));
        bytes32 seal = Trees.sealedRoot(address(this), id, serial, submission.worker, updateRoot);
        if (seal != submission.sealedRoot) revert IDisputes.SealMismatch(submission.sealedRoot, seal);
    }

    /// @dev Takes the seat of a worker whose stake is still there. Returns whether there is a stake to slash.
    function _dismiss(Job storage job, uint64 id, Submission calldata submission) private returns (bool) {
        Member storage member = job.members[submission.worker];
        Seat storage seat = job.seats[member.operator];
        if (!member.staked || seat.since >= submission.serial) return false;

        member.staked = false;
        JobState memory state = job.state.load();
        if (seat.until == type(uint32).max) {
            job.removeFromSet(state, seat.slot);
            job.state.store(state);
            seat.until = state.lastSerial;
            emit IMembership.Left(id, submission.worker, submission.slot, state.lastSerial, true);
        }
        // No stake backs what it would still submit to the open round; what it has submitted keeps its slot taken.
        uint32 head = state.head;
        bool pending = head > submission.serial && seat.until >= head && BitCounters.has(job.missing[head], seat.slot);
        if (pending) seat.until = head - 1;
        return true;
    }

    /// @dev Whether the caller announced this proof in an earlier block, and no earlier than `since`.
    function _announced(bytes32 proofHash, uint256 since) private view returns (bool) {
        uint256 word = _self.commitments[keccak256(abi.encode(block.chainid, address(this), msg.sender, proofHash))];
        return word != 0 && uint64(word) < block.number && word >> 64 >= since;
    }
}
