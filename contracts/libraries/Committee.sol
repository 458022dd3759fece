// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BitCounters} from "./BitCounters.sol";

/// @title Draw of a round's attestors
library Committee {
    /// @notice Seats in a committee.
    uint256 internal constant SIZE = 16;

    /// @dev Submitters expected among the first candidates. They are 16 or more but for about one draw in a million.
    uint256 private constant EXPECTED = 40;

    /// @notice All submitted slots if there are up to 16, else the 16 of lowest keccak256(abi.encode(seed, slot)).
    function draw(uint256 submitted, bytes32 seed) internal pure returns (uint256) {
        uint256 members = BitCounters.count(submitted);
        if (members <= SIZE) return submitted;

        // Hashes are uniform, so a ceiling sorts most of them out by one comparison each.
        // Divided first, since the product would not fit; the ceiling needs no exactness.
        // slither-disable-next-line divide-before-multiply
        uint256 ceiling = members > EXPECTED ? type(uint256).max / members * EXPECTED : type(uint256).max;
        uint256[] memory hashes = _below(ceiling, submitted, seed);
        if (hashes.length < SIZE) {
            ceiling = type(uint256).max;
            hashes = _below(ceiling, submitted, seed);
        }
        return _lowest(hashes, ceiling);
    }

    /// @dev Hashes of the submitted slots below the ceiling, each with its slot in place of the lowest byte; no two
    /// agree in the other 31.
    function _below(uint256 ceiling, uint256 submitted, bytes32 seed) private pure returns (uint256[] memory hashes) {
        assembly ("memory-safe") {
            hashes := mload(0x40)
            let end := add(hashes, 32)
            mstore(0x00, seed)
            // Most hashes fail the first test, so whether the slot submitted at all is asked last.
            for { let slot := 0 } shr(slot, submitted) { slot := add(slot, 1) } {
                mstore(0x20, slot)
                let hash := keccak256(0x00, 0x40)
                if lt(hash, ceiling) {
                    if and(shr(slot, submitted), 1) {
                        mstore(end, or(and(hash, not(0xff)), slot))
                        end := add(end, 32)
                    }
                }
            }
            mstore(hashes, shr(5, sub(sub(end, hashes), 32)))
            // Three words that lie below no bound let _lowest() take four at a time.
            mstore(end, not(0))
            mstore(add(end, 32), not(0))
            mstore(add(end, 64), not(0))
            mstore(0x40, add(end, 96))
        }
    }

    /// @dev Slots of the 16 lowest of 16 or more hashes. Halves the interval around a bound until 16 lie below it.
    function _lowest(uint256[] memory hashes, uint256 ceiling) private pure returns (uint256 drawn) {
        assembly ("memory-safe") {
            let first := add(hashes, 32)
            let end := add(first, shl(5, mload(hashes)))
            let low := 0 // fewer than 16 below
            let high := ceiling // 16 or more below
            let bound := high
            for {} 1 {} {
                let below := 0
                for { let at := first } lt(at, end) { at := add(at, 128) } {
                    let pair := add(lt(mload(at), bound), lt(mload(add(at, 32)), bound))
                    below := add(below, add(pair, add(lt(mload(add(at, 64)), bound), lt(mload(add(at, 96)), bound))))
                }
                if eq(below, 16) { break }
                switch gt(below, 16)
                case 1 { high := bound }
                default { low := bound }
                bound := add(low, shr(1, sub(high, low)))
            }
            for { let at := first } lt(at, end) { at := add(at, 32) } {
                let hash := mload(at)
                // `shl` takes the shift first: this is 1 << slot, as meant.
                // slither-disable-next-line incorrect-shift
                if lt(hash, bound) { drawn := or(drawn, shl(and(hash, 0xff), 1)) }
            }
        }
    }
}
