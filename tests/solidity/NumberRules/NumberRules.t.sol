// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {NumberRules} from "../../../contracts/libraries/NumberRules.sol";

contract NumberRulesTest is Test {
    int256 private constant LIMIT = 2_147_483_647;

    // rdiv

    function test_rdiv_WhenTheQuotientIsWhole_ItIsExact() external pure {
        assertEq(NumberRules.rdiv(12, 4), 3);
        assertEq(NumberRules.rdiv(-12, 4), -3);
        assertEq(NumberRules.rdiv(0, 7), 0);
        assertEq(NumberRules.rdiv(-5, 1), -5);
    }

    function test_rdiv_WhenTheRestIsBelowHalf_ItRoundsTowardsZero() external pure {
        assertEq(NumberRules.rdiv(4, 3), 1);
        assertEq(NumberRules.rdiv(-4, 3), -1);
        assertEq(NumberRules.rdiv(32_767, 65_536), 0);
    }

    function test_rdiv_WhenTheRestIsHalf_ItRoundsAwayFromZero() external pure {
        assertEq(NumberRules.rdiv(1, 2), 1);
        assertEq(NumberRules.rdiv(-1, 2), -1);
        assertEq(NumberRules.rdiv(-32_768, 65_536), -1);
    }

    function test_rdiv_WhenTheRestIsAboveHalf_ItRoundsAwayFromZero() external pure {
        assertEq(NumberRules.rdiv(5, 3), 2);
        assertEq(NumberRules.rdiv(-5, 3), -2);
    }

    /// @dev q = rdiv(a, d) is the one whole number with -d <= 2(a - qd) <= d that lies away from zero at a tie.
    function testFuzz_rdiv_IsTheNearestWholeNumber(int128 a, uint64 d) external pure {
        d = uint64(bound(d, 1, type(uint64).max));
        int256 q = NumberRules.rdiv(a, d);
        int256 twiceRest = 2 * (int256(a) - q * int256(uint256(d)));
        assertLe(twiceRest, int256(uint256(d)));
        assertGe(twiceRest, -int256(uint256(d)));
        if (a > 0) assertLt(twiceRest, int256(uint256(d)));
        if (a < 0) assertGt(twiceRest, -int256(uint256(d)));
    }

    // clamp

    function test_clamp_WhenWithinTheLimits_ItChangesNothing() external pure {
        assertEq(NumberRules.clamp(LIMIT), LIMIT);
        assertEq(NumberRules.clamp(-LIMIT), -LIMIT);
        assertEq(NumberRules.clamp(-17), -17);
    }

    function test_clamp_WhenAbove_ItGivesTheUpperLimit() external pure {
        assertEq(NumberRules.clamp(LIMIT + 1), LIMIT);
    }

    function test_clamp_WhenBelow_ItGivesTheLowerLimit() external pure {
        assertEq(NumberRules.clamp(-LIMIT - 1), -LIMIT);
    }

    // clip

    function test_clip_WhenTheFactorIsOne_ItChangesNothing() external pure {
        assertEq(NumberRules.clip(-2_147_483_648, 65_536), -2_147_483_648);
    }

    function test_clip_WhenTheFactorIsLess_ItScalesAndRounds() external pure {
        assertEq(NumberRules.clip(3, 32_768), 2);
        assertEq(NumberRules.clip(-3, 32_768), -2);
        assertEq(NumberRules.clip(1000, 0), 0);
    }

    function testFuzz_clip_AtOneAgreesWithTheRule(int32 v) external pure {
        assertEq(NumberRules.clip(v, 65_536), NumberRules.rdiv(65_536 * int256(v), 65_536));
    }

    // step

    function test_step_WithoutMomentum_ItAddsTheScaledMean() external pure {
        (int256 state, int256 momentum) = NumberRules.step(100, 0, 15, 0, 32_768);
        assertEq(state, 108);
        assertEq(momentum, 15);
    }

    function test_step_WithMomentum_ItAddsTheDecayedOldOne() external pure {
        (int256 state, int256 momentum) = NumberRules.step(100, -8, 15, 32_768, 131_072);
        assertEq(momentum, 11);
        assertEq(state, 122);
    }

    function test_step_WhenMomentumPassesTheLimit_ItIsClampedBeforeTheRate() external pure {
        (int256 state, int256 momentum) = NumberRules.step(0, LIMIT, LIMIT, 65_536, 32_768);
        assertEq(momentum, LIMIT);
        assertEq(state, 1_073_741_824);
    }

    function test_step_WhenTheStatePassesTheLimit_ItIsClamped() external pure {
        (int256 state,) = NumberRules.step(LIMIT, 0, 1, 0, 65_536);
        assertEq(state, LIMIT);
        (state,) = NumberRules.step(-LIMIT, 0, -LIMIT, 0, 2 ** 24);
        assertEq(state, -LIMIT);
    }
}
