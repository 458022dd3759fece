// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {LibraryHarness} from "../../support/contracts/LibraryHarness.sol";
import {Openings} from "../support/Openings.sol";

contract TreesTest is Test {
    LibraryHarness private trees = new LibraryHarness();

    // depth

    function test_depth_WhenThereIsOneBlock_ItIsZero() external view {
        assertEq(trees.depth(1), 0);
    }

    function test_depth_WhenTheCountIsAPowerOfTwo_ItIsItsLogarithm() external view {
        assertEq(trees.depth(2), 1);
        assertEq(trees.depth(2 ** 18), 18);
        assertEq(trees.depth(2 ** 28), 28);
    }

    function test_depth_Otherwise_ItRoundsUp() external view {
        assertEq(trees.depth(3), 2);
        assertEq(trees.depth(2 ** 18 - 1), 18);
        assertEq(trees.depth(2 ** 18 + 1), 19);
    }

    // leaf, node, energyNode

    function testFuzz_leaf_HashesTheBlockBehindZero(bytes calldata data) external view {
        assertEq(trees.leaf(data), keccak256(abi.encodePacked(uint8(0), data)));
    }

    function testFuzz_node_HashesBothBehindOne(bytes32 left, bytes32 right) external view {
        assertEq(trees.node(left, right), keccak256(abi.encodePacked(uint8(1), left, right)));
    }

    function testFuzz_energyNode_HashesBothAndEnergiesBehindTwo(bytes32 left, bytes32 right, uint96 l, uint96 r)
        external
        view
    {
        assertEq(
            trees.energyNode(left, right, (uint192(l) << 96) | r),
            keccak256(abi.encodePacked(uint8(2), left, right, l, r))
        );
    }

    // rootAbove

    function test_rootAbove_WhenThePathIsEmpty_ItIsTheLeaf() external view {
        assertEq(trees.rootAbove(bytes32(uint256(5)), 0, ""), bytes32(uint256(5)));
    }

    function test_rootAbove_FromEveryLeafWithItsPathAndPosition_ItIsTheRoot() external view {
        bytes32[] memory leaves = _leaves(5, 0);
        bytes32[][] memory levels = Openings.tree(leaves);
        for (uint256 i; i < 8; ++i) {
            assertEq(trees.rootAbove(levels[0][i], i, Openings.path(levels, i)), Openings.root(levels));
        }
    }

    function test_rootAbove_FromAnotherPosition_ItIsAnother() external view {
        bytes32[][] memory levels = Openings.tree(_leaves(5, 0));
        for (uint256 i; i < 8; ++i) {
            if (i != 2) assertNotEq(trees.rootAbove(levels[0][2], i, Openings.path(levels, 2)), Openings.root(levels));
        }
    }

    // zeroStateRoot

    function test_zeroStateRoot_ForEveryCountUpTo70_ItIsTheRootOfZeroBlocks() external view {
        for (uint256 count = 1; count <= 70; ++count) {
            bytes32 expected = Openings.root(Openings.tree(_leaves(count, Openings.leaf(new bytes(128)))));
            assertEq(trees.zeroStateRoot(count), expected);
        }
    }

    // updateRoot, hashOfTable, sealedRoot

    function test_updateRoot_ItHashesTheFieldsBehind0x03() external view {
        assertEq(trees.updateRoot(hex"aabb"), keccak256(hex"03aabb"));
    }

    function test_hashOfTable_ItHashesTheTableBehind0x05() external view {
        assertEq(trees.hashOfTable(hex"000001010000"), keccak256(hex"05000001010000"));
    }

    function test_sealedRoot_ItBindsChainContractRoundWorkerAndRoot() external {
        vm.chainId(31_337);
        address coordinator = address(0xc0);
        address worker = address(0xa1);
        bytes32 root = bytes32(uint256(9));
        bytes32 expected = keccak256(abi.encode(uint256(31_337), coordinator, uint64(3), uint64(4), worker, root));
        assertEq(trees.sealedRoot(coordinator, 3, 4, worker, root), expected);
        assertNotEq(trees.sealedRoot(coordinator, 3, 5, worker, root), expected);
        vm.chainId(1);
        assertNotEq(trees.sealedRoot(coordinator, 3, 4, worker, root), expected);
    }

    /// @dev `count` leaves, all `same` or, if that is 0, all different.
    function _leaves(uint256 count, bytes32 same) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            leaves[i] = same == 0 ? keccak256(abi.encode(i)) : same;
        }
    }
}
