// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Registry of workers
/// @notice An account registers under its own address (its identity) and names a hot operator key, a payout address and
/// an encryption key. Only the identity changes them. Reputation counts facts that the chain has checked; counters
/// can be farmed, so they inform and the stake protects.
interface IWorkerRegistry {
    /// @notice The registry's record of an identity. The first five fields share one slot.
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
        uint256 deadline; // time in seconds
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice An identity registered.
    event Registered(address indexed worker, address indexed operator, address payout, bytes32 encryptionKey);

    /// @notice An identity named another operator key.
    event OperatorChanged(address indexed worker, address indexed operator);

    /// @notice An identity named another payout address.
    event PayoutChanged(address indexed worker, address payout);

    /// @notice An identity published another encryption key; zero = none.
    event EncryptionKeyChanged(address indexed worker, bytes32 encryptionKey);

    /// @notice The identity is registered already.
    /// @dev Cause: it registered before. Cure: none needed; the setters change its record.
    error AlreadyRegistered(address worker);

    /// @notice The account is not registered, or is nobody's operator key.
    /// @dev Cause: it never registered, or its identity named another key. Cure: `register`, or use the right key.
    error NotRegistered(address account);

    /// @notice This key already acts for another identity.
    /// @dev Cause: `worker` names it, or has a seat under it. Cure: choose another key, or `reseat` that identity.
    error OperatorTaken(address operator, address worker);

    /// @notice An operator key or payout address is zero.
    /// @dev Cause: the zero address was given. Cure: give a real address; the caller's own will do.
    error ZeroAddress();

    /// @notice Only the Coordinator may do this.
    /// @dev Cause: another account called. Cure: none; reputation follows from the Coordinator's calls.
    error NotCoordinator(address caller);

    /// @notice Registers the caller and, with an amount, deposits its stake.
    /// @dev Who may call: anyone, once. An amount needs an approval of the Vault. Does not prove that the caller holds
    /// the operator key or the encryption key's secret.
    /// Errors: `AlreadyRegistered`, `ZeroAddress`, `OperatorTaken`, those of the token.
    /// @param operator Key that acts in jobs; may be the caller.
    /// @param payout Address that the Vault sends money to; may be the caller.
    /// @param encryptionKey X25519 public key, zero = none.
    /// @param stakeAmount Units of the deployment's token to stake, 0 = none.
    function register(address operator, address payout, bytes32 encryptionKey, uint256 stakeAmount) external;

    /// @notice As `register`, approving the Vault by a signed permit.
    /// @dev Who may call: anyone, once. A permit that is spent or wrong is not an error as long as the allowance
    /// suffices. Errors: as `register`.
    function registerWithPermit(
        address operator,
        address payout,
        bytes32 encryptionKey,
        uint256 stakeAmount,
        Permit calldata permit
    ) external;

    /// @notice Names another operator key.
    /// @dev Who may call: a registered identity. Seats in jobs keep the old key until `Coordinator.reseat`.
    /// Errors: `NotRegistered`, `ZeroAddress`, `OperatorTaken`.
    function setOperator(address operator) external;

    /// @notice Names another payout address.
    /// @dev Who may call: a registered identity. Credits and collateral that are not withdrawn yet go there too. Errors:
    /// `NotRegistered`, `ZeroAddress`.
    function setPayout(address payout) external;

    /// @notice Publishes another encryption key; zero removes it.
    /// @dev Who may call: a registered identity. Grants made for the old key stay as they are. Errors: `NotRegistered`.
    function setEncryptionKey(bytes32 encryptionKey) external;

    /// @notice Adds to the reputation of a worker.
    /// @dev Who may call: the Coordinator, as its Claimed and UpdateMalformed events say. Errors: `NotCoordinator`.
    function record(address worker, uint32 submitted, uint32 included, uint16 slashed) external;

    /// @notice The identity that a key acts for.
    /// @dev Errors: `NotRegistered` if it acts for none.
    function identityOf(address operator) external view returns (address worker);

    /// @notice The record of an identity; zeros if it is not registered.
    function accountOf(address worker) external view returns (Account memory);

    /// @notice The address that money of an account goes to: its payout, or itself if not registered.
    function payoutOf(address account) external view returns (address);
}
