// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test, console} from "forge-std/Test.sol";
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
import {IJobs} from "../../contracts/interfaces/IJobs.sol";
import {IMembership} from "../../contracts/interfaces/IMembership.sol";
import {IAggregators} from "../../contracts/interfaces/IAggregators.sol";
import {IRounds} from "../../contracts/interfaces/IRounds.sol";
import {IRoundRecovery} from "../../contracts/interfaces/IRoundRecovery.sol";
import {IDisputes} from "../../contracts/interfaces/IDisputes.sol";
import {IPayouts} from "../../contracts/interfaces/IPayouts.sol";
import {IJobClosure} from "../../contracts/interfaces/IJobClosure.sol";

/// @notice The promises of docs/invariants.md, all through a campaign, and once it is over. Numbers I1 to I17 are
/// those of that list.
abstract contract Campaign is Test {
    World internal world;
    address[] internal handlers;

    function _workers() internal pure virtual returns (uint256);

    /// @dev How often each thing came about, and how often it must have.
    function _expectEnough() internal view virtual;

    function setUp() public {
        world = new World(_workers());
        world.setUp();
        HonestParty honest = new HonestParty(world);
        handlers.push(address(honest));
        LyingMinority minority = new LyingMinority(world);
        handlers.push(address(minority));
        LyingAggregators liars = new LyingAggregators(world, minority);
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

    /// @dev What is judged with each event is kept until the next check, so checks need not follow each act.
    function _promises() internal view {
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
        _promises();
    }

    // ---------------------------------------------------------------- a campaign of fixed seeds
    uint256 internal constant STEPS = 256;

    function _runs() internal pure virtual returns (uint256);

    bytes4[] internal acts;
    address[] internal actors;
    World[] internal worlds;

    /// @notice The same handlers in an order drawn by a hash, and how often each thing must have come about in it:
    /// a campaign in which nothing succeeds would prove nothing.
    function test_ACampaignMeansSomething() public {
        vm.pauseGasMetering();
        for (uint256 run; run < _runs(); ++run) {
            if (run != 0) setUp();
            _listActs();
            for (uint256 i; i < STEPS; ++i) {
                _step(uint256(keccak256(abi.encode("campaign", run, i))));
                if (i % 8 == 0) _promises();
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
        _list(2, LyingAggregators.plot.selector);
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
        _list(6, Crowd.draw.selector);
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

    /// @dev Of one run of a campaign, as forge shows them: the last one's.
    function _summary() private view {
        console.log("final results:", world.tally("final"), "wrong results posted:", world.tally("wrong results"));
        console.log("convicted:", world.tally("convicted"), "not held:", world.tally("not held"));
        console.log("built on void:", world.tally("built on void"), "slashed:", world.tally("slashed"));
        console.log("claims:", world.tally("claims"), "refused:", world.tally("untimely acts refused"));
    }

    function _came(string memory name, uint256 least) internal view {
        uint256 count;
        for (uint256 i; i < worlds.length; ++i) {
            count += worlds[i].tally(bytes32(bytes(name)));
        }
        console.log(count, name);
        assertGe(count, least, name);
    }

    function _succeeded(string memory name, bytes4 what, uint256 least) internal view {
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

/// @notice Jobs of six workers, of whom two lie, in all settings.
contract InvariantsTest is Campaign {
    /// One function, since each would have a campaign of its own. A failure begins with the number of its promise. Arguments
    /// are seeds, for which numbers found in storage are no better than others.
    /// forge-config: default.invariant.check-interval = 8
    /// forge-config: default.invariant.dictionary-weight = 0
    /// forge-config: default.invariant.include-storage = false
    /// forge-config: default.invariant.include-push-bytes = false
    /// forge-config: ci.invariant.check-interval = 8
    /// forge-config: ci.invariant.dictionary-weight = 0
    /// forge-config: ci.invariant.include-storage = false
    /// forge-config: ci.invariant.include-push-bytes = false
    function invariant_AllPromisesHold() public view {
        _promises();
    }

    function _workers() internal pure override returns (uint256) {
        return 6;
    }

    function _runs() internal pure override returns (uint256) {
        return 20;
    }

    function _expectEnough() internal view override {
        _came("openings", 100);
        _came("right results", 40);
        _came("wrong results", 15);
        _came("final", 35);
        _came("convicted", 6);
        _came("not held", 5);
        _came("built on void", 7);
        _came("malformed", 7);
        _came("revealed", 3);
        _came("slashed", 12);
        _came("claims", 150);
        _came("final, by shards", 5);
        _came("final, by invitation", 3);
        _came("final, with momentum", 8);
        _came("final, with clipping", 8);
        _came("posts where liars have K", 5);
        _came("captured", 0);
        _came("committees shrunk", 6);
        _came("bonds released", 10);
        _came("jobs ended", 30);
        _came("untimely acts refused", 200);
        _came("false proofs refused", 50);
        _came("doors that held", 70);
        _succeeded("createJob", IJobs.createJob.selector, 30);
        _succeeded("join", IMembership.join.selector, 150);
        _succeeded("leave", IMembership.leave.selector, 25);
        _succeeded("removeMember", IMembership.removeMember.selector, 0);
        _succeeded("release", IMembership.release.selector, 150);
        _succeeded("reseat", IMembership.reseat.selector, 60);
        _succeeded("enlist", IAggregators.enlist.selector, 80);
        _succeeded("retire", IAggregators.retire.selector, 8);
        _succeeded("removeAggregator", IAggregators.removeAggregator.selector, 5);
        _succeeded("openRound", IRoundRecovery.openRound.selector, 30);
        _succeeded("submit", IRounds.submit.selector, 280);
        _succeeded("attest", IRounds.attest.selector, 300);
        _succeeded("post", IRounds.post.selector, 50);
        _succeeded("hold", IRoundRecovery.hold.selector, 50);
        _succeeded("retry", IRoundRecovery.retry.selector, 25);
        _succeeded("reopen", IRoundRecovery.reopen.selector, 5);
        _succeeded("settle", IRoundRecovery.settle.selector, 300);
        _succeeded("commit", IDisputes.commit.selector, 6);
        _succeeded("convict", IDisputes.convict.selector, 6);
        _succeeded("convictUpdate", IDisputes.convictUpdate.selector, 7);
        _succeeded("claim", IPayouts.claim.selector, 150);
        _succeeded("claimPosts", IJobClosure.claimPosts.selector, 30);
        _succeeded("releaseBond", IJobClosure.releaseBond.selector, 10);
        _succeeded("stop", IJobClosure.stop.selector, 1);
        _succeeded("close", IJobClosure.close.selector, 3);
        _succeeded("abort", IJobClosure.abort.selector, 20);
        _succeeded("unbond", IVault.unbond.selector, 100);
        _succeeded("withdraw", IVault.withdraw.selector, 100);
        _succeeded("deposit", IVault.deposit.selector, 40);
    }
}

/// @notice A world of eighteen workers, of whom nine lie: where more than sixteen submit, a committee is drawn of them.
contract DrawnInvariantsTest is Campaign {
    /// One function, since each would have a campaign of its own. A failure begins with the number of its promise. Arguments
    /// are seeds, for which numbers found in storage are no better than others.
    /// forge-config: default.invariant.runs = 8
    /// forge-config: ci.invariant.runs = 64
    /// forge-config: default.invariant.check-interval = 8
    /// forge-config: default.invariant.dictionary-weight = 0
    /// forge-config: default.invariant.include-storage = false
    /// forge-config: default.invariant.include-push-bytes = false
    /// forge-config: ci.invariant.check-interval = 8
    /// forge-config: ci.invariant.dictionary-weight = 0
    /// forge-config: ci.invariant.include-storage = false
    /// forge-config: ci.invariant.include-push-bytes = false
    function invariant_AllPromisesHold() public view {
        _promises();
    }

    function _workers() internal pure override returns (uint256) {
        return 18;
    }

    function _runs() internal pure override returns (uint256) {
        return 8;
    }

    function _expectEnough() internal view override {
        _came("openings", 28);
        _came("right results", 10);
        _came("wrong results", 3);
        _came("final", 10);
        _came("final, of a drawn committee", 3);
        _came("committees drawn", 7);
        _came("committees shrunk", 3);
        _came("posts where liars have K", 2);
        _came("captured", 1);
        _came("convicted", 1);
        _came("not held", 1);
        _came("malformed", 5);
        _came("claims", 100);
        _came("seeds recorded apart", 3);
        _succeeded("submit", IRounds.submit.selector, 230);
        _succeeded("attest", IRounds.attest.selector, 180);
        _succeeded("hold", IRoundRecovery.hold.selector, 25);
        _succeeded("drawCommittee", IRoundRecovery.drawCommittee.selector, 7);
        _succeeded("retry", IRoundRecovery.retry.selector, 8);
        _succeeded("reopen", IRoundRecovery.reopen.selector, 1);
        _succeeded("convictUpdate", IDisputes.convictUpdate.selector, 5);
        _succeeded("claim", IPayouts.claim.selector, 100);
    }
}
