// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Market} from "../support/Market.sol";
import {Openings} from "../support/Openings.sol";
import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {IMembership} from "../../../contracts/interfaces/IMembership.sol";
import {IRounds} from "../../../contracts/interfaces/IRounds.sol";
import {IRoundRecovery} from "../../../contracts/interfaces/IRoundRecovery.sol";
import {IDisputes} from "../../../contracts/interfaces/IDisputes.sol";
import {IJobClosure} from "../../../contracts/interfaces/IJobClosure.sol";
import {JobTerms, Result, Round, Submission} from "../../../contracts/interfaces/JobTypes.sol";

/// @notice The attacks of docs/threat-model.md, each as the attacker would try it, each fruitless.
contract AttacksTest is Market {
    function _all(uint64 job, uint256 n) internal {
        for (uint256 i; i < n; ++i) {
            submit(job, i);
        }
        for (uint256 i; i < n; ++i) {
            attest(job, i, all(n));
        }
    }

    function _convict(Result memory r) internal {
        bytes memory proof = proofOf(r);
        vm.prank(challenger);
        coordinator.convict(r, proof);
    }

    function test_AWrongNumberIsConvictedInOneTransaction() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        uint256 liar = elected(job);
        Result memory wrong = buildResult(job, liar, 15, 1);
        postResult(liar, wrong);
        uint64 serial = wrong.serial;
        uint256 burned = vault.burnedOf(address(token));

        _convict(wrong);

        assertEq(resultId(job, serial), 0);
        assertEq(vault.burnedOf(address(token)) - burned, BOND);
        assertEq(vault.balanceOf(aggregator(liar), IVault.Collateral.Bond).locked, 0);
        assertEq(head(job), serial);
        // The same round goes on with the same submissions, and the other aggregator's turn.
        uint256 honest = elected(job);
        assertEq(honest, 1 - liar);
        post(job, honest, 15);
        assertTrue(resultId(job, serial) != 0);
    }

    function test_ARightResultCannotBeConvicted() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        Result memory right = buildResult(job, elected(job), 15);
        postResult(elected(job), right);
        bytes memory proof = proofOf(right);
        vm.expectRevert();
        coordinator.convict(right, proof);
        assertTrue(resultId(job, right.serial) != 0);
    }

    function test_HalfOfTheBondGoesToAProverWhoAnnouncedItEarlier() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        Result memory wrong = buildResult(job, elected(job), 15, 1);
        bytes32 id = postResult(elected(job), wrong);
        bytes memory proof = proofOf(wrong);
        bytes32 proofHash = keccak256(abi.encode(id, bytes32(0), proof));
        bytes32 commitment = keccak256(abi.encode(block.chainid, coordinator, challenger, proofHash));
        vm.prank(challenger);
        coordinator.commit(commitment);
        vm.roll(block.number + 1);

        vm.prank(challenger);
        coordinator.convict(wrong, proof);

        assertEq(vault.creditOf(address(token), challenger), BOND / 2);
        assertEq(vault.burnedOf(address(token)), BOND - BOND / 2);
    }

    function test_AFrontRunnerOfAConvictionGainsNothing() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        Result memory wrong = buildResult(job, elected(job), 15, 1);
        bytes32 id = postResult(elected(job), wrong);
        bytes memory proof = proofOf(wrong);
        address thief = makeAddr("thief");
        bytes32 theirs =
            keccak256(abi.encode(block.chainid, coordinator, challenger, keccak256(abi.encode(id, bytes32(0), proof))));
        vm.prank(challenger);
        coordinator.commit(theirs);
        vm.roll(block.number + 1);
        // It copies the proof out of the mempool, and can commit only in the block of the conviction itself.
        bytes32 own =
            keccak256(abi.encode(block.chainid, coordinator, thief, keccak256(abi.encode(id, bytes32(0), proof))));
        vm.startPrank(thief);
        coordinator.commit(own);
        coordinator.convict(wrong, proof);
        vm.stopPrank();

        assertEq(vault.creditOf(address(token), thief), 0);
        assertEq(vault.burnedOf(address(token)), BOND);
    }

    function test_LateReleaseOfAWithheldResult() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        uint256 liar = elected(job);
        Result memory wrong = buildResult(job, liar, 15, 1);
        bytes32 id = postResult(liar, wrong);
        // Nobody can rebuild it, so nobody holds it until the deadline. Then its files appear.
        vm.warp(block.timestamp + 100);
        bytes32 stored = id;
        vm.expectRevert(
            abi.encodeWithSelector(IRoundRecovery.HoldClosed.selector, job, wrong.serial, uint40(block.timestamp))
        );
        vm.prank(operator(0));
        coordinator.hold(job, wrong.serial, stored);
        coordinator.settle(job);
        assertFalse(coordinator.isFinal(job, wrong.serial));
        // Still convictable until somebody voids it; afterwards there is nothing left to become final.
        uint256 snapshot = vm.snapshotState();
        _convict(wrong);
        assertEq(vault.burnedOf(address(token)), BOND);
        vm.revertToState(snapshot);
        coordinator.retry(job, wrong.serial);
        assertEq(resultId(job, wrong.serial), 0);
        vm.warp(block.timestamp + 10_000);
        coordinator.settle(job);
        assertFalse(coordinator.isFinal(job, wrong.serial));
    }

    function test_AttestorsWhoLeaveOutARivalEarnNothing() public {
        uint64 job = startedJob(defaultTerms(), 4);
        for (uint256 i; i < 4; ++i) {
            submit(job, i);
        }
        // Three of four leave slot 3 out; it is heard all the same.
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 7);
        }
        attest(job, 3, 15);
        uint64 serial = head(job);
        post(job, elected(job), 7);
        _finalize(job, serial, 3);
        for (uint256 slot; slot < 4; ++slot) {
            (Result[] memory r, Submission[] memory s) = claimOf(serial, slot);
            coordinator.claim(r, s);
        }
        uint256 workerShare = uint256(POOL) * 7000 / 10_000 / 4;
        uint256 attestorShare = uint256(POOL) * 1000 / 10_000 / 4;
        for (uint256 i; i < 3; ++i) {
            assertEq(vault.creditOf(address(bounty), worker(i)), workerShare + attestorShare);
        }
        assertEq(vault.creditOf(address(bounty), worker(3)), attestorShare);
        assertEq(vault.creditOf(address(bounty), sponsor), workerShare);
    }

    function test_AMalformedUpdateConvictedAfterThePost() public {
        uint64 job = startedJob(defaultTerms(), 4);
        bytes memory bad = new bytes(127); // one byte short
        bytes32 root = _submitMalformed(job, 0, bad);
        for (uint256 i = 1; i < 4; ++i) {
            submit(job, i);
        }
        for (uint256 i; i < 4; ++i) {
            attest(job, i, 15);
        }
        uint64 serial = head(job);
        bytes32 id = post(job, elected(job), 15);

        coordinator.convictUpdate(submissions[serial][0], root, _malformedProof(bad));

        // The result stands; the worker lost its stake and its share.
        assertEq(resultId(job, serial), id);
        assertEq(vault.burnedOf(address(token)), STAKE);
        assertEq(registry.accountOf(worker(0)).slashed, 1);
        vm.expectRevert(abi.encodeWithSelector(IDisputes.AlreadyMalformed.selector, job, serial, uint8(0)));
        coordinator.convictUpdate(submissions[serial][0], root, _malformedProof(bad));
        // No stake backs it any more, so the open round does not take its update.
        vm.expectRevert(abi.encodeWithSelector(IMembership.NotMember.selector, job, operator(0)));
        vm.prank(operator(0));
        coordinator.submit(job, serial + 1, id, bytes32("seal"), 0x55, bytes32("file"));
        for (uint256 i = 1; i < 4; ++i) {
            submit(job, i);
        }
        coordinator.settle(job);
        vm.warp(block.timestamp + 200);
        (Result[] memory r, Submission[] memory s) = claimOf(serial, 0);
        coordinator.claim(r, s);
        assertEq(vault.creditOf(address(bounty), worker(0)), uint256(POOL) * 1000 / 10_000 / 4);
    }

    function test_AMalformedUpdateConvictedBeforeThePostIsLeftOut() public {
        uint64 job = startedJob(defaultTerms(), 4);
        bytes memory bad = new bytes(127);
        bytes32 root = _submitMalformed(job, 0, bad);
        for (uint256 i = 1; i < 4; ++i) {
            submit(job, i);
        }
        for (uint256 i; i < 4; ++i) {
            attest(job, i, 15);
        }
        coordinator.convictUpdate(submissions[head(job)][0], root, _malformedProof(bad));
        Result memory r = buildResult(job, elected(job), 14);
        r.included = 15;
        address key = aggregatorKey(elected(job));
        vm.expectRevert(abi.encodeWithSelector(IRounds.WrongIncluded.selector, 14, 15));
        vm.prank(key);
        coordinator.post(r);
        post(job, elected(job), 14);
    }

    function test_AnHonestUpdateCannotBeCalledMalformed() public {
        uint64 job = startedJob(defaultTerms(), 4);
        for (uint256 i; i < 4; ++i) {
            submit(job, i);
        }
        uint64 serial = head(job);
        bytes memory honest = updateBlock(0);
        uint96 energy = 32 * 100 * 100;
        bytes memory proof =
            abi.encodePacked(Openings.leaf(honest), energy, uint8(0), uint32(1), uint32(0), uint8(0), hex"00", honest);
        vm.expectRevert();
        coordinator.convictUpdate(submissions[serial][0], updateRoot(0), proof);
        // Nor by a root that the seal does not open to.
        bytes memory bad = new bytes(127);
        bytes32 other = Openings.updateRoot(Openings.updateFields(Openings.Node(Openings.leaf(bad), 0), 0, 1));
        vm.expectRevert();
        coordinator.convictUpdate(submissions[serial][0], other, _malformedProof(bad));
    }

    function test_AbortRacingASettlement() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 1;
        terms.deadline = uint40(block.timestamp + 1000);
        uint64 job = startedJob(terms, 4);
        uint64 serial = playRound(job, 4);
        for (uint256 i; i < 3; ++i) {
            bytes32 id = resultId(job, serial);
            vm.prank(operator(i));
            coordinator.hold(job, serial, id);
        }
        // The deadline comes while the challenge window runs: the result can still become final.
        vm.warp(terms.deadline);
        vm.warp(block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(IJobClosure.CannotEnd.selector, job, bytes32("running")));
        coordinator.abort(job);
        Round memory r = round(job, serial);
        vm.warp(uint256(r.mark) + 199);
        if (block.timestamp >= terms.deadline) {
            vm.expectRevert(abi.encodeWithSelector(IJobClosure.CannotEnd.selector, job, bytes32("unsettled")));
            coordinator.abort(job);
        }
        vm.warp(terms.deadline + 1000);
        coordinator.abort(job);
        assertTrue(coordinator.isFinal(job, serial));
        (Result[] memory rs, Submission[] memory s) = claimOf(serial, 0);
        coordinator.claim(rs, s);
        assertGt(vault.creditOf(address(bounty), worker(0)), 0);
    }

    function test_OneBondForTwoPosts() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _leaveBond(0);
        _leaveBond(1);
        _all(job, 4);
        uint256 first = elected(job);
        post(job, first, 15);
        _all(job, 4);
        uint256 second = elected(job);
        if (second != first) {
            post(job, second, 15);
            _all(job, 4);
        }
        // Whoever's turn it is has no free bond left.
        uint256 broke = elected(job);
        Result memory r = buildResult(job, broke, 15);
        bytes memory refusal = abi.encodeWithSelector(
            IVault.InsufficientFree.selector, aggregator(broke), IVault.Collateral.Bond, uint256(0), uint256(BOND)
        );
        vm.prank(aggregatorKey(broke));
        vm.expectRevert(refusal);
        coordinator.post(r);
    }

    function test_SlotReuseAfterLeaving() public {
        uint64 job = startedJob(defaultTerms(), 4);
        playRound(job, 4);
        vm.prank(operator(0));
        coordinator.leave(job);
        uint32 until = coordinator.seatOf(job, operator(0)).until;
        vm.expectRevert(abi.encodeWithSelector(IMembership.StillCommitted.selector, job, worker(0), until));
        coordinator.release(job, worker(0));
        registerWorker(9);
        join(job, 9);
        assertEq(coordinator.seatOf(job, operator(9)).slot, 4, "slot 0 is not free");
        // The open round still counts it; once that is final it may go, and its slot with it.
        uint64 open = head(job);
        for (uint256 i; i < 4; ++i) {
            submit(job, i);
        }
        for (uint256 i; i < 4; ++i) {
            attest(job, i, 15);
        }
        post(job, elected(job), 15);
        for (uint256 i = 1; i < 4; ++i) {
            submit(job, i);
        }
        coordinator.settle(job);
        vm.warp(block.timestamp + 200);
        coordinator.release(job, worker(0));
        assertTrue(coordinator.isFinal(job, open));
        registerWorker(8);
        join(job, 8);
        assertEq(coordinator.seatOf(job, operator(8)).slot, 0);
        // Claims follow the submission's identity.
        (Result[] memory r, Submission[] memory s) = claimOf(open, 0);
        coordinator.claim(r, s);
        assertGt(vault.creditOf(address(bounty), worker(0)), 0);
        assertEq(vault.creditOf(address(bounty), worker(8)), 0);
    }

    function test_SubmissionOnAVoidParent() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        uint256 liar = elected(job);
        Result memory wrong = buildResult(job, liar, 15, 1);
        bytes32 id = postResult(liar, wrong);
        uint64 child = head(job);
        submit(job, 0);
        _convict(wrong);
        vm.expectRevert(abi.encodeWithSelector(IRounds.WrongParent.selector, bytes32(0), id));
        vm.prank(operator(1));
        coordinator.submit(job, child, id, bytes32("seal"), 0x55, bytes32("file"));
    }

    function test_UnbondingBeforeAConviction() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        uint256 liar = elected(job);
        Result memory wrong = buildResult(job, liar, 15, 1);
        postResult(liar, wrong);
        uint256 free = vault.balanceOf(aggregator(liar), IVault.Collateral.Bond).free;
        vm.startPrank(aggregator(liar));
        vm.expectRevert(
            abi.encodeWithSelector(
                IVault.InsufficientFree.selector, aggregator(liar), IVault.Collateral.Bond, free, free + 1
            )
        );
        vault.unbond(IVault.Collateral.Bond, free + 1);
        vault.unbond(IVault.Collateral.Bond, free);
        vm.stopPrank();
        _convict(wrong);
        assertEq(vault.burnedOf(address(token)), BOND);
        // And a worker's stake stays locked after it left, until its last round is settled.
        vm.prank(operator(0));
        coordinator.leave(job);
        assertEq(vault.balanceOf(worker(0), IVault.Collateral.Stake).locked, STAKE);
    }

    function test_AnEarlyPostThatShutsOutAnAttestor() public {
        uint64 job = startedJob(defaultTerms(), 4);
        for (uint256 i; i < 4; ++i) {
            submit(job, i);
        }
        uint64 serial = head(job);
        // Three liars attest only each other and post before the fourth can speak: the contract waits for it.
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 7);
        }
        uint256 friend = elected(job);
        Result memory r = buildResult(job, friend, 7);
        uint40 attestBy = round(job, serial).clock + 50;
        address key = aggregatorKey(friend);
        vm.expectRevert(abi.encodeWithSelector(IRounds.AttestOpen.selector, job, serial, attestBy));
        vm.prank(key);
        coordinator.post(r);
        // They attest everything, so that an early post is let through; it shuts nobody out of the committee of a retry.
        coordinatorRetryKeepsAll(job, serial, friend);
    }

    function coordinatorRetryKeepsAll(uint64 job, uint64 serial, uint256 friend) internal {
        vm.warp(block.timestamp + 50 + 60);
        coordinator.retry(job, serial); // the try ran to its deadline: those heard are the committee
        (,,, uint256 committee,) = coordinator.roundOf(job, serial);
        assertEq(committee, 7);
        for (uint256 i; i < 2; ++i) {
            attest(job, i, 15);
        }
        friend = elected(job);
        postResult(friend, buildResult(job, friend, 15)); // two of three attest all: early, and slot 2 unheard
        vm.warp(block.timestamp + 100);
        coordinator.retry(job, serial); // not held: it was early, so slot 2 keeps its seat
        (,,, committee,) = coordinator.roundOf(job, serial);
        assertEq(committee, 7);
    }

    /// Two liars of four (K is 3) post early while one honest attestor is still to speak, convict themselves, and withhold
    /// the next result: were those heard now the committee, two would be K of it.
    function test_AnEarlyPostConvictedByItsOwnFriends() public {
        uint64 job = startedJob(defaultTerms(), 4);
        for (uint256 i; i < 4; ++i) {
            submit(job, i);
        }
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 15);
        }
        uint256 first = elected(job);
        Result memory wrong = buildResult(job, first, 15, 1);
        postResult(first, wrong);
        _convict(wrong);
        Result memory withheld = buildResult(job, 1 - first, 15, 1);
        postResult(1 - first, withheld);
        vm.warp(block.timestamp + 100);
        coordinator.retry(job, 1);
        (,,, uint256 committee,) = coordinator.roundOf(job, 1);
        assertEq(committee, 15, "the fourth keeps its seat");

        // Nor where nobody posts after the conviction. This try ran to its deadline.
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 15);
        }
        first = elected(job);
        wrong = buildResult(job, first, 15, 1);
        postResult(first, wrong);
        _convict(wrong);
        vm.warp(block.timestamp + 60);
        coordinator.retry(job, 1);
        (,,, committee,) = coordinator.roundOf(job, 1);
        assertEq(committee, 15, "the fourth keeps its seat");

        // A try that ran to its deadline still leaves out who was not heard.
        for (uint256 i; i < 3; ++i) {
            attest(job, i, 15);
        }
        vm.warp(block.timestamp + 50);
        post(job, elected(job), 15);
        vm.warp(block.timestamp + 100);
        coordinator.retry(job, 1);
        (,,, committee,) = coordinator.roundOf(job, 1);
        assertEq(committee, 7);
    }

    function test_FewerThanKLiarsHoldingWhatNobodyCanRebuild() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        uint256 liar = elected(job);
        Result memory wrong = buildResult(job, liar, 15);
        wrong.transcriptRoot = keccak256("nobody can rebuild this");
        bytes32 id = postResult(liar, wrong);
        for (uint256 i; i < 2; ++i) {
            vm.prank(operator(i));
            coordinator.hold(job, wrong.serial, id);
            vm.prank(operator(i));
            vm.expectRevert(abi.encodeWithSelector(IRoundRecovery.AlreadyHeld.selector, job, wrong.serial, worker(i)));
            coordinator.hold(job, wrong.serial, id);
            submit(job, i); // says the same once more; it does not count twice
        }
        coordinator.settle(job);
        assertEq(round(job, wrong.serial).mark, 0);
        vm.warp(block.timestamp + 100);
        coordinator.retry(job, wrong.serial);
        assertEq(resultId(job, wrong.serial), 0);
        assertEq(vault.burnedOf(address(token)), 0, "nobody is slashed");
        assertEq(elected(job), 1 - liar, "its poster goes last");
        vm.expectRevert();
        coordinator.convict(wrong, "");
    }

    function test_AHoldThatLandsOnAnotherResultAfterAReorganisation() public {
        uint64 job = startedJob(defaultTerms(), 4);
        _all(job, 4);
        uint256 poster = elected(job);
        uint256 snapshot = vm.snapshotState();
        bytes32 seen = postResult(poster, buildResult(job, poster, 15));
        uint64 serial = head(job) - 1;
        uint64 child = head(job);
        // The chain reorganises: at the same serial stands another result now.
        vm.revertToState(snapshot);
        bytes32 other = postResult(poster, buildResult(job, poster, 15, 1));
        assertTrue(other != seen);
        vm.startPrank(operator(0));
        vm.expectRevert(abi.encodeWithSelector(IRounds.WrongResult.selector, other, seen));
        coordinator.hold(job, serial, seen);
        vm.expectRevert(abi.encodeWithSelector(IRounds.WrongParent.selector, other, seen));
        coordinator.submit(job, child, seen, bytes32("seal"), 0x55, bytes32("file"));
        vm.stopPrank();
        assertEq(round(job, serial).tally & 0xffff, 0);
    }

    // ---------------------------------------------------------------- help
    function _finalize(uint64 job, uint64 serial, uint256 holders) internal {
        bytes32 id = resultId(job, serial);
        for (uint256 i; i < holders; ++i) {
            vm.prank(operator(i));
            coordinator.hold(job, serial, id);
        }
        vm.warp(block.timestamp + 200);
        coordinator.settle(job);
        assertTrue(coordinator.isFinal(job, serial));
    }

    /// All but one bond of an aggregator goes into unbonding.
    function _leaveBond(uint256 i) internal {
        vm.prank(aggregator(i));
        vault.unbond(IVault.Collateral.Bond, 19 * BOND);
    }

    function _submitMalformed(uint64 job, uint256 i, bytes memory block_) internal returns (bytes32 root) {
        uint64 serial = head(job);
        root = Openings.updateRoot(Openings.updateFields(Openings.Node(Openings.leaf(block_), 0), 0, 1));
        Submission memory s;
        s.job = job;
        s.serial = serial;
        s.slot = uint8(i);
        s.worker = worker(i);
        s.weight = 1;
        s.sealedRoot = keccak256(abi.encode(block.chainid, coordinator, job, serial, worker(i), root));
        s.codec = 0x55;
        s.digest = keccak256("bad");
        submissions[serial][i] = s;
        bytes32 parent = parentOf(job, serial);
        vm.prank(operator(i));
        coordinator.submit(job, serial, parent, s.sealedRoot, s.codec, s.digest);
    }

    /// The tree is its only leaf.
    function _malformedProof(bytes memory block_) internal pure returns (bytes memory) {
        return
            abi.encodePacked(
                Openings.leaf(block_), uint96(0), uint8(0), uint32(1), uint32(0), uint8(0), hex"00", block_
            );
    }
}
