// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Sole holder of tokens
/// @notice Stakes and bonds in the deployment's token, escrow of jobs in any plain ERC-20, credits to be withdrawn.
/// Amounts are in the smallest unit of their token.
/// @dev Locks, unlocks and credits have no event here, since the Coordinator's say the same (Joined, Released, Posted,
/// Claimed, Returned, AggregatorPaid, BondReleased). Every ledger is per token or per job; slashing and burning move
/// ledger entries and call no token, so no token can block a conviction. Nobody, the deployer included, can move money
/// in a way that is not listed here.
interface IVault {
    /// @notice Kinds of collateral: stake backs work in jobs, bond backs posted results.
    /// @dev Neither backs the other.
    enum Collateral {
        Stake,
        Bond
    }

    /// @notice One account's collateral of one kind. Two slots.
    struct Balance {
        uint128 free; // may be locked or unbonded
        uint128 locked; // backs jobs or posts
        uint128 unbonding; // leaves at `withdrawableAt`
        uint40 withdrawableAt; // time in seconds
    }

    /// @notice Collateral was deposited; `amount` is what the Vault received.
    event Deposited(address indexed account, Collateral indexed kind, uint256 amount);

    /// @notice Unbonding of `amount` started; all that is unbonding leaves at `withdrawableAt`.
    event UnbondingStarted(address indexed account, Collateral indexed kind, uint256 amount, uint40 withdrawableAt);

    /// @notice Locked collateral was slashed: `burned` units are burned and `rewarded` credited to `prover`.
    event Slashed(
        address indexed account, Collateral indexed kind, uint256 burned, address indexed prover, uint256 rewarded
    );

    /// @notice The escrow of a job was funded; `amount` is what the Vault received.
    event Funded(uint64 indexed job, address indexed token, uint256 amount);

    /// @notice Unbonded collateral or credits were sent to the account's payout address.
    event Withdrawn(address indexed token, address indexed account, address indexed payout, uint256 amount);

    /// @notice Only the Coordinator may do this.
    /// @dev Cause: another account called. Cure: use the Coordinator's functions.
    error NotCoordinator(address caller);

    /// @notice The caller may not act for this account.
    /// @dev Cause: it is neither the identity nor its operator key; for `depositFrom`, it is not the registry. Cure:
    /// send from that account.
    error NotAllowed(address caller);

    /// @notice The free collateral of this kind does not suffice.
    /// @dev Cause: `free` is less than `needed`; locked and unbonding amounts do not count. Cure: `deposit` the rest.
    error InsufficientFree(address account, Collateral kind, uint256 free, uint256 needed);

    /// @notice Nothing can be withdrawn.
    /// @dev Cause: nothing has unbonded and none of the tokens given has credits. Cure: wait for `withdrawableAt`, or
    /// name the tokens of the jobs.
    error NothingToWithdraw(address account);

    /// @notice The escrow of the job holds less than is to be paid.
    /// @dev Cause: none in correct use, since shares round down and never add up to more. Cure: report it.
    error EscrowExceeded(uint64 job, uint256 escrow, uint256 needed);

    /// @notice Moves `amount` of the deployment's token from the caller into an account's collateral.
    /// @dev Who may call: anyone, for any account. Requires an approval of the Vault. Credits the change of the Vault's
    /// own balance. Errors: those of the token.
    function deposit(address account, Collateral kind, uint256 amount) external;

    /// @notice As `deposit`, approving by an EIP-2612 permit of the caller.
    /// @dev Who may call: anyone. A permit that is spent or wrong is not an error as long as the allowance suffices.
    /// Errors: those of the token.
    /// @param deadline Of the permit, in seconds.
    function depositWithPermit(
        address account,
        Collateral kind,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice Moves `amount` from `payer` into its own stake.
    /// @dev Who may call: the WorkerRegistry, at a registration. Errors: `NotAllowed`, those of the token.
    function depositFrom(address payer, uint256 amount) external;

    /// @notice Starts unbonding `amount` of the caller's free collateral.
    /// @dev Who may call: anyone, for itself; the identity, not its operator key. A second call adds to the first and
    /// restarts the delay for all of it. Unbonding collateral backs nothing. Errors: `InsufficientFree`.
    function unbond(Collateral kind, uint256 amount) external;

    /// @notice Sends unbonded collateral and credits to the payout address of an account.
    /// @dev Who may call: anyone. Sends what has unbonded of both kinds, and all credits in `tokens`. Collateral whose
    /// delay has not ended stays. Errors: `NothingToWithdraw`, those of the tokens.
    function withdraw(address account, address[] calldata tokens) external;

    // ---------------------------------------------------------------- only the Coordinator
    /// @notice Moves free collateral to locked.
    /// @dev Who may call: the Coordinator, at `join` and `post`. Errors: `NotCoordinator`, `InsufficientFree`.
    function lock(address account, Collateral kind, uint256 amount) external;

    /// @notice Moves locked collateral back to free.
    /// @dev Who may call: the Coordinator, at `release`, `claimPosts` and `releaseBond`. Errors: `NotCoordinator`.
    function unlock(address account, Collateral kind, uint256 amount) external;

    /// @notice Takes `amount` out of the locked collateral.
    /// @dev Who may call: the Coordinator, at a conviction. With a prover, half, rounded down, is credited to it and the
    /// rest burned; with the zero address all is burned. Burned tokens stay in the Vault. Errors: `NotCoordinator`.
    function slash(address account, Collateral kind, uint256 amount, address prover) external;

    /// @notice Moves `amount` of `token` from `payer` into the escrow of a job.
    /// @dev Who may call: the Coordinator, at `createJob`. Errors: `NotCoordinator`, those of the token,
    /// `SafeCastOverflowedUintDowncast` from 2^96 units on.
    /// @return received The change of the Vault's balance.
    function fund(uint64 job, address token, address payer, uint256 amount) external returns (uint256 received);

    /// @notice Moves `amount` from the escrow of a job to the credits of an account.
    /// @dev Who may call: the Coordinator. Errors: `NotCoordinator`, `EscrowExceeded`.
    function pay(uint64 job, address account, uint256 amount) external;

    // ---------------------------------------------------------------- reads
    /// @notice The deployment's token, in which stakes and bonds are.
    function token() external view returns (address);

    /// @notice Seconds from `unbond` to the time of withdrawal.
    function unbondingDelay() external view returns (uint40);

    /// @notice An account's collateral of one kind.
    function balanceOf(address account, Collateral kind) external view returns (Balance memory);

    /// @notice A job's token and what its escrow holds; zeros if there is no such job.
    function escrowOf(uint64 job) external view returns (address token, uint256 amount);

    /// @notice The amount of a token that an account may withdraw, collateral aside.
    function creditOf(address token, address account) external view returns (uint256);

    /// @notice The amount of a token that was burned here.
    function burnedOf(address token) external view returns (uint256);

    /// @notice All that the ledgers hold of a token: stakes, bonds, escrow, credits and burned together.
    function heldOf(address token) external view returns (uint256);
}
