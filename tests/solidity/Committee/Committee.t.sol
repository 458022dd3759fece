// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Committee} from "../../../contracts/libraries/Committee.sol";
import {LibraryHarness} from "../../support/contracts/LibraryHarness.sol";

contract CommitteeTest is Test {
    LibraryHarness private committee = new LibraryHarness();

    function test_draw_WhenUpTo16Submitted_ItIsAllOfThem() external view {
        assertEq(committee.draw(0, bytes32("seed")), 0);
        assertEq(committee.draw(0x5, bytes32("seed")), 0x5);
        assertEq(committee.draw(0xffff << 240, bytes32("seed")), 0xffff << 240);
    }

    function test_draw_WhenAFewMoreSubmitted_ItIsThe16Lowest() external view {
        for (uint256 i; i < 40; ++i) {
            bytes32 seed = keccak256(abi.encode(i));
            assertEq(committee.draw(0x1ffff, seed), _slow(0x1ffff, seed));
            assertEq(committee.draw(type(uint40).max, seed), _slow(type(uint40).max, seed));
        }
    }

    function testFuzz_draw_WhenManyMoreSubmitted_ItIsThe16Lowest(uint256 submitted, bytes32 seed) external view {
        assertEq(committee.draw(submitted, seed), _slow(submitted, seed));
    }

    /// @dev With this seed 15 of 256 hashes lie below the ceiling of the first pass (found by search).
    function test_draw_WhenTheFirstPassFindsTooFew_ItLooksAgain() external view {
        bytes32 seed = bytes32(uint256(21_615));
        uint256 ceiling = type(uint256).max / 256 * 40;
        uint256 below;
        for (uint256 slot; slot < 256; ++slot) {
            if (uint256(keccak256(abi.encode(seed, slot))) < ceiling) ++below;
        }
        assertLt(below, 16);
        assertEq(committee.draw(type(uint256).max, seed), _slow(type(uint256).max, seed));
    }

    function test_draw_Of256CostsLessThan60000Gas() external view {
        uint256 before = gasleft();
        Committee.draw(type(uint256).max, bytes32("seed"));
        assertLt(before - gasleft(), 60_000);
    }

    /// @dev Takes the lowest hash 16 times.
    function _slow(uint256 submitted, bytes32 seed) private pure returns (uint256 drawn) {
        bytes32[256] memory hashes;
        uint256 members;
        for (uint256 slot; slot < 256; ++slot) {
            hashes[slot] = keccak256(abi.encode(seed, slot));
            members += (submitted >> slot) & 1;
        }
        if (members <= 16) return submitted;
        for (uint256 seat; seat < 16; ++seat) {
            uint256 best = 256;
            for (uint256 slot; slot < 256; ++slot) {
                if (((submitted & ~drawn) >> slot) & 1 == 0) continue;
                if (best == 256 || hashes[slot] < hashes[best]) best = slot;
            }
            drawn |= 1 << best;
        }
    }
}
