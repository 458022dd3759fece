// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {Market} from "../solidity/support/Market.sol";
import {JobTerms, Result} from "../../contracts/interfaces/JobTypes.sol";

/// @notice A case of I5 and I16 that a campaign seldom meets: more than one bond of one aggregator left behind in a round.
contract BondsTest is Market {
    function _ready(uint64 job) private {
        for (uint256 i; i < 4; ++i) {
            submit(job, i);
        }
        for (uint256 i; i < 4; ++i) {
            attest(job, i, 15);
        }
    }

    /// The other aggregator lies in round 1 whenever this honest one has posted round 2 on top of it.
    function test_EveryBondLeftInARoundIsReleased() public {
        JobTerms memory terms = defaultTerms();
        uint64 job = startedJob(terms, 4);
        (uint256 honest, uint256 liar) = (0, 1);
        _ready(job);
        for (uint256 i; i < 2; ++i) {
            Result memory wrong = buildResult(job, liar, 15, 1);
            postResult(liar, wrong);
            _ready(job);
            post(job, honest, 15);
            coordinator.convict(wrong, proofOf(wrong));
            vm.warp(block.timestamp + terms.turnWindow); // the honest one misses its turn in round 1
        }
        assertEq(vault.balanceOf(aggregator(honest), IVault.Collateral.Bond).locked, 2 * BOND);

        vm.warp(terms.deadline);
        coordinator.abort(job);
        coordinator.releaseBond(job, 2, aggregator(honest));

        assertEq(vault.balanceOf(aggregator(honest), IVault.Collateral.Bond).locked, 0);
        assertEq(vault.balanceOf(aggregator(honest), IVault.Collateral.Bond).free, 20 * BOND);
    }
}
