// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Log of access to private shards
/// @notice Events only; nothing is stored. Implemented by the Coordinator itself.
interface IAccessLog {
    /// @notice The sponsor wrapped a private shard's key for a worker.
    /// @dev `codec` and `digest` are the CID of the wrapped key.
    event AccessGranted(uint64 indexed job, address indexed worker, uint32 shard, uint8 codec, bytes32 digest);

    /// @notice The sponsor withdrew a worker's access to a private shard.
    event AccessWithdrawn(uint64 indexed job, address indexed worker, uint32 shard);

    /// @notice Logs that a worker may read a private shard.
    /// @dev Who may call: the sponsor. Does not prove that the wrapped key exists, opens the shard, or is for a member.
    /// Errors: `NotSponsor`.
    /// @param codec CID of the wrapped key.
    function grantAccess(uint64 job, address worker, uint32 shard, uint8 codec, bytes32 digest) external;

    /// @notice Logs that a worker may no longer read a private shard.
    /// @dev Who may call: the sponsor. Does not take back a key that the worker has read already. Errors: `NotSponsor`.
    function withdrawAccess(uint64 job, address worker, uint32 shard) external;
}
