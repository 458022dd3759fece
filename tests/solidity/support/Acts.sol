// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {Market} from "./Market.sol";
import {Openings} from "./Openings.sol";
import {IJobs} from "../../../contracts/interfaces/IJobs.sol";
import {IRoundRecovery} from "../../../contracts/interfaces/IRoundRecovery.sol";
import {IJobClosure} from "../../../contracts/interfaces/IJobClosure.sol";
import {JobTerms, Result, Submission} from "../../../contracts/interfaces/JobTypes.sol";

/// @notice Longer stretches of a market, and refused acts.
abstract contract Acts is Market {
    /// `act`, sent by `who` to the Coordinator, reverts with exactly `reason`.
    function refused(address who, bytes memory act, bytes memory reason) internal {
        refusedBy(address(coordinator), who, act, reason);
    }

    function refusedBy(address target, address who, bytes memory act, bytes memory reason) internal {
        vm.prank(who);
        (bool done, bytes memory answer) = target.call(act);
        assertFalse(done, "not refused");
        assertEq(answer, reason);
    }

    function submitAll(uint64 job, uint256 n) internal {
        for (uint256 i; i < n; ++i) {
            submit(job, i);
        }
    }

    function attestAll(uint64 job, uint256 n) internal {
        for (uint256 i; i < n; ++i) {
            attest(job, i, all(n));
        }
    }

    function hold(uint64 job, uint64 serial, uint256 i) internal {
        bytes32 id = resultId(job, serial);
        vm.prank(operator(i));
        coordinator.hold(job, serial, id);
    }

    function stop(uint64 job) internal {
        vm.prank(sponsor);
        coordinator.stop(job);
    }

    function leave(uint64 job, uint256 i) internal {
        vm.prank(operator(i));
        coordinator.leave(job);
    }

    function wait(uint256 s) internal {
        vm.warp(block.timestamp + s);
    }

    /// The first n of a job's members hold a result, and its challenge window passes.
    function makeFinal(uint64 job, uint64 serial, uint256 n) internal {
        for (uint256 i; i < n; ++i) {
            hold(job, serial, i);
        }
        wait(200);
        coordinator.settle(job);
        assertTrue(coordinator.isFinal(job, serial));
    }

    /// Submissions of n workers, with none included: the opening's tries come to nothing, and it is opened again.
    function failTries(uint64 job) internal {
        uint64 serial = head(job);
        for (uint256 i; i < 3; ++i) {
            wait(110);
            coordinator.retry(job, serial);
        }
        wait(110);
    }

    function convict(Result memory r) internal {
        bytes memory proof = proofOf(r);
        vm.prank(challenger);
        coordinator.convict(r, proof);
    }

    // ---------------------------------------------------------------- malformed updates
    function badBlock() internal pure returns (bytes memory) {
        return new bytes(127); // one byte short
    }

    function badRoot() internal pure returns (bytes32) {
        return Openings.updateRoot(Openings.updateFields(Openings.Node(Openings.leaf(badBlock()), 0), 0, 1));
    }

    function badProof() internal pure returns (bytes memory) {
        bytes memory data = badBlock();
        return abi.encodePacked(Openings.leaf(data), uint96(0), uint8(0), uint32(1), uint32(0), uint8(0), hex"00", data);
    }

    /// Worker i submits a malformed update to the open round.
    function submitBad(uint64 job, uint256 i) internal returns (Submission memory) {
        submitRoot(job, i, badRoot());
        return submissions[head(job)][coordinator.seatOf(job, operator(i)).slot];
    }

    function convictUpdate(Submission memory s) internal {
        vm.prank(challenger);
        coordinator.convictUpdate(s, badRoot(), badProof());
    }

    function lockedBond(uint256 i) internal returns (uint256) {
        return vault.balanceOf(aggregator(i), IVault.Collateral.Bond).locked;
    }

    function lockedStake(uint256 i) internal returns (uint256) {
        return vault.balanceOf(worker(i), IVault.Collateral.Stake).locked;
    }

    /// The word of storage that a call of a view reads last.
    function slotRead(bytes memory reading) internal returns (bytes32) {
        vm.record();
        (bool done,) = address(coordinator).staticcall(reading);
        assertTrue(done);
        (bytes32[] memory reads,) = vm.accesses(address(coordinator));
        return reads[reads.length - 1];
    }

    function cannotOpen(uint64 job, bytes32 why) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IRoundRecovery.CannotOpen.selector, job, why);
    }

    function cannotEnd(uint64 job, bytes32 why) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IJobClosure.CannotEnd.selector, job, why);
    }

    function jobOver(uint64 job, uint8 status) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IJobs.JobOver.selector, job, status);
    }

    function oneUpdateTerms() internal view returns (JobTerms memory terms) {
        terms = defaultTerms();
        terms.minUpdates = 1;
    }
}
