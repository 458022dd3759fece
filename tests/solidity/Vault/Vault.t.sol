// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {TestToken} from "../../../contracts/TestToken.sol";
import {Vault} from "../../../contracts/Vault.sol";
import {WorkerRegistry} from "../../../contracts/WorkerRegistry.sol";
import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {IWorkerRegistry} from "../../../contracts/interfaces/IWorkerRegistry.sol";

/// @notice Keeps a tenth of each transfer.
contract FeeToken is TestToken {
    function _update(address from, address to, uint256 value) internal override {
        uint256 fee = from == address(0) ? 0 : value / 10;
        super._update(from, to, value - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

/// @notice The Vault with this test in the Coordinator's place.
contract VaultTest is Test {
    TestToken private token;
    WorkerRegistry private registry;
    Vault private vault;
    uint256 private key;
    address private owner;
    address private other = makeAddr("other");

    function setUp() public {
        vm.warp(1_700_000_000);
        (owner, key) = makeAddrAndKey("owner");
        _deploy(new TestToken());
    }

    function _deploy(TestToken token_) private {
        token = token_;
        address vaultAt = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        registry = new WorkerRegistry(IVault(vaultAt), address(this));
        vault = new Vault(address(token), registry, address(this), 1 days);
        token.mint(owner, 1000);
    }

    function _deposit(IVault.Collateral collateral, uint256 amount) private {
        vm.startPrank(owner);
        token.approve(address(vault), amount);
        vault.deposit(owner, collateral, amount);
        vm.stopPrank();
    }

    function _refused(address who, bytes memory act, bytes memory reason) private {
        vm.prank(who);
        (bool done, bytes memory answer) = address(vault).call(act);
        assertFalse(done, "not refused");
        assertEq(answer, reason);
    }

    function _insufficient(IVault.Collateral collateral, uint256 free, uint256 needed)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IVault.InsufficientFree.selector, owner, collateral, free, needed);
    }

    function _free(IVault.Collateral collateral) private view returns (uint256) {
        return vault.balanceOf(owner, collateral).free;
    }

    function _locked(IVault.Collateral collateral) private view returns (uint256) {
        return vault.balanceOf(owner, collateral).locked;
    }

    // ---------------------------------------------------------------- deposit
    function test_deposit_WhenNothingIsApproved_ItRefuses() public {
        bytes4 error = IERC20Errors.ERC20InsufficientAllowance.selector;
        bytes memory act = abi.encodeCall(vault.deposit, (owner, IVault.Collateral.Stake, 10));
        _refused(owner, act, abi.encodeWithSelector(error, address(vault), 0, 10));
    }

    function test_deposit_WhenApproved_ItIsFreeInThatBalance() public {
        vm.prank(owner);
        token.approve(address(vault), 10);
        vm.expectEmit(address(vault));
        emit IVault.Deposited(other, IVault.Collateral.Bond, 10);
        vm.prank(owner);
        vault.deposit(other, IVault.Collateral.Bond, 10);
        assertEq(vault.balanceOf(other, IVault.Collateral.Bond).free, 10);
        assertEq(vault.balanceOf(other, IVault.Collateral.Stake).free, 0);
        assertEq(vault.heldOf(address(token)), 10);
    }

    function test_deposit_WhenTheTokenKeepsAFee_WhatArrivedCounts() public {
        _deploy(new FeeToken());
        _deposit(IVault.Collateral.Stake, 100);
        assertEq(_free(IVault.Collateral.Stake), 90);
        assertEq(vault.heldOf(address(token)), 90);
    }

    // ---------------------------------------------------------------- depositWithPermit
    function _permit(uint256 amount) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 what =
            keccak256(abi.encode(typehash, owner, address(vault), amount, token.nonces(owner), block.timestamp));
        return vm.sign(key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), what)));
    }

    function test_depositWithPermit_WhenThePermitIsGood_NoApprovalIsNeeded() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(10);
        vm.prank(owner);
        vault.depositWithPermit(owner, IVault.Collateral.Stake, 10, block.timestamp, v, r, s);
        assertEq(_free(IVault.Collateral.Stake), 10);
    }

    function test_depositWithPermit_WhenAStrangerUsedItFirst_ItGoesOn() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(10);
        vm.prank(other);
        token.permit(owner, address(vault), 10, block.timestamp, v, r, s);
        vm.prank(owner);
        vault.depositWithPermit(owner, IVault.Collateral.Stake, 10, block.timestamp, v, r, s);
        assertEq(_free(IVault.Collateral.Stake), 10);
    }

    function test_depositWithPermit_WhenThePermitIsAnothers_ItRefuses() public {
        (uint8 v, bytes32 r, bytes32 s) = _permit(10);
        bytes memory act =
            abi.encodeCall(vault.depositWithPermit, (other, IVault.Collateral.Stake, 10, block.timestamp, v, r, s));
        bytes4 error = IERC20Errors.ERC20InsufficientAllowance.selector;
        _refused(other, act, abi.encodeWithSelector(error, address(vault), 0, 10));
    }

    // ---------------------------------------------------------------- depositFrom
    function test_depositFrom_WhenTheCallerIsNotTheRegistry_ItRefuses() public {
        vm.prank(owner);
        token.approve(address(vault), 10);
        bytes memory act = abi.encodeCall(vault.depositFrom, (owner, 10));
        _refused(other, act, abi.encodeWithSelector(IVault.NotAllowed.selector, other));
    }

    function test_depositFrom_WhenTheRegistryCalls_ItIsThePayersStake() public {
        vm.prank(owner);
        token.approve(address(vault), 10);
        vm.prank(address(registry));
        vault.depositFrom(owner, 10);
        assertEq(_free(IVault.Collateral.Stake), 10);
    }

    // ---------------------------------------------------------------- unbond
    function test_unbond_WhenLessIsFree_ItRefuses() public {
        _deposit(IVault.Collateral.Stake, 10);
        vault.lock(owner, IVault.Collateral.Stake, 4);
        bytes memory act = abi.encodeCall(vault.unbond, (IVault.Collateral.Stake, 7));
        _refused(owner, act, _insufficient(IVault.Collateral.Stake, 6, 7));
    }

    function test_unbond_WhenItIsFree_TheDelayStarts() public {
        _deposit(IVault.Collateral.Stake, 10);
        vm.expectEmit(address(vault));
        emit IVault.UnbondingStarted(owner, IVault.Collateral.Stake, 6, uint40(block.timestamp + 1 days));
        vm.prank(owner);
        vault.unbond(IVault.Collateral.Stake, 6);
        assertEq(_free(IVault.Collateral.Stake), 4);
        assertEq(vault.balanceOf(owner, IVault.Collateral.Stake).unbonding, 6);
    }

    function test_unbond_WhenSomeIsUnbonding_TheDelayStartsAgainForAll() public {
        _deposit(IVault.Collateral.Stake, 10);
        vm.startPrank(owner);
        vault.unbond(IVault.Collateral.Stake, 6);
        vm.warp(block.timestamp + 1 days - 1);
        vault.unbond(IVault.Collateral.Stake, 1);
        vm.stopPrank();
        assertEq(vault.balanceOf(owner, IVault.Collateral.Stake).withdrawableAt, block.timestamp + 1 days);
        assertEq(vault.balanceOf(owner, IVault.Collateral.Stake).unbonding, 7);
    }

    // ---------------------------------------------------------------- withdraw
    function _withdraw() private view returns (bytes memory) {
        address[] memory tokens = new address[](1);
        tokens[0] = address(token);
        return abi.encodeCall(vault.withdraw, (owner, tokens));
    }

    function _nothing() private view returns (bytes memory) {
        return abi.encodeWithSelector(IVault.NothingToWithdraw.selector, owner);
    }

    function test_withdraw_WhenThereIsNothingToWithdraw_ItRefuses() public {
        _deposit(IVault.Collateral.Stake, 10);
        _refused(other, _withdraw(), _nothing());
    }

    function test_withdraw_WhenTheDelayIsNotOver_ItRefuses() public {
        _deposit(IVault.Collateral.Stake, 10);
        vm.prank(owner);
        vault.unbond(IVault.Collateral.Stake, 6);
        vm.warp(block.timestamp + 1 days - 1);
        _refused(other, _withdraw(), _nothing());
    }

    function test_withdraw_WhenBothBalancesUnbonded_BothAreSent() public {
        _deposit(IVault.Collateral.Stake, 10);
        _deposit(IVault.Collateral.Bond, 20);
        vm.startPrank(owner);
        vault.unbond(IVault.Collateral.Stake, 6);
        vault.unbond(IVault.Collateral.Bond, 7);
        vm.stopPrank();
        vm.warp(block.timestamp + 1 days);
        vm.expectEmit(address(vault));
        emit IVault.Withdrawn(address(token), owner, owner, 13);
        vm.prank(other);
        vault.withdraw(owner, new address[](0));
        assertEq(token.balanceOf(owner), 1000 - 30 + 13);
        assertEq(vault.heldOf(address(token)), 17);
        _refused(other, _withdraw(), _nothing());
    }

    function test_withdraw_WhenThereIsACredit_ItGoesToThePayoutAddress() public {
        vm.prank(owner);
        registry.register(owner, other, 0, 0);
        _fund(100);
        vault.pay(7, owner, 60);
        address[] memory tokens = new address[](2); // the same twice
        tokens[0] = tokens[1] = address(token);
        vm.expectEmit(address(vault));
        emit IVault.Withdrawn(address(token), owner, other, 60);
        vault.withdraw(owner, tokens);
        assertEq(token.balanceOf(other), 60);
        assertEq(vault.creditOf(address(token), owner), 0);
        assertEq(vault.heldOf(address(token)), 40);
    }

    // ---------------------------------------------------------------- lock, unlock, slash
    function test_lock_WhenTheCallerIsNotTheCoordinator_ItRefuses() public {
        bytes memory reason = abi.encodeWithSelector(IVault.NotCoordinator.selector, other);
        _refused(other, abi.encodeCall(vault.lock, (owner, IVault.Collateral.Stake, 1)), reason);
        _refused(other, abi.encodeCall(vault.unlock, (owner, IVault.Collateral.Stake, 1)), reason);
        _refused(other, abi.encodeCall(vault.slash, (owner, IVault.Collateral.Stake, 1, other)), reason);
        _refused(other, abi.encodeCall(vault.fund, (7, address(token), owner, 1)), reason);
        _refused(other, abi.encodeCall(vault.pay, (7, owner, 1)), reason);
    }

    function test_lock_WhenLessIsFree_ItRefuses() public {
        _deposit(IVault.Collateral.Bond, 10);
        bytes memory act = abi.encodeCall(vault.lock, (owner, IVault.Collateral.Bond, 11));
        _refused(address(this), act, _insufficient(IVault.Collateral.Bond, 10, 11));
    }

    function test_lock_WhenItIsFree_ItIsLockedInThatBalanceAlone() public {
        _deposit(IVault.Collateral.Bond, 10);
        _deposit(IVault.Collateral.Stake, 10);
        vault.lock(owner, IVault.Collateral.Bond, 10);
        assertEq(_locked(IVault.Collateral.Bond), 10);
        assertEq(_free(IVault.Collateral.Bond), 0);
        assertEq(_free(IVault.Collateral.Stake), 10);
    }

    function test_unlock_WhenItWasLocked_ItIsFree() public {
        _deposit(IVault.Collateral.Bond, 10);
        vault.lock(owner, IVault.Collateral.Bond, 10);
        vault.unlock(owner, IVault.Collateral.Bond, 4);
        assertEq(_locked(IVault.Collateral.Bond), 6);
        assertEq(_free(IVault.Collateral.Bond), 4);
    }

    function test_slash_WhenThereIsAProver_HalfIsItsRoundedDown() public {
        _deposit(IVault.Collateral.Bond, 11);
        vault.lock(owner, IVault.Collateral.Bond, 11);
        vm.expectEmit(address(vault));
        emit IVault.Slashed(owner, IVault.Collateral.Bond, 6, other, 5);
        vault.slash(owner, IVault.Collateral.Bond, 11, other);
        assertEq(_locked(IVault.Collateral.Bond), 0);
        assertEq(vault.creditOf(address(token), other), 5);
        assertEq(vault.burnedOf(address(token)), 6);
    }

    function test_slash_WhenThereIsNoProver_AllIsBurned() public {
        _deposit(IVault.Collateral.Bond, 11);
        vault.lock(owner, IVault.Collateral.Bond, 11);
        vault.slash(owner, IVault.Collateral.Bond, 11, address(0));
        assertEq(vault.burnedOf(address(token)), 11);
        assertEq(vault.heldOf(address(token)), 11, "burned tokens stay for good");
    }

    // ---------------------------------------------------------------- fund, pay
    function _fund(uint256 amount) private {
        vm.prank(owner);
        token.approve(address(vault), amount);
        vault.fund(7, address(token), owner, amount);
    }

    function test_fund_WhenItIsOver96Bits_ItRefuses() public {
        token.mint(owner, 1 << 96);
        vm.prank(owner);
        token.approve(address(vault), 1 << 96);
        bytes memory act = abi.encodeCall(vault.fund, (7, address(token), owner, 1 << 96));
        bytes4 error = SafeCast.SafeCastOverflowedUintDowncast.selector;
        _refused(address(this), act, abi.encodeWithSelector(error, 96, 1 << 96));
    }

    function test_fund_WhenItArrives_ItIsTheJobsEscrow() public {
        vm.prank(owner);
        token.approve(address(vault), 100);
        vm.expectEmit(address(vault));
        emit IVault.Funded(7, address(token), 100);
        assertEq(vault.fund(7, address(token), owner, 100), 100);
        (address escrowed, uint256 amount) = vault.escrowOf(7);
        assertEq(escrowed, address(token));
        assertEq(amount, 100);
    }

    function test_pay_WhenTheEscrowIsSmaller_ItRefuses() public {
        _fund(100);
        bytes memory act = abi.encodeCall(vault.pay, (7, owner, 101));
        _refused(address(this), act, abi.encodeWithSelector(IVault.EscrowExceeded.selector, 7, 100, 101));
    }

    function test_pay_WhenTheEscrowCoversIt_ItIsCredited() public {
        _fund(100);
        vault.pay(7, other, 100);
        assertEq(vault.creditOf(address(token), other), 100);
        (, uint256 left) = vault.escrowOf(7);
        assertEq(left, 0);
    }

    // ---------------------------------------------------------------- reads
    function test_constructor_ItStoresTokenDelayRegistryAndCoordinator() public view {
        assertEq(vault.token(), address(token));
        assertEq(vault.unbondingDelay(), 1 days);
        assertEq(address(vault.REGISTRY()), address(registry));
        assertEq(vault.COORDINATOR(), address(this));
    }
}
