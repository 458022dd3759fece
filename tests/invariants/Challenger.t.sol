// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {Ghost} from "./Ghost.sol";
import {World} from "./World.sol";

/// @notice What I2 rests on in the campaigns: however time passes, their challenger is awake.
contract ChallengerTest is Test {
    World private world;
    address private sponsor;

    function setUp() public {
        world = new World(6);
        world.setUp();
        sponsor = world.people(world.WORKERS() + world.AGGREGATORS());
    }

    function _start(uint256 seed) private returns (uint64 job) {
        require(world.createJob(seed), "no job");
        job = world.jobs();
        for (uint256 i; i < 6; ++i) {
            world.join(job, world.workers(i));
        }
        for (uint256 i; i < 3; ++i) {
            world.enlist(job, i);
        }
        require(world.openRound(job, sponsor), "no round");
    }

    /// A wrong result that liars hold, whose window ends while another job's attestors wait for their turn.
    function test_NoFaultEscapesWhileAttestorsOfAnotherJobWait() public {
        uint64 job = _start(1 << 72); // of three members two lie
        for (uint256 i; i < 3; ++i) {
            world.send(job, i, 0);
        }
        for (uint256 i; i < 3; ++i) {
            world.say(job, i, 7);
        }
        world.pass(15, false); // the honest aggregator misses its turn
        require(world.build(job, 0, World.Build.Wrong), "no post");
        bytes32 wrong = world.recent(job, 0);
        for (uint256 i; i < 2; ++i) {
            world.hold(job, i, 1);
        }
        world.pass(30, false);
        _start(0); // attests from 20 to 30 seconds from now on; the window ends in 10
        assertEq(world.postOf(wrong).finalAt, block.timestamp + 10);

        world.pass(40, true);

        world.settle(job);
        assertEq(world.brokenCount(), 0, "a fault that was there to show is final");
        assertTrue(world.postOf(wrong).life == Ghost.Life.Void);
    }
}
