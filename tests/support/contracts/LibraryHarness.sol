// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BitCounters} from "../../../contracts/libraries/BitCounters.sol";
import {Blocks} from "../../../contracts/libraries/Blocks.sol";
import {Committee} from "../../../contracts/libraries/Committee.sol";
import {NumberRules} from "../../../contracts/libraries/NumberRules.sol";
import {Packed} from "../../../contracts/libraries/Packed.sol";
import {Trees} from "../../../contracts/libraries/Trees.sol";

/// @title The pure libraries as a contract
/// @notice One external function for each internal one, so that tests reach those that take calldata, see what they
/// revert with, and can be written in Python too.
contract LibraryHarness {
    function decodes(uint8 encoding, bytes calldata data) external pure returns (bool) {
        return Blocks.decodes(encoding, data);
    }

    function valueAt(uint8 encoding, bytes calldata data, uint256 coordinate) external pure returns (int256) {
        return Blocks.valueAt(encoding, data, coordinate);
    }

    function values(uint8 encoding, bytes calldata data) external pure returns (int256[32] memory all) {
        for (uint256 c; c < 32; ++c) {
            all[c] = Blocks.valueAt(encoding, data, c);
        }
    }

    function energy(uint8 encoding, bytes calldata data) external pure returns (uint256) {
        return Blocks.energy(encoding, data);
    }

    function known(uint8 encoding) external pure returns (bool) {
        return Blocks.known(encoding);
    }

    function rdiv(int256 a, uint256 d) external pure returns (int256) {
        return NumberRules.rdiv(a, d);
    }

    function step(int256 state, int256 momentum, int256 mean, uint256 beta, uint256 lr)
        external
        pure
        returns (int256, int256)
    {
        return NumberRules.step(state, momentum, mean, beta, lr);
    }

    function wordAt(bytes calldata data, uint256 at) external pure returns (uint256) {
        return Packed.wordAt(data, at);
    }

    function uintAt(bytes calldata data, uint256 at, uint256 size) external pure returns (uint256) {
        return Packed.uintAt(data, at, size);
    }

    function depth(uint256 blockCount) external pure returns (uint256) {
        return Trees.depth(blockCount);
    }

    function leaf(bytes calldata data) external pure returns (bytes32) {
        return Trees.leaf(data);
    }

    function node(bytes32 left, bytes32 right) external pure returns (bytes32) {
        return Trees.node(left, right);
    }

    function energyNode(bytes32 left, bytes32 right, uint192 energies) external pure returns (bytes32) {
        return Trees.energyNode(left, right, energies);
    }

    function rootAbove(bytes32 hash, uint256 position, bytes calldata path) external pure returns (bytes32) {
        return Trees.rootAbove(hash, position, path);
    }

    function zeroStateRoot(uint256 blockCount) external pure returns (bytes32) {
        return Trees.zeroStateRoot(blockCount);
    }

    function updateRoot(bytes calldata fields) external pure returns (bytes32) {
        return Trees.updateRoot(fields);
    }

    function hashOfTable(bytes calldata table) external pure returns (bytes32) {
        return Trees.hashOfTable(table);
    }

    function sealedRoot(address coordinator, uint64 job, uint64 serial, address worker, bytes32 root)
        external
        view
        returns (bytes32)
    {
        return Trees.sealedRoot(coordinator, job, serial, worker, root);
    }

    function inAtLeast(uint256[] calldata bitmaps, uint256 threshold) external pure returns (uint256) {
        return BitCounters.inAtLeast(bitmaps, threshold);
    }

    function count(uint256 bitmap) external pure returns (uint256) {
        return BitCounters.count(bitmap);
    }

    function has(uint256 bitmap, uint256 slot) external pure returns (bool) {
        return BitCounters.has(bitmap, slot);
    }

    function rank(uint256 bitmap, uint256 slot) external pure returns (uint256) {
        return BitCounters.rank(bitmap, slot);
    }

    function nth(uint256 bitmap, uint256 n) external pure returns (uint256) {
        return BitCounters.nth(bitmap, n);
    }

    function lowest(uint256 bitmap) external pure returns (uint256) {
        return BitCounters.lowest(bitmap);
    }

    function draw(uint256 submitted, bytes32 seed) external pure returns (uint256) {
        return Committee.draw(submitted, seed);
    }
}
