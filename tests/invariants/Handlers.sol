// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVault} from "../../contracts/interfaces/IVault.sol";
import {IWorkerRegistry} from "../../contracts/interfaces/IWorkerRegistry.sol";
import {Ghost, lies} from "./Ghost.sol";
import {World} from "./World.sol";
import {Round, Seat} from "../../contracts/interfaces/JobTypes.sol";

/// @dev What all handlers share. A handler decides; the world acts.
abstract contract Handler {
    World internal immutable WORLD;

    constructor(World world) {
        WORLD = world;
    }

    function _life(bytes32 id) internal view returns (Ghost.Life) {
        return WORLD.postOf(id).life;
    }

    function _serial(bytes32 id) internal view returns (uint64) {
        return WORLD.postOf(id).serial;
    }

    function _sponsor() internal view returns (address) {
        return WORLD.people(WORLD.WORKERS() + WORLD.AGGREGATORS());
    }

    function _challenger() internal view returns (address) {
        return WORLD.people(WORLD.WORKERS() + WORLD.AGGREGATORS() + 1);
    }
}

/// @notice Workers, an aggregator and a challenger that do what they should.
contract HonestParty is Handler {
    constructor(World world) Handler(world) {}

    /// @notice Whatever is due in all jobs, as programs that watch the chain would do it.
    function shift(uint256 seed) public {
        for (uint64 job = 1; job <= WORLD.jobs(); ++job) {
            if (WORLD.status(job) >= 2) continue;
            WORLD.draw(job);
            uint256 span = WORLD.spanOf(job);
            for (uint256 i; i < span; ++i) {
                if (!lies(i) && !_away(i)) _work(job, i);
            }
            if (seed & 1 == 1) _aggregate(job);
            if (seed & 2 == 2) challenge(job - 1, 1, seed & 4 == 4);
        }
    }

    function work(uint256 seed, uint256 who) external {
        uint64 job = WORLD.pick(seed);
        who = who % WORLD.spanOf(job);
        if (!lies(who)) _work(job, who);
    }

    /// @notice The honest aggregator posts once it may; others' turns pass first.
    function aggregate(uint256 seed) external {
        _aggregate(WORLD.pick(seed));
    }

    function _aggregate(uint64 job) private {
        Round memory r = WORLD.roundAt(job, WORLD.headOf(job));
        if (WORLD.headOf(job) == 0 || r.flags & 1 != 0 || block.timestamp < r.clock) return;
        WORLD.build(job, WORLD.HONEST_AGGREGATOR(), World.Build.Right);
    }

    function challenge(uint256 seed, uint256 age, bool announce) public {
        bytes32 id = WORLD.recent(WORLD.pick(seed), age % 3);
        Ghost.Post memory p = WORLD.postOf(id);
        if (p.life != Ghost.Life.Standing || !p.convictable || p.knownSince == 0) return;
        WORLD.convict(id, _challenger(), announce);
    }

    function reportUpdate(uint256 seed) external {
        bool announce = (seed >> 8) & 1 == 1;
        uint64 job = WORLD.pick(seed);
        uint64 serial = WORLD.headOf(job);
        if (seed & 1 == 0) serial = WORLD.roundAt(job, serial).parentSerial;
        uint256 slots = WORLD.sentTo(job, serial);
        for (; slots != 0; slots &= slots - 1) {
            uint256 slot = WORLD.lowest(slots);
            if (WORLD.kindOf(job, serial, slot) != WORLD.MALFORMED()) continue;
            WORLD.convictUpdate(job, serial, slot, _challenger(), announce);
        }
    }

    /// @dev One worker after another is away for some rounds.
    function _away(uint256 i) private view returns (bool) {
        return (block.timestamp / 400) % 8 == i;
    }

    /// @dev Submits, attests and holds, whatever is due.
    function _work(uint64 job, uint256 i) private {
        uint64 serial = WORLD.headOf(job);
        Seat memory seat = WORLD.seatFor(job, i);
        if (serial == 0 || seat.worker == address(0)) return;
        Round memory r = WORLD.roundAt(job, serial);
        bool sent = (WORLD.sentTo(job, serial) >> seat.slot) & 1 == 1;
        bytes32 parent = WORLD.standing(job, r.parentSerial);
        if (r.flags & 1 == 0) {
            bool member = serial > seat.since && serial <= seat.until;
            if (block.timestamp >= r.clock) WORLD.attestHonestly(job, i);
            else if (!sent && member && WORLD.trusted(parent)) WORLD.send(job, i, 0);
            if (sent || WORLD.roundAt(job, r.parentSerial).mark != 0 || r.parentSerial == 0) return;
            if (WORLD.trusted(parent) && !member) WORLD.hold(job, i, r.parentSerial);
        } else if (r.mark == 0 && sent && WORLD.trusted(WORLD.standing(job, serial))) {
            WORLD.hold(job, i, serial);
        }
    }
}

