// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {JobState, Round, Seat} from "../interfaces/JobTypes.sol";

/// @title Structs of one slot, read and written at once
/// @dev The compiler reads and writes a packed struct field by field. The shifts below are the layout that it gives the
/// structs: the first field lowest. A test holds the two against each other.
library Slots {
    function load(Round storage slot) internal view returns (Round memory round) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(slot.slot)
        }
        round.number = uint24(word);
        round.parentSerial = uint32(word >> 24);
        round.weightSum = uint32(word >> 56);
        round.setVersion = uint16(word >> 88);
        round.tries = uint8(word >> 104);
        round.posts = uint8(word >> 112);
        round.flags = uint8(word >> 120);
        round.clock = uint40(word >> 128);
        round.mark = uint40(word >> 168);
        round.tally = uint48(word >> 208);
    }

    function store(Round storage slot, Round memory round) internal {
        uint256 word = uint256(round.number) | (uint256(round.parentSerial) << 24) | (uint256(round.weightSum) << 56)
            | (uint256(round.setVersion) << 88) | (uint256(round.tries) << 104) | (uint256(round.posts) << 112)
            | (uint256(round.flags) << 120) | (uint256(round.clock) << 128) | (uint256(round.mark) << 168)
            | (uint256(round.tally) << 208);
        assembly ("memory-safe") {
            sstore(slot.slot, word)
        }
    }

    function load(JobState storage slot) internal view returns (JobState memory state) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(slot.slot)
        }
        state.head = uint32(word);
        state.lastSerial = uint32(word >> 32);
        state.settledSerial = uint32(word >> 64);
        state.settledNumber = uint24(word >> 96);
        state.setVersion = uint16(word >> 120);
        state.unresolved = uint32(word >> 136);
        state.failures = uint8(word >> 168);
        state.status = uint8(word >> 176);
        state.aggregators = uint32(word >> 184);
        state.frozen = (word >> 216) & 1 == 1;
    }

    function store(JobState storage slot, JobState memory state) internal {
        uint256 word = uint256(state.head) | (uint256(state.lastSerial) << 32) | (uint256(state.settledSerial) << 64)
            | (uint256(state.settledNumber) << 96) | (uint256(state.setVersion) << 120)
            | (uint256(state.unresolved) << 136) | (uint256(state.failures) << 168) | (uint256(state.status) << 176)
            | (uint256(state.aggregators) << 184) | (state.frozen ? 1 << 216 : 0);
        assembly ("memory-safe") {
            sstore(slot.slot, word)
        }
    }

    function load(Seat storage slot) internal view returns (Seat memory seat) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(slot.slot)
        }
        seat.worker = address(uint160(word));
        seat.slot = uint8(word >> 160);
        seat.weight = uint24(word >> 168);
        seat.since = uint32(word >> 192);
        seat.until = uint32(word >> 224);
    }

    /// @notice A seat without its weight.
    function fields(Seat storage slot)
        internal
        view
        returns (address worker, uint8 seatSlot, uint256 since, uint256 until)
    {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(slot.slot)
        }
        return (address(uint160(word)), uint8(word >> 160), uint32(word >> 192), word >> 224);
    }

    /// @notice The fields of a round that decide whether it can be attested; `tryStart` only before a post.
    function phase(Round storage slot)
        internal
        view
        returns (uint8 flags, uint256 tryStart, uint8 tries, uint256 parentSerial)
    {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(slot.slot)
        }
        return (uint8(word >> 120), uint40(word >> 128), uint8(word >> 104), uint32(word >> 24));
    }
}
