// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Acts} from "../support/Acts.sol";
import {IMembership} from "../../../contracts/interfaces/IMembership.sol";
import {IRounds} from "../../../contracts/interfaces/IRounds.sol";
import {IRoundRecovery} from "../../../contracts/interfaces/IRoundRecovery.sol";
import {JobState, JobTerms, Result, Round} from "../../../contracts/interfaces/JobTypes.sol";

contract RecoveryTest is Acts {
    // ---------------------------------------------------------------- hold
    function _hold(uint64 job, uint64 serial) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.hold, (job, serial, resultId(job, serial)));
    }

    function _alreadyHeld(uint64 job, uint64 serial, uint256 i) private returns (bytes memory) {
        return abi.encodeWithSelector(IRoundRecovery.AlreadyHeld.selector, job, serial, worker(i));
    }

    function test_hold_WhenTheCallerIsNotAMember_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        bytes memory reason = abi.encodeWithSelector(IMembership.NotMember.selector, job, challenger);
        refused(challenger, _hold(job, 1), reason);
    }

    function test_hold_WhenNoResultStands_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IRounds.WrongResult.selector, 0, 0);
        refused(operator(0), _hold(job, 1), reason);
    }

    function test_hold_WhenTheResultIsAnother_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        bytes memory act = abi.encodeCall(coordinator.hold, (job, 1, "other"));
        bytes4 error = IRounds.WrongResult.selector;
        refused(operator(0), act, abi.encodeWithSelector(error, resultId(job, 1), bytes32("other")));
    }

    function test_hold_WhenItsTimeIsOver_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        uint40 by = round(job, 1).clock + 100;
        vm.warp(by);
        bytes memory reason = abi.encodeWithSelector(IRoundRecovery.HoldClosed.selector, job, 1, by);
        refused(operator(0), _hold(job, 1), reason);
    }

    function test_hold_WhenItHolds_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 3);
        playRound(job, 3);
        hold(job, 1, 0);
        refused(operator(0), _hold(job, 1), _alreadyHeld(job, 1, 0));
    }

    function test_hold_WhenItSubmittedToTheNextOpening_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 3);
        playRound(job, 3);
        submit(job, 0);
        refused(operator(0), _hold(job, 1), _alreadyHeld(job, 1, 0));
    }

    function test_hold_WhenTheChallengeWindowRuns_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 3);
        playRound(job, 3);
        hold(job, 1, 0);
        hold(job, 1, 1);
        refused(operator(2), _hold(job, 1), _alreadyHeld(job, 1, 2));
    }

    function test_hold_WhenItJoinedAfterTheRound_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 3);
        registerWorker(3);
        join(job, 3);
        playRound(job, 3);
        refused(operator(3), _hold(job, 1), _alreadyHeld(job, 1, 3));
    }

    function test_hold_WhenFewerThanKHold_ItIsNoted() public {
        uint64 job = startedJob(defaultTerms(), 3);
        playRound(job, 3);
        vm.expectEmit(address(coordinator));
        emit IRoundRecovery.Held(job, 1, resultId(job, 1), worker(1), 1);
        hold(job, 1, 1);
        assertEq(uint16(round(job, 1).tally), 2);
        assertEq(round(job, 1).mark, 0);
    }

    function test_hold_WhenKHold_TheChallengeWindowStarts() public {
        uint64 job = startedJob(defaultTerms(), 3);
        playRound(job, 3);
        submit(job, 0);
        vm.expectEmit(address(coordinator));
        emit IRoundRecovery.ThresholdHeld(job, 1, resultId(job, 1), uint40(block.timestamp + 200));
        hold(job, 1, 2);
        assertEq(round(job, 1).mark, block.timestamp);
    }

    /// Worker 2 misses the first round, of which the result stands.
    function _missed() private returns (uint64 job) {
        job = startedJob(defaultTerms(), 3);
        submitAll(job, 2);
        wait(100);
        attestAll(job, 2);
        post(job, elected(job), 3);
    }

    function test_hold_WhenItWasAway_TheOpeningWaitsForIt() public {
        uint64 job = _missed();
        vm.expectEmit(address(coordinator));
        emit IRoundRecovery.Ready(job, 2, worker(2), 2);
        hold(job, 1, 2);
        assertEq(round(job, 2).tally >> 32, 3);
        assertEq(coordinator.memberOf(job, worker(2)).ready, 2);
        assertEq(uint16(round(job, 1).tally), 0, "it is not in the committee");
        submitAll(job, 2);
        assertGt(round(job, 2).clock, block.timestamp);
        submit(job, 2);
        assertEq(round(job, 2).clock, block.timestamp);
    }

    function test_hold_WhenTheOpeningWaitsForItAlready_ItRefuses() public {
        uint64 job = _missed();
        hold(job, 1, 2);
        refused(operator(2), _hold(job, 1), _alreadyHeld(job, 1, 2));
    }

    function test_hold_WhenSubmissionsAreOver_ItRefuses() public {
        uint64 job = _missed();
        submitAll(job, 2);
        refused(operator(2), _hold(job, 1), _alreadyHeld(job, 1, 2));
    }

    function test_hold_WhenItHasLeftSince_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 2);
        wait(100);
        attestAll(job, 2);
        leave(job, 3);
        post(job, elected(job), 3);
        refused(operator(3), _hold(job, 1), _alreadyHeld(job, 1, 3));
    }

    // ---------------------------------------------------------------- retry
    function _retry(uint64 job, uint64 serial) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.retry, (job, serial));
    }

    function _nothingToRetry(uint64 job, uint64 serial) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRoundRecovery.NothingToRetry.selector, job, serial);
    }

    function test_retry_WhenTheJobIsOver_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        stop(job);
        coordinator.close(job);
        refused(challenger, _retry(job, 0), jobOver(job, 2));
    }

    function test_retry_WhenNothingWasOpened_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        refused(challenger, _retry(job, 0), _nothingToRetry(job, 0));
    }

    function test_retry_WhenTheResultMayStillBeHeld_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        vm.warp(round(job, 1).clock + 99);
        refused(challenger, _retry(job, 1), _nothingToRetry(job, 1));
    }

    function test_retry_WhenTheResultIsHeld_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        submitAll(job, 2);
        wait(1000);
        refused(challenger, _retry(job, 1), _nothingToRetry(job, 1));
    }

    function test_retry_WhenTheOpeningIsNotTheHead_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IRounds.WrongSerial.selector, job, 1, 2);
        refused(challenger, _retry(job, 2), reason);
    }

    function test_retry_WhenTheParentWasNotHeldInTime_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 4);
        playRound(job, 4);
        uint40 by = round(job, 1).clock + 100;
        submitAll(job, 2);
        wait(1000);
        bytes memory reason = abi.encodeWithSelector(IRoundRecovery.ParentNotHeld.selector, job, 1, by);
        refused(challenger, _retry(job, 2), reason);
    }

    function test_retry_WhenTheCommitteeIsNotDrawn_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 17);
        submitAll(job, 17);
        wait(1000);
        refused(challenger, _retry(job, 1), _nothingToRetry(job, 1));
    }

    function test_retry_WhenAttestorsHaveTime_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        wait(49);
        refused(challenger, _retry(job, 1), _nothingToRetry(job, 1));
    }

    function test_retry_WhenEnoughAreIncludedAndPostersHaveTime_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        attestAll(job, 2);
        wait(109);
        refused(challenger, _retry(job, 1), _nothingToRetry(job, 1));
        wait(1);
        coordinator.retry(job, 1);
    }

    function test_retry_WhenTheLastTryIsOver_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        failTries(job);
        assertEq(round(job, 1).tries, 3);
        refused(challenger, _retry(job, 1), _nothingToRetry(job, 1));
    }

    function _committee(uint64 job, uint64 serial) private view returns (uint256 committee) {
        (,,, committee,) = coordinator.roundOf(job, serial);
    }

    function test_retry_WhenTooFewAreIncluded_ThoseHeardAttestAgain() public {
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 4);
        attest(job, 0, 1);
        attest(job, 2, 4);
        wait(50);
        vm.expectEmit(address(coordinator));
        emit IRoundRecovery.Retried(job, 1, 1, 5);
        coordinator.retry(job, 1);
        assertEq(_committee(job, 1), 5);
        assertEq(round(job, 1).clock, block.timestamp);
        attest(job, 0, 15);
        attest(job, 2, 15);
        post(job, elected(job), 15);
    }

    function test_retry_WhenNobodyWasHeard_TheSameAttestAgain() public {
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 4);
        wait(50);
        coordinator.retry(job, 1);
        assertEq(_committee(job, 1), 15);
    }

    function test_retry_WhenAnEarlyResultIsNotHeld_TheSameAttestAgain() public {
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 4);
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 15);
        }
        uint256 poster = elected(job);
        bytes32 id = post(job, poster, 15);
        wait(100);
        vm.expectEmit(address(coordinator));
        emit IRounds.OpeningVoid(job, 2);
        vm.expectEmit(address(coordinator));
        emit IRounds.ResultVoid(job, 1, id, aggregator(poster), 0);
        coordinator.retry(job, 1);
        assertEq(_committee(job, 1), 15);
        assertEq(head(job), 1);
        assertEq(resultId(job, 1), 0);
        assertEq(elected(job), 1 - poster);
    }

    /// Three of four are heard, and the result of all four updates is posted early, wrong, and convicted.
    function _convictedEarly() private returns (uint64 job) {
        job = startedJob(defaultTerms(), 4);
        submitAll(job, 4);
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 15);
        }
        uint256 poster = elected(job);
        Result memory wrong = buildResult(job, poster, 15, 1);
        postResult(poster, wrong);
        convict(wrong);
    }

    function test_retry_WhenAnEarlyResultIsConvictedAndItsSuccessorNotHeld_TheSameAttestAgain() public {
        uint64 job = _convictedEarly();
        post(job, elected(job), 15);
        wait(100);
        coordinator.retry(job, 1);
        assertEq(_committee(job, 1), 15);
    }

    function test_retry_WhenAnEarlyResultIsConvictedAndNobodyPosts_TheSameAttestAgain() public {
        uint64 job = _convictedEarly();
        wait(60);
        coordinator.retry(job, 1);
        assertEq(_committee(job, 1), 15);
    }

    function test_retry_WhenALaterResultIsNotHeld_ThoseHeardAttestAgain() public {
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 4);
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 7);
        }
        wait(50);
        post(job, elected(job), 7);
        wait(100);
        coordinator.retry(job, 1);
        assertEq(_committee(job, 1), 7);
    }

    function test_retry_WhenTheResultBelowIsHeld_ThatOneStays() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        bytes32 first = resultId(job, 1);
        playRound(job, 2);
        coordinator.settle(job);
        wait(100);
        coordinator.retry(job, 2);
        assertEq(resultId(job, 1), first);
        assertEq(resultId(job, 2), 0);
        assertEq(head(job), 2);
    }

    function test_retry_WhenTheLastTrysResultIsNotHeld_TheRoundCanBeOpenedAgain() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        for (uint256 i; i < 3; ++i) {
            wait(110);
            coordinator.retry(job, 1);
        }
        attestAll(job, 2);
        post(job, elected(job), 3);
        wait(100);
        coordinator.retry(job, 1);
        assertEq(round(job, 1).tries, 3);
        assertEq(round(job, 1).clock, 0);
        coordinator.reopen(job, 1);
        assertEq(round(job, head(job)).number, 1);
    }

    // ---------------------------------------------------------------- reopen
    function _reopen(uint64 job, uint64 serial) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.reopen, (job, serial));
    }

    function _nothingToReopen(uint64 job, uint64 serial) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRoundRecovery.NothingToReopen.selector, job, serial);
    }

    function test_reopen_WhenTheJobIsOver_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        stop(job);
        coordinator.close(job);
        refused(challenger, _reopen(job, 0), jobOver(job, 2));
    }

    function test_reopen_WhenTheOpeningIsNotTheHead_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IRounds.WrongSerial.selector, job, 1, 2);
        refused(challenger, _reopen(job, 2), reason);
    }

    function test_reopen_WhenNothingWasOpened_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        bytes memory reason = abi.encodeWithSelector(IRounds.WrongSerial.selector, job, 0, 0);
        refused(challenger, _reopen(job, 0), reason);
        assertEq(coordinator.stateOf(job).failures, 0, "else anyone could fail a job that waits for members");
    }

    function test_reopen_WhenTheParentIsNotHeld_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        uint40 by = round(job, 1).clock + 100;
        wait(100);
        bytes memory reason = abi.encodeWithSelector(IRoundRecovery.ParentNotHeld.selector, job, 1, by);
        refused(challenger, _reopen(job, 2), reason);
    }

    function test_reopen_WhenSubmissionsAreOpen_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        wait(98);
        refused(challenger, _reopen(job, 1), _nothingToReopen(job, 1));
    }

    function test_reopen_WhenAResultStands_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 1;
        uint64 job = startedJob(terms, 2);
        playRound(job, 2);
        refused(challenger, _reopen(job, 1), _nothingToReopen(job, 1));
    }

    function test_reopen_WhenTriesAreLeft_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        wait(1000);
        refused(challenger, _reopen(job, 1), _nothingToReopen(job, 1));
    }

    function test_reopen_WhenTheLastTryHasTime_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        for (uint256 i; i < 3; ++i) {
            wait(110);
            coordinator.retry(job, 1);
        }
        wait(49);
        refused(challenger, _reopen(job, 1), _nothingToReopen(job, 1));
    }

    function test_reopen_WhenTheSeedIsRecorded_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 17);
        submitAll(job, 17);
        vm.roll(block.number + 1000);
        refused(challenger, _reopen(job, 1), _nothingToReopen(job, 1));
    }

    /// 17 submit in the block of the opening, so that none records a seed.
    function _seedless() private returns (uint64 job) {
        job = createJob(defaultTerms());
        for (uint256 i; i < 17; ++i) {
            registerWorker(i);
            join(job, i);
        }
        vm.prank(sponsor);
        coordinator.openRound(job);
        submitAll(job, 17);
    }

    function test_reopen_WhenASeedMayStillBeRecorded_ItRefuses() public {
        uint64 job = _seedless();
        vm.roll(block.number + 256);
        refused(challenger, _reopen(job, 1), _nothingToReopen(job, 1));
    }

    function test_reopen_WhenNoSeedWasRecordedIn256Blocks_ItOpensAgain() public {
        uint64 job = _seedless();
        vm.roll(block.number + 257);
        coordinator.reopen(job, 1);
        assertEq(head(job), 2);
    }

    function test_reopen_WhenTooFewSubmitted_ItOpensAgain() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submit(job, 0);
        wait(100);
        bytes32 parent = parentOf(job, 1);
        vm.expectEmit(address(coordinator));
        emit IRounds.OpeningVoid(job, 1);
        vm.expectEmit(address(coordinator));
        emit IRoundRecovery.Reopened(job, 1, 1);
        vm.expectEmit(address(coordinator));
        emit IRounds.RoundOpened(job, 2, 1, parent, 0, 3, 2, uint40(block.timestamp + 100));
        coordinator.reopen(job, 1);
        JobState memory state = coordinator.stateOf(job);
        assertEq(state.failures, 1);
        assertEq(state.head, 2);
    }

    function test_reopen_WhenTheLastTryCameToNothing_ItOpensAgain() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        failTries(job);
        coordinator.reopen(job, 1);
        assertEq(head(job), 2);
    }

    function test_reopen_WhenTheLastTryOfADrawnCommitteeCameToNothing_ItOpensAgain() public {
        uint64 job = startedJob(defaultTerms(), 17);
        submitAll(job, 17);
        coordinator.drawCommittee(job, 1);
        failTries(job);
        coordinator.reopen(job, 1);
        assertEq(head(job), 2);
    }

    function test_reopen_WhenFailuresCannotBeCountedOn_ItOpensAgain() public {
        JobTerms memory terms = defaultTerms();
        terms.maxFailures = 255;
        uint64 job = startedJob(terms, 2);
        bytes32 slot = slotRead(abi.encodeCall(coordinator.stateOf, (job)));
        vm.store(address(coordinator), slot, bytes32(uint256(vm.load(address(coordinator), slot)) | (255 << 168)));
        assertEq(coordinator.stateOf(job).failures, 255);
        wait(100);
        coordinator.reopen(job, 1);
        assertEq(coordinator.stateOf(job).failures, 255);
        assertEq(head(job), 2);
    }

    function test_reopen_WhenTheJobIsStopped_TheOpeningIsDropped() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        hold(job, 1, 0);
        hold(job, 1, 1);
        stop(job);
        wait(100);
        coordinator.reopen(job, 2);
        assertEq(head(job), 1);
        assertEq(coordinator.stateOf(job).lastSerial, 2);
    }

    // ---------------------------------------------------------------- settle
    function test_settle_WhenTooFewHold_NothingHappens() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        submit(job, 0);
        coordinator.settle(job);
        assertEq(round(job, 1).mark, 0);
    }

    function test_settle_WhenSubmittersHold_TheChallengeWindowStarts() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        submitAll(job, 2);
        vm.expectEmit(address(coordinator));
        emit IRoundRecovery.ThresholdHeld(job, 1, resultId(job, 1), uint40(block.timestamp + 200));
        coordinator.settle(job);
    }

    function test_settle_WhenTheWindowIsOver_TheResultIsFinal() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes32 id = resultId(job, playRound(job, 2));
        submitAll(job, 2);
        coordinator.settle(job);
        wait(199);
        coordinator.settle(job);
        assertEq(coordinator.stateOf(job).settledSerial, 0);
        assertFalse(coordinator.isFinal(job, 1));
        wait(1);
        assertTrue(coordinator.isFinal(job, 1), "also before it is settled");
        vm.expectEmit(address(coordinator));
        emit IRoundRecovery.Final(job, 1, 1, id);
        coordinator.settle(job);
        JobState memory state = coordinator.stateOf(job);
        assertEq(state.settledSerial, 1);
        assertEq(state.settledNumber, 1);
        assertEq(state.unresolved, 2 + 2 + 1);
    }

    function test_settle_WhenTheParentsWindowRuns_TheResultWaits() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        playRound(job, 2); // holds the first
        hold(job, 2, 0);
        hold(job, 2, 1);
        wait(150);
        coordinator.settle(job); // the first's window starts so late
        wait(60);
        coordinator.settle(job);
        Round memory second = round(job, 2);
        assertGe(block.timestamp, second.mark + 200);
        assertEq(coordinator.stateOf(job).settledSerial, 0);
        assertFalse(coordinator.isFinal(job, 2), "its parent is not");
        wait(140);
        coordinator.settle(job);
        assertEq(coordinator.stateOf(job).settledSerial, 2);
    }
}
