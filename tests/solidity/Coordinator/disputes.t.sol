// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFaultProver} from "../../../contracts/interfaces/IFaultProver.sol";
import {Acts} from "../support/Acts.sol";
import {IMembership} from "../../../contracts/interfaces/IMembership.sol";
import {IRounds} from "../../../contracts/interfaces/IRounds.sol";
import {IDisputes} from "../../../contracts/interfaces/IDisputes.sol";
import {JobTerms, Result, Submission} from "../../../contracts/interfaces/JobTypes.sol";

contract DisputesTest is Acts {
    function _commitment(bytes32 id, bytes32 root, bytes memory proof) private view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, coordinator, challenger, keccak256(abi.encode(id, root, proof))));
    }

    function _commit(bytes32 commitment) private {
        vm.prank(challenger);
        coordinator.commit(commitment);
    }

    /// A posted result that is `off` the right one.
    function _posted(int32 off) private returns (uint64 job, Result memory r) {
        job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        attestAll(job, 2);
        r = buildResult(job, elected(job), 3, off);
        postResult(elected(job), r);
    }

    // ---------------------------------------------------------------- commit
    function test_commit_WhenItWasMade_ItRefuses() public {
        _commit("it");
        bytes memory reason = abi.encodeWithSelector(IDisputes.AlreadyCommitted.selector, bytes32("it"));
        refused(challenger, abi.encodeCall(coordinator.commit, ("it")), reason);
    }

    function test_commit_WhenItIsNew_ItIsLogged() public {
        vm.expectEmit(address(coordinator));
        emit IDisputes.Committed("it", challenger);
        _commit("it");
    }

    // ---------------------------------------------------------------- convict
    function _refuse(Result memory r, bytes memory proof, bytes memory reason) private {
        refused(challenger, abi.encodeCall(coordinator.convict, (r, proof)), reason);
    }

    function test_convict_WhenTheResultIsTheInitialModel_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        Result memory r;
        r.job = job;
        bytes4 error = IRounds.WrongResult.selector;
        _refuse(r, "", abi.encodeWithSelector(error, resultId(job, 0), keccak256(abi.encode(r))));
    }

    function test_convict_WhenTheResultDoesNotStand_ItRefuses() public {
        (uint64 job, Result memory r) = _posted(1);
        bytes memory proof = proofOf(r);
        wait(100);
        coordinator.retry(job, 1);
        _refuse(r, proof, abi.encodeWithSelector(IRounds.WrongResult.selector, 0, keccak256(abi.encode(r))));
    }

    function test_convict_WhenTheChallengeWindowIsOver_ItRefuses() public {
        (uint64 job, Result memory r) = _posted(1);
        hold(job, 1, 0);
        hold(job, 1, 1);
        wait(200);
        bytes memory proof = proofOf(r);
        bytes4 error = IDisputes.ChallengeOver.selector;
        _refuse(r, proof, abi.encodeWithSelector(error, job, 1, uint40(block.timestamp)));
        vm.warp(block.timestamp - 1);
        convict(r);
    }

    function test_convict_WhenTheProofProvesNothing_ItRefuses() public {
        (, Result memory r) = _posted(0);
        bytes memory proof = proofOf(r);
        bytes4 error = IFaultProver.ArithmeticHolds.selector;
        _refuse(r, proof, abi.encodeWithSelector(error, 0, 0, states[1], states[1]));
    }

    function test_convict_WhenResultsAreBuiltOnIt_TheyAreVoidToo() public {
        (uint64 job, Result memory r) = _posted(1);
        submitAll(job, 2);
        attestAll(job, 2);
        uint256 second = elected(job);
        bytes32 id = post(job, second, 3);
        vm.expectEmit(address(coordinator));
        emit IRounds.OpeningVoid(job, 3);
        vm.expectEmit(address(coordinator));
        emit IRounds.ResultVoid(job, 2, id, aggregator(second), 2);
        vm.expectEmit(address(coordinator));
        emit IRounds.ResultVoid(job, 1, keccak256(abi.encode(r)), r.poster, 1);
        vm.expectEmit(address(coordinator));
        emit IDisputes.Convicted(job, 1, r.poster, challenger, keccak256(abi.encode(r)), false);
        convict(r);
        assertEq(head(job), 1);
        assertEq(lockedBond(1 - second), 0, "slashed");
        assertEq(lockedBond(second), BOND, "left behind, not slashed");
    }

    function test_convict_WhenItWasAnnouncedEarlier_HalfIsTheProvers() public {
        (, Result memory r) = _posted(1);
        _commit(_commitment(keccak256(abi.encode(r)), 0, proofOf(r)));
        vm.roll(block.number + 1);
        convict(r);
        assertEq(vault.creditOf(address(token), challenger), BOND / 2);
    }

    function test_convict_WhenItWasAnnouncedInTheSameBlock_AllIsBurned() public {
        (, Result memory r) = _posted(1);
        _commit(_commitment(keccak256(abi.encode(r)), 0, proofOf(r)));
        convict(r);
        assertEq(vault.creditOf(address(token), challenger), 0);
        assertEq(vault.burnedOf(address(token)), BOND);
    }

    function test_convict_WhenItWasAnnouncedBeforeThePost_AllIsBurned() public {
        uint64 job = startedJob(defaultTerms(), 2);
        submitAll(job, 2);
        attestAll(job, 2);
        Result memory r = buildResult(job, elected(job), 3, 1);
        _commit(_commitment(keccak256(abi.encode(r)), 0, proofOf(r)));
        vm.roll(block.number + 1);
        wait(1);
        postResult(elected(job), r);
        convict(r);
        assertEq(vault.creditOf(address(token), challenger), 0);
        assertEq(vault.burnedOf(address(token)), BOND);
    }

    // ---------------------------------------------------------------- convictUpdate
    function _refuseUpdate(Submission memory s, bytes32 root, bytes memory reason) private {
        refused(challenger, abi.encodeCall(coordinator.convictUpdate, (s, root, badProof())), reason);
    }

    function test_convictUpdate_WhenTheSubmissionIsAnother_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        Submission memory s = submitBad(job, 0);
        bytes32 stored = keccak256(abi.encode(s));
        s.weight = 2;
        bytes4 error = IRounds.WrongSubmission.selector;
        _refuseUpdate(s, badRoot(), abi.encodeWithSelector(error, stored, keccak256(abi.encode(s))));
    }

    function test_convictUpdate_WhenTheRoundIsFinal_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        Submission memory s = submitBad(job, 0);
        submit(job, 1);
        attestAll(job, 2);
        post(job, elected(job), 3);
        makeFinal(job, 1, 2);
        bytes4 error = IDisputes.ChallengeOver.selector;
        _refuseUpdate(s, badRoot(), abi.encodeWithSelector(error, job, 1, uint40(block.timestamp)));
    }

    function test_convictUpdate_WhenTheSealOpensToAnotherRoot_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        Submission memory s = submitBad(job, 0);
        bytes32 seal = keccak256(abi.encode(block.chainid, coordinator, job, 1, worker(0), bytes32("other")));
        bytes4 error = IDisputes.SealMismatch.selector;
        _refuseUpdate(s, "other", abi.encodeWithSelector(error, s.sealedRoot, seal));
    }

    function test_convictUpdate_WhenItIsKnown_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        Submission memory s = submitBad(job, 0);
        convictUpdate(s);
        bytes4 error = IDisputes.AlreadyMalformed.selector;
        _refuseUpdate(s, badRoot(), abi.encodeWithSelector(error, job, 1, 0));
    }

    function test_convictUpdate_WhenTheWorkerStays_ItLosesSeatAndStake() public {
        uint64 job = startedJob(defaultTerms(), 3);
        playRound(job, 3);
        Submission memory s = submitBad(job, 0);
        vm.expectEmit(address(coordinator));
        emit IMembership.Left(job, worker(0), 0, 2, true);
        vm.expectEmit(address(coordinator));
        emit IDisputes.UpdateMalformed(job, 2, worker(0), 0, challenger);
        convictUpdate(s);
        assertEq(lockedStake(0), 0);
        assertEq(vault.burnedOf(address(token)), STAKE);
        assertEq(registry.accountOf(worker(0)).slashed, 1);
        assertEq(coordinator.seatOf(job, operator(0)).until, 2);
        (,,,, uint256 malformed) = coordinator.roundOf(job, 2);
        assertEq(malformed, 1);
    }

    function test_convictUpdate_WhenTheWorkerLeavesLater_ItMayNotStaySoLong() public {
        uint64 job = startedJob(defaultTerms(), 3);
        Submission memory s = submitBad(job, 0);
        submit(job, 1);
        submit(job, 2);
        attestAll(job, 3);
        post(job, elected(job), 7);
        leave(job, 0);
        assertEq(coordinator.seatOf(job, operator(0)).until, 2);
        convictUpdate(s);
        assertEq(coordinator.seatOf(job, operator(0)).until, 1);
        bytes32 parent = parentOf(job, 2);
        bytes memory act = abi.encodeCall(coordinator.submit, (job, 2, parent, "seal", 0x55, "file"));
        refused(operator(0), act, abi.encodeWithSelector(IMembership.NotMember.selector, job, operator(0)));
    }

    function test_convictUpdate_WhenTheStakeIsGone_NothingMoreIsSlashed() public {
        uint64 job = startedJob(defaultTerms(), 3);
        Submission memory first = submitBad(job, 0);
        submit(job, 1);
        submit(job, 2);
        attestAll(job, 3);
        post(job, elected(job), 7);
        Submission memory second = submitBad(job, 0);
        convictUpdate(first);
        convictUpdate(second);
        assertEq(vault.burnedOf(address(token)), STAKE);
        assertEq(registry.accountOf(worker(0)).slashed, 1);
    }

    function test_convictUpdate_WhenTheWorkerJoinedAgain_TheNewStakeIsSafe() public {
        JobTerms memory terms = defaultTerms();
        uint64 job = startedJob(terms, 3);
        Submission memory s = submitBad(job, 0);
        leave(job, 0);
        wait(100);
        coordinator.reopen(job, 1);
        coordinator.release(job, worker(0));
        join(job, 0);
        convictUpdate(s);
        assertEq(lockedStake(0), STAKE);
        assertEq(vault.burnedOf(address(token)), 0);
    }

    function test_convictUpdate_WhenItWasAnnouncedEarlier_HalfIsTheProvers() public {
        uint64 job = startedJob(defaultTerms(), 2);
        Submission memory s = submitBad(job, 0);
        _commit(_commitment(keccak256(abi.encode(s)), badRoot(), badProof()));
        vm.roll(block.number + 1);
        convictUpdate(s);
        assertEq(vault.creditOf(address(token), challenger), STAKE / 2);
        assertEq(vault.burnedOf(address(token)), STAKE / 2);
    }
}