/// @notice Two workers who submit, attest and hold what they like.
contract LyingMinority is Handler {
    constructor(World world) Handler(world) {}

    /// @notice One in four updates is malformed, one in four withheld.
    function lieInUpdates(uint256 seed) public {
        uint64 job = WORLD.pick(seed);
        uint256 span = WORLD.spanOf(job);
        for (uint256 i; i < span; ++i) {
            uint8 kind = uint8((seed >> (16 + i)) % 4);
            if (lies(i) && _open(job)) WORLD.send(job, i, kind > 2 ? 0 : kind);
        }
    }

    function submitAll(uint256 seed) external {
        uint64 job = WORLD.pick(seed);
        uint256 span = WORLD.spanOf(job);
        for (uint256 i; i < span; ++i) {
            if (lies(i) && _open(job)) WORLD.send(job, i, 0);
        }
    }

    function lieInAttestations(uint256 seed, uint256 bitmap) public {
        uint64 job = WORLD.pick(seed);
        if (_open(job)) return;
        uint256 span = WORLD.spanOf(job);
        for (uint256 i; i < span; ++i) {
            // If they have not attested; rarely otherwise.
            if (lies(i) && (seed % 16 == 0 || WORLD.silent(job, i))) {
                WORLD.say(job, i, seed & 256 == 0 ? bitmap : type(uint256).max);
            }
        }
    }

    function holdAnything(uint256 seed, uint256 age) public {
        uint64 job = WORLD.pick(seed);
        bytes32 id = WORLD.recent(job, age % 4);
        // What is held, or void, mostly not.
        if (seed % 8 != 0 && (id == 0 || WORLD.standing(job, _serial(id)) != id)) return;
        if (seed % 8 != 0 && WORLD.roundAt(job, _serial(id)).mark != 0) return;
        uint256 span = WORLD.spanOf(job);
        for (uint256 i; i < span; ++i) {
            if (lies(i)) WORLD.hold(job, i, _serial(id));
        }
    }

    function _open(uint64 job) private view returns (bool) {
        return block.timestamp < WORLD.roundAt(job, WORLD.headOf(job)).clock;
    }
}

