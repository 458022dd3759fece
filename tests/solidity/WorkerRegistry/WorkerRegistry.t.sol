// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {TestToken} from "../../../contracts/TestToken.sol";
import {Vault} from "../../../contracts/Vault.sol";
import {WorkerRegistry} from "../../../contracts/WorkerRegistry.sol";
import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {IWorkerRegistry} from "../../../contracts/interfaces/IWorkerRegistry.sol";

/// @notice The registry with this test in the Coordinator's place.
contract WorkerRegistryTest is Test {
    TestToken private token;
    WorkerRegistry private registry;
    Vault private vault;
    uint256 private key;
    address private worker;
    address private hot = makeAddr("hot key");
    address private payout = makeAddr("payout");
    address private other = makeAddr("other");

    function setUp() public {
        vm.warp(1_700_000_000);
        (worker, key) = makeAddrAndKey("worker");
        token = new TestToken();
        address vaultAt = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        registry = new WorkerRegistry(IVault(vaultAt), address(this));
        vault = new Vault(address(token), registry, address(this), 1 days);
        token.mint(worker, 1000);
    }

    function _register() private {
        vm.prank(worker);
        registry.register(hot, payout, "key", 0);
    }

    function _refused(address who, bytes memory act, bytes memory reason) private {
        vm.prank(who);
        (bool done, bytes memory answer) = address(registry).call(act);
        assertFalse(done, "not refused");
        assertEq(answer, reason);
    }

    function _registering(address operator, address payout_) private view returns (bytes memory) {
        return abi.encodeCall(registry.register, (operator, payout_, 0, 0));
    }

    function _zero() private pure returns (bytes memory) {
        return abi.encodeWithSelector(IWorkerRegistry.ZeroAddress.selector);
    }

    function _notRegistered(address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IWorkerRegistry.NotRegistered.selector, who);
    }

    // ---------------------------------------------------------------- register
    function test_register_WhenItIsRegistered_ItRefuses() public {
        _register();
        bytes4 error = IWorkerRegistry.AlreadyRegistered.selector;
        _refused(worker, _registering(other, payout), abi.encodeWithSelector(error, worker));
    }

    function test_register_WhenThePayoutIsZero_ItRefuses() public {
        _refused(worker, _registering(hot, address(0)), _zero());
    }

    function test_register_WhenTheOperatorIsZero_ItRefuses() public {
        _refused(worker, _registering(address(0), payout), _zero());
    }

    function test_register_WhenTheOperatorActsForAnother_ItRefuses() public {
        _register();
        bytes4 error = IWorkerRegistry.OperatorTaken.selector;
        _refused(other, _registering(hot, payout), abi.encodeWithSelector(error, hot, worker));
    }

    function test_register_WhenItBringsNoStake_ItIsRegistered() public {
        vm.expectEmit(address(registry));
        emit IWorkerRegistry.Registered(worker, hot, payout, "key");
        _register();
        IWorkerRegistry.Account memory account = IWorkerRegistry.Account(hot, 0, 0, 0, true, payout, "key");
        assertEq(abi.encode(registry.accountOf(worker)), abi.encode(account));
        assertEq(registry.identityOf(hot), worker);
        assertEq(registry.payoutOf(worker), payout);
    }

    function test_register_WhenItBringsStake_ItIsDeposited() public {
        vm.startPrank(worker);
        token.approve(address(vault), 10);
        registry.register(hot, payout, "key", 10);
        vm.stopPrank();
        assertEq(vault.balanceOf(worker, IVault.Collateral.Stake).free, 10);
    }

    // ---------------------------------------------------------------- registerWithPermit
    function _permit() private view returns (IWorkerRegistry.Permit memory permit) {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        permit.deadline = block.timestamp;
        bytes32 what =
            keccak256(abi.encode(typehash, worker, address(vault), 10, token.nonces(worker), permit.deadline));
        (permit.v, permit.r, permit.s) =
            vm.sign(key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), what)));
    }

    function test_registerWithPermit_WhenThePermitIsGood_ItStakes() public {
        IWorkerRegistry.Permit memory permit = _permit();
        vm.prank(worker);
        registry.registerWithPermit(hot, payout, "key", 10, permit);
        assertEq(vault.balanceOf(worker, IVault.Collateral.Stake).free, 10);
    }

    function test_registerWithPermit_WhenAStrangerUsedItFirst_ItStakes() public {
        IWorkerRegistry.Permit memory permit = _permit();
        vm.prank(other);
        token.permit(worker, address(vault), 10, permit.deadline, permit.v, permit.r, permit.s);
        vm.prank(worker);
        registry.registerWithPermit(hot, payout, "key", 10, permit);
        assertEq(vault.balanceOf(worker, IVault.Collateral.Stake).free, 10);
    }

    function test_registerWithPermit_WhenThePermitIsAnothers_ItRefuses() public {
        bytes memory act = abi.encodeCall(registry.registerWithPermit, (hot, payout, "key", 10, _permit()));
        bytes4 error = IERC20Errors.ERC20InsufficientAllowance.selector;
        _refused(other, act, abi.encodeWithSelector(error, address(vault), 0, 10));
    }

    // ---------------------------------------------------------------- setOperator
    function test_setOperator_WhenItIsNotRegistered_ItRefuses() public {
        _refused(other, abi.encodeCall(registry.setOperator, (hot)), _notRegistered(other));
    }

    function test_setOperator_WhenTheKeyIsZero_ItRefuses() public {
        _register();
        _refused(worker, abi.encodeCall(registry.setOperator, (address(0))), _zero());
    }

    function test_setOperator_WhenTheKeyIsTaken_ItRefuses() public {
        _register();
        bytes4 error = IWorkerRegistry.OperatorTaken.selector;
        _refused(worker, abi.encodeCall(registry.setOperator, (hot)), abi.encodeWithSelector(error, hot, worker));
    }

    function test_setOperator_WhenTheKeyIsFree_TheOldOneIsFreeFromThenOn() public {
        _register();
        vm.expectEmit(address(registry));
        emit IWorkerRegistry.OperatorChanged(worker, other);
        vm.prank(worker);
        registry.setOperator(other);
        assertEq(registry.identityOf(other), worker);
        vm.expectRevert(_notRegistered(hot));
        registry.identityOf(hot);
    }

    // ---------------------------------------------------------------- setPayout
    function test_setPayout_WhenItIsNotRegistered_ItRefuses() public {
        _refused(other, abi.encodeCall(registry.setPayout, (payout)), _notRegistered(other));
    }

    function test_setPayout_WhenItIsZero_ItRefuses() public {
        _register();
        _refused(worker, abi.encodeCall(registry.setPayout, (address(0))), _zero());
    }

    function test_setPayout_WhenItIsAnAddress_MoneyGoesThere() public {
        _register();
        vm.expectEmit(address(registry));
        emit IWorkerRegistry.PayoutChanged(worker, other);
        vm.prank(worker);
        registry.setPayout(other);
        assertEq(registry.payoutOf(worker), other);
    }

    // ---------------------------------------------------------------- setEncryptionKey
    function test_setEncryptionKey_WhenItIsNotRegistered_ItRefuses() public {
        _refused(other, abi.encodeCall(registry.setEncryptionKey, ("new")), _notRegistered(other));
    }

    function test_setEncryptionKey_WhenItIsRegistered_ItChanges() public {
        _register();
        vm.expectEmit(address(registry));
        emit IWorkerRegistry.EncryptionKeyChanged(worker, "new");
        vm.prank(worker);
        registry.setEncryptionKey("new");
        assertEq(registry.accountOf(worker).encryptionKey, bytes32("new"));
    }

    // ---------------------------------------------------------------- record
    function test_record_WhenTheCallerIsNotTheCoordinator_ItRefuses() public {
        bytes4 error = IWorkerRegistry.NotCoordinator.selector;
        _refused(other, abi.encodeCall(registry.record, (worker, 1, 1, 1)), abi.encodeWithSelector(error, other));
    }

    function test_record_WhenTheCoordinatorCalls_EachCounterGrowsByItself() public {
        _register();
        registry.record(worker, 3, 2, 1);
        registry.record(worker, 30, 20, 10);
        IWorkerRegistry.Account memory account = IWorkerRegistry.Account(hot, 33, 22, 11, true, payout, "key");
        assertEq(abi.encode(registry.accountOf(worker)), abi.encode(account));
    }

    // ---------------------------------------------------------------- reads
    function test_payoutOf_WhenItIsNotRegistered_ItIsItself() public view {
        assertEq(registry.payoutOf(other), other);
    }
}
