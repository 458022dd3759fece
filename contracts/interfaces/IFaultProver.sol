// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @notice The arithmetic that a job fixes at its creation. Fits one storage slot.
struct Step {
    uint32 blockCount; // blocks of 32 values in the model, 1 to 2^28
    uint8 encoding; // of updates: 0 raw32, 1 bfp8, 2 bfp4
    uint8 rule; // 0 FedAvg; 1 TrimmedMean and 2 Median are reserved
    uint8 trim; // values that TrimmedMean drops at either end
    uint32 beta; // momentum, 16.16, 0 to 1.0; 0 means that there is no momentum tree
    uint32 lr; // server learning rate, 16.16, at most 2^24
    uint96 bound2; // bound of an update's energy (squared norm) for clipping, 0 = none
}

/// @title Judge of posted results and of updates
/// @notice Stateless. Each check returns if and only if the fault is proven, and reverts with the reason otherwise.
///
/// Proofs are packed bytes, big-endian, of an exact length, so that a caller can pass them on and hash them without
/// decoding. Nothing in a proof says how deep a tree is or on which side a node hangs: both follow from `blockCount`
/// and the position.
interface IFaultProver {
    /// @notice The proof has another length than its own counts and the job's arithmetic give it.
    error WrongProofLength(uint256 expected, uint256 given);

    /// @notice The block lies beyond the job's `blockCount`, so its values are no part of the model.
    error BlockOutOfRange(uint256 blockIndex, uint256 blockCount);

    /// @notice A block has 32 values, 0 to 31.
    error CoordinateOutOfRange(uint256 coordinate);

    /// @notice A result includes 1 to 256 updates.
    error WrongUpdateCount(uint256 n);

    /// @notice The table supplied hashes to something else than the one posted.
    error TableMismatch(bytes32 posted, bytes32 computed);

    /// @notice The weights in the table add up to zero, so no mean is defined.
    error NoWeight();

    /// @notice The blocks and the path supplied lead to another root than the one posted.
    error TranscriptMismatch(bytes32 posted, bytes32 computed);

    /// @notice The posted value is the right one; nothing is proven.
    error ArithmeticHolds(uint256 blockIndex, uint256 coordinate, int256 state, int256 momentum);

    /// @notice This rule is not computed on chain.
    error RuleUnsupported(uint8 rule);

    /// @notice No such encoding of updates.
    error EncodingUnknown(uint8 encoding);

    /// @notice The preimage supplied hashes to something else than the submission's update root.
    error UpdateRootMismatch(bytes32 submitted, bytes32 computed);

    /// @notice The path has more levels than the job's trees.
    error PathTooLong(uint256 levels, uint256 depth);

    /// @notice A level has `2^levels` nodes; this position is not one of them.
    error PositionOutOfRange(uint256 position, uint256 levels);

    /// @notice The node and the path supplied lead to another tree than the submission's.
    error TreeMismatch(bytes32 submitted, bytes32 computed);

    /// @notice Everything that the proof shows of the update is as it should be; nothing is proven.
    error UpdateHolds();

    /// @notice Proves that one value of a posted result differs from what the rules make of its inputs.
    ///
    /// `proof` is, joined:
    ///
    /// | bytes     | field                                                                  |
    /// |-----------|------------------------------------------------------------------------|
    /// | 4         | `blockIndex`, below `step.blockCount`                                  |
    /// | 1         | `coordinate`, the value in the block to redo, 0 to 31                  |
    /// | 128       | `oldState`                                                             |
    /// | 128       | `newState`                                                             |
    /// | 128       | `oldMomentum`, only where `step.beta > 0`                              |
    /// | 128       | `newMomentum`, only where `step.beta > 0`                              |
    /// | 6 * n     | `table`: weight (3), factor (3) of each included update, in slot order |
    /// | 32 * depth| `path`: siblings in the transcript tree, the leaf's first              |
    /// | n times   | `updates`: length (2), block, in slot order                            |
    ///
    /// A block that a decoder refuses counts as 32 zeros. Factors are taken from the table as posted.
    ///
    /// What it does not prove: that the transcript's blocks are those of the posted roots, of the parent or of the
    /// updates, or that the table is right. A result of which that is untrue cannot be rebuilt, so it is never held.
    /// @param step The job's arithmetic.
    /// @param transcriptRoot As posted.
    /// @param tableHash As posted.
    /// @param n How many updates the result includes, 1 to 256.
    /// @param proof See above.
    function checkArithmetic(
        Step calldata step,
        bytes32 transcriptRoot,
        bytes32 tableHash,
        uint256 n,
        bytes calldata proof
    ) external pure;

    /// @notice Proves that a submitted update root commits to something that no honest worker makes.
    ///
    /// `proof` is, joined:
    ///
    /// | bytes      | field                                                                                   |
    /// |------------|-----------------------------------------------------------------------------------------|
    /// | 32         | `treeHash`                                                                              |
    /// | 12         | `energy`                                                                                |
    /// | 1          | `encoding`                                                                              |
    /// | 4          | `blockCount`; where one of these two is not the job's, the proof ends here              |
    /// | 4          | `position` of a node in its level, from the left, below `2^levels`                      |
    /// | 1          | `levels` from the root down to that node, at most the depth, at which the leaves are    |
    /// | 56 * levels| `path`, the node's level first: sibling's hash (32), left and right energy (12 each)    |
    /// | the rest   | `preimage` of the node's hash                                                           |
    ///
    /// It is proven malformed by any of these:
    /// - encoding or blockCount are not the job's;
    /// - energies on the path do not add up to the energy that the level above (at the top, the root) gives the sum;
    /// - the preimage of an inner node is not `0x02 || left || right || energyLeft || energyRight`, or those energies
    ///   do not add up to the node's;
    /// - the preimage of a leaf is not `0x00 || block` with a block that is empty or decodes, or that block's energy is
    ///   not the leaf's, or the leaf lies at or beyond blockCount and is not empty.
    /// @param step The job's arithmetic; only its encoding and blockCount count here.
    /// @param updateRoot The root that the submission's seal opens to.
    /// @param proof See above.
    function checkMalformed(Step calldata step, bytes32 updateRoot, bytes calldata proof) external pure;
}