/// @notice Aggregators that post right, wrong, and withheld results.
contract LyingAggregators is Handler {
    LyingMinority private immutable _FRIENDS;

    constructor(World world, LyingMinority friends) Handler(world) {
        _FRIENDS = friends;
    }

    /// @notice Where liars have K seats: they attest everything, post what is wrong, and hold it.
    function plot(uint256 seed) public {
        uint64 job = WORLD.pick(seed);
        uint64 serial = WORLD.headOf(job);
        if (!WORLD.captured(job)) return _shutOut(job, serial, seed);
        if (WORLD.standing(job, serial) == 0) {
            _FRIENDS.lieInAttestations(seed, type(uint256).max);
            World.Build kind = [World.Build.HiddenWrong, World.Build.Fog, World.Build.Wrong][(seed >> 8) % 3];
            if (!WORLD.build(job, 0, kind)) WORLD.build(job, 2, kind);
        }
        _FRIENDS.holdAnything(seed, 0);
    }

    function postAnything(uint256 seed) public {
        uint64 job = WORLD.pick(seed);
        if (WORLD.headOf(job) == 0 || WORLD.standing(job, WORLD.headOf(job)) != 0) return;
        for (uint256 agg; agg < 3; agg += 2) {
            if (WORLD.build(job, agg, _kind(seed >> 16))) return;
        }
    }

    /// @dev If they have no majority: a post before all have spoken, convicted at once, and its successor withheld, for a
    /// retry without those who had no time to speak.
    function _shutOut(uint64 job, uint64 serial, uint256 seed) private {
        if (serial == 0 || WORLD.standing(job, serial) != 0) return;
        if (block.timestamp < WORLD.roundAt(job, serial).clock) return;
        WORLD.draw(job);
        _FRIENDS.lieInAttestations(seed, type(uint256).max);
        uint256 span = WORLD.spanOf(job);
        for (uint256 i; i < span && WORLD.attested(job, serial) != WORLD.sentTo(job, serial); ++i) {
            if (!lies(i)) WORLD.attestHonestly(job, i);
        }
        if (!WORLD.build(job, 0, World.Build.Wrong) && !WORLD.build(job, 2, World.Build.Wrong)) return;
        if (!WORLD.convict(WORLD.recent(job, 0), _challenger(), seed % 2 == 0)) return;
        if (!WORLD.build(job, 0, World.Build.HiddenWrong)) WORLD.build(job, 2, World.Build.HiddenWrong);
    }

    /// @dev Of eight, three are wrong and out for all to see, three wrong or foggy and hidden.
    function _kind(uint256 seed) private pure returns (World.Build) {
        uint8[8] memory kinds = [0, 1, 1, 1, 2, 3, 3, 4];
        return World.Build(kinds[seed % 8]);
    }

    function postRight(uint256 seed) external {
        uint64 job = WORLD.pick(seed);
        if (WORLD.headOf(job) == 0 || WORLD.standing(job, WORLD.headOf(job)) != 0) return;
        if (!WORLD.build(job, 0, World.Build.Right)) WORLD.build(job, 2, World.Build.Right);
    }

    function showFiles(uint256 seed, uint256 age) external {
        WORLD.reveal(WORLD.recent(WORLD.pick(seed), age % 4));
    }
}

/// @notice A sponsor that would rather keep its money.
contract ColludingSponsor is Handler {
    constructor(World world) Handler(world) {}

    function createJob(uint256 seed) external {
        if (!WORLD.createJob(seed)) return;
        uint64 job = WORLD.jobs();
        uint256 span = WORLD.spanOf(job);
        for (uint256 i; i < span; ++i) {
            WORLD.join(job, WORLD.workers(i));
        }
        for (uint256 i; i < WORLD.AGGREGATORS(); ++i) {
            WORLD.enlist(job, i);
        }
        WORLD.openRound(job, _sponsor());
    }

    function openRound(uint256 seed) external {
        WORLD.openRound(WORLD.pick(seed), _sponsor());
    }

    function endEarly(uint256 seed) external {
        uint64 job = WORLD.pick(seed);
        if ((seed >> 8) % 32 == 0) WORLD.stop(job, _sponsor());
        if ((seed >> 16) % 2 == 0) WORLD.abort(job);
        else WORLD.close(job);
    }
}

