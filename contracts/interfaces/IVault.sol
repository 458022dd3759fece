// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Sole holder of tokens
/// @notice Locks, unlocks and credits have no event here: the Coordinator's say the same (Joined, Released, Posted,
/// Claimed, Returned, AggregatorPaid, BondReleased). Stakes and bonds in the deployment's token, escrow of jobs in any
/// plain ERC-20, credits to be withdrawn. Every ledger is per token or per job; slashing and burning move ledger
/// entries and call no token, so no token can block a conviction. Nobody, the deployer included, can move money along a
/// way that is not listed here.
interface IVault {
    /// @notice Stake backs work in jobs, bond backs posted results; neither backs the other.
    enum Purse {
        Stake,
        Bond
    }

    /// @notice One account's purse of one kind. Two slots.
    struct Balance {
        uint128 free; // may be locked or unbonded
        uint128 locked; // backs jobs or posts
        uint128 unbonding; // leaves at `withdrawableAt`
        uint40 withdrawableAt; // time in seconds
    }

    event Deposited(address indexed account, Purse indexed purse, uint256 amount);
    event UnbondingStarted(address indexed account, Purse indexed purse, uint256 amount, uint40 withdrawableAt);
    event Slashed(
        address indexed account, Purse indexed purse, uint256 burned, address indexed prover, uint256 rewarded
    );
    event Funded(uint64 indexed job, address indexed token, uint256 amount);
    event Withdrawn(address indexed token, address indexed account, address indexed payout, uint256 amount);

    error NotCoordinator(address caller);
    error NotAllowed(address caller);
    error InsufficientFree(address account, Purse purse, uint256 free, uint256 needed);
    error NothingToWithdraw(address account);
    error EscrowExceeded(uint64 job, uint256 escrow, uint256 needed);

    /// @notice Moves `amount` of the deployment's token from the caller into the purse of `account`, credited with the
    /// change of the Vault's own balance.
    function deposit(address account, Purse purse, uint256 amount) external;

    /// @notice As `deposit`, approving by an EIP-2612 permit.
    function depositWithPermit(
        address account,
        Purse purse,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice For the registry: `payer` deposits to its own stake.
    function depositFrom(address payer, uint256 amount) external;

    /// @notice Starts unbonding `amount` of the caller's free balance. A second call adds to the first and starts the
    /// delay anew for all of it.
    function unbond(Purse purse, uint256 amount) external;

    /// @notice Sends what has unbonded in both purses, and all credits in `tokens`, to the payout address of `account`.
    /// Anyone may call.
    function withdraw(address account, address[] calldata tokens) external;

    // Only the Coordinator, from here.
    function lock(address account, Purse purse, uint256 amount) external;
    function unlock(address account, Purse purse, uint256 amount) external;

    /// @notice Takes `amount` out of the locked balance. With a prover half is credited to it and half burned
    /// (rounded against the prover), else all is burned.
    function slash(address account, Purse purse, uint256 amount, address prover) external;

    /// @notice Moves `amount` of `token` from `payer` into the escrow of `job`. Returns the change of the balance.
    function fund(uint64 job, address token, address payer, uint256 amount) external returns (uint256 received);

    /// @notice Moves `amount` from the escrow of `job` to the credits of `account`.
    function pay(uint64 job, address account, uint256 amount) external;

    // Reads.
    function token() external view returns (address);
    function unbondingDelay() external view returns (uint40);
    function balanceOf(address account, Purse purse) external view returns (Balance memory);
    function escrowOf(uint64 job) external view returns (address token, uint256 amount);
    function creditOf(address token, address account) external view returns (uint256);
    function burnedOf(address token) external view returns (uint256);
    /// @notice All that the ledgers hold of `token`: stakes, bonds, escrow, credits and burned together.
    function heldOf(address token) external view returns (uint256);
}
