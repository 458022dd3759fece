// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Who may work
/// @notice An account registers under its own address (its identity) and names a hot operator key, a payout address and
/// an encryption key. Only the identity changes them. Reputation counts facts that the chain has checked; counters
/// can be farmed, so they inform and the stake protects.
interface IWorkerRegistry {
    /// @notice What the registry knows of an identity. The first four fields share one slot.
    struct Account {
        address operator; // hot key that acts in jobs; the identity itself unless it named another
        uint32 submitted; // submissions in final rounds, counted when claimed
        uint32 included; // of those, how many were included
        uint16 slashed; // convictions
        bool registered;
        address payout; // where the Vault sends this identity's money
        bytes32 encryptionKey; // X25519 public key for private shards, zero = none
    }

    /// @notice A permit of the deployment's token (EIP-2612), to stake in the same transaction.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    event Registered(address indexed worker, address indexed operator, address payout, bytes32 encryptionKey);
    event OperatorChanged(address indexed worker, address indexed operator);
    event PayoutChanged(address indexed worker, address payout);
    event EncryptionKeyChanged(address indexed worker, bytes32 encryptionKey);

    error AlreadyRegistered(address worker);
    error NotRegistered(address account);
    /// @notice This key already acts for another identity.
    error OperatorTaken(address operator, address worker);
    error ZeroAddress();
    error NotCoordinator(address caller);

    /// @notice Registers the caller. `stakeAmount` of the deployment's token, if not zero, is moved from the caller
    /// into its stake (needs an approval of the Vault).
    function register(address operator, address payout, bytes32 encryptionKey, uint256 stakeAmount) external;

    /// @notice As `register`, approving the Vault by a signed permit. A permit that was already used is no failure
    /// as long as the allowance suffices.
    function registerWithPermit(
        address operator,
        address payout,
        bytes32 encryptionKey,
        uint256 stakeAmount,
        Permit calldata permit
    ) external;

    /// @notice Names another hot key. Seats in jobs keep the old one until `Coordinator.reseat`.
    function setOperator(address operator) external;

    function setPayout(address payout) external;

    function setEncryptionKey(bytes32 encryptionKey) external;

    /// @notice Adds to the reputation of `worker`, as the Coordinator's Claimed and UpdateMalformed events say. Only
    /// the Coordinator.
    function record(address worker, uint32 submitted, uint32 included, uint16 slashed) external;

    /// @notice The identity that `operator` acts for. Reverts with `NotRegistered` where there is none.
    function identityOf(address operator) external view returns (address worker);

    function accountOf(address worker) external view returns (Account memory);

    /// @notice Where money of `account` goes: its payout address, or itself where it is not registered.
    function payoutOf(address account) external view returns (address);
}
