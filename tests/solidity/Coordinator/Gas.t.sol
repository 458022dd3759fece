// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {console} from "forge-std/console.sol";
import {Market} from "../support/Market.sol";
import {JobTerms, Result, Submission} from "../../../contracts/interfaces/ICoordinator.sol";

/// @notice What the acts of a round cost as whole transactions, in their worst case.
contract GasTest is Market {
    function _spent(string memory what) internal view returns (uint256 gas) {
        gas = vm.lastCallGas().gasTotalUsed;
        console.log(what, gas);
    }

    function test_Smoke() public {
        uint64 job = startedJob(defaultTerms(), 4);
        uint64 first = playRound(job, 4);
        for (uint256 i; i < 4; ++i) {
            submit(job, i);
            _spent("submit");
        }
        for (uint256 i; i < 4; ++i) {
            attest(job, i, type(uint256).max);
            _spent("attest");
        }
        post(job, elected(job), 15);
        _spent("post");
        playRound(job, 4);
        coordinator.settle(job);
        _spent("settle");
        vm.warp(block.timestamp + 1000);
        (Result[] memory r, Submission[] memory s) = claimOf(first, 0);
        coordinator.settle(job);
        coordinator.claim(r, s);
        _spent("claim first");
        (r, s) = claimOf(first + 1, 0);
        coordinator.claim(r, s);
        _spent("claim second");
    }
}
