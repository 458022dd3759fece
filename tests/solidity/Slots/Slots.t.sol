// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Slots} from "../../../contracts/coordinator/Slots.sol";
import {JobState, Round, Seat} from "../../../contracts/interfaces/JobTypes.sol";

/// @notice Each struct is written one way and read the other: by the shifts in Slots, and by the compiler.
contract SlotsTest is Test {
    using Slots for JobState;
    using Slots for Round;
    using Slots for Seat;

    Round private _round;
    JobState private _state;
    Seat private _seat;

    function testFuzz_load_WhenTheCompilerWroteARound_ItIsTheSame(Round memory round) public {
        _round = round;
        assertEq(abi.encode(_round.load()), abi.encode(round));
    }

    function testFuzz_store_WhenTheCompilerReadsARound_ItIsTheSame(Round memory round) public {
        _round.store(round);
        Round memory read = _round;
        assertEq(abi.encode(read), abi.encode(round));
    }

    function testFuzz_phase_WhenTheCompilerWroteARound_ItIsOfItsFields(Round memory round) public {
        _round = round;
        (uint8 flags, uint256 clock, uint8 tries, uint256 parentSerial) = _round.phase();
        assertEq(flags, round.flags);
        assertEq(clock, round.clock);
        assertEq(tries, round.tries);
        assertEq(parentSerial, round.parentSerial);
    }

    function testFuzz_load_WhenTheCompilerWroteAState_ItIsTheSame(JobState memory state) public {
        _state = state;
        assertEq(abi.encode(_state.load()), abi.encode(state));
    }

    function testFuzz_store_WhenTheCompilerReadsAState_ItIsTheSame(JobState memory state) public {
        _state.store(state);
        JobState memory read = _state;
        assertEq(abi.encode(read), abi.encode(state));
    }

    function testFuzz_load_WhenTheCompilerWroteASeat_ItIsTheSame(Seat memory seat) public {
        _seat = seat;
        assertEq(abi.encode(_seat.load()), abi.encode(seat));
    }

    function testFuzz_fields_WhenTheCompilerWroteASeat_TheyAreItsOwn(Seat memory seat) public {
        _seat = seat;
        (address worker, uint8 slot, uint256 since, uint256 until) = _seat.fields();
        assertEq(worker, seat.worker);
        assertEq(slot, seat.slot);
        assertEq(since, seat.since);
        assertEq(until, seat.until);
    }
}
