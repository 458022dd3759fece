// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {IWorkerRegistry} from "../../../contracts/interfaces/IWorkerRegistry.sol";
import {Acts} from "../support/Acts.sol";
import {IJobs} from "../../../contracts/interfaces/IJobs.sol";
import {IMembership} from "../../../contracts/interfaces/IMembership.sol";
import {IAggregators} from "../../../contracts/interfaces/IAggregators.sol";
import {Aggregator, JobTerms} from "../../../contracts/interfaces/JobTypes.sol";

contract AggregatorsTest is Acts {
    function _enlist(uint64 job) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.enlist, (job));
    }

    function _retire(uint64 job) private view returns (bytes memory) {
        return abi.encodeCall(coordinator.retire, (job));
    }

    function _remove(uint64 job, uint256 i) private returns (bytes memory) {
        return abi.encodeCall(coordinator.removeAggregator, (job, aggregator(i)));
    }

    // ---------------------------------------------------------------- enlist
    function test_enlist_WhenThereIsNoSuchJob_ItRefuses() public {
        registerAggregator(0);
        refused(aggregatorKey(0), _enlist(7), abi.encodeWithSelector(IJobs.UnknownJob.selector, 7));
    }

    function test_enlist_WhenTheJobIsOver_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        registerAggregator(0);
        stop(job);
        coordinator.close(job);
        refused(aggregatorKey(0), _enlist(job), jobOver(job, 2));
    }

    function test_enlist_WhenTheCallerIsNobodysOperator_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        bytes memory reason = abi.encodeWithSelector(IWorkerRegistry.NotRegistered.selector, challenger);
        refused(challenger, _enlist(job), reason);
    }

    function test_enlist_WhenItIsAnAggregator_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IAggregators.AlreadyAggregator.selector, job, aggregator(0));
        refused(aggregatorKey(0), _enlist(job), reason);
    }

    function test_enlist_WhenAnotherStillSitsUnderItsKey_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        registerAggregator(2);
        vm.prank(aggregator(0));
        registry.setOperator(makeAddr("new key"));
        vm.prank(aggregator(2));
        registry.setOperator(aggregatorKey(0));
        bytes4 error = IWorkerRegistry.OperatorTaken.selector;
        refused(aggregatorKey(0), _enlist(job), abi.encodeWithSelector(error, aggregatorKey(0), aggregator(0)));
    }

    function test_enlist_WhenItsFreeBondIsTooSmall_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        registerAggregator(0);
        vm.prank(aggregator(0));
        vault.unbond(IVault.Collateral.Bond, 19 * BOND + 1);
        bytes4 error = IVault.InsufficientFree.selector;
        bytes memory reason = abi.encodeWithSelector(error, aggregator(0), IVault.Collateral.Bond, BOND - 1, BOND);
        refused(aggregatorKey(0), _enlist(job), reason);
    }

    function test_enlist_WhenAll32SeatsAreTaken_ItRefuses() public {
        uint64 job = createJob(defaultTerms());
        for (uint256 i; i < 32; ++i) {
            registerAggregator(i);
            vm.prank(aggregatorKey(i));
            coordinator.enlist(job);
        }
        registerAggregator(32);
        bytes memory reason = abi.encodeWithSelector(IAggregators.AggregatorSeatsFull.selector, job);
        refused(aggregatorKey(32), _enlist(job), reason);
    }

    function test_enlist_WhenASeatIsFree_ItTakesTheLowest() public {
        uint64 job = startedJob(defaultTerms(), 2);
        registerAggregator(2);
        vm.prank(aggregatorKey(0));
        coordinator.retire(job);
        vm.expectEmit(address(coordinator));
        emit IAggregators.AggregatorEnlisted(job, aggregator(2), 0);
        vm.prank(aggregatorKey(2));
        coordinator.enlist(job);
        Aggregator memory seat = coordinator.aggregatorOf(job, aggregatorKey(2));
        assertEq(abi.encode(seat), abi.encode(Aggregator(aggregator(2), 1, 1)));
        assertEq(coordinator.aggregatorsOf(job)[0], aggregatorKey(2));
    }

    // ---------------------------------------------------------------- retire
    function test_retire_WhenTheCallerIsNotAnAggregator_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IAggregators.NotAggregator.selector, job, challenger);
        refused(challenger, _retire(job), reason);
    }

    function test_retire_WhenTheKeyIsNoLongerTheAggregators_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        vm.prank(aggregator(0));
        registry.setOperator(makeAddr("new key"));
        bytes memory reason = abi.encodeWithSelector(IVault.NotAllowed.selector, aggregatorKey(0));
        refused(aggregatorKey(0), _retire(job), reason);
    }

    function test_retire_WhenItsResultIsNotFinal_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        uint256 poster = elected(job);
        uint64 serial = playRound(job, 2);
        bytes memory reason =
            abi.encodeWithSelector(IMembership.StillCommitted.selector, job, aggregator(poster), uint32(serial));
        refused(aggregatorKey(poster), _retire(job), reason);
        makeFinal(job, serial, 2);
        vm.prank(aggregatorKey(poster));
        coordinator.retire(job);
    }

    function test_retire_WhenItsIdentityCalls_ItsSeatIsFree() public {
        uint64 job = startedJob(defaultTerms(), 2);
        playRound(job, 2);
        // Round 1 was the turn of seat 1, so seat 0 has posted nothing.
        vm.expectEmit(address(coordinator));
        emit IAggregators.AggregatorRetired(job, aggregator(0), 0, false);
        vm.prank(aggregator(0));
        coordinator.retire(job);
        assertEq(coordinator.aggregatorsOf(job)[0], address(0));
        assertEq(coordinator.stateOf(job).aggregators, 2);
    }

    // ---------------------------------------------------------------- removeAggregator
    function test_removeAggregator_WhenItTakesItsTurnsAndHasItsBond_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IMembership.NotAbsent.selector, job, aggregator(0));
        refused(challenger, _remove(job, 0), reason);
    }

    function test_removeAggregator_WhenItIsNotAnAggregator_ItRefuses() public {
        uint64 job = startedJob(defaultTerms(), 2);
        bytes memory reason = abi.encodeWithSelector(IAggregators.NotAggregator.selector, job, aggregator(5));
        refused(challenger, _remove(job, 5), reason);
    }

    function test_removeAggregator_WhenItsBondIsGone_AnyoneMayRemoveIt() public {
        uint64 job = startedJob(defaultTerms(), 2);
        vm.prank(aggregator(0));
        vault.unbond(IVault.Collateral.Bond, 19 * BOND + 1);
        vm.expectEmit(address(coordinator));
        emit IAggregators.AggregatorRetired(job, aggregator(0), 0, true);
        vm.prank(challenger);
        coordinator.removeAggregator(job, aggregator(0));
    }

    /// Aggregator `poster` posts a round, in its own turn or after another's.
    function _round(uint64 job, uint256 poster) private {
        submitAll(job, 2);
        coordinator.settle(job);
        attestAll(job, 2);
        wait(80);
        post(job, poster, 3);
        vm.roll(block.number + 1);
    }

    function _refuseRemoval(uint64 job, uint256 agg) private {
        bytes memory reason = abi.encodeWithSelector(IMembership.NotAbsent.selector, job, aggregator(agg));
        refused(challenger, _remove(job, agg), reason);
    }

    /// Aggregator 0 takes the turns of aggregator 1 in rounds 1 and 3; round 4 is open. Results are final soon.
    function _twoTurnsMissed() private returns (uint64 job) {
        JobTerms memory terms = defaultTerms();
        terms.challengeWindow = 10;
        job = startedJob(terms, 2);
        for (uint256 i; i < 3; ++i) {
            _round(job, 0);
        }
    }

    function test_removeAggregator_WhenItMissedThreeTurnsInARow_AnyoneMayRemoveIt() public {
        uint64 job = _twoTurnsMissed();
        _round(job, 0);
        _refuseRemoval(job, 1);
        _round(job, 0);
        coordinator.removeAggregator(job, aggregator(1));
        assertEq(coordinator.aggregatorsOf(job)[1], address(0));
    }

    function test_removeAggregator_WhenItPostedInBetween_TheCountStartsAgain() public {
        uint64 job = _twoTurnsMissed();
        _round(job, 1);
        _round(job, 0);
        _refuseRemoval(job, 1);
    }

    function test_removeAggregator_WhenTheResultInItsTurnIsVoid_ThatTurnDoesNotCount() public {
        uint64 job = _twoTurnsMissed();
        _round(job, 0);
        _round(job, 0);
        wait(100);
        coordinator.retry(job, 5);
        _refuseRemoval(job, 1);
    }

    function test_removeAggregator_WhenItCameBack_TurnsBeforeDoNotCount() public {
        uint64 job = _twoTurnsMissed();
        vm.startPrank(aggregatorKey(1));
        coordinator.retire(job);
        coordinator.enlist(job);
        vm.stopPrank();
        _round(job, 0);
        _round(job, 0);
        _refuseRemoval(job, 1);
    }

    // ---------------------------------------------------------------- electedOf
    function test_electedOf_WhenThereAreNoAggregators_ItIsNobody() public {
        uint64 job = createJob(defaultTerms());
        (address account, uint40 anyoneFrom) = coordinator.electedOf(job);
        assertEq(account, address(0));
        assertEq(anyoneFrom, 0);
    }

    function test_electedOf_WhenARoundIsOpen_SeatsTakeTurnsByItsNumber() public {
        uint64 job = startedJob(defaultTerms(), 2);
        (address account, uint40 anyoneFrom) = coordinator.electedOf(job);
        assertEq(account, aggregator(1));
        assertEq(anyoneFrom, block.timestamp + 100 + 50 + 30);
        playRound(job, 2);
        (account,) = coordinator.electedOf(job);
        assertEq(account, aggregator(0));
    }

    function test_electedOf_WhenAllWerePutLast_AllAreWillingAgain() public {
        JobTerms memory terms = defaultTerms();
        terms.maxTries = 4;
        uint64 job = startedJob(terms, 2);
        submitAll(job, 2);
        attestAll(job, 2);
        uint64 serial = head(job);
        uint256[3] memory posters;
        for (uint256 i; i < 3; ++i) {
            posters[i] = elected(job);
            post(job, posters[i], 3);
            wait(100);
            coordinator.retry(job, serial);
            attestAll(job, 2);
        }
        assertEq(posters[1], 1 - posters[0]);
        assertEq(posters[2], posters[0]);
    }
}
