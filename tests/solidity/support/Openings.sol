// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Trees and proofs for tests
/// @notice Written from protocol.md sections 2, 3 and 7 and the tables in IFaultProver; shares no code with the
/// contracts' libraries.
library Openings {
    /// @notice A block of state or raw32 update with the same value 32 times.
    function flat(int32 value) internal pure returns (bytes memory data) {
        for (uint256 i; i < 32; ++i) {
            data = bytes.concat(data, bytes4(uint32(value)));
        }
    }

    /// @notice A bfp8 block with the same mantissa 32 times.
    function flat8(uint8 shift, int8 mantissa) internal pure returns (bytes memory data) {
        data = abi.encodePacked(shift);
        for (uint256 i; i < 32; ++i) {
            data = bytes.concat(data, bytes1(uint8(mantissa)));
        }
    }

    /// @notice A bfp4 block with the same byte, two mantissas, 16 times.
    function flat4(uint8 shift, bytes1 pair) internal pure returns (bytes memory data) {
        data = abi.encodePacked(shift);
        for (uint256 i; i < 16; ++i) {
            data = bytes.concat(data, pair);
        }
    }

    function leaf(bytes memory data) internal pure returns (bytes32) {
        return keccak256(bytes.concat(hex"00", data));
    }

    /// @notice All levels of a state or transcript tree, leaves first.
    function tree(bytes32[] memory leaves) internal pure returns (bytes32[][] memory levels) {
        uint256 depth;
        while (2 ** depth < leaves.length) ++depth;
        levels = new bytes32[][](depth + 1);
        levels[0] = new bytes32[](2 ** depth);
        for (uint256 i; i < 2 ** depth; ++i) {
            levels[0][i] = i < leaves.length ? leaves[i] : keccak256(hex"00");
        }
        for (uint256 l = 1; l <= depth; ++l) {
            levels[l] = new bytes32[](2 ** (depth - l));
            for (uint256 i; i < levels[l].length; ++i) {
                levels[l][i] = keccak256(abi.encodePacked(hex"01", levels[l - 1][2 * i], levels[l - 1][2 * i + 1]));
            }
        }
    }

    function root(bytes32[][] memory levels) internal pure returns (bytes32) {
        return levels[levels.length - 1][0];
    }

    /// @notice Siblings from the leaf up.
    function path(bytes32[][] memory levels, uint256 position) internal pure returns (bytes memory siblings) {
        for (uint256 l; l + 1 < levels.length; ++l) {
            siblings = bytes.concat(siblings, levels[l][position ^ 1]);
            position /= 2;
        }
    }

    /// @notice keccak(0x04 || leaves of the blocks), in the order given.
    function transcriptLeaf(bytes[] memory blocks) internal pure returns (bytes32) {
        bytes memory preimage = hex"04";
        for (uint256 i; i < blocks.length; ++i) {
            preimage = bytes.concat(preimage, leaf(blocks[i]));
        }
        return keccak256(preimage);
    }

    /// @notice A node of an update tree as its parent sees it. An honest one's energy is true, a forged one's anything.
    struct Node {
        bytes32 hash;
        uint96 energy;
    }

    function parentPreimage(Node memory left, Node memory right) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"02", left.hash, right.hash, left.energy, right.energy);
    }

    function parent(Node memory left, Node memory right) internal pure returns (Node memory) {
        unchecked {
            return Node(keccak256(parentPreimage(left, right)), left.energy + right.energy);
        }
    }

    function updateFields(Node memory top, uint8 encoding, uint32 blockCount) internal pure returns (bytes memory) {
        return abi.encodePacked(top.hash, top.energy, encoding, blockCount);
    }

    function updateRoot(bytes memory fields) internal pure returns (bytes32) {
        return keccak256(bytes.concat(hex"03", fields));
    }
}
