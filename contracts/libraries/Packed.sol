// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Fields of packed bytes
/// @notice Big-endian fields at byte offsets. Neither function looks at the length of `data`: beyond its end a field is
/// whatever calldata follows, so the caller checks the length before it concludes anything from the field.
library Packed {
    /// @notice The 32 bytes from `at` on.
    function wordAt(bytes calldata data, uint256 at) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, at))
        }
    }

    /// @notice The unsigned number in the `size` bytes from `at` on.
    /// @param size 1 to 32.
    function uintAt(bytes calldata data, uint256 at, uint256 size) internal pure returns (uint256) {
        unchecked {
            return wordAt(data, at) >> (256 - 8 * size);
        }
    }
}
