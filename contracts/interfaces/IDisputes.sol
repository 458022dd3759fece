// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Result, Submission} from "./JobTypes.sol";

/// @title Convictions
/// @notice Fraud proofs against results and updates. Implemented by the module `Disputes`.
interface IDisputes {
    /// @notice A submitted update is proven malformed; it earns nothing and is left out.
    event UpdateMalformed(
        uint64 indexed job, uint64 indexed serial, address indexed worker, uint8 slot, address prover
    );

    /// @notice A result is proven wrong; its bond is slashed.
    /// @dev `rewarded`: half of the bond is credited to `prover`, who announced the proof in time.
    event Convicted(
        uint64 indexed job, uint64 indexed serial, address indexed poster, address prover, bytes32 id, bool rewarded
    );

    /// @notice A commitment to a proof was stored.
    event Committed(bytes32 indexed commitment, address indexed sender);

    /// @notice The result or submission can no longer be challenged.
    /// @dev Cause: `finalAt` has passed, or the round is final. Cure: none.
    error ChallengeOver(uint64 job, uint64 serial, uint40 finalAt);

    /// @notice This update was convicted before.
    /// @dev Cause: another prover was first. Cure: none needed.
    error AlreadyMalformed(uint64 job, uint64 serial, uint8 slot);

    /// @notice The update root does not open the submission's seal.
    /// @dev Cause: the root is another one, or of another worker or round. Cure: take it from the worker's own file.
    error SealMismatch(bytes32 submitted, bytes32 computed);

    /// @notice This commitment is stored already.
    /// @dev Cause: it was sent before; its first time counts. Cure: go on to `convict`.
    error AlreadyCommitted(bytes32 commitment);

    /// @notice Announces a proof, so that the announcer earns half of what is slashed.
    /// @dev Who may call: anyone. The commitment is `keccak256(abi.encode(block.chainid, coordinator, prover,
    /// keccak256(abi.encode(id, updateRoot, proof))))`; for `convict`, `id` is the result's and `updateRoot` zero; for
    /// `convictUpdate`, `id` is `keccak256(abi.encode(submission))`. It counts from the next block on, and against a
    /// result only if made no earlier than the post. Errors: `AlreadyCommitted`.
    function commit(bytes32 commitment) external;

    /// @notice Convicts the poster of a wrong result: voids it and all built on it, and slashes its bond.
    /// @dev Who may call: anyone, before the challenge window ends. `proof` is that of `IFaultProver.checkArithmetic`.
    /// Half of the bond, rounded down, goes to a caller that announced the proof, the rest is burned; without an
    /// announcement all of it is. Posting starts again with the same attestations, and the poster is elected last.
    /// Does not prove faults that `checkArithmetic` does not; such results must not be held.
    /// Errors: `WrongResult`, `ChallengeOver`, those of `checkArithmetic`.
    function convict(Result calldata result, bytes calldata proof) external;

    /// @notice Convicts the worker of a malformed update: slashes its stake and takes its seat.
    /// @dev Who may call: anyone, until the round's result is final. `proof` is that of `IFaultProver.checkMalformed`.
    /// Half of the stake, rounded down, goes to a caller that announced the proof, the rest is burned. Nothing is
    /// slashed if the stake was slashed or released before, or if the worker joined again after that submission.
    /// Errors: `WrongSubmission`, `AlreadyMalformed`, `ChallengeOver`, `SealMismatch`, those of `checkMalformed`.
    /// @param updateRoot That the submission's seal was made of.
    function convictUpdate(Submission calldata submission, bytes32 updateRoot, bytes calldata proof) external;
}
