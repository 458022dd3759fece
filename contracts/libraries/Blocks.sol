// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {NumberRules} from "./NumberRules.sol";
import {Packed} from "./Packed.sol";

/// @title Encoded blocks of 32 values
/// @notice Decoding and refusal as in protocol.md section 2. The empty block is 32 zeros in every encoding.
library Blocks {
    uint8 internal constant RAW32 = 0; // 32 x int32
    uint8 internal constant BFP8 = 1; // shift, 32 x int8
    uint8 internal constant BFP4 = 2; // shift, 32 x 4-bit two's complement, high nibble first

    /// @notice Values in a block.
    uint256 internal constant VALUES = 32;

    /// @notice Bytes of a raw32 block, and so of a block of the state.
    uint256 internal constant RAW_BYTES = 128;

    uint256 internal constant BFP8_BYTES = 33;
    uint256 internal constant BFP4_BYTES = 17;

    uint256 private constant MAX_SHIFT = 31;

    uint256 private constant BYTES_01 = type(uint256).max / 0xff; // 0x0101...01
    uint256 private constant NIBBLES_1 = type(uint256).max / 0xf; // 0x1111...11

    /// @notice Whether the protocol knows this encoding.
    function known(uint8 encoding) internal pure returns (bool) {
        return encoding <= BFP4;
    }

    /// @notice Whether a decoder accepts the block: its length, its shift, and no mantissa of -128 (bfp8) or -8 (bfp4).
    /// @param encoding A known one.
    function decodes(uint8 encoding, bytes calldata data) internal pure returns (bool) {
        if (data.length == 0) return true;
        if (encoding == RAW32) return data.length == RAW_BYTES;
        if (data.length != (encoding == BFP8 ? BFP8_BYTES : BFP4_BYTES) || uint8(data[0]) > MAX_SHIFT) return false;

        // 1 is taken from every digit at once. The lowest zero digit borrows, so its top bit comes out set though it
        // was clear. Without a zero digit none borrows, and no clear top bit comes out set.
        uint256 mantissas = Packed.wordAt(data, 1);
        unchecked {
            if (encoding == BFP8) {
                uint256 zeroWhereMin = mantissas ^ (BYTES_01 << 7);
                return (zeroWhereMin - BYTES_01) & ~zeroWhereMin & (BYTES_01 << 7) == 0;
            } else {
                // The low half lies beyond the block; ones there are no zero digits.
                uint256 zeroWhereMin = (mantissas ^ (NIBBLES_1 << 3)) | type(uint128).max;
                return (zeroWhereMin - NIBBLES_1) & ~zeroWhereMin & (NIBBLES_1 << 3) == 0;
            }
        }
    }

    /// @notice One value of a block; 0 if a decoder refuses it.
    /// @param encoding A known one.
    /// @param coordinate 0 to 31.
    function valueAt(uint8 encoding, bytes calldata data, uint256 coordinate) internal pure returns (int256) {
        if (data.length == 0 || !decodes(encoding, data)) return 0;
        return _valueAt(encoding, data, coordinate);
    }

    /// @notice Sum of the squared values of a block, below 2^68; 0 if a decoder refuses it.
    /// @param encoding A known one.
    function energy(uint8 encoding, bytes calldata data) internal pure returns (uint256 sum) {
        if (data.length == 0 || !decodes(encoding, data)) return 0;
        unchecked {
            for (uint256 c; c < VALUES; ++c) {
                int256 v = _valueAt(encoding, data, c);
                sum += uint256(v * v);
            }
        }
    }

    /// @dev Of a block that is not empty and decodes.
    function _valueAt(uint8 encoding, bytes calldata data, uint256 coordinate) private pure returns (int256) {
        unchecked {
            if (encoding == RAW32) return int256(Packed.wordAt(data, 4 * coordinate)) >> 224;
            int256 mantissa = encoding == BFP8
                ? int256(Packed.wordAt(data, 1 + coordinate)) >> 248
                : int256(Packed.wordAt(data, 1) << (4 * coordinate)) >> 252;
            return NumberRules.clamp(mantissa << uint8(data[0]));
        }
    }
}
