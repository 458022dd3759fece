// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Acts} from "../support/Acts.sol";
import {IJobs} from "../../../contracts/interfaces/IJobs.sol";
import {IRounds} from "../../../contracts/interfaces/IRounds.sol";
import {IRoundRecovery} from "../../../contracts/interfaces/IRoundRecovery.sol";
import {IPayouts} from "../../../contracts/interfaces/IPayouts.sol";
import {IJobClosure} from "../../../contracts/interfaces/IJobClosure.sol";
import {JobTerms, Result, Submission} from "../../../contracts/interfaces/JobTypes.sol";

contract MoneyTest is Acts {
    uint256 private constant WORKERS = uint256(POOL) * 7000 / 10_000;
    uint256 private constant AGGREGATOR = uint256(POOL) * 2000 / 10_000;
    uint256 private constant ATTESTORS = uint256(POOL) * 1000 / 10_000;

    function _credit(address who) private view returns (uint256) {
        return vault.creditOf(address(bounty), who);
    }

    function _final(JobTerms memory terms, uint256 n) private returns (uint64 job) {
        job = startedJob(terms, n);
        playRound(job, n);
        makeFinal(job, 1, n / 2 + 1);
    }

    // ---------------------------------------------------------------- claim
    function _refuseClaim(Result[] memory r, Submission[] memory s, bytes memory reason) private {
        refused(challenger, abi.encodeCall(coordinator.claim, (r, s)), reason);
    }

    function _claim(uint64 serial, uint256 slot) private {
        (Result[] memory r, Submission[] memory s) = claimOf(serial, slot);
        coordinator.claim(r, s);
    }

    function test_claim_WhenTheListsDiffer_ItRefuses() public {
        bytes memory reason = abi.encodeWithSelector(IPayouts.LengthMismatch.selector, 1, 2);
        _refuseClaim(new Result[](1), new Submission[](2), reason);
    }

    function test_claim_WhenTheResultDoesNotStand_ItRefuses() public {
        _final(defaultTerms(), 2);
        bytes32 stands = keccak256(abi.encode(results[1]));
        (Result[] memory r, Submission[] memory s) = claimOf(1, 0);
        r[0].included = 1;
        bytes4 error = IRounds.WrongResult.selector;
        _refuseClaim(r, s, abi.encodeWithSelector(error, stands, keccak256(abi.encode(r[0]))));
    }

    function test_claim_WhenItIsTheInitialModel_ItRefuses() public {
        uint64 job = _final(defaultTerms(), 2);
        (Result[] memory r, Submission[] memory s) = claimOf(1, 0);
        r[0].serial = 0;
        bytes4 error = IRounds.WrongResult.selector;
        _refuseClaim(r, s, abi.encodeWithSelector(error, resultId(job, 0), keccak256(abi.encode(r[0]))));
    }

    function test_claim_WhenTheResultIsNotFinal_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        (Result[] memory r, Submission[] memory s) = claimOf(1, 0);
        _refuseClaim(r, s, abi.encodeWithSelector(IPayouts.NotFinal.selector, job, 1));
    }

    function test_claim_WhenTheSubmissionIsOfAnotherRoundOrJob_ItRefuses() public {
        uint64 job = _final(defaultTerms(), 2);
        (Result[] memory r, Submission[] memory s) = claimOf(1, 0);
        s[0].serial = 2;
        _refuseClaim(r, s, abi.encodeWithSelector(IRounds.WrongSerial.selector, job, 1, 2));
        s[0].serial = 1;
        s[0].job = job + 1;
        _refuseClaim(r, s, abi.encodeWithSelector(IRounds.WrongSerial.selector, job, 1, 1));
    }

    function test_claim_WhenItWasClaimed_ItRefuses() public {
        uint64 job = _final(defaultTerms(), 2);
        _claim(1, 1);
        (Result[] memory r, Submission[] memory s) = claimOf(1, 1);
        _refuseClaim(r, s, abi.encodeWithSelector(IPayouts.AlreadyClaimed.selector, job, 1, 1));
    }

    function test_claim_WhenTheSubmissionIsAnother_ItRefuses() public {
        _final(defaultTerms(), 2);
        (Result[] memory r, Submission[] memory s) = claimOf(1, 1);
        bytes32 stored = keccak256(abi.encode(s[0]));
        s[0].worker = challenger;
        bytes4 error = IRounds.WrongSubmission.selector;
        _refuseClaim(r, s, abi.encodeWithSelector(error, stored, keccak256(abi.encode(s[0]))));
    }

    function test_claim_WhenIncludedAndHeard_TheWorkerGetsBothShares() public {
        uint64 job = _final(defaultTerms(), 4);
        vm.expectEmit(address(coordinator));
        emit IPayouts.Claimed(job, 1, worker(2), 2, WORKERS / 4, ATTESTORS / 4);
        vm.prank(challenger);
        _claim(1, 2);
        assertEq(_credit(worker(2)), WORKERS / 4 + ATTESTORS / 4);
        assertEq(_credit(sponsor), 0);
        assertEq(registry.accountOf(worker(2)).submitted, 1);
        assertEq(registry.accountOf(worker(2)).included, 1);
    }

    function test_claim_WhenTheResultIsNotSettledYet_ItSettlesIt() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        submitAll(job, 2);
        coordinator.settle(job);
        wait(200);
        _claim(1, 0);
        assertEq(coordinator.stateOf(job).settledSerial, 1);
    }

    function test_claim_WhenNeitherIncludedNorHeard_BothSharesReturn() public {
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 4);
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 7);
        }
        wait(50);
        post(job, elected(job), 7);
        makeFinal(job, 1, 3);
        vm.expectEmit(address(coordinator));
        emit IPayouts.Returned(job, 1, WORKERS / 4 + ATTESTORS / 4);
        _claim(1, 3);
        assertEq(_credit(worker(3)), 0);
        assertEq(_credit(sponsor), WORKERS / 4 + ATTESTORS / 4);
        assertEq(registry.accountOf(worker(3)).submitted, 1);
        assertEq(registry.accountOf(worker(3)).included, 0);
    }

    function test_claim_WhenAnotherWasProvenMalformed_ItIsStillPaid() public {
        uint64 job = startedJob(defaultTerms(), 3);
        Submission memory bad = submitBad(job, 0);
        submit(job, 1);
        submit(job, 2);
        attestAll(job, 3);
        post(job, elected(job), 7);
        convictUpdate(bad);
        makeFinal(job, 1, 2);
        _claim(1, 0);
        _claim(1, 1);
        assertEq(_credit(worker(0)), ATTESTORS / 3);
        assertEq(_credit(worker(1)), WORKERS / 3 + ATTESTORS / 3);
    }

    function test_claim_WhenItWasNotDrawn_ItGetsItsWorkersShareAlone() public {
        uint64 job = startedJob(defaultTerms(), 17);
        submitAll(job, 17);
        coordinator.drawCommittee(job, 1);
        (,,, uint256 committee,) = coordinator.roundOf(job, 1);
        uint256 left;
        for (uint256 i; i < 17; ++i) {
            if ((committee >> i) & 1 == 1) attest(job, i, all(17));
            else left = i;
        }
        post(job, elected(job), all(17));
        for (uint256 i; i < 17; ++i) {
            if (i != left && round(job, 1).mark == 0) hold(job, 1, i);
        }
        wait(200);
        _claim(1, left);
        assertEq(_credit(worker(left)), WORKERS / 17);
        assertEq(coordinator.stateOf(job).unresolved, 17 + 16 + 1 - 1);
    }

    // ---------------------------------------------------------------- claimPosts
    function _posts() private view returns (Result[] memory r) {
        r = new Result[](1);
        r[0] = results[1];
    }

    function test_claimPosts_WhenItWasPaid_ItRefuses() public {
        uint64 job = _final(defaultTerms(), 2);
        coordinator.claimPosts(_posts());
        bytes memory reason = abi.encodeWithSelector(IPayouts.AlreadyClaimed.selector, job, 1, 0);
        refused(challenger, abi.encodeCall(coordinator.claimPosts, (_posts())), reason);
    }

    function test_claimPosts_WhenTheResultIsFinal_ThePosterGetsPayAndBond() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        hold(job, 1, 0);
        hold(job, 1, 1);
        wait(200); // and nobody settles it
        vm.expectEmit(address(coordinator));
        emit IRoundRecovery.Final(job, 1, 1, resultId(job, 1));
        vm.expectEmit(address(coordinator));
        emit IJobClosure.AggregatorPaid(job, 1, aggregator(1), AGGREGATOR);
        coordinator.claimPosts(_posts());
        assertEq(_credit(aggregator(1)), AGGREGATOR);
        assertEq(lockedBond(1), 0);
    }

    function test_claimPosts_WhenAggregatorsGetNothing_TheBondIsUnlocked() public {
        JobTerms memory terms = defaultTerms();
        terms.workerBps += terms.aggregatorBps;
        terms.aggregatorBps = 0;
        _final(terms, 2);
        coordinator.claimPosts(_posts());
        assertEq(_credit(aggregator(1)), 0);
        assertEq(lockedBond(1), 0);
    }

    // ---------------------------------------------------------------- releaseBond
    function _refuseBond(uint64 job, uint256 agg) private {
        bytes memory act = abi.encodeCall(coordinator.releaseBond, (job, 1, aggregator(agg)));
        refused(challenger, act, abi.encodeWithSelector(IJobClosure.NoBondHere.selector, job, 1, aggregator(agg)));
    }

    /// The first result is not held, and void.
    function _voided() private returns (uint64 job) {
        job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        attestAll(job, 2);
        post(job, 1, 3);
        wait(100);
        coordinator.retry(job, 1);
        attestAll(job, 2);
    }

    function test_releaseBond_WhenTheRoundHasNoFinalResult_ItRefuses() public {
        _refuseBond(_voided(), 1);
    }

    function test_releaseBond_WhenNoneWasLeft_ItRefuses() public {
        _refuseBond(_final(defaultTerms(), 2), 1);
    }

    function test_releaseBond_WhenTheRoundIsFinal_ItIsUnlocked() public {
        uint64 job = _voided();
        post(job, 0, 3);
        makeFinal(job, 1, 2);
        vm.expectEmit(address(coordinator));
        emit IJobClosure.BondReleased(job, 1, aggregator(1));
        coordinator.releaseBond(job, 1, aggregator(1));
        assertEq(lockedBond(1), 0);
        _refuseBond(job, 1);
    }

    function test_releaseBond_WhenTwoOpeningsOfTheRoundLeftOneEach_BothAreUnlocked() public {
        uint64 job = _voided();
        for (uint256 i; i < 2; ++i) {
            wait(110);
            coordinator.retry(job, 1);
        }
        wait(110);
        coordinator.reopen(job, 1);
        uint64 again = head(job);
        submitAll(job, 2);
        attestAll(job, 2);
        post(job, 1, 3);
        assertEq(lockedBond(1), 2 * BOND);
        wait(100);
        coordinator.retry(job, again);
        attestAll(job, 2);
        post(job, 0, 3);
        makeFinal(job, again, 2);
        coordinator.releaseBond(job, 1, aggregator(1));
        assertEq(lockedBond(1), 0);
    }

    function test_releaseBond_WhenTheJobIsOver_ItIsUnlocked() public {
        uint64 job = _voided();
        vm.warp(defaultTerms().deadline + 100_000);
        coordinator.abort(job);
        coordinator.releaseBond(job, 1, aggregator(1));
        assertEq(lockedBond(1), 0);
    }

    // ---------------------------------------------------------------- stop
    function test_stop_WhenTheCallerIsNotTheSponsor_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        bytes memory reason = abi.encodeWithSelector(IJobs.NotSponsor.selector, job, challenger);
        refused(challenger, abi.encodeCall(coordinator.stop, (job)), reason);
    }

    function test_stop_WhenItIsStopped_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        vm.expectEmit(address(coordinator));
        emit IJobClosure.JobStopped(job);
        stop(job);
        refused(sponsor, abi.encodeCall(coordinator.stop, (job)), jobOver(job, 1));
    }

    // ---------------------------------------------------------------- close
    function _close(uint64 job) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.close, (job));
    }

    function test_close_WhenThereIsNoSuchJob_ItRefuses() public {
        refused(challenger, _close(7), abi.encodeWithSelector(IJobs.UnknownJob.selector, 7));
    }

    function test_close_WhenItIsClosed_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        stop(job);
        coordinator.close(job);
        refused(challenger, _close(job), jobOver(job, 2));
    }

    function test_close_WhenTheUpdateIsMalformedFinal_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        stop(job);
        refused(challenger, _close(job), cannotEnd(job, "unsettled"));
    }

    function test_close_WhenARoundMayOpen_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        refused(challenger, _close(job), cannotEnd(job, "open"));
        registerWorker(0);
        registerWorker(1);
        join(job, 0);
        join(job, 1);
        refused(challenger, _close(job), cannotEnd(job, "open"));
    }

    function test_close_WhenAllRoundsAreFinal_TheSponsorGetsTheRestWithTheLastShare() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 1;
        uint64 job = _final(terms, 3);
        vm.expectEmit(address(coordinator));
        emit IJobClosure.JobEnded(job, false, 1, 0);
        coordinator.close(job);
        assertEq(_credit(sponsor), 0);
        for (uint256 i; i < 3; ++i) {
            _claim(1, i);
        }
        coordinator.claimPosts(_posts());
        uint256 dust = POOL - AGGREGATOR - 3 * (WORKERS / 3) - 3 * (ATTESTORS / 3);
        assertGt(dust, 0);
        assertEq(_credit(sponsor), dust);
        (, uint256 left) = vault.escrowOf(job);
        assertEq(left, 0);
    }

    function test_close_WhenAllSharesWereResolved_TheSponsorGetsTheRestAtOnce() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 1;
        uint64 job = _final(terms, 3);
        for (uint256 i; i < 3; ++i) {
            _claim(1, i);
        }
        coordinator.claimPosts(_posts());
        coordinator.close(job);
        (, uint256 left) = vault.escrowOf(job);
        assertEq(left, 0);
        assertGt(_credit(sponsor), 0);
    }

    function test_close_WhenTheJobIsStopped_WhatWasNotEarnedReturns() public {
        uint64 job = createJob(defaultTerms());
        stop(job);
        vm.expectEmit(address(coordinator));
        emit IJobClosure.JobEnded(job, false, 0, 10 * POOL);
        coordinator.close(job);
        assertEq(_credit(sponsor), 10 * POOL);
    }

    // ---------------------------------------------------------------- abort
    function _abort(uint64 job) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.abort, (job));
    }

    function test_abort_WhenThereIsNoSuchJob_ItRefuses() public {
        refused(challenger, _abort(7), abi.encodeWithSelector(IJobs.UnknownJob.selector, 7));
    }

    function test_abort_WhenItIsOver_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        stop(job);
        coordinator.close(job);
        refused(challenger, _abort(job), jobOver(job, 2));
    }

    function test_abort_WhenTheDeadlineHasNotCome_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        vm.warp(defaultTerms().deadline - 1);
        refused(challenger, _abort(job), cannotEnd(job, "running"));
    }

    /// The deadline is as near as it may be.
    function _tight() private returns (uint64 job, uint40 deadline) {
        JobTerms memory terms = defaultTerms();
        terms.deadline = uint40(block.timestamp + 100 + 4 * 210);
        terms.challengeWindow = 2000;
        job = startedJob(terms, 2);
        playRound(job, 2);
        deadline = terms.deadline;
    }

    function test_abort_WhenAResultCanBecomeFinal_ItRefuses() public {
        (uint64 job, uint40 deadline) = _tight();
        hold(job, 1, 0);
        hold(job, 1, 1);
        vm.warp(deadline);
        refused(challenger, _abort(job), cannotEnd(job, "unsettled"));
        wait(2000);
        coordinator.abort(job);
        assertEq(_credit(sponsor), 9 * POOL);
        assertEq(coordinator.stateOf(job).settledNumber, 1);
    }

    function test_abort_WhenAResultCanNoLongerBeHeld_ItIsVoid() public {
        (uint64 job, uint40 deadline) = _tight();
        vm.warp(deadline);
        vm.expectEmit(address(coordinator));
        emit IJobClosure.JobEnded(job, true, 0, 10 * POOL);
        coordinator.abort(job);
        assertEq(resultId(job, 1), 0);
        assertEq(_credit(sponsor), 10 * POOL);
    }

    function test_abort_WhenTooManyOpeningsFailed_TheEscrowReturns() public {
        uint64 job = startedJob(defaultTerms(), 2);
        for (uint64 i = 1; i <= 3; ++i) {
            refused(challenger, _abort(job), cannotEnd(job, "running"));
            wait(100);
            coordinator.reopen(job, i);
        }
        coordinator.abort(job);
        assertEq(coordinator.stateOf(job).status, 3);
        assertEq(_credit(sponsor), 10 * POOL);
    }

    // ---------------------------------------------------------------- isFinal
    function test_isFinal_WhenNoResultStands_ItIsNot() public {
        uint64 job = startedJob(defaultTerms(), 2);
        assertFalse(coordinator.isFinal(job, 1));
        assertFalse(coordinator.isFinal(job, 99));
        assertFalse(coordinator.isFinal(job + 1, 0));
    }

    function test_isFinal_WhenItIsNotHeld_ItIsNot() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        wait(1000);
        assertFalse(coordinator.isFinal(job, 1));
    }
}
