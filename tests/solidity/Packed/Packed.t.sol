// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {LibraryHarness} from "../../support/contracts/LibraryHarness.sol";

contract PackedTest is Test {
    LibraryHarness private packed = new LibraryHarness();

    function test_wordAt_ItReadsBigEndianFromTheOffset() external view {
        bytes memory data = abi.encodePacked(hex"aabb", uint256(7), hex"ff");
        assertEq(packed.wordAt(data, 2), 7);
        assertEq(packed.wordAt(data, 3), (7 << 8) | 0xff);
    }

    function testFuzz_uintAt_ReadsEverySize(uint8 a, uint24 b, uint48 c, uint96 d, uint192 e, uint256 f) external view {
        bytes memory data = abi.encodePacked(a, b, c, d, e, f);
        assertEq(packed.uintAt(data, 0, 1), a);
        assertEq(packed.uintAt(data, 1, 3), b);
        assertEq(packed.uintAt(data, 4, 6), c);
        assertEq(packed.uintAt(data, 10, 12), d);
        assertEq(packed.uintAt(data, 22, 24), e);
        assertEq(packed.uintAt(data, 46, 32), f);
    }
}
