// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFaultProver} from "../interfaces/IFaultProver.sol";
import {IJobs} from "../interfaces/IJobs.sol";
import {IMembership} from "../interfaces/IMembership.sol";
import {IRoundRecovery} from "../interfaces/IRoundRecovery.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {IVault} from "../interfaces/IVault.sol";
import {IWorkerRegistry} from "../interfaces/IWorkerRegistry.sol";
import {JobState, Member, Round, Seat} from "../interfaces/JobTypes.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {Committee} from "../libraries/Committee.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Opening, holding, retrying and settling rounds
/// @notice Module of the Coordinator.
contract RoundRecovery is CoordinatorBase, IRoundRecovery {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;
    using Slots for Seat;

    uint256 private constant BLOCKHASHES = 256; // how far back the chain knows them

    constructor(IWorkerRegistry registry, IVault vault, IFaultProver prover, uint40 minWindow)
        CoordinatorBase(registry, vault, prover, minWindow)
    {}

    /// @inheritdoc IRoundRecovery
    function openRound(uint64 id) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        job.settle(state, id);
        uint256 parentSerial = state.head;
        Round memory parent = job.rounds[parentSerial].load();
        bytes32 why = job.whyNotOpen(state, uint256(parent.number) + 1, job.sets[state.setVersion]);
        if (why != 0) revert IRoundRecovery.CannotOpen(id, why);
        if (job.results[parentSerial] == 0) revert IRoundRecovery.CannotOpen(id, "open");
        if (msg.sender != job.sponsor && (parentSerial == 0 || !job.terms.autoOpen)) {
            revert IJobs.NotSponsor(id, msg.sender);
        }
        _requireHeld(job, parent, id, parentSerial, 0);

        _open(job, state, id, parent, parentSerial);
        job.state.store(state);
    }

    /// @inheritdoc IRoundRecovery
    function recordSeed(uint64 id, uint64 serial) external {
        Round storage slot = _self.jobs[id].rounds[serial];
        Round memory round = slot.load();
        bytes32 hash = blockhash(round.openingBlock());
        if (round.has(RoundFields.SEEDED | RoundFields.POSTED) || hash == 0) {
            revert IRoundRecovery.SeedPending(id, serial);
        }

        round.setSeed(hash);
        slot.store(round);
    }

    /// @inheritdoc IRoundRecovery
    function drawCommittee(uint64 id, uint64 serial) external {
        Job storage job = _self.jobs[id];
        Round memory round = job.rounds[serial].load();
        if (block.timestamp < round.submissionsEnd()) {
            revert IRounds.SubmissionOpen(id, serial, round.submissionsEnd());
        }
        uint256 submitters = job.submitted(round, serial);
        bool due = BitCounters.count(submitters) > RoundLib.COMMITTEE_SIZE && !round.has(RoundFields.COMMITTEE_STORED);
        if (!due || !round.has(RoundFields.SEEDED)) revert IRoundRecovery.SeedPending(id, serial);

        uint256 committee = Committee.draw(submitters, bytes32(uint256(round.seed())));
        job.committees[serial] = committee;
        job.rounds[serial].flags = round.flags | RoundFields.COMMITTEE_STORED;

        emit IRoundRecovery.CommitteeDrawn(id, serial, committee);
    }

    /// @inheritdoc IRoundRecovery
    function hold(uint64 id, uint64 serial, bytes32 result) external {
        Job storage job = _self.jobs[id];
        Seat memory seat = job.seats[msg.sender].load();
        if (seat.worker == address(0)) revert IMembership.NotMember(id, msg.sender);
        bytes32 current = job.results[serial];
        if (current == 0 || current != result) revert IRounds.WrongResult(current, result);
        Round memory posted = job.rounds[serial].load();
        if (job.expired(posted, serial)) {
            revert IRoundRecovery.HoldClosed(id, serial, RoundLib.holdBy(posted, job.terms));
        }

        bool ready = _makeReady(job, id, serial, seat);
        bool held = _markHold(job, id, serial, posted, seat);
        if (!ready && !held) revert IRoundRecovery.AlreadyHeld(id, serial, seat.worker);
        // Whether that made K is in the event.
        // slither-disable-next-line unused-return
        if (held) job.countHolds(posted, id, serial, job.childOf(serial));
    }

    /// @inheritdoc IRoundRecovery
    function retry(uint64 id, uint64 serial) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        if (state.status >= RoundLib.CLOSED) revert IJobs.JobOver(id, state.status);
        Round memory round = job.rounds[serial].load();
        uint256 submitters = job.submitted(round, serial);
        uint256 committee = job.committee(round, serial, submitters);
        // Who is included does not matter to the next committee.
        // slither-disable-next-line unused-return
        (, uint256 heard) = job.included(round, serial, submitters, committee);
        bool ran = !round.postedEarly(); // the last try ran to its deadline
        if (job.results[serial] != 0 && serial != 0) {
            if (!job.expired(round, serial)) revert IRoundRecovery.NothingToRetry(id, serial);
            _voidUnheld(job, state, id, serial, round);
        } else {
            if (serial != state.head) revert IRounds.WrongSerial(id, state.head, serial);
            _requireStands(job, id, round.parentSerial);
            if (committee == 0 || round.tries >= job.terms.maxTries || !_failed(job, round, serial, submitters)) {
                revert IRoundRecovery.NothingToRetry(id, serial);
            }
        }
        job.state.store(state);
        _tryAgain(job, id, serial, round, ran && heard != 0 ? heard : committee);
    }

    /// @inheritdoc IRoundRecovery
    function reopen(uint64 id, uint64 serial) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        if (state.status >= RoundLib.CLOSED) revert IJobs.JobOver(id, state.status);
        // The initial model was never open, so nothing of it can have failed.
        if (serial != state.head || serial == 0) revert IRounds.WrongSerial(id, state.head, serial);
        Round memory round = job.rounds[serial].load();
        Round memory parent = job.rounds[round.parentSerial].load();
        // Submissions to this opening count as holds of the parent, and are lost with it.
        _requireHeld(job, parent, id, round.parentSerial, serial);
        if (!_beyondRetry(job, round, serial)) revert IRoundRecovery.NothingToReopen(id, serial);

        // A job may survive 255 failures, and results made void can bring more of them.
        if (state.failures != type(uint8).max) ++state.failures;
        uint256 parentSerial = round.parentSerial;
        state.head = uint32(parentSerial);
        emit IRounds.OpeningVoid(id, serial);
        emit IRoundRecovery.Reopened(id, serial, state.failures);
        job.settle(state, id);
        if (job.whyNotOpen(state, round.number, job.sets[state.setVersion]) == 0) {
            _open(job, state, id, parent, parentSerial);
        }
        job.state.store(state);
    }

    /// @inheritdoc IRoundRecovery
    function settle(uint64 id) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        job.settle(state, id);
        job.state.store(state);
    }

    function _open(Job storage job, JobState memory state, uint64 id, Round memory parent, uint256 parentSerial)
        private
    {
        job.open(
            state,
            id,
            RoundLib.Opening({
                number: uint256(parent.number) + 1,
                parentSerial: parentSerial,
                before: job.sets[parent.setVersion],
                submitters: job.submitted(parent, parentSerial),
                withPost: false
            })
        );
    }

    // ---------------------------------------------------------------- holds
    /// @dev Has the open round wait for a member that was away for the last one.
    function _makeReady(Job storage job, uint64 id, uint64 serial, Seat memory seat) private returns (bool) {
        uint256 head = job.state.head;
        Round memory round = job.rounds[head].load();
        bool open = head != serial && round.parentSerial == serial && block.timestamp < round.submissionsEnd()
            && !round.has(RoundFields.POSTED) && BitCounters.has(job.missing[head], seat.slot) && seat.since < head
            && head <= seat.until;
        // Newcomers, and who submitted to the last round, are awaited anyhow.
        if (!open || !BitCounters.has(job.missing[serial], seat.slot)) return false;
        Member storage member = job.members[seat.worker];
        if (member.ready == head) return false;

        member.ready = uint32(head);
        job.rounds[head].storeOneMoreAwaited(round);
        emit IRoundRecovery.Ready(id, uint64(head), seat.worker, seat.slot);
        return true;
    }

    function _markHold(Job storage job, uint64 id, uint64 serial, Round memory posted, Seat memory seat)
        private
        returns (bool)
    {
        uint256 submitters = job.submitted(posted, serial);
        uint256 committee = job.committee(posted, serial, submitters);
        if (posted.isHeld() || seat.since >= serial || !BitCounters.has(committee, seat.slot)) return false;
        if (BitCounters.has(job.holders(posted, serial, job.childOf(serial)), seat.slot)) return false;

        posted.addHolder(BitCounters.rank(committee, seat.slot));
        job.rounds[serial].store(posted);

        emit IRoundRecovery.Held(id, serial, job.results[serial], seat.worker, seat.slot);
        return true;
    }

    // ---------------------------------------------------------------- retries
    /// @dev An attesting that came to nothing: too few included at its deadline, or no post in time.
    function _failed(Job storage job, Round memory round, uint256 serial, uint256 submitters)
        private
        view
        returns (bool)
    {
        uint256 attestBy = uint256(round.tryStartedAt()) + job.terms.attestWindow;
        if (block.timestamp >= attestBy + job.terms.postWindow) return true;
        if (block.timestamp < attestBy) return false;
        uint256 committee = job.committee(round, serial, submitters);
        // Who was heard does not matter here.
        // slither-disable-next-line unused-return
        (uint256 included,) = job.included(round, serial, submitters, committee);
        return BitCounters.count(included) < job.terms.minUpdates;
    }

    /// @dev Too few submitted, or the committee can never be drawn, or the last try came to nothing.
    function _beyondRetry(Job storage job, Round memory round, uint256 serial) private view returns (bool) {
        if (round.has(RoundFields.POSTED) || block.timestamp < round.submissionsEnd()) return false;
        uint256 submitters = job.submitted(round, serial);
        uint256 count = BitCounters.count(submitters);
        if (count < job.terms.minUpdates) return true;
        if (count > RoundLib.COMMITTEE_SIZE && !round.has(RoundFields.COMMITTEE_STORED)) {
            return !round.has(RoundFields.SEEDED) && block.number > round.openingBlock() + BLOCKHASHES;
        }
        return round.tries >= job.terms.maxTries && _failed(job, round, serial, submitters);
    }

    function _voidUnheld(Job storage job, JobState memory state, uint64 id, uint64 serial, Round memory round) private {
        job.voidAbove(state, id, serial);
        job.voidResult(round, id, serial, RoundLib.NOT_HELD);
        job.demoted[serial] |= 1 << round.posterSeat();
        round.flags = (round.flags & ~RoundFields.POSTED) | RoundFields.LEFT_BOND;
    }

    /// @dev After the last try the round is left as one that nobody posted in time, to be opened again.
    function _tryAgain(Job storage job, uint64 id, uint64 serial, Round memory round, uint256 committee) private {
        bool last = round.tries >= job.terms.maxTries;
        if (!last) ++round.tries;
        round.flags |= RoundFields.COMMITTEE_STORED | RoundFields.SEEDED;
        round.setTryStart(last ? 0 : uint40(block.timestamp));
        round.clearEarly();
        job.committees[serial] = committee;
        job.rounds[serial].store(round);

        emit IRoundRecovery.Retried(id, serial, round.tries, committee);
    }

    function _requireStands(Job storage job, uint64 id, uint256 serial) private view {
        Round memory posted = job.rounds[serial].load();
        if (job.expired(posted, serial)) {
            revert IRoundRecovery.ParentNotHeld(id, uint64(serial), RoundLib.holdBy(posted, job.terms));
        }
    }

    function _requireHeld(Job storage job, Round memory posted, uint64 id, uint256 serial, uint256 child) private {
        if (!job.countHolds(posted, id, serial, child)) {
            revert IRoundRecovery.ParentNotHeld(id, uint64(serial), RoundLib.holdBy(posted, job.terms));
        }
    }
}
