// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Acts} from "../support/Acts.sol";
import {IJobs} from "../../../contracts/interfaces/IJobs.sol";
import {IMembership} from "../../../contracts/interfaces/IMembership.sol";
import {IRounds} from "../../../contracts/interfaces/IRounds.sol";
import {IRoundRecovery} from "../../../contracts/interfaces/IRoundRecovery.sol";
import {JobTerms, Round} from "../../../contracts/interfaces/JobTypes.sol";

contract RoundsTest is Acts {
    uint8 private constant SEEDED = 8;
    uint8 private constant NO_EARLY_CLOSE = 16;

    // ---------------------------------------------------------------- openRound
    function _open(uint64 job) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.openRound, (job));
    }

    /// A job with n members and two aggregators in which nothing is open.
    function _readyJob(JobTerms memory terms, uint256 n) private returns (uint64 job) {
        job = createJob(terms);
        for (uint256 i; i < n; ++i) {
            registerWorker(i);
            join(job, i);
        }
        for (uint256 i; i < 2; ++i) {
            registerAggregator(i);
            vm.prank(aggregatorKey(i));
            coordinator.enlist(job);
        }
    }

    function test_openRound_WhenTheJobIsStopped_ItRefuses() public {
        uint64 job = _readyJob(defaultTerms(), 2);
        stop(job);
        refused(sponsor, _open(job), cannotOpen(job, "stopped"));
    }

    function test_openRound_WhenAllRoundsWereOpened_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 1;
        uint64 job = startedJob(terms, 2);
        playRound(job, 2);
        refused(sponsor, _open(job), cannotOpen(job, "rounds"));
    }

    function test_openRound_WhenTooManyOpeningsFailed_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.maxFailures = 0;
        uint64 job = startedJob(terms, 2);
        wait(100);
        coordinator.reopen(job, head(job));
        refused(sponsor, _open(job), cannotOpen(job, "failures"));
    }

    function test_openRound_WhenMembersCannotChangeAgain_ItRefuses() public {
        uint64 job = _readyJob(defaultTerms(), 3);
        bytes32 slot = slotRead(abi.encodeCall(coordinator.stateOf, (job)));
        uint256 word = uint256(vm.load(address(coordinator), slot));
        vm.store(address(coordinator), slot, bytes32(word | (uint256(type(uint16).max) << 120)));
        assertEq(coordinator.stateOf(job).setVersion, type(uint16).max);
        assertFalse(coordinator.stateOf(job).frozen);
        refused(sponsor, _open(job), cannotOpen(job, "sets"));
        leave(job, 0); // nobody is held back
        coordinator.close(job);
        coordinator.release(job, worker(1));
        assertEq(lockedStake(1), 0);
    }

    function test_openRound_WhenFourResultsAreNotFinal_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        for (uint256 i; i < 4; ++i) {
            playRound(job, 2);
        }
        refused(sponsor, _open(job), cannotOpen(job, "unsettled"));
    }

    function test_openRound_WhenThereAreTooFewMembers_ItRefuses() public {
        uint64 job = _readyJob(defaultTerms(), 1);
        refused(sponsor, _open(job), cannotOpen(job, "members"));
    }

    function test_openRound_WhenTheDeadlineIsNear_ItRefuses() public {
        uint64 job = _readyJob(defaultTerms(), 2);
        wait(99_100);
        refused(sponsor, _open(job), cannotOpen(job, "deadline"));
    }

    function test_openRound_WhenOneIsOpen_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        refused(sponsor, _open(job), cannotOpen(job, "open"));
    }

    function test_openRound_WhenTheFirstIsNotOpenedByTheSponsor_ItRefuses() public {
        uint64 job = _readyJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IJobs.NotSponsor.selector, job, challenger);
        refused(challenger, _open(job), reason);
    }

    function test_openRound_WhenTheJobOpensNoneByItself_OnlyTheSponsorMay() public {
        JobTerms memory terms = defaultTerms();
        terms.autoOpen = false;
        uint64 job = startedJob(terms, 2);
        uint64 serial = playRound(job, 2);
        assertEq(head(job), serial, "none opened with the post");
        bytes memory reason = abi.encodeWithSelector(IJobs.NotSponsor.selector, job, challenger);
        refused(challenger, _open(job), reason);
        hold(job, serial, 0);
        hold(job, serial, 1);
        vm.prank(sponsor);
        coordinator.openRound(job);
        assertEq(head(job), serial + 1);
    }

    function test_openRound_WhenTheParentIsNotHeld_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.autoOpen = false;
        uint64 job = startedJob(terms, 2);
        uint64 serial = playRound(job, 2);
        uint40 holdBy = round(job, serial).clock + 100;
        bytes memory reason = abi.encodeWithSelector(IRoundRecovery.ParentNotHeld.selector, job, serial, holdBy);
        refused(sponsor, _open(job), reason);
    }

    function test_openRound_WhenAResultIsHeld_AnyoneMayOpenTheNext() public {
        uint64 job = startedJob(defaultTerms(), 2);
        for (uint256 i; i < 4; ++i) {
            playRound(job, 2);
        }
        uint64 last = head(job);
        coordinator.settle(job);
        makeFinal(job, last, 2);
        vm.expectEmit(address(coordinator));
        emit IRounds.RoundOpened(job, last + 1, 5, resultId(job, last), last, 3, 2, uint40(block.timestamp + 100));
        vm.prank(challenger);
        coordinator.openRound(job);
    }

    // ---------------------------------------------------------------- submit
    function _submit(uint64 job, uint64 serial, bytes32 parent) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.submit, (job, serial, parent, "seal", 0x55, "file"));
    }

    function _submit(uint64 job) private view returns (bytes memory) {
        return _submit(job, head(job), parentOf(job, head(job)));
    }

    function _notMember(uint64 job, address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMembership.NotMember.selector, job, who);
    }

    function test_submit_WhenTheCallerIsNotAMember_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        refused(challenger, _submit(job), _notMember(job, challenger));
    }

    function test_submit_WhenItJoinedAfterTheOpening_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        registerWorker(2);
        join(job, 2);
        refused(operator(2), _submit(job), _notMember(job, operator(2)));
    }

    function test_submit_WhenTheWindowIsOver_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        uint40 by = round(job, head(job)).clock;
        vm.warp(by - 1);
        submit(job, 0);
        vm.warp(by);
        bytes memory reason = abi.encodeWithSelector(IRounds.SubmissionClosed.selector, job, head(job), by);
        refused(operator(1), _submit(job), reason);
    }

    function test_submit_WhenTheParentIsAnother_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes32 parent = parentOf(job, head(job));
        bytes memory reason = abi.encodeWithSelector(IRounds.WrongParent.selector, parent, bytes32("other"));
        refused(operator(0), _submit(job, head(job), "other"), reason);
    }

    function test_submit_WhenItHasSubmitted_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submit(job, 1);
        bytes memory reason = abi.encodeWithSelector(IRounds.AlreadySubmitted.selector, job, head(job), 1);
        refused(operator(1), _submit(job), reason);
    }

    function test_submit_WhenOthersAreAwaited_ItIsStored() public {
        uint64 job = startedJob(defaultTerms(), 3);
        uint64 serial = head(job);
        submit(job, 1);
        assertEq(coordinator.submissionOf(job, serial, 1), keccak256(abi.encode(submissions[serial][1])));
        (Round memory r,, uint256 submitted,,) = coordinator.roundOf(job, serial);
        assertEq(submitted, 2);
        assertEq(r.weightSum, 1);
        assertEq(r.flags, SEEDED);
        assertEq(uint32(r.tally), uint32(uint256(blockhash(r.mark))));
        assertEq(r.tally >> 32, 2);
    }

    function test_submit_WhenItIsInTheBlockOfTheOpening_TheSeedWaits() public {
        uint64 job = _readyJob(defaultTerms(), 3);
        vm.prank(sponsor);
        coordinator.openRound(job);
        submit(job, 0);
        assertEq(round(job, head(job)).flags, 0);
    }

    function test_submit_WhenItIsTheLastAwaited_SubmissionsClose() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submit(job, 0);
        wait(5);
        vm.expectEmit(address(coordinator));
        emit IRounds.SubmissionsClosed(job, head(job));
        submit(job, 1);
        assertEq(round(job, head(job)).clock, block.timestamp);
    }

    function test_submit_WhenItWasAwayAndSaysNothing_ItIsNotAwaited() public {
        uint64 job = startedJob(defaultTerms(), 3);
        submitAll(job, 2);
        wait(100);
        attestAll(job, 2);
        post(job, elected(job), 3);
        assertEq(round(job, head(job)).tally >> 32, 2);
        submit(job, 2);
        assertEq(round(job, head(job)).tally >> 32, 2);
        submitAll(job, 2);
        assertEq(round(job, head(job)).clock, block.timestamp);
    }

    /// Worker 3 has the slot of worker 2, who missed the first round and is gone. The second is open.
    function _inherited() private returns (uint64 job) {
        JobTerms memory terms = defaultTerms();
        terms.autoOpen = false;
        job = startedJob(terms, 3);
        submitAll(job, 2);
        wait(100);
        attestAll(job, 2);
        leave(job, 2);
        post(job, elected(job), 3);
        makeFinal(job, 1, 2);
        coordinator.release(job, worker(2));
        registerWorker(3);
        join(job, 3);
        assertEq(coordinator.seatOf(job, operator(3)).slot, 2);
        vm.prank(sponsor);
        coordinator.openRound(job);
        wait(1);
    }

    function test_submit_WhenItHasTheSlotOfOneWhoMissedTheLastRound_OthersAreStillAwaited() public {
        uint64 job = _inherited();
        uint40 by = round(job, 2).clock;
        submit(job, 3);
        submit(job, 0);
        assertEq(round(job, 2).clock, by);
        submit(job, 1);
        assertEq(round(job, 2).clock, block.timestamp);
    }

    function test_hold_WhenItHasTheSlotOfOneWhoMissedTheLastRound_TheOpeningWaitsForIt() public {
        uint64 job = _inherited();
        uint40 by = round(job, 2).clock;
        hold(job, 1, 3);
        submitAll(job, 2);
        assertEq(round(job, 2).clock, by);
        submit(job, 3);
        assertEq(round(job, 2).clock, block.timestamp);
    }

    function test_submit_WhenFewerAreAwaitedThanARoundNeeds_TheWindowRunsToItsEnd() public {
        // Two missed the last round and one left, so one is awaited; a round needs two.
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 2);
        wait(100);
        attestAll(job, 2);
        leave(job, 0);
        post(job, elected(job), 3);
        Round memory opened = round(job, head(job));
        assertEq(opened.flags & NO_EARLY_CLOSE, NO_EARLY_CLOSE);
        submit(job, 1);
        assertEq(round(job, head(job)).clock, opened.clock);
        submit(job, 2);
        assertEq(round(job, head(job)).clock, opened.clock);
        assertEq(round(job, head(job)).tally >> 32, 0);
    }

    // ---------------------------------------------------------------- recordSeed
    function _seedPending(uint64 job) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRoundRecovery.SeedPending.selector, job, head(job));
    }

    function _recordSeed(uint64 job) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.recordSeed, (job, head(job)));
    }

    function test_recordSeed_WhenItIsTheBlockOfTheOpening_ItRefuses() public {
        uint64 job = _readyJob(defaultTerms(), 2);
        vm.prank(sponsor);
        coordinator.openRound(job);
        refused(challenger, _recordSeed(job), _seedPending(job));
    }

    function test_recordSeed_WhenTheSeedIsRecorded_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        coordinator.recordSeed(job, head(job));
        refused(challenger, _recordSeed(job), _seedPending(job));
    }

    function test_recordSeed_WhenTheResultIsPosted_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 1;
        uint64 job = startedJob(terms, 2);
        playRound(job, 2);
        refused(challenger, _recordSeed(job), _seedPending(job));
    }

    function test_recordSeed_WhenTheBlockIsKnown_ItIsRecorded() public {
        uint64 job = startedJob(defaultTerms(), 2);
        uint256 opened = round(job, head(job)).mark;
        coordinator.recordSeed(job, head(job));
        Round memory r = round(job, head(job));
        assertEq(uint32(r.tally), uint32(uint256(blockhash(opened))));
        assertEq(r.flags, SEEDED);
    }

    // ---------------------------------------------------------------- drawCommittee
    function _draw(uint64 job) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.drawCommittee, (job, head(job)));
    }

    function test_drawCommittee_WhenSubmissionsAreOpen_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 17);
        submitAll(job, 16);
        uint40 by = round(job, head(job)).clock;
        bytes memory reason = abi.encodeWithSelector(IRounds.SubmissionOpen.selector, job, head(job), by);
        refused(challenger, _draw(job), reason);
    }

    function test_drawCommittee_WhenThereAreUpTo16Submitters_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 16);
        submitAll(job, 16);
        refused(challenger, _draw(job), _seedPending(job));
    }

    function test_drawCommittee_WhenThereIsNoSeed_ItRefuses() public {
        uint64 job = _readyJob(defaultTerms(), 17);
        vm.prank(sponsor);
        coordinator.openRound(job);
        submitAll(job, 17);
        refused(challenger, _draw(job), _seedPending(job));
        vm.roll(block.number + 1);
        coordinator.recordSeed(job, head(job));
        coordinator.drawCommittee(job, head(job));
    }

    function test_drawCommittee_WhenItIsDrawn_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 17);
        submitAll(job, 17);
        coordinator.drawCommittee(job, head(job));
        refused(challenger, _draw(job), _seedPending(job));
    }

    function test_drawCommittee_WhenThereAreMoreThan16_ItDrawsSixteenOfThem() public {
        uint64 job = startedJob(defaultTerms(), 20);
        submitAll(job, 20);
        (,,, uint256 committee,) = coordinator.roundOf(job, head(job));
        assertEq(committee, 0);
        coordinator.drawCommittee(job, head(job));
        (,,, committee,) = coordinator.roundOf(job, head(job));
        assertEq(committee & ~all(20), 0);
        uint256 count;
        for (uint256 i; i < 20; ++i) {
            count += (committee >> i) & 1;
        }
        assertEq(count, 16);
    }

    // ---------------------------------------------------------------- attest
    function _attest(uint64 job, bytes32 parent, uint8 tries) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.attest, (job, head(job), parent, tries, 3));
    }

    function _attest(uint64 job) private view returns (bytes memory) {
        return _attest(job, parentOf(job, head(job)), 0);
    }

    function test_attest_WhenTheCallerIsNotAMember_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        refused(challenger, _attest(job), _notMember(job, challenger));
    }

    function test_attest_WhenTheResultIsPosted_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 1;
        uint64 job = startedJob(terms, 2);
        playRound(job, 2);
        bytes memory reason = abi.encodeWithSelector(IRounds.AlreadyPosted.selector, job, head(job));
        refused(operator(0), _attest(job), reason);
    }

    function test_attest_WhenSubmissionsAreOpen_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submit(job, 0);
        uint40 by = round(job, head(job)).clock;
        bytes memory reason = abi.encodeWithSelector(IRounds.SubmissionOpen.selector, job, head(job), by);
        refused(operator(0), _attest(job), reason);
    }

    function test_attest_WhenTheWindowIsOver_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        wait(49);
        attest(job, 0, 3);
        wait(1);
        bytes memory reason =
            abi.encodeWithSelector(IRounds.AttestClosed.selector, job, head(job), uint40(block.timestamp));
        refused(operator(1), _attest(job), reason);
    }

    function test_attest_WhenItIsForAnotherTry_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        uint40 by = uint40(block.timestamp + 50);
        bytes memory reason = abi.encodeWithSelector(IRounds.AttestClosed.selector, job, head(job), by);
        refused(operator(1), _attest(job, parentOf(job, head(job)), 1), reason);
    }

    function test_attest_WhenTheParentIsAnother_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        bytes32 parent = parentOf(job, head(job));
        bytes memory reason = abi.encodeWithSelector(IRounds.WrongParent.selector, parent, bytes32("other"));
        refused(operator(1), _attest(job, "other", 0), reason);
    }

    function test_attest_WhenItDidNotSubmit_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 3);
        submitAll(job, 2);
        wait(100);
        bytes memory reason = abi.encodeWithSelector(IRounds.NotInCommittee.selector, job, head(job), worker(2));
        refused(operator(2), _attest(job), reason);
    }

    function test_attest_WhenItWasNotDrawn_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 17);
        submitAll(job, 17);
        coordinator.drawCommittee(job, head(job));
        (,,, uint256 committee,) = coordinator.roundOf(job, head(job));
        uint256 left;
        while ((committee >> left) & 1 == 1) ++left;
        bytes memory reason = abi.encodeWithSelector(IRounds.NotInCommittee.selector, job, head(job), worker(left));
        refused(operator(left), _attest(job), reason);
        attest(job, left == 0 ? 1 : 0, all(17));
    }

    function test_attest_WhenItHasAttested_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        attest(job, 1, 3);
        bytes memory reason = abi.encodeWithSelector(IRounds.AlreadyAttested.selector, job, head(job), 1);
        refused(operator(1), _attest(job), reason);
    }

    function test_attest_WhenItsOwnBitIsMissing_TheContractSetsIt() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        vm.expectEmit(address(coordinator));
        emit IRounds.Attested(job, head(job), 0, 1, 3);
        attest(job, 1, 1);
        assertEq(coordinator.attestationOf(job, head(job), 0, 1), 3);
    }
}