/// @notice Whoever calls too early or too late. Time passes here; honest programs mostly watch it pass.
contract Untimely is Handler {
    HonestParty private immutable _HONEST;
    LyingMinority private immutable _MINORITY;
    LyingAggregators private immutable _AGGREGATORS;

    constructor(World world, HonestParty honest, LyingMinority minority, LyingAggregators aggregators) Handler(world) {
        (_HONEST, _MINORITY, _AGGREGATORS) = (honest, minority, aggregators);
    }

    function wait(uint256 seed, uint256 dt) external {
        _pass(1 + dt % 12, seed);
    }

    function waitLong(uint256 seed, uint256 dt) external {
        _pass(8, seed);
        _pass(6, seed >> 8);
        _pass(1 + dt % 20, seed >> 16);
    }

    /// @notice To a deadline of a job's head: a second before, on it or after.
    function waitForDeadline(uint256 seed, uint256 which) external {
        uint256 to = WORLD.deadlineOf(WORLD.pick(seed), which) + (which >> 8) % 4;
        if (to > block.timestamp + 1) _pass(to - 1 - block.timestamp, seed);
    }

    /// @dev In one of four cases no honest worker watches. Liars are about in half of them.
    function _pass(uint256 dt, uint256 seed) private {
        bool watched = seed % 4 != 0;
        if ((seed >> 2) % 2 == 0) {
            _MINORITY.lieInUpdates(seed >> 16);
            _MINORITY.lieInAttestations(seed >> 16, (seed >> 3) % 3 == 0 ? seed >> 32 : type(uint256).max);
        }
        if (watched) _HONEST.shift(0);
        if ((seed >> 6) % 2 == 0) _AGGREGATORS.plot(seed >> 16);
        if ((seed >> 4) % 2 == 0) {
            _AGGREGATORS.postAnything(seed >> 16);
            _MINORITY.holdAnything(seed >> 16, 0);
            _MINORITY.holdAnything(seed >> 16, 1);
        }
        if ((seed >> 5) % 4 != 0) _HONEST.shift((seed >> 7) & 7 | 1);
        WORLD.pass(dt, watched);
        if ((seed >> 10) % 2 == 0) WORLD.settle(WORLD.pick(seed >> 11));
    }

    function submitUntimely(uint256 seed) external {
        _submitLate(seed);
        _attestUntimely(seed);
        _postUntimely(seed);
    }

    function disputeUntimely(uint256 seed, uint256 age) external {
        _holdLate(seed, age);
        _convictLate(seed, age);
    }

    function _submitLate(uint256 seed) private {
        uint64 job = WORLD.pick(seed);
        Round memory r = WORLD.roundAt(job, WORLD.headOf(job));
        if (r.flags & 1 == 0 && block.timestamp < r.clock) return;
        _refused(WORLD.send(job, seed % WORLD.spanOf(job), 0));
    }

    function _attestUntimely(uint256 seed) private {
        uint64 job = WORLD.pick(seed);
        Round memory r = WORLD.roundAt(job, WORLD.headOf(job));
        bool open = r.flags & 1 == 0 && block.timestamp >= r.clock && block.timestamp < uint256(r.clock) + 10;
        if (!open) _refused(WORLD.say(job, seed % WORLD.spanOf(job), type(uint256).max));
    }

    function _postUntimely(uint256 seed) private {
        uint64 job = WORLD.pick(seed);
        Round memory r = WORLD.roundAt(job, WORLD.headOf(job));
        bool open = r.flags & 1 == 0 && block.timestamp >= r.clock && block.timestamp < uint256(r.clock) + 20;
        if (!open && WORLD.headOf(job) != 0) _refused(WORLD.build(job, seed % 3, World.Build.Right));
    }

    /// @notice Holds of a result whose time is over, and which too few hold.
    function _holdLate(uint256 seed, uint256 age) private {
        uint64 job = WORLD.pick(seed);
        bytes32 id = WORLD.recent(job, age % 4);
        if (id == 0) return;
        Round memory r = WORLD.roundAt(job, _serial(id));
        if (_life(id) == Ghost.Life.Standing && r.mark == 0 && block.timestamp >= uint256(r.clock) + 20) {
            WORLD.hold(job, seed % WORLD.spanOf(job), _serial(id)); // it may count where submissions already held it
        }
    }

    function _convictLate(uint256 seed, uint256 age) private {
        bytes32 id = WORLD.recent(WORLD.pick(seed), age % 6);
        if (id == 0 || _life(id) == Ghost.Life.Standing) return;
        _refused(WORLD.convict(id, WORLD.stranger(), false));
    }

    function _refused(bool ok) private {
        if (ok) WORLD.mustBeRefused("I11: an act outside of its window");
        else WORLD.note("untimely acts refused");
    }
}

