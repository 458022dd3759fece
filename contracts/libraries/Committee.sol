// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {BitCounters} from "./BitCounters.sol";

/// @title Draw of a round's attestors
library Committee {
    /// @notice Seats in a committee.
    uint256 internal constant SIZE = 16;

    /// @dev Submitters expected among the candidates of the first pass: 16 or more are, but for one draw in a million.
    uint256 private constant EXPECTED = 40;

    /// @notice All of the submitted slots where there are up to 16, else the 16 of lowest keccak256(abi.encode(seed, slot)).
    function draw(uint256 submitted, bytes32 seed) internal pure returns (uint256) {
        uint256 members = BitCounters.count(submitted);
        if (members <= SIZE) return submitted;

        if (members > EXPECTED) {
            // Hashes are uniform, so a ceiling sorts nearly all of them out by one comparison.
            (uint256 drawn, uint256 seats) = _lowest(submitted, seed, type(uint256).max / members * EXPECTED);
            if (seats == SIZE) return drawn;
        }
        (uint256 all,) = _lowest(submitted, seed, type(uint256).max);
        return all;
    }

    /// @dev The 16 lowest of the hashes below `ceiling`, or all of them where they are fewer. The hashes found so far
    /// stand in memory in rising order, each with its slot in place of its lowest byte: no two agree in the other 31.
    function _lowest(uint256 submitted, bytes32 seed, uint256 ceiling)
        private
        pure
        returns (uint256 drawn, uint256 seats)
    {
        assembly ("memory-safe") {
            let list := mload(0x40)
            let end := list // of the hashes found so far
            let full := add(list, 512)
            mstore(0x00, seed)

            for { let slot := 0 } submitted { slot := add(slot, 1) } {
                if and(submitted, 1) {
                    mstore(0x20, slot)
                    let hash := or(and(keccak256(0x00, 0x40), not(0xff)), slot)
                    if lt(hash, ceiling) {
                        if lt(end, full) { end := add(end, 32) }
                        let at := sub(end, 32)
                        for {} gt(at, list) { at := sub(at, 32) } {
                            let before := mload(sub(at, 32))
                            if lt(before, hash) { break }
                            mstore(at, before)
                        }
                        mstore(at, hash)
                        if eq(end, full) { ceiling := mload(sub(full, 32)) }
                    }
                }
                submitted := shr(1, submitted)
            }

            for { let at := list } lt(at, end) { at := add(at, 32) } { drawn := or(
                drawn,
                shl(and(mload(at), 0xff), 1)
            ) }
            seats := div(sub(end, list), 32)
        }
    }
}
