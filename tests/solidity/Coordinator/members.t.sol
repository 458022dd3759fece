// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {IWorkerRegistry} from "../../../contracts/interfaces/IWorkerRegistry.sol";
import {Acts} from "../support/Acts.sol";
import {IJobs} from "../../../contracts/interfaces/IJobs.sol";
import {IMembership} from "../../../contracts/interfaces/IMembership.sol";
import {IAccessLog} from "../../../contracts/interfaces/IAccessLog.sol";
import {JobTerms, Member, Seat} from "../../../contracts/interfaces/JobTypes.sol";

contract MembersTest is Acts {
    bytes32[] private _noProof;

    function _join(uint64 job) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.join, (job, 0, 0, 0, 0, _noProof));
    }

    function _notMember(uint64 job, address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMembership.NotMember.selector, job, who);
    }

    function _notAbsent(uint64 job, address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMembership.NotAbsent.selector, job, who);
    }

    function _taken(address key, address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IWorkerRegistry.OperatorTaken.selector, key, who);
    }

    function _setOperator(address who, address key) private {
        vm.prank(who);
        registry.setOperator(key);
    }

    // ---------------------------------------------------------------- join
    function test_join_WhenThereIsNoSuchJob_ItRefuses() public {
        registerWorker(0);
        refused(operator(0), _join(7), abi.encodeWithSelector(IJobs.UnknownJob.selector, 7));
    }

    function test_join_WhenTheJobIsStopped_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        stop(job);
        registerWorker(0);
        refused(operator(0), _join(job), jobOver(job, 1));
    }

    function test_join_WhenTheCallerIsNobodysOperator_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        registerWorker(0);
        bytes memory reason = abi.encodeWithSelector(IWorkerRegistry.NotRegistered.selector, worker(0));
        refused(worker(0), _join(job), reason);
    }

    function test_join_WhenItIsAMember_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IMembership.AlreadyMember.selector, job, worker(0));
        refused(operator(0), _join(job), reason);
    }

    function test_join_WhenItsReputationIsTooLow_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.minIncluded = 1;
        uint64 job = createJob(terms);
        registerWorker(0);
        bytes4 error = IMembership.ReputationTooLow.selector;
        refused(operator(0), _join(job), abi.encodeWithSelector(error, worker(0), 0, 0));
        vm.prank(address(coordinator));
        registry.record(worker(0), 1, 1, 1);
        refused(operator(0), _join(job), abi.encodeWithSelector(error, worker(0), 1, 1));
    }

    function test_join_WhenAnotherStillSitsUnderItsKey_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        registerWorker(5);
        _setOperator(worker(0), makeAddr("new key"));
        _setOperator(worker(5), operator(0));
        refused(operator(0), _join(job), _taken(operator(0), worker(0)));
    }

    function test_join_WhenTheJobIsFull_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.maxMembers = 2;
        uint64 job = startedJob(terms, 2);
        registerWorker(2);
        refused(operator(2), _join(job), abi.encodeWithSelector(IMembership.JobFull.selector, job, 2));
    }

    function test_join_WhenAll256SeatsAreTaken_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 256);
        registerWorker(256);
        refused(operator(256), _join(job), abi.encodeWithSelector(IMembership.JobFull.selector, job, 256));
    }

    function test_join_WhenItsFreeStakeIsTooSmall_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.stake = 6 * STAKE;
        uint64 job = createJob(terms);
        registerWorker(0);
        bytes4 error = IVault.InsufficientFree.selector;
        bytes memory reason = abi.encodeWithSelector(error, worker(0), IVault.Collateral.Stake, 5 * STAKE, 6 * STAKE);
        refused(operator(0), _join(job), reason);
    }

    function test_join_WhenTheJobIsOpenToAll_ItTakesTheLowestSeatWithAWeightOfOne() public {
        uint64 job = startedJob(defaultTerms(), 2);
        registerWorker(2);
        bytes32 digest = keccak256("own data");
        vm.expectEmit(address(coordinator));
        emit IMembership.Joined(job, worker(2), operator(2), 2, 1, 0, 0x55, digest);
        vm.prank(operator(2));
        coordinator.join(job, 9, 77, 0x55, digest, _noProof);
        Seat memory seat = coordinator.seatOf(job, operator(2));
        assertEq(abi.encode(seat), abi.encode(Seat(worker(2), 2, 1, uint32(head(job)), type(uint32).max)));
        assertEq(abi.encode(coordinator.memberOf(job, worker(2))), abi.encode(Member(operator(2), 0, 0, true)));
        assertEq(lockedStake(2), STAKE);
    }

    // ---------------------------------------------------------------- join by a ticket
    function _ticket(uint256 index, uint8 codec, bytes32 digest, uint256 weight) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(index, codec, digest, weight))));
    }

    /// Two shards, each with the other's leaf as its proof.
    function _shardJob(uint24 weight) private returns (uint64 job, bytes32[] memory proof) {
        (bytes32 a, bytes32 b) = (_ticket(300, 0x55, "data", weight), _ticket(1, 0x55, "more", 2));
        JobTerms memory terms = defaultTerms();
        terms.admission = 1;
        terms.admissionRoot = a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
        job = createJob(terms);
        registerWorker(0);
        registerWorker(1);
        proof = new bytes32[](1);
        proof[0] = b;
    }

    function _shard(uint64 job, uint24 weight, bytes32[] memory proof) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.join, (job, 300, weight, 0x55, "data", proof));
    }

    function _notAdmitted(uint64 job, uint256 i) private returns (bytes memory) {
        return abi.encodeWithSelector(IMembership.NotAdmitted.selector, job, worker(i));
    }

    function test_join_WhenItsShardIsNotInTheRoot_ItRefuses() public {
        (uint64 job, bytes32[] memory proof) = _shardJob(40);
        refused(operator(0), _shard(job, 41, proof), _notAdmitted(job, 0));
        refused(operator(0), _shard(job, 40, _noProof), _notAdmitted(job, 0));
    }

    function test_join_WhenItsShardWeighsNothing_ItRefuses() public {
        (uint64 job, bytes32[] memory proof) = _shardJob(0);
        refused(operator(0), _shard(job, 0, proof), _notAdmitted(job, 0));
    }

    function test_join_WhenItsShardWeighs2To20OrMore_ItRefuses() public {
        (uint64 job, bytes32[] memory proof) = _shardJob(1 << 20);
        refused(operator(0), _shard(job, 1 << 20, proof), _notAdmitted(job, 0));
    }

    function test_join_WhenItsShardIsTaken_ItRefuses() public {
        (uint64 job, bytes32[] memory proof) = _shardJob(40);
        vm.prank(operator(0));
        coordinator.join(job, 300, 40, 0x55, "data", proof);
        bytes memory reason = abi.encodeWithSelector(IMembership.ShardTaken.selector, job, 300);
        refused(operator(1), _shard(job, 40, proof), reason);
    }

    function test_join_WhenItsShardIsFree_ItTakesIt() public {
        (uint64 job, bytes32[] memory proof) = _shardJob((1 << 20) - 1);
        vm.prank(operator(0));
        coordinator.join(job, 300, (1 << 20) - 1, 0x55, "data", proof);
        assertEq(coordinator.memberOf(job, worker(0)).shard, 301);
        assertEq(coordinator.seatOf(job, operator(0)).weight, (1 << 20) - 1);
        // Its release frees the shard for another.
        leave(job, 0);
        coordinator.release(job, worker(0));
        vm.prank(operator(1));
        coordinator.join(job, 300, (1 << 20) - 1, 0x55, "data", proof);
    }

    function _invitedJob() private returns (uint64) {
        registerWorker(0);
        registerWorker(1);
        JobTerms memory terms = defaultTerms();
        terms.admission = 2;
        terms.admissionRoot =
            keccak256(bytes.concat(keccak256(abi.encode(worker(0), uint256(40), uint8(0x55), bytes32("data")))));
        return createJob(terms);
    }

    function test_join_WhenTheInvitationIsAnothers_ItRefuses() public {
        uint64 job = _invitedJob();
        refused(operator(1), _shard(job, 40, _noProof), _notAdmitted(job, 1));
    }

    function test_join_WhenInvited_ItGetsTheInvitationsWeight() public {
        uint64 job = _invitedJob();
        vm.prank(operator(0));
        coordinator.join(job, 300, 40, 0x55, "data", _noProof);
        assertEq(coordinator.seatOf(job, operator(0)).weight, 40);
        assertEq(coordinator.memberOf(job, worker(0)).shard, 0);
    }

    // ---------------------------------------------------------------- leave
    function test_leave_WhenTheCallerIsNotAMember_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        refused(challenger, abi.encodeCall(coordinator.leave, (job)), _notMember(job, challenger));
    }

    function test_leave_WhenTheKeyIsNoLongerTheMembers_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        _setOperator(worker(0), makeAddr("new key"));
        bytes memory reason = abi.encodeWithSelector(IVault.NotAllowed.selector, operator(0));
        refused(operator(0), abi.encodeCall(coordinator.leave, (job)), reason);
    }

    function test_leave_WhenItHasLeft_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        leave(job, 0);
        refused(operator(0), abi.encodeCall(coordinator.leave, (job)), _notMember(job, worker(0)));
    }

    function test_leave_WhenItsOperatorCalls_ItStaysForTheOpenRoundAlone() public {
        uint64 job = startedJob(defaultTerms(), 3);
        uint32 until = uint32(head(job));
        vm.expectEmit(address(coordinator));
        emit IMembership.Left(job, worker(0), 0, until, false);
        leave(job, 0);
        playRound(job, 3);
        bytes32 parent = parentOf(job, head(job));
        bytes memory act = abi.encodeCall(coordinator.submit, (job, head(job), parent, "seal", 0x55, "file"));
        refused(operator(0), act, _notMember(job, operator(0)));
    }

    function test_leave_WhenItsIdentityCalls_ItLeaves() public {
        uint64 job = startedJob(defaultTerms(), 2);
        vm.prank(worker(0));
        coordinator.leave(job);
        assertEq(coordinator.seatOf(job, operator(0)).until, head(job));
    }

    // ---------------------------------------------------------------- removeMember
    function _removeMember(uint64 job, uint256 i) private returns (bytes memory) {
        return abi.encodeCall(coordinator.removeMember, (job, worker(i)));
    }

    /// Workers 0 and 1 play a round that others miss.
    function _playWithout(uint64 job) private {
        submitAll(job, 2);
        if (round(job, head(job)).clock > block.timestamp) vm.warp(round(job, head(job)).clock - 1);
        coordinator.settle(job);
        wait(1);
        attestAll(job, 2);
        wait(50);
        post(job, elected(job), 3);
        vm.roll(block.number + 1);
    }

    function test_removeMember_WhenItIsNotAMember_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        refused(challenger, _removeMember(job, 9), _notMember(job, worker(9)));
    }

    function test_removeMember_WhenTooFewRoundsCameToAResult_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 3);
        refused(challenger, _removeMember(job, 2), _notAbsent(job, worker(2)));
        _playWithout(job);
        _playWithout(job);
        refused(challenger, _removeMember(job, 2), _notAbsent(job, worker(2)));
    }

    function test_removeMember_WhenItSubmittedToOneOfThree_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 3);
        playRound(job, 3);
        _playWithout(job);
        _playWithout(job);
        refused(challenger, _removeMember(job, 2), _notAbsent(job, worker(2)));
    }

    function test_removeMember_WhenItMissedThree_AnyoneMayRemoveIt() public {
        uint64 job = startedJob(defaultTerms(), 3);
        for (uint256 i; i < 3; ++i) {
            _playWithout(job);
        }
        vm.expectEmit(address(coordinator));
        emit IMembership.Left(job, worker(2), 2, uint32(head(job)), true);
        vm.prank(challenger);
        coordinator.removeMember(job, worker(2));
        refused(challenger, _removeMember(job, 2), _notMember(job, worker(2)));
    }

    // ---------------------------------------------------------------- release
    function test_release_WhenItIsNotAMember_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory act = abi.encodeCall(coordinator.release, (job, challenger));
        refused(challenger, act, _notMember(job, challenger));
    }

    function test_release_WhenItStays_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason =
            abi.encodeWithSelector(IMembership.StillCommitted.selector, job, worker(0), type(uint32).max);
        refused(challenger, abi.encodeCall(coordinator.release, (job, worker(0))), reason);
    }

    function test_release_WhenNothingItTookPartInIsUnsettled_ItFreesStakeAndSlot() public {
        uint64 job = startedJob(defaultTerms(), 2);
        registerWorker(2);
        join(job, 2);
        leave(job, 2);
        assertEq(lockedStake(2), STAKE);
        // It joined after the round had opened, and the round ends at the same serial.
        makeFinal(job, playRound(job, 2), 2);
        vm.expectEmit(address(coordinator));
        emit IMembership.Released(job, worker(2), 2);
        coordinator.release(job, worker(2));
        assertEq(lockedStake(2), 0);
        assertEq(coordinator.seatOf(job, operator(2)).worker, address(0));
        assertEq(coordinator.memberOf(job, worker(2)).operator, address(0));
    }

    function test_release_WhenTheJobIsOver_ItNeedNotLeave() public {
        uint64 job = createJob(defaultTerms());
        registerWorker(0);
        join(job, 0);
        stop(job);
        coordinator.close(job);
        coordinator.release(job, worker(0));
        assertEq(lockedStake(0), 0);
    }

    function test_release_WhenItWasSlashed_ThereIsNothingToUnlock() public {
        uint64 job = startedJob(defaultTerms(), 3);
        convictUpdate(submitBad(job, 0));
        submit(job, 1);
        submit(job, 2);
        for (uint256 i = 1; i < 3; ++i) {
            attest(job, i, 6);
        }
        uint64 serial = head(job);
        wait(50);
        post(job, elected(job), 6);
        for (uint256 i = 1; i < 3; ++i) {
            hold(job, serial, i);
        }
        wait(200);
        assertEq(lockedStake(0), 0);
        coordinator.release(job, worker(0));
        assertEq(lockedStake(0), 0);
        assertEq(coordinator.seatOf(job, operator(0)).worker, address(0));
    }

    // ---------------------------------------------------------------- reseat
    function _reseat(uint64 job, address who) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.reseat, (job, who));
    }

    function test_reseat_WhenTheMemberHasANewKey_ItsSeatMoves() public {
        uint64 job = startedJob(defaultTerms(), 2);
        address key = makeAddr("new key");
        _setOperator(worker(0), key);
        Seat memory before = coordinator.seatOf(job, operator(0));
        vm.expectEmit(address(coordinator));
        emit IMembership.Reseated(job, worker(0), key);
        coordinator.reseat(job, worker(0));
        assertEq(abi.encode(coordinator.seatOf(job, key)), abi.encode(before));
        assertEq(coordinator.seatOf(job, operator(0)).worker, address(0));
        assertEq(coordinator.memberOf(job, worker(0)).operator, key);
    }

    function test_reseat_WhenTheAggregatorHasANewKey_ItsSeatMoves() public {
        uint64 job = startedJob(defaultTerms(), 2);
        address key = makeAddr("new key");
        _setOperator(aggregator(1), key);
        coordinator.reseat(job, aggregator(1));
        assertEq(coordinator.aggregatorOf(job, key).account, aggregator(1));
        assertEq(coordinator.aggregatorOf(job, aggregatorKey(1)).account, address(0));
        assertEq(coordinator.aggregatorsOf(job)[1], key);
    }

    function test_reseat_WhenTheKeyIsTheSame_NothingMoves() public {
        uint64 job = startedJob(defaultTerms(), 2);
        vm.recordLogs();
        coordinator.reseat(job, worker(0));
        coordinator.reseat(job, aggregator(0));
        coordinator.reseat(job, challenger);
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(coordinator.seatOf(job, operator(0)).worker, worker(0));
        assertEq(coordinator.aggregatorOf(job, aggregatorKey(0)).account, aggregator(0));
    }

    function test_reseat_WhenAnotherStillSitsUnderTheKey_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        _setOperator(worker(1), makeAddr("new key"));
        _setOperator(worker(0), operator(1));
        refused(challenger, _reseat(job, worker(0)), _taken(operator(1), worker(1)));
        // Once that one has moved, the way is free.
        coordinator.reseat(job, worker(1));
        coordinator.reseat(job, worker(0));
        assertEq(coordinator.seatOf(job, operator(1)).worker, worker(0));
    }

    function test_reseat_WhenAnotherStillAggregatesUnderTheKey_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        _setOperator(aggregator(1), makeAddr("new key"));
        _setOperator(aggregator(0), aggregatorKey(1));
        refused(challenger, _reseat(job, aggregator(0)), _taken(aggregatorKey(1), aggregator(1)));
    }

    // ---------------------------------------------------------------- grantAccess, withdrawAccess
    function test_grantAccess_WhenTheCallerIsNotTheSponsor_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        bytes memory reason = abi.encodeWithSelector(IJobs.NotSponsor.selector, job, challenger);
        refused(challenger, abi.encodeCall(coordinator.grantAccess, (job, challenger, 1, 0x55, "key")), reason);
    }

    function test_grantAccess_WhenTheSponsorCalls_ItIsLogged() public {
        uint64 job = createJob(defaultTerms());
        vm.expectEmit(address(coordinator));
        emit IAccessLog.AccessGranted(job, worker(0), 1, 0x55, "key");
        vm.prank(sponsor);
        coordinator.grantAccess(job, worker(0), 1, 0x55, "key");
    }

    function test_withdrawAccess_WhenTheCallerIsNotTheSponsor_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        bytes memory reason = abi.encodeWithSelector(IJobs.NotSponsor.selector, job, challenger);
        refused(challenger, abi.encodeCall(coordinator.withdrawAccess, (job, challenger, 1)), reason);
    }

    function test_withdrawAccess_WhenTheSponsorCalls_ItIsLogged() public {
        uint64 job = createJob(defaultTerms());
        vm.expectEmit(address(coordinator));
        emit IAccessLog.AccessWithdrawn(job, worker(0), 1);
        vm.prank(sponsor);
        coordinator.withdrawAccess(job, worker(0), 1);
    }
}
