// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Acts} from "../support/Acts.sol";
import {IAggregators} from "../../../contracts/interfaces/IAggregators.sol";
import {IRounds} from "../../../contracts/interfaces/IRounds.sol";
import {IRoundRecovery} from "../../../contracts/interfaces/IRoundRecovery.sol";
import {JobTerms, Result} from "../../../contracts/interfaces/JobTypes.sol";

contract PostTest is Acts {
    function _refuse(uint64 job, Result memory r, bytes memory reason) private {
        _refuseOf(elected(job), r, reason);
    }

    function _refuseOf(uint256 agg, Result memory r, bytes memory reason) private {
        refused(aggregatorKey(agg), abi.encodeCall(coordinator.post, (r)), reason);
    }

    function _attestOpen(uint64 job) private view returns (bytes memory) {
        uint40 by = round(job, head(job)).clock + 50;
        return abi.encodeWithSelector(IRounds.AttestOpen.selector, job, head(job), by);
    }

    /// Two of two have attested everything.
    function _attested() private returns (uint64 job) {
        job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        attestAll(job, 2);
    }

    function _wrongSerial(uint64 job, uint64 given) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.WrongSerial.selector, job, head(job), given);
    }

    // ---------------------------------------------------------------- when
    function test_post_WhenTheJobIsOver_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        uint64 job = _attested();
        Result memory r = buildResult(job, elected(job), 3);
        vm.warp(terms.deadline);
        coordinator.abort(job);
        _refuseOf(0, r, jobOver(job, 3));
    }

    function test_post_WhenTheSerialIsNotTheHead_ItRefuses() public {
        uint64 job = _attested();
        Result memory r = buildResult(job, elected(job), 3);
        r.serial = 2;
        _refuse(job, r, _wrongSerial(job, 2));
    }

    function test_post_WhenNoRoundWasOpenedYet_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        Result memory r;
        r.job = job;
        _refuseOf(0, r, _wrongSerial(job, 0));
    }

    function test_post_WhenAResultStands_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 1;
        uint64 job = startedJob(terms, 2);
        uint64 serial = playRound(job, 2);
        assertEq(head(job), serial);
        _refuse(job, results[serial], abi.encodeWithSelector(IRounds.AlreadyPosted.selector, job, serial));
    }

    function test_post_WhenSubmissionsAreOpen_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        uint40 by = round(job, head(job)).clock;
        Result memory r = buildResult(job, elected(job), 0);
        _refuse(job, r, abi.encodeWithSelector(IRounds.SubmissionOpen.selector, job, head(job), by));
    }

    function test_post_WhenItsTimeIsOver_ItRefuses() public {
        uint64 job = _attested();
        Result memory r = buildResult(job, elected(job), 3);
        wait(110);
        bytes4 error = IRounds.PostClosed.selector;
        _refuse(job, r, abi.encodeWithSelector(error, job, head(job), uint40(block.timestamp)));
        vm.warp(block.timestamp - 1);
        postResult(elected(job), r);
    }

    function test_post_WhenTheJobsDeadlineHasCome_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        uint64 job = startedJob(terms, 2);
        submitAll(job, 2);
        vm.warp(terms.deadline - 10);
        coordinator.retry(job, head(job));
        attestAll(job, 2);
        Result memory r = buildResult(job, elected(job), 3);
        vm.warp(terms.deadline);
        _refuse(job, r, abi.encodeWithSelector(IRounds.PostClosed.selector, job, head(job), terms.deadline));
    }

    // ---------------------------------------------------------------- on what
    function test_post_WhenTheParentIsAnother_ItRefuses() public {
        uint64 job = _attested();
        Result memory r = buildResult(job, elected(job), 3);
        bytes32 parent = r.parent;
        r.parent = "other";
        _refuse(job, r, abi.encodeWithSelector(IRounds.WrongParent.selector, parent, bytes32("other")));
    }

    function test_post_WhenTheParentWasNotHeldInTime_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 4);
        uint64 serial = playRound(job, 4);
        uint40 holdBy = round(job, serial).clock + 100;
        submitAll(job, 2); // two hold the parent; three must
        vm.warp(holdBy);
        attest(job, 0, 3);
        attest(job, 1, 3);
        Result memory r = buildResult(job, elected(job), 3);
        _refuse(job, r, abi.encodeWithSelector(IRoundRecovery.ParentNotHeld.selector, job, serial, holdBy));
    }

    function test_post_WhenTheAttemptIsAnother_ItRefuses() public {
        uint64 job = _attested();
        Result memory r = buildResult(job, elected(job), 3);
        r.attempt = 1;
        _refuse(job, r, abi.encodeWithSelector(IRounds.WrongAttempt.selector, job, head(job), 0, 1));
    }

    // ---------------------------------------------------------------- what
    function test_post_WhenTheCommitteeIsNotDrawn_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 17);
        submitAll(job, 17);
        Result memory r = buildResult(job, elected(job), all(17));
        _refuse(job, r, abi.encodeWithSelector(IRounds.CommitteeNotDrawn.selector, job, head(job)));
    }

    function test_post_WhenItIncludesOthersThanAttested_ItRefuses() public {
        uint64 job = _attested();
        Result memory r = buildResult(job, elected(job), 1);
        _refuse(job, r, abi.encodeWithSelector(IRounds.WrongIncluded.selector, 3, 1));
    }

    function test_post_WhenItIncludesTooFew_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 3);
        submitAll(job, 3);
        attest(job, 0, 1);
        attest(job, 1, 3);
        wait(50);
        Result memory r = buildResult(job, elected(job), 1);
        _refuse(job, r, abi.encodeWithSelector(IRounds.TooFewIncluded.selector, 1, 2));
    }

    function test_post_WhenAttestorsWithSomethingToSayMayStillCome_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 4);
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 7);
        }
        Result memory r = buildResult(job, elected(job), 7);
        _refuse(job, r, _attestOpen(job));
        wait(50);
        postResult(elected(job), r);
    }

    function test_post_WhenAllAreIncluded_ItNeedNotWaitForTheRest() public {
        uint64 job = startedJob(defaultTerms(), 4);
        submitAll(job, 4);
        attest(job, 0, 15);
        attest(job, 1, 15);
        attest(job, 2, 15);
        post(job, elected(job), 15);
    }

    function test_post_WhenAllButMalformedAreIncluded_ItNeedNotWaitForTheRest() public {
        uint64 job = startedJob(defaultTerms(), 4);
        convictUpdate(submitBad(job, 0));
        for (uint256 i = 1; i < 4; ++i) {
            submit(job, i);
        }
        for (uint256 i = 1; i < 3; ++i) {
            attest(job, i, 15);
        }
        Result memory r = buildResult(job, elected(job), 6);
        _refuse(job, r, abi.encodeWithSelector(IRounds.WrongIncluded.selector, 0, 6));
        attest(job, 3, 14);
        post(job, elected(job), 14);
    }

    // ---------------------------------------------------------------- who
    function test_post_WhenTheCallerIsNotAnAggregator_ItRefuses() public {
        uint64 job = _attested();
        Result memory r = buildResult(job, elected(job), 3);
        bytes memory reason = abi.encodeWithSelector(IAggregators.NotAggregator.selector, job, challenger);
        refused(challenger, abi.encodeCall(coordinator.post, (r)), reason);
    }

    function test_post_WhenThePosterIsAnother_ItRefuses() public {
        uint64 job = _attested();
        uint256 agg = elected(job);
        Result memory r = buildResult(job, 1 - agg, 3);
        _refuse(job, r, abi.encodeWithSelector(IAggregators.NotAggregator.selector, job, aggregatorKey(agg)));
    }

    function test_post_WhenItIsTheTurnOfAnother_ItRefuses() public {
        uint64 job = _attested();
        uint256 other = 1 - elected(job);
        Result memory r = buildResult(job, other, 3);
        uint40 anyoneFrom = round(job, head(job)).clock + 50 + 30;
        bytes4 error = IRounds.NotYourTurn.selector;
        _refuseOf(other, r, abi.encodeWithSelector(error, job, head(job), aggregator(1 - other), anyoneFrom));
        vm.warp(anyoneFrom);
        postResult(other, r);
        assertEq(round(job, 1).tally >> 42, 1 - other + 1, "whose turn it took");
    }

    // ---------------------------------------------------------------- done
    function test_post_WhenItIsRight_ItLocksABondAndOpensTheNextRound() public {
        uint64 job = _attested();
        uint256 agg = elected(job);
        Result memory r = buildResult(job, agg, 3);
        bytes32 id = keccak256(abi.encode(r));
        vm.expectEmit(address(coordinator));
        emit IRounds.Posted(job, 1, id, r, 2, uint40(block.timestamp + 100));
        vm.expectEmit(address(coordinator));
        emit IRounds.RoundOpened(job, 2, 2, id, 1, 3, 2, uint40(block.timestamp + 100));
        postResult(agg, r);
        assertEq(resultId(job, 1), id);
        assertEq(lockedBond(agg), BOND);
        assertEq(head(job), 2);
    }

    function test_post_WhenTheJobIsStopped_NoRoundOpens() public {
        uint64 job = _attested();
        stop(job);
        post(job, elected(job), 3);
        assertEq(head(job), 1);
    }

    function test_post_WhenAVoidResultOfTheRoundLeftABond_ThatBacksTheNext() public {
        uint64 job = _attested();
        uint256 agg = elected(job);
        post(job, agg, 3);
        wait(100);
        coordinator.retry(job, 1);
        attestAll(job, 2);
        wait(80);
        post(job, agg, 3);
        assertEq(lockedBond(agg), BOND, "not a second one");
        assertEq(results[1].attempt, 1);
    }
}
