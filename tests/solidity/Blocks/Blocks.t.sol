// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {LibraryHarness} from "../../support/contracts/LibraryHarness.sol";
import {Openings} from "../support/Openings.sol";

contract BlocksTest is Test {
    uint8 private constant RAW32 = 0;
    uint8 private constant BFP8 = 1;
    uint8 private constant BFP4 = 2;

    LibraryHarness private blocks = new LibraryHarness();

    // known

    function test_known_ItIsTrueForTheThreeEncodings() external view {
        assertTrue(blocks.known(RAW32));
        assertTrue(blocks.known(BFP8));
        assertTrue(blocks.known(BFP4));
        assertFalse(blocks.known(3));
        assertFalse(blocks.known(255));
    }

    // decodes

    function test_decodes_WhenEmpty_ItReturnsTrue() external view {
        for (uint8 encoding; encoding < 3; ++encoding) {
            assertTrue(blocks.decodes(encoding, ""));
        }
    }

    function test_decodes_WhenTheLengthIsAnother_ItReturnsFalse() external view {
        uint8[3] memory lengths = [128, 33, 17];
        for (uint8 encoding; encoding < 3; ++encoding) {
            assertTrue(blocks.decodes(encoding, new bytes(lengths[encoding])));
            assertFalse(blocks.decodes(encoding, new bytes(lengths[encoding] - 1)));
            assertFalse(blocks.decodes(encoding, new bytes(lengths[encoding] + 1)));
            assertFalse(blocks.decodes(encoding, new bytes(1)));
        }
    }

    function test_decodes_WhenRaw_ItReturnsTrueForAnyValues() external view {
        assertTrue(blocks.decodes(RAW32, Openings.flat(type(int32).min)));
    }

    function test_decodes_WhenTheShiftIsOver31_ItReturnsFalse() external view {
        assertTrue(blocks.decodes(BFP8, Openings.flat8(31, 1)));
        assertFalse(blocks.decodes(BFP8, Openings.flat8(32, 1)));
        assertTrue(blocks.decodes(BFP4, Openings.flat4(31, 0x11)));
        assertFalse(blocks.decodes(BFP4, Openings.flat4(255, 0x11)));
    }

    function test_decodes_WhenAnyMantissaIsTheLowest_ItReturnsFalse() external view {
        for (uint256 i; i < 32; ++i) {
            bytes memory data = Openings.flat8(3, 5);
            data[1 + i] = 0x80;
            assertFalse(blocks.decodes(BFP8, data));

            data = Openings.flat4(3, 0x55);
            data[1 + i / 2] = i % 2 == 0 ? bytes1(0x85) : bytes1(0x58);
            assertFalse(blocks.decodes(BFP4, data));
        }
    }

    function test_decodes_WhenMantissasAreNextToTheLowest_ItReturnsTrue() external view {
        assertTrue(blocks.decodes(BFP8, Openings.flat8(0, -127)));
        assertTrue(blocks.decodes(BFP8, Openings.flat8(0, 127)));
        assertTrue(blocks.decodes(BFP4, Openings.flat4(0, 0x97)));
        assertTrue(blocks.decodes(BFP4, Openings.flat4(0, 0x79)));
    }

    /// @dev What stands behind the block in calldata must not decide: 0x88 there is no mantissa.
    function test_decodes_WhenOtherBytesFollow_ItIgnoresThem() external view {
        bytes memory data = abi.encodeCall(blocks.decodes, (BFP4, Openings.flat4(3, 0x55)));
        for (uint256 i = 1; i <= 15; ++i) {
            data[data.length - i] = 0x88;
        }
        (, bytes memory answer) = address(blocks).staticcall(data);
        assertTrue(abi.decode(answer, (bool)));
    }

    function testFuzz_decodes_AgreesWithALoopOverTheMantissas(bytes32 mantissas, uint8 shift) external view {
        bool ok8 = shift <= 31;
        bool ok4 = ok8;
        for (uint256 i; i < 32; ++i) {
            ok8 = ok8 && mantissas[i] != 0x80;
            ok4 = ok4 && (i >= 16 || (uint8(mantissas[i]) >> 4 != 8 && uint8(mantissas[i]) & 15 != 8));
        }
        assertEq(blocks.decodes(BFP8, abi.encodePacked(shift, mantissas)), ok8);
        assertEq(blocks.decodes(BFP4, abi.encodePacked(shift, bytes16(mantissas))), ok4);
    }

    // valueAt

    function test_valueAt_WhenEmpty_ItIsZero() external view {
        for (uint8 encoding; encoding < 3; ++encoding) {
            assertEq(blocks.valueAt(encoding, "", 31), 0);
        }
    }

    function test_valueAt_WhenRefused_ItIsZero() external view {
        assertEq(blocks.valueAt(RAW32, bytes.concat(Openings.flat(7), hex"00"), 0), 0);
        bytes memory data = Openings.flat8(0, 7);
        assertEq(blocks.valueAt(BFP8, data, 0), 7);
        data[32] = 0x80;
        assertEq(blocks.valueAt(BFP8, data, 0), 0);
    }

    function test_valueAt_WhenRaw_ItIsTheInt32() external view {
        bytes memory data = Openings.flat(0);
        for (uint256 i; i < 4; ++i) {
            data[4 * 9 + i] = 0xff;
            data[4 * 31 + i] = bytes1(uint8(i + 1));
        }
        data[0] = 0x80;
        assertEq(blocks.valueAt(RAW32, data, 0), -2_147_483_648);
        assertEq(blocks.valueAt(RAW32, data, 1), 0);
        assertEq(blocks.valueAt(RAW32, data, 9), -1);
        assertEq(blocks.valueAt(RAW32, data, 31), 0x01020304);
    }

    function test_valueAt_WhenBfp8_ItIsTheShiftedMantissa() external view {
        bytes memory data = Openings.flat8(3, 0);
        data[1] = 0x7f;
        data[32] = 0xff;
        assertEq(blocks.valueAt(BFP8, data, 0), 1016);
        assertEq(blocks.valueAt(BFP8, data, 1), 0);
        assertEq(blocks.valueAt(BFP8, data, 31), -8);
    }

    function test_valueAt_WhenBfp4_ItIsTheShiftedNibbleHighFirst() external view {
        bytes memory data = Openings.flat4(2, 0x00);
        data[1] = 0x7f;
        data[16] = 0x91;
        assertEq(blocks.valueAt(BFP4, data, 0), 28);
        assertEq(blocks.valueAt(BFP4, data, 1), -4);
        assertEq(blocks.valueAt(BFP4, data, 30), -28);
        assertEq(blocks.valueAt(BFP4, data, 31), 4);
    }

    function test_valueAt_WhenTheShiftPassesTheLimit_ItIsClamped() external view {
        assertEq(blocks.valueAt(BFP8, Openings.flat8(31, 127), 5), 2_147_483_647);
        assertEq(blocks.valueAt(BFP8, Openings.flat8(31, -1), 5), -2_147_483_647);
        assertEq(blocks.valueAt(BFP8, Openings.flat8(30, -1), 5), -1_073_741_824);
        assertEq(blocks.valueAt(BFP4, Openings.flat4(29, 0x97), 4), -2_147_483_647);
    }

    // energy

    function test_energy_WhenEmpty_ItIsZero() external view {
        assertEq(blocks.energy(RAW32, ""), 0);
    }

    function test_energy_WhenRefused_ItIsZero() external view {
        assertEq(blocks.energy(BFP8, Openings.flat8(32, 1)), 0);
    }

    function test_energy_Otherwise_ItIsTheSumOfSquares() external view {
        assertEq(blocks.energy(RAW32, Openings.flat(-3)), 288);
        assertEq(blocks.energy(RAW32, Openings.flat(type(int32).min)), 2 ** 67);
        assertEq(blocks.energy(BFP8, Openings.flat8(1, 5)), 3200);
        assertEq(blocks.energy(BFP4, Openings.flat4(0, 0x1f)), 32);
    }
}
