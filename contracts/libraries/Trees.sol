// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Packed} from "./Packed.sol";

/// @title Commitments
/// @notice The keccak trees and hashes of protocol.md section 3. The first byte keeps each kind of preimage apart from
/// all others. Leaves are padded with the empty block's to the next power of two, and proofs are positional: which side
/// a node hangs on is a bit of its position.
/// @dev Preimages are laid out beyond the free memory pointer and forgotten once hashed.
library Trees {
    /// @notice Blocks that a model may have at most.
    uint256 internal constant MAX_BLOCKS = 1 << 28;

    /// @notice Leaf of the empty block, which pads every tree.
    bytes32 internal constant EMPTY_LEAF = keccak256(hex"00");

    /// @notice First byte of a leaf's preimage.
    bytes1 internal constant LEAF = 0x00;

    /// @notice First byte of an update tree's inner node.
    bytes1 internal constant ENERGY_NODE = 0x02;

    /// @notice Length of the preimage of an update tree's inner node: first byte, two hashes, two energies.
    uint256 internal constant ENERGY_NODE_BYTES = 89;

    /// @notice First byte of a transcript's leaf.
    bytes1 internal constant TRANSCRIPT_LEAF = 0x04;

    /// @notice Levels below the root of a tree over `blockCount` leaves: 0 for one leaf.
    function depth(uint256 blockCount) internal pure returns (uint256 levels) {
        unchecked {
            while ((1 << levels) < blockCount) ++levels;
        }
    }

    /// @notice keccak(0x00 || data).
    function leaf(bytes calldata data) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let preimage := mload(0x40)
            mstore8(preimage, 0x00)
            calldatacopy(add(preimage, 1), data.offset, data.length)
            hash := keccak256(preimage, add(data.length, 1))
        }
    }

    /// @notice keccak(0x01 || left || right), a node of a state or transcript tree.
    function node(bytes32 left, bytes32 right) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let preimage := mload(0x40)
            mstore8(preimage, 0x01)
            mstore(add(preimage, 1), left)
            mstore(add(preimage, 33), right)
            hash := keccak256(preimage, 65)
        }
    }

    /// @notice keccak(0x02 || left || right || energies), a node of an update tree.
    /// @param energies Left and right, 96 bits each.
    function energyNode(bytes32 left, bytes32 right, uint192 energies) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let preimage := mload(0x40)
            mstore8(preimage, 0x02)
            mstore(add(preimage, 1), left)
            mstore(add(preimage, 33), right)
            mstore(add(preimage, 65), shl(64, energies))
            hash := keccak256(preimage, 89)
        }
    }

    /// @notice Root of the state or transcript tree in which `hash` is the leaf at `position`.
    /// @param path Siblings of 32 bytes each, the leaf's first.
    function rootAbove(bytes32 hash, uint256 position, bytes calldata path) internal pure returns (bytes32) {
        unchecked {
            for (uint256 at; at < path.length; at += 32) {
                bytes32 sibling = bytes32(Packed.wordAt(path, at));
                hash = position & 1 == 0 ? node(hash, sibling) : node(sibling, hash);
                position >>= 1;
            }
        }
        return hash;
    }

    /// @notice Root of a state tree of `blockCount` blocks of zeros: the momentum that a job starts from.
    /// @dev On each level stand nodes over zero blocks alone, then at most one over the last zero blocks and padding
    /// (`edge`), then padding alone.
    function zeroStateRoot(uint256 blockCount) internal pure returns (bytes32) {
        bytes32 zeros = keccak256(new bytes(129));
        bytes32 padding = EMPTY_LEAF;
        // Zero = none yet.
        // slither-disable-next-line uninitialized-local
        bytes32 edge;

        for (uint256 level = 1 << depth(blockCount); level > 1; level >>= 1) {
            bool odd = blockCount & 1 == 1;
            if (edge != 0) edge = odd ? node(zeros, edge) : node(edge, padding);
            else if (odd) edge = node(zeros, padding);
            zeros = node(zeros, zeros);
            padding = node(padding, padding);
            blockCount >>= 1;
        }
        return edge != 0 ? edge : zeros;
    }

    /// @notice A worker's commitment: its tree, the energy of all leaves, and how to read them.
    /// @param fields treeHash (32), energy (12), encoding (1), blockCount (4).
    function updateRoot(bytes calldata fields) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x03), fields));
    }

    /// @notice Hash of a result's weights and factors, 3 bytes each, in slot order.
    function hashOfTable(bytes calldata table) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x05), table));
    }

    /// @notice The seal that a worker publishes while submissions are open: binds the update root to one chain, round
    /// and worker, so that it cannot be copied.
    function sealedRoot(address coordinator, uint64 job, uint64 serial, address worker, bytes32 root)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, coordinator, job, serial, worker, root));
    }
}
