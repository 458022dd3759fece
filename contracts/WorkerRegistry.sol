// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

import {IVault} from "./interfaces/IVault.sol";
import {IWorkerRegistry} from "./interfaces/IWorkerRegistry.sol";

/// @title Registry of workers
contract WorkerRegistry is IWorkerRegistry {
    IVault public immutable VAULT;
    address public immutable COORDINATOR;

    mapping(address worker => Account) private _accounts;
    mapping(address operator => address worker) private _identities;

    constructor(IVault vault, address coordinator) {
        VAULT = vault;
        COORDINATOR = coordinator;
    }

    /// @inheritdoc IWorkerRegistry
    function register(address operator, address payout, bytes32 encryptionKey, uint256 stakeAmount) external {
        _register(operator, payout, encryptionKey);

        if (stakeAmount != 0) VAULT.depositFrom(msg.sender, stakeAmount);
    }

    /// @inheritdoc IWorkerRegistry
    function registerWithPermit(
        address operator,
        address payout,
        bytes32 encryptionKey,
        uint256 stakeAmount,
        Permit calldata permit
    ) external {
        _register(operator, payout, encryptionKey);

        // Whoever saw the permit may have used it first; the allowance is then there already.
        try IERC20Permit(VAULT.token())
            .permit(msg.sender, address(VAULT), stakeAmount, permit.deadline, permit.v, permit.r, permit.s) {}
            catch {}
        VAULT.depositFrom(msg.sender, stakeAmount);
    }

    /// @inheritdoc IWorkerRegistry
    function setOperator(address operator) external {
        Account storage account = _registered(msg.sender);
        _requireFree(operator);

        delete _identities[account.operator];
        _identities[operator] = msg.sender;
        account.operator = operator;

        emit OperatorChanged(msg.sender, operator);
    }

    /// @inheritdoc IWorkerRegistry
    function setPayout(address payout) external {
        Account storage account = _registered(msg.sender);
        if (payout == address(0)) revert ZeroAddress();

        account.payout = payout;

        emit PayoutChanged(msg.sender, payout);
    }

    /// @inheritdoc IWorkerRegistry
    function setEncryptionKey(bytes32 encryptionKey) external {
        _registered(msg.sender).encryptionKey = encryptionKey;

        emit EncryptionKeyChanged(msg.sender, encryptionKey);
    }

    /// @inheritdoc IWorkerRegistry
    function record(address worker, uint32 submitted, uint32 included, uint16 slashed) external {
        if (msg.sender != COORDINATOR) revert NotCoordinator(msg.sender);

        // The counters share a slot with the operator (160 bits, lowest): one read, one write. They cannot pass their
        // widths, since each count costs a transaction.
        Account storage account = _accounts[worker];
        uint256 counts = (uint256(submitted) << 160) | (uint256(included) << 192) | (uint256(slashed) << 224);
        assembly ("memory-safe") {
            sstore(account.slot, add(sload(account.slot), counts))
        }
    }

    /// @inheritdoc IWorkerRegistry
    function identityOf(address operator) external view returns (address worker) {
        worker = _identities[operator];
        if (worker == address(0)) revert NotRegistered(operator);
    }

    /// @inheritdoc IWorkerRegistry
    function accountOf(address worker) external view returns (Account memory) {
        return _accounts[worker];
    }

    /// @inheritdoc IWorkerRegistry
    function payoutOf(address account) external view returns (address) {
        address payout = _accounts[account].payout;
        return payout == address(0) ? account : payout;
    }

    function _register(address operator, address payout, bytes32 encryptionKey) private {
        if (_accounts[msg.sender].registered) revert AlreadyRegistered(msg.sender);
        if (payout == address(0)) revert ZeroAddress();
        _requireFree(operator);

        _identities[operator] = msg.sender;
        Account storage account = _accounts[msg.sender];
        account.operator = operator;
        account.registered = true;
        account.payout = payout;
        account.encryptionKey = encryptionKey;

        emit Registered(msg.sender, operator, payout, encryptionKey);
    }

    function _requireFree(address operator) private view {
        if (operator == address(0)) revert ZeroAddress();
        address worker = _identities[operator];
        if (worker != address(0)) revert OperatorTaken(operator, worker);
    }

    function _registered(address worker) private view returns (Account storage account) {
        account = _accounts[worker];
        if (!account.registered) revert NotRegistered(worker);
    }
}
