// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {BitCounters} from "../../../contracts/libraries/BitCounters.sol";
import {LibraryHarness} from "../../support/contracts/LibraryHarness.sol";

contract BitCountersTest is Test {
    uint256 private constant ALL = type(uint256).max;

    LibraryHarness private sets = new LibraryHarness();

    // inAtLeast

    function test_inAtLeast_WhenTheThresholdIsZero_ItIsEverySlot() external view {
        assertEq(sets.inAtLeast(new uint256[](0), 0), ALL);
    }

    function test_inAtLeast_WhenThereAreNoBitmaps_ItIsNone() external view {
        assertEq(sets.inAtLeast(new uint256[](0), 1), 0);
    }

    function test_inAtLeast_Otherwise_ItIsTheSlotsThatEnoughContain() external view {
        uint256[] memory bitmaps = new uint256[](3);
        bitmaps[0] = (1 << 255) | 7;
        bitmaps[1] = (1 << 255) | 3;
        bitmaps[2] = (1 << 254) | 1;
        assertEq(sets.inAtLeast(bitmaps, 1), (3 << 254) | 7);
        assertEq(sets.inAtLeast(bitmaps, 2), (1 << 255) | 3);
        assertEq(sets.inAtLeast(bitmaps, 3), 1);
        assertEq(sets.inAtLeast(bitmaps, 4), 0);
    }

    function testFuzz_inAtLeast_AgreesWithALoop(uint256[31] calldata words, uint256 size) external view {
        size = bound(size, 0, 31);
        uint256[] memory bitmaps = new uint256[](size);
        uint8[256] memory counts;
        for (uint256 i; i < size; ++i) {
            bitmaps[i] = words[i];
            for (uint256 s; s < 256; ++s) {
                if ((words[i] >> s) & 1 == 1) ++counts[s];
            }
        }
        for (uint256 threshold; threshold < 32; ++threshold) {
            uint256 expected;
            for (uint256 s; s < 256; ++s) {
                if (counts[s] >= threshold) expected |= 1 << s;
            }
            assertEq(sets.inAtLeast(bitmaps, threshold), expected);
        }
    }

    /// @dev Read by `make gas`-like comparisons: a post counts up to 16 attestations.
    function test_inAtLeast_Of16CostsLessThan8000Gas() external view {
        uint256[] memory bitmaps = new uint256[](16);
        for (uint256 i; i < 16; ++i) {
            bitmaps[i] = uint256(keccak256(abi.encode(i)));
        }
        uint256 before = gasleft();
        BitCounters.inAtLeast(bitmaps, 9);
        assertLt(before - gasleft(), 8000);
    }

    // count

    function test_count_WhenEmpty_ItIsZero() external view {
        assertEq(sets.count(0), 0);
    }

    function test_count_WhenFull_ItIs256() external view {
        assertEq(sets.count(ALL), 256);
    }

    function testFuzz_count_AgreesWithALoop(uint256 bitmap) external view {
        uint256 expected;
        for (uint256 s; s < 256; ++s) {
            expected += (bitmap >> s) & 1;
        }
        assertEq(sets.count(bitmap), expected);
    }

    // has

    function test_has_ItIsTrueForMembersOnly() external view {
        assertTrue(sets.has(1 << 255, 255));
        assertFalse(sets.has(1 << 255, 254));
        assertFalse(sets.has(ALL, 256));
    }

    // rank

    function test_rank_ItCountsLowerMembersOnly() external view {
        assertEq(sets.rank(ALL, 0), 0);
        assertEq(sets.rank(ALL, 255), 255);
        assertEq(sets.rank(0x29, 5), 2);
        assertEq(sets.rank(0x29, 4), 2);
    }

    // nth

    function test_nth_WhenThereAreTooFew_ItReverts() external {
        vm.expectRevert(abi.encodeWithSelector(BitCounters.NoSuchMember.selector, 2, 2));
        sets.nth(0x21, 2);
    }

    function testFuzz_nth_Otherwise_ItIsTheInverseOfRank(uint256 bitmap, uint256 n) external view {
        bitmap |= 1 << (bitmap % 256);
        n = bound(n, 0, sets.count(bitmap) - 1);
        uint256 slot = sets.nth(bitmap, n);
        assertTrue(sets.has(bitmap, slot));
        assertEq(sets.rank(bitmap, slot), n);
    }

    function test_nth_WhenFull_ItIsTheNumberItself() external view {
        for (uint256 n; n < 256; ++n) {
            assertEq(sets.nth(ALL, n), n);
        }
    }

    // lowest

    function test_lowest_WhenEmpty_ItIsZero() external view {
        assertEq(sets.lowest(0), 0);
    }

    function test_lowest_Otherwise_ItIsTheLowestMember() external view {
        for (uint256 s; s < 256; ++s) {
            assertEq(sets.lowest(1 << s), s);
            assertEq(sets.lowest(ALL << s), s);
        }
    }
}
