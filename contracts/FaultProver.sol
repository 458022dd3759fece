// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFaultProver, Step} from "./interfaces/IFaultProver.sol";
import {Blocks} from "./libraries/Blocks.sol";
import {NumberRules} from "./libraries/NumberRules.sol";
import {Packed} from "./libraries/Packed.sol";
import {RuleLib} from "./libraries/RuleLib.sol";
import {Trees} from "./libraries/Trees.sol";

/// @title FaultProver
/// @notice Holds no state, no tokens and no rights; anyone may call it, and try a proof before sending it.
/// @dev Offsets are those of the tables in the interface.
contract FaultProver is IFaultProver {
    using Packed for bytes;

    uint256 private constant MAX_UPDATES = 256;

    /// @dev The subject of an arithmetic proof, and the offsets of its parts that have no fixed place.
    struct Layout {
        uint256 n;
        uint256 blockIndex;
        uint256 coordinate;
        uint256 table;
        uint256 path;
        uint256 updates;
    }

    uint256 private constant COORDINATE = 4;
    uint256 private constant STATES = 5;
    uint256 private constant TABLE_ENTRY_BYTES = 6;

    uint256 private constant POSITION = 49;
    uint256 private constant LEVELS = 53;
    uint256 private constant ENERGY_PATH = 54;
    uint256 private constant ENERGY_PATH_ENTRY_BYTES = 56;

    /// @inheritdoc IFaultProver
    function checkArithmetic(
        Step calldata step,
        bytes32 transcriptRoot,
        bytes32 tableHash,
        uint256 n,
        bytes calldata proof
    ) external pure {
        if (!RuleLib.supported(step.rule)) revert RuleUnsupported(step.rule);
        if (!Blocks.known(step.encoding)) revert EncodingUnknown(step.encoding);
        if (n == 0 || n > MAX_UPDATES) revert WrongUpdateCount(n);
        Layout memory layout = _layout(step, n, proof);

        bytes32 computed = Trees.hashOfTable(proof[layout.table:layout.path]);
        if (computed != tableHash) revert TableMismatch(tableHash, computed);
        bytes32 leaf = _transcriptLeaf(layout, proof);
        computed = Trees.rootAbove(leaf, layout.blockIndex, proof[layout.path:layout.updates]);
        if (computed != transcriptRoot) revert TranscriptMismatch(transcriptRoot, computed);

        _requireWrong(step, layout, _weightedMean(step.encoding, layout, proof), proof);
    }

    /// @inheritdoc IFaultProver
    function checkMalformed(Step calldata step, bytes32 updateRoot, bytes calldata proof) external pure {
        if (!Blocks.known(step.encoding)) revert EncodingUnknown(step.encoding);
        if (proof.length < POSITION) revert WrongProofLength(POSITION, proof.length);
        bytes32 computed = Trees.updateRoot(proof[:POSITION]);
        if (computed != updateRoot) revert UpdateRootMismatch(updateRoot, computed);
        if (proof.uintAt(44, 1) != step.encoding || proof.uintAt(45, 4) != step.blockCount) {
            if (proof.length != POSITION) revert WrongProofLength(POSITION, proof.length);
            return;
        }

        (uint256 position, uint256 levels) = _nodePosition(Trees.depth(step.blockCount), proof);
        bytes calldata preimage = proof[ENERGY_PATH + levels * ENERGY_PATH_ENTRY_BYTES:];
        computed = _treeHash(keccak256(preimage), position, levels, proof);
        if (computed != bytes32(proof)) revert TreeMismatch(bytes32(proof), computed);

        (uint256 energy, bool sound) = _descend(position, levels, proof);
        sound = sound
            && (levels == Trees.depth(step.blockCount)
                    ? _isLeaf(step, position, energy, preimage)
                    : _isInnerNode(energy, preimage));
        if (sound) revert UpdateHolds();
    }

    /// @dev Checks that need no hashing.
    function _layout(Step calldata step, uint256 n, bytes calldata proof) private pure returns (Layout memory layout) {
        unchecked {
            layout.n = n;
            layout.table = STATES + (step.beta > 0 ? 4 : 2) * Blocks.RAW_BYTES;
            layout.path = layout.table + n * TABLE_ENTRY_BYTES;
            layout.updates = layout.path + Trees.depth(step.blockCount) * 32;
        }
        if (proof.length < layout.updates) revert WrongProofLength(layout.updates, proof.length);

        layout.blockIndex = proof.uintAt(0, 4);
        if (layout.blockIndex >= step.blockCount) revert BlockOutOfRange(layout.blockIndex, step.blockCount);
        layout.coordinate = proof.uintAt(COORDINATE, 1);
        if (layout.coordinate >= Blocks.VALUES) revert CoordinateOutOfRange(layout.coordinate);
    }

    /// @dev keccak(0x04 || leaf of each state block || leaf of each update's block). Also checks that the updates end
    /// exactly at the proof's end.
    function _transcriptLeaf(Layout memory layout, bytes calldata proof) private pure returns (bytes32) {
        unchecked {
            uint256 states = (layout.table - STATES) / Blocks.RAW_BYTES;
            bytes memory preimage = new bytes(1 + 32 * (states + layout.n));
            preimage[0] = Trees.TRANSCRIPT_LEAF;

            uint256 hashAt = 1;
            for (uint256 at = STATES; at < layout.table; at += Blocks.RAW_BYTES) {
                _put(preimage, hashAt, Trees.leaf(proof[at:at + Blocks.RAW_BYTES]));
                hashAt += 32;
            }
            uint256 end = layout.updates;
            for (uint256 i; i < layout.n; ++i) {
                bytes calldata data = _blockAt(end, proof);
                _put(preimage, hashAt, Trees.leaf(data));
                hashAt += 32;
                end += 2 + data.length;
            }
            if (end != proof.length) revert WrongProofLength(end, proof.length);
            return keccak256(preimage);
        }
    }

    /// @dev FedAvg's mean of the proof's coordinate over clipped updates.
    function _weightedMean(uint8 encoding, Layout memory layout, bytes calldata proof) private pure returns (int256) {
        unchecked {
            // From zero.
            // slither-disable-next-line uninitialized-local
            int256 sum;
            // From zero.
            // slither-disable-next-line uninitialized-local
            uint256 weights;
            uint256 at = layout.updates;
            for (uint256 i; i < layout.n; ++i) {
                uint256 entry = proof.uintAt(layout.table + i * TABLE_ENTRY_BYTES, TABLE_ENTRY_BYTES);
                bytes calldata data = _blockAt(at, proof);
                int256 value = Blocks.valueAt(encoding, data, layout.coordinate);
                sum += int256(entry >> 24) * NumberRules.clip(value, entry & 0xffffff);
                weights += entry >> 24;
                at += 2 + data.length;
            }
            if (weights == 0) revert NoWeight();
            return NumberRules.rdiv(sum, weights);
        }
    }

    /// @dev Takes the server step and compares it with what was posted.
    function _requireWrong(Step calldata step, Layout memory layout, int256 mean, bytes calldata proof) private pure {
        int256 oldMomentum = step.beta > 0 ? _stateValue(2, layout, proof) : int256(0);
        (int256 state, int256 momentum) =
            NumberRules.step(_stateValue(0, layout, proof), oldMomentum, mean, step.beta, step.lr);

        bool holds = _stateValue(1, layout, proof) == state;
        if (step.beta > 0) holds = holds && _stateValue(3, layout, proof) == momentum;
        if (holds) revert ArithmeticHolds(layout.blockIndex, layout.coordinate, state, momentum);
    }

    /// @dev The coordinate's value in a state block of the proof: old state (0), new (1), old momentum (2), new (3).
    function _stateValue(uint256 which, Layout memory layout, bytes calldata proof) private pure returns (int256) {
        unchecked {
            uint256 at = STATES + which * Blocks.RAW_BYTES;
            return Blocks.valueAt(Blocks.RAW32, proof[at:at + Blocks.RAW_BYTES], layout.coordinate);
        }
    }

    /// @dev The update's block whose length stands at `at`.
    function _blockAt(uint256 at, bytes calldata proof) private pure returns (bytes calldata data) {
        unchecked {
            uint256 start = at + 2;
            uint256 end = start + proof.uintAt(at, 2);
            if (end > proof.length) revert WrongProofLength(end, proof.length);
            return proof[start:end];
        }
    }

    /// @dev `offset` counts from the first byte of `target`, which must be long enough.
    function _put(bytes memory target, uint256 offset, bytes32 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(target, 32), offset), word)
        }
    }

    /// @dev The position of the proof's node in an update tree; the rest of the proof is its preimage.
    function _nodePosition(uint256 depth, bytes calldata proof)
        private
        pure
        returns (uint256 position, uint256 levels)
    {
        unchecked {
            position = proof.uintAt(POSITION, 4);
            levels = proof.uintAt(LEVELS, 1);
            uint256 shortest = ENERGY_PATH + levels * ENERGY_PATH_ENTRY_BYTES;
            if (proof.length < shortest) revert WrongProofLength(shortest, proof.length);
            if (levels > depth) revert PathTooLong(levels, depth);
            if (position >> levels != 0) revert PositionOutOfRange(position, levels);
        }
    }

    /// @dev Root of the update tree in which `hash` stands at `position`, `levels` below the root.
    function _treeHash(bytes32 hash, uint256 position, uint256 levels, bytes calldata proof)
        private
        pure
        returns (bytes32)
    {
        unchecked {
            for (uint256 i; i < levels; ++i) {
                uint256 at = ENERGY_PATH + i * ENERGY_PATH_ENTRY_BYTES;
                bytes32 sibling = bytes32(proof.wordAt(at));
                uint192 energies = uint192(proof.uintAt(at + 32, 24));
                hash = (position >> i) & 1 == 0
                    ? Trees.energyNode(hash, sibling, energies)
                    : Trees.energyNode(sibling, hash, energies);
            }
        }
        return hash;
    }

    /// @dev Goes from the root's energy down to that of the node at `position`. Sums of two energies are taken in 256
    /// bits, so one beyond 96 bits adds up to nothing that a node can carry.
    /// @return energy The node's energy as the tree gives it.
    /// @return addUp Whether on every level the two energies add up to the one above.
    function _descend(uint256 position, uint256 levels, bytes calldata proof)
        private
        pure
        returns (uint256 energy, bool addUp)
    {
        energy = proof.uintAt(32, 12);
        addUp = true;
        unchecked {
            while (levels-- > 0) {
                uint256 at = ENERGY_PATH + levels * ENERGY_PATH_ENTRY_BYTES + 32;
                uint256 left = proof.uintAt(at, 12);
                uint256 right = proof.uintAt(at + 12, 12);
                if (left + right != energy) addUp = false;
                energy = (position >> levels) & 1 == 0 ? left : right;
            }
        }
    }

    /// @dev Whether an honest tree can have this preimage at its leaf `position`, with this energy.
    function _isLeaf(Step calldata step, uint256 position, uint256 energy, bytes calldata preimage)
        private
        pure
        returns (bool)
    {
        if (preimage.length == 0 || preimage[0] != Trees.LEAF) return false;
        bytes calldata data = preimage[1:];
        if (position >= step.blockCount) return data.length == 0 && energy == 0;
        return Blocks.decodes(step.encoding, data) && Blocks.energy(step.encoding, data) == energy;
    }

    /// @dev Whether an honest tree can have this preimage at an inner node with this energy.
    function _isInnerNode(uint256 energy, bytes calldata preimage) private pure returns (bool) {
        if (preimage.length != Trees.ENERGY_NODE_BYTES || preimage[0] != Trees.ENERGY_NODE) return false;
        return preimage.uintAt(65, 12) + preimage.uintAt(77, 12) == energy;
    }
}
