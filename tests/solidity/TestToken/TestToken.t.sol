// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {TestToken} from "../../../contracts/TestToken.sol";

contract TestTokenTest is Test {
    TestToken private token = new TestToken();

    function test_constructor_ItNamesATestToken() external view {
        assertEq(token.name(), "Steelyard Test Token");
        assertEq(token.symbol(), "SYT");
        assertEq(token.decimals(), 18);
        assertEq(token.totalSupply(), 0);
    }

    function testFuzz_mint_ByAnyoneItGivesTokens(address caller, address to, uint256 amount) external {
        vm.assume(to != address(0));
        vm.prank(caller);
        token.mint(to, amount);
        assertEq(token.balanceOf(to), amount);
        assertEq(token.totalSupply(), amount);
    }

    function test_permit_WhenTheOwnerSigned_ItAllowsTheSpender() external {
        (address owner, uint256 key) = makeAddrAndKey("owner");
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                address(this),
                uint256(5),
                uint256(0),
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), message)));
        token.permit(owner, address(this), 5, block.timestamp, v, r, s);
        assertEq(token.allowance(owner, address(this)), 5);
    }
}
