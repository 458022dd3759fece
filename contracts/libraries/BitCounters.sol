// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Sets of up to 256 slots
/// @notice A bitmap is one word; slot i is bit i, the lowest first.
library BitCounters {
    /// @notice The set has fewer members than asked for.
    error NoSuchMember(uint256 members, uint256 n);

    /// @notice Slots that at least `threshold` of the bitmaps contain.
    /// @dev Counts 256 slots at once: bit i of the words `ones` to `sixteens` is slot i's count in binary.
    /// @param bitmaps At most 31, so that no count passes five bits.
    /// @param threshold 0 to 31.
    function inAtLeast(uint256[] memory bitmaps, uint256 threshold) internal pure returns (uint256 slots) {
        // All five start at zero.
        // slither-disable-start uninitialized-local
        uint256 ones;
        uint256 twos;
        uint256 fours;
        uint256 eights;
        uint256 sixteens;
        // slither-disable-end uninitialized-local
        unchecked {
            for (uint256 i; i < bitmaps.length; ++i) {
                uint256 carry = bitmaps[i];
                (ones, carry) = (ones ^ carry, ones & carry);
                (twos, carry) = (twos ^ carry, twos & carry);
                (fours, carry) = (fours ^ carry, fours & carry);
                (eights, carry) = (eights ^ carry, eights & carry);
                sixteens ^= carry;
            }
        }

        // From the lowest bit up: a higher bit overrules the lower ones where it differs from the threshold's.
        slots = type(uint256).max;
        slots = threshold & 1 == 0 ? slots | ones : slots & ones;
        slots = threshold & 2 == 0 ? slots | twos : slots & twos;
        slots = threshold & 4 == 0 ? slots | fours : slots & fours;
        slots = threshold & 8 == 0 ? slots | eights : slots & eights;
        slots = threshold & 16 == 0 ? slots | sixteens : slots & sixteens;
    }

    /// @notice Members of a set, 0 to 256.
    function count(uint256 bitmap) internal pure returns (uint256) {
        unchecked {
            bitmap -= (bitmap >> 1) & (type(uint256).max / 3);
            bitmap = (bitmap & (type(uint256).max / 5)) + ((bitmap >> 2) & (type(uint256).max / 5));
            bitmap = (bitmap + (bitmap >> 4)) & (type(uint256).max / 17);
            // 16-bit lanes from here on: a byte cannot hold the count of 256.
            bitmap = (bitmap & (type(uint256).max / 257)) + ((bitmap >> 8) & (type(uint256).max / 257));
            // The quotient is exact: 1 in each lane, whose product is the sum of all lanes in the highest.
            // slither-disable-next-line divide-before-multiply
            return (bitmap * (type(uint256).max / 65_535)) >> 240;
        }
    }

    /// @notice Whether the set contains `slot`.
    function has(uint256 bitmap, uint256 slot) internal pure returns (bool) {
        return (bitmap >> slot) & 1 == 1;
    }

    /// @notice Members below `slot`: where in a list in slot order this slot's entry stands.
    /// @param slot 0 to 255.
    function rank(uint256 bitmap, uint256 slot) internal pure returns (uint256) {
        unchecked {
            return count(bitmap & ((1 << slot) - 1));
        }
    }

    /// @notice The member with `n` members below it: the inverse of `rank`.
    /// @dev Takes the lowest away `n` times: those who ask know few members, or want one of the first.
    function nth(uint256 bitmap, uint256 n) internal pure returns (uint256 slot) {
        uint256 left = bitmap;
        unchecked {
            for (uint256 i; i < n && left != 0; ++i) {
                left &= left - 1;
            }
        }
        if (left == 0) revert NoSuchMember(count(bitmap), n);
        return lowest(left);
    }

    /// @notice The lowest member of a set that is not empty; 0 for the empty set too.
    function lowest(uint256 bitmap) internal pure returns (uint256 slot) {
        unchecked {
            return Math.log2(bitmap & (0 - bitmap));
        }
    }
}
