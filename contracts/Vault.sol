// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IVault} from "./interfaces/IVault.sol";
import {IWorkerRegistry} from "./interfaces/IWorkerRegistry.sol";

/// @title Sole holder of tokens
contract Vault is IVault, ReentrancyGuard {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev One slot: a claim reads and writes it.
    struct Escrow {
        address token;
        uint96 amount;
    }

    /// @inheritdoc IVault
    address public immutable override token;
    /// @inheritdoc IVault
    uint40 public immutable override unbondingDelay; // seconds
    IWorkerRegistry public immutable REGISTRY;
    address public immutable COORDINATOR;

    mapping(address account => mapping(Collateral kind => Balance)) private _collateral;
    mapping(uint64 job => Escrow) private _escrows;
    mapping(address token => mapping(address account => uint256)) private _credits;
    mapping(address token => uint256) private _burned;
    mapping(address token => uint256) private _held;

    modifier onlyCoordinator() {
        if (msg.sender != COORDINATOR) revert NotCoordinator(msg.sender);
        _;
    }

    constructor(address token_, IWorkerRegistry registry, address coordinator, uint40 unbondingDelay_) {
        token = token_;
        REGISTRY = registry;
        COORDINATOR = coordinator;
        unbondingDelay = unbondingDelay_;
    }

    /// @inheritdoc IVault
    function deposit(address account, Collateral kind, uint256 amount) external nonReentrant {
        _deposit(msg.sender, account, kind, amount);
    }

    /// @inheritdoc IVault
    function depositWithPermit(
        address account,
        Collateral kind,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        // Whoever saw the permit may have used it first; the allowance is then there already.
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _deposit(msg.sender, account, kind, amount);
    }

    /// @inheritdoc IVault
    function depositFrom(address payer, uint256 amount) external nonReentrant {
        if (msg.sender != address(REGISTRY)) revert NotAllowed(msg.sender);
        _deposit(payer, payer, Collateral.Stake, amount);
    }

    /// @inheritdoc IVault
    function unbond(Collateral kind, uint256 amount) external {
        Balance storage balance = _collateral[msg.sender][kind];
        _takeFree(balance, msg.sender, kind, amount);

        uint40 withdrawableAt = uint40(block.timestamp) + unbondingDelay;
        balance.unbonding += amount.toUint128();
        balance.withdrawableAt = withdrawableAt;

        emit UnbondingStarted(msg.sender, kind, amount, withdrawableAt);
    }

    /// @inheritdoc IVault
    function withdraw(address account, address[] calldata tokens) external nonReentrant {
        address payout = REGISTRY.payoutOf(account);
        uint256 unbonded = _takeUnbonded(account, Collateral.Stake) + _takeUnbonded(account, Collateral.Bond);
        uint256 total = unbonded;
        if (unbonded != 0) _send(token, account, payout, unbonded);

        for (uint256 i; i < tokens.length; ++i) {
            uint256 credit = _credits[tokens[i]][account];
            if (credit == 0) continue;
            delete _credits[tokens[i]][account];
            total += credit;
            _send(tokens[i], account, payout, credit);
        }
        if (total == 0) revert NothingToWithdraw(account);
    }

    /// @inheritdoc IVault
    function lock(address account, Collateral kind, uint256 amount) external onlyCoordinator {
        Balance storage balance = _collateral[account][kind];
        _takeFree(balance, account, kind, amount);
        balance.locked += uint128(amount);
    }

    /// @inheritdoc IVault
    function unlock(address account, Collateral kind, uint256 amount) external onlyCoordinator {
        Balance storage balance = _collateral[account][kind];
        balance.locked -= uint128(amount);
        balance.free += uint128(amount);
    }

    /// @inheritdoc IVault
    function slash(address account, Collateral kind, uint256 amount, address prover) external onlyCoordinator {
        uint256 rewarded = prover == address(0) ? 0 : amount / 2;

        _collateral[account][kind].locked -= uint128(amount);
        _burned[token] += amount - rewarded;
        if (rewarded != 0) _credits[token][prover] += rewarded;

        emit Slashed(account, kind, amount - rewarded, prover, rewarded);
    }

    /// @inheritdoc IVault
    function fund(uint64 job, address bounty, address payer, uint256 amount)
        external
        onlyCoordinator
        nonReentrant
        returns (uint256 received)
    {
        received = _pull(bounty, payer, amount);
        Escrow storage escrow = _escrows[job];
        escrow.token = bounty;
        escrow.amount += received.toUint96();

        emit Funded(job, bounty, received);
    }

    /// @inheritdoc IVault
    function pay(uint64 job, address account, uint256 amount) external onlyCoordinator {
        Escrow memory escrow = _escrows[job];
        if (amount > escrow.amount) revert EscrowExceeded(job, escrow.amount, amount);

        escrow.amount -= uint96(amount);
        _escrows[job] = escrow;
        _credits[escrow.token][account] += amount;
    }

    /// @inheritdoc IVault
    function balanceOf(address account, Collateral kind) external view returns (Balance memory) {
        return _collateral[account][kind];
    }

    /// @inheritdoc IVault
    function escrowOf(uint64 job) external view returns (address, uint256) {
        Escrow memory escrow = _escrows[job];
        return (escrow.token, escrow.amount);
    }

    /// @inheritdoc IVault
    function creditOf(address token_, address account) external view returns (uint256) {
        return _credits[token_][account];
    }

    /// @inheritdoc IVault
    function burnedOf(address token_) external view returns (uint256) {
        return _burned[token_];
    }

    /// @inheritdoc IVault
    function heldOf(address token_) external view returns (uint256) {
        return _held[token_];
    }

    function _deposit(address payer, address account, Collateral kind, uint256 amount) private {
        uint256 received = _pull(token, payer, amount);
        _collateral[account][kind].free += received.toUint128();

        emit Deposited(account, kind, received);
    }

    /// @dev Counts the change of the Vault's own balance, not the amount that the token claims to have moved.
    function _pull(address from, address payer, uint256 amount) private returns (uint256 received) {
        uint256 before = IERC20(from).balanceOf(address(this));
        IERC20(from).safeTransferFrom(payer, address(this), amount);
        received = IERC20(from).balanceOf(address(this)) - before;
        _held[from] += received;
    }

    function _send(address what, address account, address payout, uint256 amount) private {
        _held[what] -= amount;
        IERC20(what).safeTransfer(payout, amount);

        emit Withdrawn(what, account, payout, amount);
    }

    function _takeFree(Balance storage balance, address account, Collateral kind, uint256 amount) private {
        uint256 free = balance.free;
        if (amount > free) revert InsufficientFree(account, kind, free, amount);
        balance.free = uint128(free - amount);
    }

    /// @dev Zero if nothing is unbonding or its time has not come, so that credits can be withdrawn before.
    function _takeUnbonded(address account, Collateral kind) private returns (uint256 amount) {
        Balance storage balance = _collateral[account][kind];
        if (block.timestamp < balance.withdrawableAt) return 0;
        amount = balance.unbonding;
        if (amount != 0) balance.unbonding = 0;
    }
}
