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

/// @title Verifier of fraud proofs against posted results and updates
/// @notice Stateless. Each check returns if and only if the fault is proven, and reverts with the reason otherwise.
///
/// Proofs are packed bytes, big-endian, of an exact length, so that a caller can pass them on and hash them without
/// decoding. Nothing in a proof says how deep a tree is or on which side a node hangs: both follow from `blockCount`
/// and the position.
interface IFaultProver {
    /// @notice The proof has another length than its own counts and the job's arithmetic give it.
    /// @dev Cause: bytes are missing or too many, or the proof was built for another job. Cure: build it again.
    error WrongProofLength(uint256 expected, uint256 given);

    /// @notice The block lies beyond the job's `blockCount`, so it is not part of the model.
    /// @dev Cause: `blockIndex` is `blockCount` or more. Cure: choose a block of the model.
    error BlockOutOfRange(uint256 blockIndex, uint256 blockCount);

    /// @notice A block has 32 values, 0 to 31.
    /// @dev Cause: `coordinate` is 32 or more. Cure: count it within its block.
    error CoordinateOutOfRange(uint256 coordinate);

    /// @notice A result includes 1 to 256 updates.
    /// @dev Cause: `n` is 0 or over 256. Cure: give the number of included updates.
    error WrongUpdateCount(uint256 n);

    /// @notice The table supplied hashes to something else than the one posted.
    /// @dev Cause: it is not the table that was posted. Cure: take it from the result's files, in slot order.
    error TableMismatch(bytes32 posted, bytes32 computed);

    /// @notice The weights in the table add up to zero, so no mean is defined.
    /// @dev Cause: every weight in it is zero. Cure: none; this check cannot convict such a table.
    error NoWeight();

    /// @notice The blocks and the path supplied lead to another root than the one posted.
    /// @dev Cause: a block or a sibling is not the posted transcript's. Cure: build the proof from that transcript.
    error TranscriptMismatch(bytes32 posted, bytes32 computed);

    /// @notice The posted value is the right one; nothing is proven.
    /// @dev Cause: the rules give exactly this state and momentum. Cure: choose a coordinate that differs, if any.
    error ArithmeticHolds(uint256 blockIndex, uint256 coordinate, int256 state, int256 momentum);

    /// @notice This rule is not computed on chain.
    /// @dev Cause: `step.rule` is not one that RuleLib supports. Cure: none; jobs cannot have such a rule.
    error RuleUnsupported(uint8 rule);

    /// @notice The encoding of updates is not known.
    /// @dev Cause: `step.encoding` is over 2. Cure: none; jobs cannot have such an encoding.
    error EncodingUnknown(uint8 encoding);

    /// @notice The preimage supplied hashes to something else than the submission's update root.
    /// @dev Cause: its first 49 bytes are of another update. Cure: take them from the worker's own file.
    error UpdateRootMismatch(bytes32 submitted, bytes32 computed);

    /// @notice The path has more levels than the job's trees.
    /// @dev Cause: `levels` is over the depth. Cure: build the path from the update's own tree.
    error PathTooLong(uint256 levels, uint256 depth);

    /// @notice A level has `2^levels` nodes; this position is not one of them.
    /// @dev Cause: `position` is `2^levels` or more. Cure: count it from the left within its level.
    error PositionOutOfRange(uint256 position, uint256 levels);

    /// @notice The node and the path supplied lead to another tree than the submission's.
    /// @dev Cause: the preimage or a sibling is not of this tree. Cure: build the proof from the worker's own file.
    error TreeMismatch(bytes32 submitted, bytes32 computed);

    /// @notice Everything that the proof shows of the update is as it should be; nothing is proven.
    /// @dev Cause: the node shown is well formed. Cure: show the node that is not, if any.
    error UpdateHolds();

    /// @notice Proves that one value of a posted result differs from what the rules make of its inputs.
    /// @dev Who may call: anyone. Divisions round half away from zero (`NumberRules.rdiv`).
    /// Errors: `RuleUnsupported`, `EncodingUnknown`, `WrongUpdateCount`, `WrongProofLength`, `BlockOutOfRange`,
    /// `CoordinateOutOfRange`, `TableMismatch`, `TranscriptMismatch`, `NoWeight`, `ArithmeticHolds`.
    ///
    /// `proof` is, joined:
    ///
    /// | bytes     | field                                                                  |
    /// |-----------|------------------------------------------------------------------------|
    /// | 4         | `blockIndex`, below `step.blockCount`                                  |
    /// | 1         | `coordinate`, the value in the block to redo, 0 to 31                  |
    /// | 128       | `oldState`                                                             |
    /// | 128       | `newState`                                                             |
    /// | 128       | `oldMomentum`, if `step.beta > 0`                                    |
    /// | 128       | `newMomentum`, if `step.beta > 0`                                    |
    /// | 6 * n     | `table`: weight (3), factor (3) of each included update, in slot order |
    /// | 32 * depth| `path`: siblings in the transcript tree, the leaf's first              |
    /// | n times   | `updates`: length (2), block, in slot order                            |
    ///
    /// A block that a decoder refuses counts as 32 zeros. Factors are taken from the table as posted.
    ///
    /// What it does not prove: that the transcript's blocks are those of the posted roots, of the parent or of the
    /// updates, or that the table is right. A result for which they are not cannot be rebuilt, so it is not held.
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
    /// @dev Who may call: anyone. Errors: `EncodingUnknown`, `WrongProofLength`, `UpdateRootMismatch`, `PathTooLong`,
    /// `PositionOutOfRange`, `TreeMismatch`, `UpdateHolds`.
    ///
    /// `proof` is, joined:
    ///
    /// | bytes      | field                                                                                   |
    /// |------------|-----------------------------------------------------------------------------------------|
    /// | 32         | `treeHash`                                                                              |
    /// | 12         | `energy`                                                                                |
    /// | 1          | `encoding`                                                                              |
    /// | 4          | `blockCount`; if one of these two is not the job's, the proof ends here                 |
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
