// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test, console} from "forge-std/Test.sol";

import {ICoordinator} from "../../contracts/interfaces/ICoordinator.sol";
import {IVault} from "../../contracts/interfaces/IVault.sol";
import {
    ColludingSponsor,
    Crowd,
    Griefer,
    HonestParty,
    Leavers,
    LyingAggregators,
    LyingMinority,
    Untimely
} from "./Handlers.sol";
import {World} from "./World.sol";

/// @notice The promises of docs/invariants.md, all through a campaign, and once it is over. Numbers I1 to I16 are
/// those of that list.
contract InvariantsTest is Test {
    World internal world;
    address[] internal handlers;

    function setUp() public {
        world = new World();
        world.setUp();
        HonestParty honest = new HonestParty(world);
        handlers.push(address(honest));
        LyingMinority minority = new LyingMinority(world);
        handlers.push(address(minority));
        LyingAggregators liars = new LyingAggregators(world);
        handlers.push(address(liars));
        handlers.push(address(new ColludingSponsor(world)));
        handlers.push(address(new Untimely(world, honest, minority, liars)));
        handlers.push(address(new Leavers(world)));
        handlers.push(address(new Crowd(world)));
        handlers.push(address(new Griefer(world)));
        for (uint256 i; i < handlers.length; ++i) {
            targetContract(handlers[i]);
        }
    }

    /// One function, since each would have a campaign of its own. A failure begins with the number of its promise. What is
    /// judged with each event is kept until the next check, so checks need not follow each act; arguments are seeds, for
    /// which numbers found in storage are no better than others.
    /// forge-config: default.invariant.check-interval = 8
    /// forge-config: default.invariant.dictionary-weight = 0
    /// forge-config: default.invariant.include-storage = false
    /// forge-config: default.invariant.include-push-bytes = false
    /// forge-config: ci.invariant.check-interval = 8
    /// forge-config: ci.invariant.dictionary-weight = 0
    /// forge-config: ci.invariant.include-storage = false
    /// forge-config: ci.invariant.include-push-bytes = false
    function invariant_AllPromisesHold() public view {
        // I1 to I3, I6, I8 to I11 and I13 to I15 are judged with each event.
        if (world.brokenCount() != 0) revert(world.broken(0));
        world.checkLedgers();
        world.checkLocks();
        world.checkEscrow();
        world.checkChains();
        world.checkPosts(4);
        world.checkSeats();
    }

    /// @dev I16: the world ends, and everybody leaves with everything.
    function afterInvariant() public {
        world.checkPosts(1000);
        world.drain();
        if (worlds.length == 0) _summary();
        invariant_AllPromisesHold();
    }

    // ---------------------------------------------------------------- a campaign of fixed seeds
    uint256 internal constant RUNS = 12;
    uint256 internal constant STEPS = 256;

    bytes4[] internal acts;
    address[] internal actors;
    World[] internal worlds;

    /// @notice The same handlers in an order drawn by a hash, and how often each thing must have come about in it:
    /// a campaign in which nothing succeeds would prove nothing.
    function test_ACampaignMeansSomething() public {
        vm.pauseGasMetering();
        for (uint256 run; run < RUNS; ++run) {
            if (run != 0) setUp();
            _listActs();
            for (uint256 i; i < STEPS; ++i) {
                _step(uint256(keccak256(abi.encode("campaign", run, i))));
                if (i % 8 == 0) invariant_AllPromisesHold();
            }
            worlds.push(world);
            afterInvariant();
        }
        _expectEnough();
    }

    function _listActs() private {
        delete acts;
        delete actors;
        _list(0, HonestParty.shift.selector);
        _list(0, HonestParty.work.selector);
        _list(0, HonestParty.aggregate.selector);
        _list(0, HonestParty.challenge.selector);
        _list(0, HonestParty.reportUpdate.selector);
        _list(1, LyingMinority.lieInUpdates.selector);
        _list(1, LyingMinority.submitAll.selector);
        _list(1, LyingMinority.lieInAttestations.selector);
        _list(1, LyingMinority.holdAnything.selector);
        _list(2, LyingAggregators.postAnything.selector);
        _list(2, LyingAggregators.postRight.selector);
        _list(2, LyingAggregators.showFiles.selector);
        _list(3, ColludingSponsor.createJob.selector);
        _list(3, ColludingSponsor.openRound.selector);
        _list(3, ColludingSponsor.endEarly.selector);
        _list(4, Untimely.wait.selector);
        _list(4, Untimely.waitLong.selector);
        _list(4, Untimely.waitForDeadline.selector);
        _list(4, Untimely.submitUntimely.selector);
        _list(4, Untimely.disputeUntimely.selector);
        _list(5, Leavers.leave.selector);
        _list(5, Leavers.joinAgain.selector);
        _list(5, Leavers.retire.selector);
        _list(5, Leavers.rekey.selector);
        _list(5, Leavers.money.selector);
        _list(6, Crowd.retry.selector);
        _list(6, Crowd.reopen.selector);
        _list(6, Crowd.settle.selector);
        _list(6, Crowd.openRound.selector);
        _list(6, Crowd.claim.selector);
        _list(6, Crowd.releaseBond.selector);
        _list(6, Crowd.throwOut.selector);
        _list(7, Griefer.convictFalsely.selector);
        _list(7, Griefer.convictSoundUpdate.selector);
        _list(7, Griefer.forceDoors.selector);
    }

    function _list(uint256 handler, bytes4 what) private {
        actors.push(handlers[handlers.length - 8 + handler]);
        acts.push(what);
    }

    function _step(uint256 seed) private {
        uint256 which = seed % acts.length;
        (uint256 a, uint256 b) = (uint256(keccak256(abi.encode(seed, 1))), uint256(keccak256(abi.encode(seed, 2))));
        (bool ok, bytes memory why) = actors[which].call(abi.encodeWithSelector(acts[which], a, b, seed >> 255));
        if (!ok) {
            console.logBytes4(acts[which]);
            console.logBytes(why);
            revert("a handler reverted");
        }
    }

    /// @dev How often each thing came about, and how often it must have.
    function _expectEnough() private view {
        _came("openings", 60);
        _came("right results", 40);
        _came("wrong results", 10);
        _came("final", 30);
        _came("convicted", 3);
        _came("not held", 3);
        _came("built on void", 6);
        _came("malformed", 3);
        _came("revealed", 3);
        _came("slashed", 5);
        _came("claims", 150);
        _came("bonds released", 10);
        _came("jobs ended", 24);
        _came("untimely acts refused", 80);
        _came("false proofs refused", 40);
        _came("doors that held", 30);
        _succeeded("createJob", ICoordinator.createJob.selector, 24);
        _succeeded("join", ICoordinator.join.selector, 100);
        _succeeded("leave", ICoordinator.leave.selector, 20);
        _succeeded("removeMember", ICoordinator.removeMember.selector, 1);
        _succeeded("release", ICoordinator.release.selector, 100);
        _succeeded("reseat", ICoordinator.reseat.selector, 30);
        _succeeded("enlist", ICoordinator.enlist.selector, 50);
        _succeeded("retire", ICoordinator.retire.selector, 5);
        _succeeded("removeAggregator", ICoordinator.removeAggregator.selector, 0);
        _succeeded("openRound", ICoordinator.openRound.selector, 15);
        _succeeded("submit", ICoordinator.submit.selector, 200);
        _succeeded("attest", ICoordinator.attest.selector, 200);
        _succeeded("post", ICoordinator.post.selector, 50);
        _succeeded("hold", ICoordinator.hold.selector, 40);
        _succeeded("retry", ICoordinator.retry.selector, 12);
        _succeeded("reopen", ICoordinator.reopen.selector, 1);
        _succeeded("settle", ICoordinator.settle.selector, 150);
        _succeeded("commit", ICoordinator.commit.selector, 3);
        _succeeded("convict", ICoordinator.convict.selector, 3);
        _succeeded("convictUpdate", ICoordinator.convictUpdate.selector, 3);
        _succeeded("claim", ICoordinator.claim.selector, 150);
        _succeeded("claimPosts", ICoordinator.claimPosts.selector, 30);
        _succeeded("releaseBond", ICoordinator.releaseBond.selector, 10);
        _succeeded("stop", ICoordinator.stop.selector, 1);
        _succeeded("close", ICoordinator.close.selector, 1);
        _succeeded("abort", ICoordinator.abort.selector, 12);
        _succeeded("unbond", IVault.unbond.selector, 40);
        _succeeded("withdraw", IVault.withdraw.selector, 40);
        _succeeded("deposit", IVault.deposit.selector, 15);
    }

    /// @dev Of one run of a campaign, as forge shows them: the last one's.
    function _summary() private view {
        console.log("final results:", world.tally("final"), "wrong results posted:", world.tally("wrong results"));
        console.log("convicted:", world.tally("convicted"), "not held:", world.tally("not held"));
        console.log("built on void:", world.tally("built on void"), "slashed:", world.tally("slashed"));
        console.log("claims:", world.tally("claims"), "refused:", world.tally("untimely acts refused"));
    }

    function _came(string memory name, uint256 least) private view {
        uint256 count;
        for (uint256 i; i < worlds.length; ++i) {
            count += worlds[i].tally(bytes32(bytes(name)));
        }
        console.log(count, name);
        assertGe(count, least, name);
    }

    function _succeeded(string memory name, bytes4 what, uint256 least) private view {
        uint256 done;
        uint256 tried;
        for (uint256 i; i < worlds.length; ++i) {
            done += worlds[i].done(what);
            tried += worlds[i].tried(what);
        }
        console.log(done, "of", tried, name);
        assertGe(done, least, name);
    }
}