/// @notice Members and aggregators that come and go, and take their money along.
contract Leavers is Handler {
    constructor(World world) Handler(world) {}

    function leave(uint256 seed) external {
        uint64 job = WORLD.pick(seed >> 8);
        if (seed % 2 == 0) WORLD.leave(job, WORLD.workers((seed >> 16) % WORLD.spanOf(job)));
    }

    /// @notice Whoever left is released, and joins again.
    function joinAgain(uint256 seed) external {
        uint64 job = WORLD.pick(seed);
        uint256 span = WORLD.spanOf(job);
        for (uint256 i; i < span; ++i) {
            Seat memory seat = WORLD.seatFor(job, i);
            if (seat.worker == address(0)) WORLD.join(job, WORLD.workers(i));
            else if (seat.until != type(uint32).max) WORLD.release(job, WORLD.workers(i));
        }
    }

    function _comeBack(uint64 job) private {
        for (uint256 i; i < WORLD.AGGREGATORS(); ++i) {
            WORLD.enlist(job, i);
        }
    }

    function retire(uint256 seed) external {
        if (seed % 4 == 0) WORLD.retire(WORLD.pick(seed), (seed >> 8) % 3);
        else _comeBack(WORLD.pick(seed));
    }

    function rekey(uint256 seed) external {
        uint256 registered = WORLD.WORKERS() + WORLD.AGGREGATORS();
        WORLD.rekey(WORLD.pick(seed), WORLD.people((seed >> 8) % registered), seed);
        WORLD.moveIn(WORLD.people((seed >> 16) % registered), seed >> 24);
    }

    function money(uint256 seed, uint256 amount) external {
        if (seed >> 255 == 0) _takeOut(seed, amount);
        else _putIn(seed, amount);
    }

    function _takeOut(uint256 seed, uint256 amount) private {
        address who = WORLD.people(seed % (WORLD.WORKERS() + 6));
        if (seed & 512 == 0) {
            WORLD.withdraw(who);
        } else if (seed & 256 == 0) {
            WORLD.unbond(who, IVault.Collateral.Stake, amount % 60 ether);
        } else {
            _takeBond(WORLD.people(WORLD.WORKERS() + 2 * (seed % 2)), amount % 4);
        }
    }

    /// @dev A lying aggregator's, mostly down to what no longer covers a post.
    function _takeBond(address who, uint256 part) private {
        WORLD.unbond(who, IVault.Collateral.Bond, part == 0 ? WORLD.freeBond(who) / 2 : WORLD.freeBond(who));
    }

    function _putIn(uint256 seed, uint256 amount) private {
        if (seed & 256 == 0) {
            WORLD.deposit(WORLD.people(seed % WORLD.WORKERS()), IVault.Collateral.Stake, amount % 100 ether);
        } else {
            WORLD.deposit(WORLD.people(WORLD.WORKERS() + seed % 3), IVault.Collateral.Bond, amount % 5000 ether);
        }
    }
}

/// @notice Upkeep in any order, by anyone.
contract Crowd is Handler {
    constructor(World world) Handler(world) {}

    function retry(uint256 seed, uint256 age) external {
        uint64 job = WORLD.pick(seed);
        bytes32 id = WORLD.recent(job, age % 3);
        bool old = (seed >> 8) & 1 == 0 && _life(id) == Ghost.Life.Standing;
        WORLD.retry(job, old ? _serial(id) : WORLD.headOf(job));
    }

    function reopen(uint256 seed) external {
        WORLD.reopen(WORLD.pick(seed));
    }

    function settle(uint256 seed) external {
        WORLD.settle(WORLD.pick(seed));
    }

    function draw(uint256 seed) external {
        WORLD.draw(WORLD.pick(seed));
    }

    function openRound(uint256 seed) external {
        WORLD.settle(WORLD.pick(seed));
        WORLD.openRound(WORLD.pick(seed), WORLD.stranger());
    }

    /// @notice Claims of any share, paid or not.
    function claim(uint256 seed, uint256 slot) external {
        uint64 job = 1 + uint64(seed % WORLD.jobs());
        bytes32 id = WORLD.finalOf(job, seed >> 8);
        if (id != 0) WORLD.claim(id, slot % WORLD.spanOf(job));
        if (id != 0 && slot & 256 == 0) WORLD.claimPost(id);
        // Of what is not final, too.
        id = WORLD.recent(job, slot >> 16);
        if (id != 0) WORLD.claim(id, (seed >> 8) % WORLD.spanOf(job));
    }

    function releaseBond(uint256 seed, uint256 age) external {
        uint64 job = 1 + uint64(seed % WORLD.jobs());
        bytes32 id = WORLD.recent(job, age);
        Ghost.Post memory p = WORLD.postOf(id);
        if (id != 0) WORLD.releaseBond(job, p.number, p.poster);
    }

    function throwOut(uint256 seed) external {
        if (seed & 4 == 0) _end(seed);
        uint64 job = WORLD.pick(seed >> 8);
        uint256 span = WORLD.spanOf(job);
        for (uint256 i; i < span; ++i) {
            WORLD.removeMember(job, WORLD.workers(i));
        }
        for (uint256 i; i < WORLD.AGGREGATORS(); ++i) {
            WORLD.removeAggregator(job, WORLD.aggregators(i));
        }
    }

    function _end(uint256 seed) private {
        if (seed & 1 == 0) WORLD.close(WORLD.pick(seed >> 8));
        else WORLD.abort(WORLD.pick(seed >> 8));
    }
}

/// @notice Proofs that prove nothing, others' doors, and tokens that nobody asked for.
contract Griefer is Handler {
    constructor(World world) Handler(world) {}

    function convictFalsely(uint256 seed, uint256 age) external {
        bytes32 id = WORLD.recent(WORLD.pick(seed), age % 3);
        if (!WORLD.postOf(id).right) return;
        if (!WORLD.convictFalsely(id, seed)) WORLD.note("false proofs refused");
    }

    function convictSoundUpdate(uint256 seed) external {
        uint64 job = WORLD.pick(seed);
        uint64 serial = WORLD.headOf(job);
        uint256 slot = (seed >> 8) % WORLD.spanOf(job);
        if ((WORLD.sentTo(job, serial) >> slot) & 1 == 0 || WORLD.kindOf(job, serial, slot) == WORLD.MALFORMED()) {
            return;
        }
        if (!WORLD.convictUpdate(job, serial, slot, WORLD.stranger(), false)) WORLD.note("false proofs refused");
    }

    /// @notice What only the Coordinator may do in the Vault and the registry.
    function forceDoors(uint256 seed) external {
        WORLD.donate(seed % 1 ether);
        address who = WORLD.people(seed % (WORLD.WORKERS() + 6));
        address victim = WORLD.people((seed >> 8) % (WORLD.WORKERS() + 6));
        WORLD.forceVault(who, abi.encodeCall(IVault.pay, (1, who, 1)));
        WORLD.forceVault(who, abi.encodeCall(IVault.slash, (victim, IVault.Collateral.Stake, 1, who)));
        WORLD.forceVault(who, abi.encodeCall(IVault.unlock, (who, IVault.Collateral.Bond, 1)));
        WORLD.forceRegistry(who, abi.encodeCall(IWorkerRegistry.record, (victim, 0, 0, 1)));
        WORLD.note("doors that held");
    }
}
