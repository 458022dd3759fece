// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Vm} from "forge-std/Vm.sol";
import {IVault} from "../../contracts/interfaces/IVault.sol";
import {IWorkerRegistry} from "../../contracts/interfaces/IWorkerRegistry.sol";
import {Openings} from "../solidity/support/Openings.sol";
import {Ghost, lies} from "./Ghost.sol";
import {IJobs} from "../../contracts/interfaces/IJobs.sol";
import {IMembership} from "../../contracts/interfaces/IMembership.sol";
import {IAggregators} from "../../contracts/interfaces/IAggregators.sol";
import {IRounds} from "../../contracts/interfaces/IRounds.sol";
import {IRoundRecovery} from "../../contracts/interfaces/IRoundRecovery.sol";
import {IDisputes} from "../../contracts/interfaces/IDisputes.sol";
import {IPayouts} from "../../contracts/interfaces/IPayouts.sol";
import {IJobClosure} from "../../contracts/interfaces/IJobClosure.sol";
import {JobState, JobTerms, Member, Result, Round, Seat, Submission} from "../../contracts/interfaces/JobTypes.sol";

/// @title Everybody's acts, on real contracts with real proofs
/// @notice Six workers, of whom two lie, or eighteen, of whom nine lie; three aggregators, of whom one is honest, a sponsor,
/// a challenger and a stranger. A model is one block of equal values, so a result comes down to one number, or two with
/// momentum. Every act goes through `act`.
contract World is Ghost {
    enum Build {
        Right,
        Wrong, // off by one, all roots built over it
        Fog, // right state, a transcript that nobody can rebuild
        HiddenWrong, // files withheld
        HiddenRight
    }

    address public stranger = makeAddr("stranger");
    mapping(bytes4 act => uint256) public tried;
    mapping(bytes4 act => uint256) public done;
    mapping(uint256 worker => bytes32) private _roots;
    mapping(uint64 job => mapping(address worker => uint256)) private _joins; // tried
    bytes32[] private _shards; // Merkle trees: the root at 1, leaves from LEAVES on
    bytes32[] private _invitations;

    uint256 private constant MAX_JOBS = 3;
    uint256 private constant LEAVES = 32;
    int256 private constant ONE = 65_536;

    constructor(uint256 workers_) Ghost(workers_) {}

    function setUp() public override {
        super.setUp();
        vm.recordLogs();
        for (uint256 i; i < WORKERS; ++i) {
            registerWorker(i);
            address who = worker(i);
            workers.push(who);
            numberOf[who] = i + 1;
            _enter(who, makeAddr(string.concat("payout", vm.toString(i))), !lies(i));
            _roots[i] = updateRoot(i);
        }
        _plant();
        for (uint256 i; i < AGGREGATORS; ++i) {
            registerAggregator(i);
            aggregators.push(aggregator(i));
            _enter(aggregator(i), aggregator(i), i == HONEST_AGGREGATOR);
        }
        _enter(sponsor, sponsor, true); // it colludes in everything, and has nothing that could be slashed
        _enter(challenger, challenger, true);
        _enter(stranger, stranger, true);
        token.mint(sponsor, 1e6 ether);
        vm.prank(sponsor);
        token.approve(address(vault), type(uint256).max);
        digest(vm.getRecordedLogs());
        createJob(5);
        for (uint256 i; i < WORKERS; ++i) {
            join(1, workers[i]);
        }
        for (uint256 i; i < AGGREGATORS; ++i) {
            enlist(1, i);
        }
        openRound(1, sponsor);
    }

    /// @dev Admission by shards and by invitation. Workers from FEW + 12 on are not invited, and there are none.
    function _plant() private {
        (_shards, _invitations) = (new bytes32[](2 * LEAVES), new bytes32[](2 * LEAVES));
        for (uint256 i; i < LEAVES; ++i) {
            _shards[LEAVES + i] = _twice(abi.encode(i, uint8(0x55), bytes32("data"), _weight(i)));
            address who = i < WORKERS ? workers[i] : address(0);
            _invitations[LEAVES + i] = _twice(abi.encode(who, _weight(i), uint8(0x55), bytes32("data")));
        }
        for (uint256 at = LEAVES - 1; at != 0; --at) {
            _shards[at] = Hashes.commutativeKeccak256(_shards[2 * at], _shards[2 * at + 1]);
            _invitations[at] = Hashes.commutativeKeccak256(_invitations[2 * at], _invitations[2 * at + 1]);
        }
    }

    function _twice(bytes memory leaf) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(leaf)));
    }

    function _weight(uint256 i) private pure returns (uint256) {
        return 1 + i % 3;
    }

    function _enter(address who, address payout, bool isHonest) private {
        people.push(who);
        honest[who] = isHonest;
        payoutNow[who] = payout;
        wasPayout[payout] = true;
    }

    // ---------------------------------------------------------------- the funnel
    /// @notice One transaction. What is refused must be so by an error of its own, what succeeds is judged.
    function act(address from, address target, bytes memory data) public returns (bool ok) {
        bytes4 what = bytes4(data);
        ++tried[what];
        vm.recordLogs();
        vm.prank(from);
        bytes memory why;
        (ok, why) = target.call(data);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        if (ok) {
            ++done[what];
            digest(logs);
        } else {
            must(why.length >= 4 && bytes4(why) != bytes4(0x4e487b71), "I15: refused by a panic");
        }
    }

    function _do(address from, bytes memory data) private returns (bool) {
        return act(from, address(coordinator), data);
    }

    /// @notice For handlers that saw an act succeed which must not.
    function mustBeRefused(string memory which) external {
        must(false, which);
    }

    function forceVault(address from, bytes memory data) external {
        must(!act(from, address(vault), data), "I14: the Vault obeys a stranger");
    }

    function forceRegistry(address from, bytes memory data) external {
        must(!act(from, address(registry), data), "I14: the registry obeys a stranger");
    }

    function note(bytes32 name) external {
        ++tally[name];
    }

    // ---------------------------------------------------------------- jobs
    function jobs() public view returns (uint64) {
        return coordinator.jobCount();
    }

    /// @notice One of the jobs, a running one if there is any.
    function pick(uint256 seed) public view returns (uint64 job) {
        uint64 count = jobs();
        job = 1 + uint64(seed % count);
        for (uint64 i; i < count && status(job) >= 2; ++i) {
            job = 1 + job % count;
        }
    }

    function status(uint64 job) public view returns (uint8) {
        return coordinator.stateOf(job).status;
    }

    function createJob(uint256 seed) public returns (bool) {
        if (jobs() >= MAX_JOBS) return false;
        JobTerms memory terms = defaultTerms();
        (terms.submitWindow, terms.attestWindow, terms.turnWindow) = (20, 10, 5);
        (terms.postWindow, terms.challengeWindow, terms.maxTries) = (10, CHALLENGE, 2);
        terms.deadline = uint40(block.timestamp + 2000);
        terms.rounds = uint24(3 + seed % 8);
        terms.minUpdates = uint16(2 + (seed >> 8) % 2);
        terms.maxMembers = 8;
        terms.maxSlashed = 1000;
        terms.maxFailures = uint8(3 - (seed >> 16) % 3);
        terms.autoOpen = (seed >> 24) % 3 != 2;
        if ((seed >> 32) % 2 == 1) terms.token = address(token);
        Setting memory setting = _settingOf(seed);
        terms.admission = setting.admission;
        if (setting.admission != 0) terms.admissionRoot = setting.admission == 1 ? _shards[1] : _invitations[1];
        (terms.step.beta, terms.step.lr, terms.step.bound2) = (setting.beta, setting.lr, setting.bound2);
        if (setting.span > FEW) terms.maxMembers = 20;
        if (setting.shady) terms.minUpdates = 2;
        settings[jobs() + 1] = setting;
        return _do(sponsor, abi.encodeCall(IJobs.createJob, (terms)));
    }

    function _settingOf(uint256 seed) private view returns (Setting memory setting) {
        setting.admission = uint8((seed >> 40) % 3);
        if ((seed >> 48) % 2 == 1) setting.beta = 32_768;
        setting.lr = (seed >> 56) % 2 == 1 ? 40_000 : 65_536;
        if ((seed >> 64) % 2 == 1) setting.bound2 = 32 * 350 * 350;
        setting.span = (seed >> 96) % 2 == 0 ? WORKERS : FEW;
        setting.shady = setting.span == FEW && (seed >> 72) % 3 == 1;
    }

    function spanOf(uint64 job) external view returns (uint256) {
        return settings[job].span;
    }

    function join(uint64 job, address who) public returns (bool ok) {
        uint256 i = numberOf[who] - 1;
        Setting storage setting = settings[job];
        if (i >= setting.span || (setting.shady && i > 2)) return false;
        // By shards each try is for another one, be it taken.
        if (setting.admission == 1) i = (i + _joins[job][who]++) % LEAVES;
        uint24 weight = setting.admission == 0 ? 0 : uint24(_weight(i));
        bytes32[] memory proof = _proof(setting.admission, i);
        ok = _do(
            registry.accountOf(who).operator,
            abi.encodeCall(IMembership.join, (job, uint32(i), weight, 0x55, "data", proof))
        );
        if (ok) weightOf[job][who] = setting.admission == 0 ? 1 : weight;
    }

    function _proof(uint8 admission, uint256 i) private view returns (bytes32[] memory proof) {
        if (admission == 0) return proof;
        bytes32[] storage nodes = admission == 1 ? _shards : _invitations;
        proof = new bytes32[](5);
        uint256 at = LEAVES + i;
        for (uint256 level; level < 5; ++level) {
            proof[level] = nodes[at ^ 1];
            at /= 2;
        }
    }

    function enlist(uint64 job, uint256 agg) public returns (bool) {
        return _do(registry.accountOf(aggregators[agg]).operator, abi.encodeCall(IAggregators.enlist, (job)));
    }

    function retire(uint64 job, uint256 agg) external returns (bool) {
        return _do(aggregators[agg], abi.encodeCall(IAggregators.retire, (job)));
    }

    function leave(uint64 job, address who) external returns (bool) {
        return _do(who, abi.encodeCall(IMembership.leave, (job)));
    }

    function release(uint64 job, address who) public returns (bool) {
        return _do(stranger, abi.encodeCall(IMembership.release, (job, who)));
    }

    function removeMember(uint64 job, address who) external returns (bool) {
        return _do(stranger, abi.encodeCall(IMembership.removeMember, (job, who)));
    }

    function removeAggregator(uint64 job, address who) external returns (bool) {
        return _do(stranger, abi.encodeCall(IAggregators.removeAggregator, (job, who)));
    }

    /// @notice Names a fresh operator key, and takes it into a job.
    function rekey(uint64 job, address who, uint256 seed) external returns (bool) {
        address key = address(uint160(uint256(keccak256(abi.encode("key", who, seed)))));
        act(who, address(registry), abi.encodeCall(IWorkerRegistry.setOperator, (key)));
        return _do(stranger, abi.encodeCall(IMembership.reseat, (job, who)));
    }

    function moveIn(address who, uint256 seed) external {
        address payout = address(uint160(uint256(keccak256(abi.encode("payout", who, seed % 4)))));
        if (act(who, address(registry), abi.encodeCall(IWorkerRegistry.setPayout, (payout)))) {
            payoutNow[who] = payout;
            wasPayout[payout] = true;
        }
    }

    function openRound(uint64 job, address from) public returns (bool) {
        return _do(from, abi.encodeCall(IRoundRecovery.openRound, (job)));
    }

    // ---------------------------------------------------------------- rounds
    /// @dev The key under which a member sits, else the one it would join with.
    function keyOf(uint64 job, address who) public view returns (address key) {
        key = coordinator.memberOf(job, who).operator;
        if (key == address(0)) key = registry.accountOf(who).operator;
    }

    function aggregatorKeyOf(uint64 job, address who) public view returns (address) {
        address[32] memory seats = coordinator.aggregatorsOf(job);
        for (uint256 i; i < AGGREGATORS; ++i) {
            if (seats[i] != address(0) && coordinator.aggregatorOf(job, seats[i]).account == who) return seats[i];
        }
        return registry.accountOf(who).operator;
    }

    function blockOf(uint256 i, uint8 kind) public pure returns (bytes memory) {
        return kind == MALFORMED ? new bytes(127) : flat(int32(int256(i + 1)) * 100);
    }

    function send(uint64 job, uint256 i, uint8 kind) external returns (bool) {
        uint64 serial = head(job);
        address who = workers[i];
        bytes32 root = kind == MALFORMED ? malformedRoot() : _roots[i];
        bytes32 seal = keccak256(abi.encode(block.chainid, coordinator, job, serial, who, root));
        bytes32 file = keccak256(abi.encode("file", job, serial, i));
        bytes32 parent = parentOf(job, serial);
        nextKind = kind;
        return _do(keyOf(job, who), abi.encodeCall(IRounds.submit, (job, serial, parent, seal, 0x55, file)));
    }

    function say(uint64 job, uint256 i, uint256 bitmap) public returns (bool) {
        uint64 serial = head(job);
        (bytes32 parent, uint8 tries) = (parentOf(job, serial), round(job, serial).tries);
        return _do(keyOf(job, workers[i]), abi.encodeCall(IRounds.attest, (job, serial, parent, tries, bitmap)));
    }

    function hold(uint64 job, uint256 i, uint64 serial) public returns (bool) {
        bytes32 id = resultId(job, serial);
        return _do(keyOf(job, workers[i]), abi.encodeCall(IRoundRecovery.hold, (job, serial, id)));
    }

    /// @notice An aggregator builds a result of what was attested, and posts it.
    function build(uint64 job, uint256 agg, Build kind) external returns (bool ok) {
        uint64 serial = head(job);
        Result memory r = _draft(job, serial, agg, kind);
        if (r.included == 0) return false;
        ok = _do(aggregatorKeyOf(job, r.poster), abi.encodeCall(IRounds.post, (r)));
    }

    function _draft(uint64 job, uint64 serial, uint256 agg, Build kind) private returns (Result memory r) {
        Round memory opened = round(job, serial);
        r.included = attested(job, serial);
        if (r.included == 0) return r;
        (r.job, r.serial, r.attempt, r.parent) = (job, serial, opened.posts, parentOf(job, serial));
        r.poster = aggregators[agg];
        r.codec = 0x55;
        bool wrong = kind == Build.Wrong || kind == Build.HiddenWrong;
        (int32 value, int32 momentum) = _reckon(r);
        bool uses = settings[job].beta != 0;
        if (wrong && uses && serial % 2 == 0) ++momentum;
        else if (wrong) ++value;
        bytes[] memory blocks = _blocks(r, value, momentum);
        r.stateRoot = Openings.leaf(blocks[1]);
        if (uses) r.momentumRoot = Openings.leaf(blocks[3]);
        r.transcriptRoot = kind == Build.Fog ? keccak256(abi.encode("fog", serial)) : Openings.transcriptLeaf(blocks);
        r.table = keccak256(bytes.concat(hex"05", entries(r)));
        r.digest = keccak256(blocks[1]);
        Post storage draft = drafts[keccak256(abi.encode(r))];
        (draft.value, draft.momentum) = (value, momentum);
        draft.right = kind == Build.Right || kind == Build.HiddenRight;
        draft.convictable = wrong;
        bool out = (kind == Build.Right || kind == Build.Wrong) && rebuildable(r);
        draft.knownSince = out ? 1 : 0;
    }

    /// @notice What the contract must find included, reckoned anew.
    function attested(uint64 job, uint64 serial) public view returns (uint256 included) {
        (Round memory r,, uint256 submitters, uint256 committee, uint256 malformed) = coordinator.roundOf(job, serial);
        uint256[20] memory votes;
        for (uint256 left = committee; left != 0; left &= left - 1) {
            uint256 bitmap = coordinator.attestationOf(job, serial, r.tries, uint8(lowest(left)));
            for (uint256 slot; slot < 20; ++slot) {
                votes[slot] += (bitmap >> slot) & 1;
            }
        }
        uint256 k = bits(committee) / 2 + 1;
        for (uint256 slot; slot < 20; ++slot) {
            if (votes[slot] >= k) included |= 1 << slot;
        }
        included &= submitters & ~malformed;
    }

    /// @notice Whether all files that a result needs are out.
    function rebuildable(Result memory r) public view returns (bool) {
        for (uint256 left = r.included; left != 0; left &= left - 1) {
            if (kinds[r.job][r.serial][lowest(left)] == WITHHELD) return false;
        }
        return true;
    }

    /// @notice The files of a result and of its updates come out.
    function reveal(bytes32 id) external {
        Post storage p = posts[id];
        if (p.knownSince != 0 || p.life != Life.Standing) return;
        for (uint256 left = resultOf[id].included; left != 0; left &= left - 1) {
            uint256 slot = lowest(left);
            if (kinds[p.job][p.serial][slot] == WITHHELD) kinds[p.job][p.serial][slot] = SOUND;
        }
        p.knownSince = uint40(block.timestamp);
        ++tally["revealed"];
    }

    /// @dev All numbers are positive, which rounding half away from zero makes simple; what a decoder refuses counts as zeros.
    function _reckon(Result memory r) private view returns (int32 value, int32 momentum) {
        (int256 sum, int256 weights) = (0, 0);
        for (uint256 left = r.included; left != 0; left &= left - 1) {
            Submission storage s = sent[r.job][r.serial][lowest(left)];
            int256 weight = int256(uint256(s.weight));
            weights += weight;
            if (kinds[r.job][r.serial][s.slot] == MALFORMED) continue;
            sum += weight * _rdiv(int256(uint256(_factor(s))) * int256(numberOf[s.worker]) * 100, ONE);
        }
        Setting storage setting = settings[r.job];
        Post storage parent = posts[r.parent];
        int256 beta = int256(uint256(setting.beta));
        int256 step = _rdiv(beta * parent.momentum, ONE) + _rdiv(sum, weights);
        momentum = setting.beta == 0 ? int32(0) : int32(step);
        value = parent.value + int32(_rdiv(int256(uint256(setting.lr)) * step, ONE));
    }

    function _rdiv(int256 a, int256 d) private pure returns (int256) {
        return (2 * a + d) / (2 * d);
    }

    /// @dev How much an update is clipped, 16.16.
    function _factor(Submission storage s) private view returns (uint24) {
        uint256 bound2 = settings[s.job].bound2;
        uint256 value = numberOf[s.worker] * 100;
        uint256 energy = kinds[s.job][s.serial][s.slot] == MALFORMED ? 0 : 32 * value * value;
        if (bound2 == 0 || energy <= bound2) return uint24(uint256(ONE));
        return uint24(Math.sqrt((bound2 << 32) / energy));
    }

    /// @dev State before and after, momentum before and after where the job uses it, updates.
    function _blocks(Result memory r, int32 value, int32 momentum) private view returns (bytes[] memory blocks) {
        bool uses = settings[r.job].beta != 0;
        uint256 at = uses ? 4 : 2;
        blocks = new bytes[](bits(r.included) + at);
        (blocks[0], blocks[1]) = (flat(posts[r.parent].value), flat(value));
        if (uses) (blocks[2], blocks[3]) = (flat(posts[r.parent].momentum), flat(momentum));
        for (uint256 left = r.included; left != 0; left &= left - 1) {
            uint256 slot = lowest(left);
            uint256 i = numberOf[sent[r.job][r.serial][slot].worker] - 1;
            blocks[at++] = blockOf(i, kinds[r.job][r.serial][slot]);
        }
    }

    function entries(Result memory r) public view returns (bytes memory all_) {
        for (uint256 left = r.included; left != 0; left &= left - 1) {
            Submission storage s = sent[r.job][r.serial][lowest(left)];
            all_ = abi.encodePacked(all_, s.weight, _factor(s));
        }
    }

    function flat(int32 value) public pure returns (bytes memory) {
        uint256 word = uint256(uint32(value)) * 0x0000000100000001000000010000000100000001000000010000000100000001;
        return abi.encodePacked(word, word, word, word);
    }

    // ---------------------------------------------------------------- disputes
    /// @notice The proof that value `coordinate` of a result is not what the rules make of its inputs.
    function proofFor(bytes32 id, uint8 coordinate) public view returns (bytes memory proof) {
        Result memory r = resultOf[id];
        bytes[] memory blocks = _blocks(r, posts[id].value, posts[id].momentum);
        uint256 states = settings[r.job].beta == 0 ? 2 : 4;
        proof = abi.encodePacked(uint32(0), coordinate);
        for (uint256 i; i < states; ++i) {
            proof = abi.encodePacked(proof, blocks[i]);
        }
        proof = abi.encodePacked(proof, entries(r));
        for (uint256 i = states; i < blocks.length; ++i) {
            proof = abi.encodePacked(proof, uint16(blocks[i].length), blocks[i]);
        }
    }

    function convict(bytes32 id, address from, bool announce) public returns (bool) {
        bytes memory proof = proofFor(id, 0);
        if (announce) _announce(from, keccak256(abi.encode(id, bytes32(0), proof)));
        return _do(from, abi.encodeCall(IDisputes.convict, (resultOf[id], proof)));
    }

    /// @notice A proof that shows nothing, since nothing is wrong or bytes of it were changed.
    function convictFalsely(bytes32 id, uint256 seed) external returns (bool) {
        bytes memory proof = proofFor(id, uint8(seed % 33));
        uint256 at = (seed >> 8) % (2 * proof.length);
        if (at < proof.length) proof[at] ^= bytes1(uint8(1 + (seed >> 64) % 255));
        return _do(stranger, abi.encodeCall(IDisputes.convict, (resultOf[id], proof)));
    }

    function malformedRoot() public pure returns (bytes32) {
        Openings.Node memory top = Openings.Node(Openings.leaf(new bytes(127)), 0);
        return Openings.updateRoot(Openings.updateFields(top, 0, 1));
    }

    function convictUpdate(uint64 job, uint64 serial, uint256 slot, address from, bool announce) public returns (bool) {
        Submission memory s = sent[job][serial][slot];
        bytes memory bad = new bytes(127);
        bytes memory proof =
            abi.encodePacked(Openings.leaf(bad), uint96(0), uint8(0), uint32(1), uint32(0), uint8(0), hex"00", bad);
        if (announce) _announce(from, keccak256(abi.encode(keccak256(abi.encode(s)), malformedRoot(), proof)));
        return _do(from, abi.encodeCall(IDisputes.convictUpdate, (s, malformedRoot(), proof)));
    }

    function _announce(address from, bytes32 proofHash) private {
        bytes32 commitment = keccak256(abi.encode(block.chainid, coordinator, from, proofHash));
        _do(from, abi.encodeCall(IDisputes.commit, (commitment)));
        vm.roll(block.number + 1);
    }

    // ---------------------------------------------------------------- upkeep, by anyone
    /// @notice Draws the committee if there are more than 16 submitters, and records the seed if none of them did.
    function draw(uint64 job) public returns (bool) {
        uint64 serial = head(job);
        if (settings[job].span <= FEW || bits(sentSlots[job][serial]) <= 16 || committees[job][serial] != 0) {
            return false;
        }
        if (round(job, serial).flags & 8 == 0) {
            if (_do(stranger, abi.encodeCall(IRoundRecovery.recordSeed, (job, serial)))) {
                ++tally["seeds recorded apart"];
            }
        }
        return _do(stranger, abi.encodeCall(IRoundRecovery.drawCommittee, (job, serial)));
    }

    function retry(uint64 job, uint64 serial) external returns (bool) {
        return _do(stranger, abi.encodeCall(IRoundRecovery.retry, (job, serial)));
    }

    function reopen(uint64 job) external returns (bool) {
        return _do(stranger, abi.encodeCall(IRoundRecovery.reopen, (job, head(job))));
    }

    function settle(uint64 job) public returns (bool) {
        return _do(stranger, abi.encodeCall(IRoundRecovery.settle, (job)));
    }

    function stop(uint64 job, address from) public returns (bool) {
        return _do(from, abi.encodeCall(IJobClosure.stop, (job)));
    }

    function close(uint64 job) public returns (bool) {
        return _do(sponsor, abi.encodeCall(IJobClosure.close, (job)));
    }

    function abort(uint64 job) public returns (bool) {
        return _do(sponsor, abi.encodeCall(IJobClosure.abort, (job)));
    }

    function claim(bytes32 id, uint256 slot) public returns (bool) {
        Result[] memory r = new Result[](1);
        Submission[] memory s = new Submission[](1);
        r[0] = resultOf[id];
        s[0] = sent[r[0].job][r[0].serial][slot];
        return _do(stranger, abi.encodeCall(IPayouts.claim, (r, s)));
    }

    function claimPost(bytes32 id) public returns (bool) {
        Result[] memory r = new Result[](1);
        r[0] = resultOf[id];
        return _do(stranger, abi.encodeCall(IJobClosure.claimPosts, (r)));
    }

    function releaseBond(uint64 job, uint24 number, address account) public returns (bool) {
        return _do(stranger, abi.encodeCall(IJobClosure.releaseBond, (job, number, account)));
    }

    function withdraw(address who) public returns (bool) {
        address[] memory tokens = new address[](2);
        (tokens[0], tokens[1]) = (address(token), address(bounty));
        return act(stranger, address(vault), abi.encodeCall(IVault.withdraw, (who, tokens)));
    }

    function unbond(address who, IVault.Collateral collateral, uint256 amount) public returns (bool) {
        return act(who, address(vault), abi.encodeCall(IVault.unbond, (collateral, amount)));
    }

    function freeBond(address who) external view returns (uint256) {
        return vault.balanceOf(who, IVault.Collateral.Bond).free;
    }

    function deposit(address who, IVault.Collateral collateral, uint256 amount) external returns (bool) {
        return act(who, address(vault), abi.encodeCall(IVault.deposit, (who, collateral, amount)));
    }

    /// @notice Tokens sent to the Vault past its ledgers; nobody may get them.
    function donate(uint256 amount) external {
        token.mint(address(vault), amount);
        donated[address(token)] += amount;
    }

    // ---------------------------------------------------------------- time
    /// @notice Lets time pass. The challenger lands its transactions in the last second of their windows, and honest
    /// attestors where `diligent`.
    function pass(uint256 dt, bool diligent) external {
        uint256 to = block.timestamp + dt;
        if (diligent) _attestUntil(to);
        _waitUntil(to);
        vm.roll(block.number + 1);
    }

    /// @dev No time passes but here, so that the challenger never sleeps.
    function _waitUntil(uint256 to) private {
        for (bytes32 id = _dueConviction(to); id != 0; id = _dueConviction(to)) {
            if (posts[id].finalAt - 1 > block.timestamp) vm.warp(posts[id].finalAt - 1);
            bool shown = convict(id, challenger, posts[id].serial % 2 == 0);
            must(shown, "I2: a fault could not be shown in time");
            if (!shown) break;
        }
        if (to > block.timestamp) vm.warp(to);
    }

    function _attestUntil(uint256 to) private {
        uint256 served;
        for (uint64 job = _firstToAttest(to, 0); job != 0; job = _firstToAttest(to, served)) {
            served |= 1 << job;
            _waitUntil(round(job, head(job)).clock);
            draw(job);
            for (uint256 i; i < settings[job].span; ++i) {
                if (!lies(i)) attestHonestly(job, i);
            }
        }
    }

    /// @dev The job whose attesting begins first, of those whose attesting ends by then; zero if only served ones are left.
    function _firstToAttest(uint256 to, uint256 served) private view returns (uint64 due) {
        uint256 first = type(uint256).max;
        for (uint64 job = 1; job <= jobs(); ++job) {
            uint64 serial = head(job);
            if (serial == 0 || status(job) >= 2 || (served >> job) & 1 == 1) continue;
            Round memory r = round(job, serial);
            uint256 attestBy = uint256(r.clock) + 10;
            if (r.flags & 1 != 0 || to < attestBy || block.timestamp >= attestBy) continue;
            if (r.clock < first) (first, due) = (r.clock, job);
        }
    }

    /// @notice Whether a member has not attested the open round, and might be asked to.
    function silent(uint64 job, uint256 i) external view returns (bool) {
        uint64 serial = head(job);
        uint8 slot = coordinator.seatOf(job, keyOf(job, workers[i])).slot;
        (Round memory r, bytes32 result,, uint256 committee,) = coordinator.roundOf(job, serial);
        return result == 0 && (committee >> slot) & 1 == 1 && coordinator.attestationOf(job, serial, r.tries, slot) == 0;
    }

    /// @notice An honest member attests all updates whose files are out, once and if it is asked to.
    function attestHonestly(uint64 job, uint256 i) public returns (bool) {
        uint64 serial = head(job);
        Seat memory seat = coordinator.seatOf(job, keyOf(job, workers[i]));
        (Round memory r,,, uint256 committee,) = coordinator.roundOf(job, serial);
        bool its = sent[job][serial][seat.slot].worker == workers[i] && (committee >> seat.slot) & 1 == 1;
        if (!its || coordinator.attestationOf(job, serial, r.tries, seat.slot) != 0) return false;
        uint256 bitmap;
        for (uint256 left = sentSlots[job][serial]; left != 0; left &= left - 1) {
            uint256 slot = lowest(left);
            if (kinds[job][serial][slot] != WITHHELD) bitmap |= 1 << slot;
        }
        return say(job, i, bitmap);
    }

    /// @dev The fault whose window ends first, by then, of those that anyone can show; zero if there is none.
    function _dueConviction(uint256 to) private view returns (bytes32 due) {
        uint256 first = to + 1;
        for (uint64 job = 1; job <= jobs(); ++job) {
            uint64 settled = coordinator.stateOf(job).settledSerial;
            for (uint64 at = head(job); at != settled; at = round(job, at).parentSerial) {
                bytes32 id = resultId(job, at);
                Post storage p = posts[id];
                if (p.life != Life.Standing || !p.convictable || p.knownSince == 0) continue;
                bool soon = p.finalAt != 0 && p.finalAt > block.timestamp && p.finalAt < first;
                if (soon) (first, due) = (p.finalAt, id);
            }
        }
    }

    /// @notice The next moment that means something to a job's head; `which` of several.
    function deadlineOf(uint64 job, uint256 which) external view returns (uint256) {
        Round memory r = round(job, head(job));
        if (r.flags & 1 != 0) return uint256(r.mark != 0 ? r.mark + CHALLENGE : r.clock + 20);
        if (r.clock > block.timestamp) return r.clock;
        uint256 attestBy = uint256(r.clock) + 10;
        if (which % 3 == 0) return attestBy;
        return attestBy + (which % 3 == 1 ? 5 : 10);
    }

    // ---------------------------------------------------------------- what handlers look at
    /// @notice A posted result by age: 0 is the latest.
    function recent(uint64 job, uint256 age) external view returns (bytes32) {
        uint256 count = history[job].length;
        return count == 0 ? bytes32(0) : history[job][count - 1 - age % count];
    }

    function finalOf(uint64 job, uint256 seed) external view returns (bytes32) {
        uint256 count = finals[job].length;
        return count == 0 ? bytes32(0) : finals[job][seed % count];
    }

    function sentTo(uint64 job, uint64 serial) external view returns (uint256) {
        return sentSlots[job][serial];
    }

    /// @notice Whether liars have K seats of a committee that attests or may hold, or would have.
    function captured(uint64 job) external view returns (bool) {
        uint64 serial = head(job);
        if (serial == 0 || block.timestamp < round(job, serial).clock) return false;
        (,,, uint256 committee,) = coordinator.roundOf(job, serial);
        return committee != 0 && bits(committee & liarsAt(job, serial)) >= bits(committee) / 2 + 1;
    }

    function kindOf(uint64 job, uint64 serial, uint256 slot) external view returns (uint8) {
        return kinds[job][serial][slot];
    }

    function headOf(uint64 job) external view returns (uint64) {
        return head(job);
    }

    function roundAt(uint64 job, uint64 serial) external view returns (Round memory) {
        return round(job, serial);
    }

    function standing(uint64 job, uint64 serial) external view returns (bytes32) {
        return resultId(job, serial);
    }

    /// @notice Whether an honest member would build on a result.
    function trusted(bytes32 id) external view returns (bool) {
        Post storage p = posts[id];
        return p.life == Life.None || p.life == Life.Final || (p.right && p.knownSince != 0);
    }

    function seatFor(uint64 job, uint256 i) external view returns (Seat memory) {
        return coordinator.seatOf(job, keyOf(job, workers[i]));
    }

    function leftAtOf(uint64 job, uint24 number, address account) external view returns (uint256) {
        return leftAt[job][number][account];
    }

    // ---------------------------------------------------------------- invariants between acts
    function checkLedgers() external view {
        _checkLedger(address(token));
        _checkLedger(address(bounty));
    }

    function _checkLedger(address of_) private view {
        uint256 sum = vault.burnedOf(of_);
        for (uint256 i; i < people.length; ++i) {
            sum += vault.creditOf(of_, people[i]);
            if (of_ != address(token)) continue;
            IVault.Balance memory stake = vault.balanceOf(people[i], IVault.Collateral.Stake);
            IVault.Balance memory bond = vault.balanceOf(people[i], IVault.Collateral.Bond);
            sum += uint256(stake.free) + stake.locked + stake.unbonding;
            sum += uint256(bond.free) + bond.locked + bond.unbonding;
        }
        for (uint64 job = 1; job <= jobs(); ++job) {
            (address in_, uint256 amount) = vault.escrowOf(job);
            if (in_ == of_) sum += amount;
        }
        uint256 held = vault.heldOf(of_);
        assertEq(sum, held, "I4: the ledgers do not add up to what is held");
        assertEq(moneyIn[of_] - moneyOut[of_], held, "I4: in less out is not what is held");
        uint256 owned = of_ == address(token) ? token.balanceOf(address(vault)) : bounty.balanceOf(address(vault));
        assertEq(owned, held + donated[of_], "I4: tokens are missing");
    }

    function checkLocks() external view {
        for (uint256 i; i < people.length; ++i) {
            address who = people[i];
            uint256 stakes;
            for (uint64 job = 1; job <= jobs(); ++job) {
                if (coordinator.memberOf(job, who).staked) stakes += STAKE;
            }
            assertEq(vault.balanceOf(who, IVault.Collateral.Stake).locked, stakes, "I5: stake and seats differ");
            uint256 bonds = uint256(BOND) * (boundBonds[who] + leftBonds[who]);
            assertEq(vault.balanceOf(who, IVault.Collateral.Bond).locked, bonds, "I5: bond and posts differ");
        }
    }

    /// @notice The escrow is what was put in less what was paid, and no round cost more than its pool.
    function checkEscrow() external view {
        for (uint64 job = 1; job <= jobs(); ++job) {
            (JobTerms memory terms,) = coordinator.termsOf(job);
            (, uint256 escrow) = vault.escrowOf(job);
            assertEq(escrow, uint256(terms.pool) * terms.rounds - spent[job], "I6: escrow and payments differ");
            uint256 open = status(job) < 2 ? terms.rounds - finals[job].length : 0;
            assertGe(escrow, uint256(terms.pool) * open, "I6: a future round is not covered");
            for (uint256 i; i < finals[job].length; ++i) {
                assertLe(paidOf[job][posts[finals[job][i]].serial], terms.pool, "I6: more than a round's pool");
            }
        }
    }

    function checkChains() external view {
        for (uint64 job = 1; job <= jobs(); ++job) {
            JobState memory s = coordinator.stateOf(job);
            assertEq(s.lastSerial, lastOpened[job], "I7: serials differ from openings");
            assertEq(s.settledNumber, finals[job].length, "I8: final rounds differ from the count");
            uint256 unsettled;
            uint64 at = s.head;
            while (at != s.settledSerial) {
                assertGt(at, s.settledSerial, "I7: the head does not build on the last final result");
                assertFalse(dead[job][at], "I7: built on an opening that is void");
                if (resultId(job, at) != 0) ++unsettled;
                else assertEq(at, s.head, "I7: something is built on no result");
                at = round(job, at).parentSerial;
            }
            assertLe(unsettled, 4, "I8: more than four unsettled results");
            bytes32 last = finals[job].length == 0 ? bytes32(0) : finals[job][finals[job].length - 1];
            if (last != 0) assertEq(resultId(job, s.settledSerial), last, "I8: another result is the last final one");
        }
    }

    /// @notice Void results have no id, others have theirs. The latest few in a campaign, all at its end.
    function checkPosts(uint256 latest) external view {
        for (uint64 job = 1; job <= jobs(); ++job) {
            bytes32[] storage ids = history[job];
            for (uint256 i = ids.length; i != 0 && i + latest > ids.length; --i) {
                Post storage p = posts[ids[i - 1]];
                bytes32 stands = resultId(job, p.serial);
                if (p.life == Life.Void) assertTrue(stands != ids[i - 1], "I10: a void result has an id");
                else assertEq(stands, ids[i - 1], "I10: a result that stands has none");
            }
        }
    }

    function checkSeats() external view {
        for (uint64 job = 1; job <= jobs(); ++job) {
            uint256 taken;
            for (uint256 i; i < settings[job].span; ++i) {
                Member memory member = coordinator.memberOf(job, workers[i]);
                if (member.operator == address(0)) continue;
                Seat memory s = coordinator.seatOf(job, member.operator);
                assertEq(s.worker, workers[i], "I12: a seat of another");
                assertLt(s.slot, settings[job].span > FEW ? 20 : 8, "I12: a slot beyond the most members");
                assertEq((taken >> s.slot) & 1, 0, "I12: two members in one slot");
                taken |= 1 << s.slot;
            }
        }
    }

    // ---------------------------------------------------------------- the end of the world
    /// @notice Ends every job, claims all, and has everybody leave with everything.
    function drain() external {
        for (uint64 job = 1; job <= jobs(); ++job) {
            _end(job);
        }
        for (uint64 job = 1; job <= jobs(); ++job) {
            _claimAll(job);
        }
        for (uint256 i; i < people.length; ++i) {
            _cashOut(people[i]);
        }
        this.pass(vault.unbondingDelay(), false);
        for (uint256 i; i < people.length; ++i) {
            withdraw(people[i]);
        }
        for (uint64 job = 1; job <= jobs(); ++job) {
            (, uint256 escrow) = vault.escrowOf(job);
            assertEq(escrow, 0, "I16: escrow is left behind");
            assertEq(coordinator.stateOf(job).unresolved, 0, "I16: shares are left behind");
        }
        assertEq(vault.heldOf(address(token)), vault.burnedOf(address(token)), "I16: tokens are left behind");
        assertEq(vault.heldOf(address(bounty)), 0, "I16: bounty is left behind");
    }

    /// @dev After the deadline a result that can become final gets its time, and then nothing keeps the job open.
    function _end(uint64 job) private {
        if (status(job) >= 2) return;
        (JobTerms memory terms,) = coordinator.termsOf(job);
        if (terms.deadline > block.timestamp) this.pass(terms.deadline - block.timestamp, true);
        settle(job);
        this.pass(uint256(CHALLENGE) + 20, true);
        settle(job);
        if (!close(job)) assertTrue(abort(job), "I16: a job does not end");
    }

    function _claimAll(uint64 job) private {
        for (uint256 i; i < finals[job].length; ++i) {
            bytes32 id = finals[job][i];
            uint64 serial = posts[id].serial;
            for (uint256 left = sentSlots[job][serial]; left != 0; left &= left - 1) {
                uint256 slot = lowest(left);
                if (!claimed[job][serial][slot]) assertTrue(claim(id, slot), "I16: a share cannot be claimed");
            }
            if (!posts[id].paid) assertTrue(claimPost(id), "I16: a poster cannot be paid");
        }
        for (uint256 i; i < history[job].length; ++i) {
            Post storage p = posts[history[job][i]];
            if (leftAt[job][p.number][p.poster] != 0) {
                assertTrue(releaseBond(job, p.number, p.poster), "I16: a bond stays locked");
            }
        }
        for (uint256 i; i < WORKERS; ++i) {
            if (coordinator.memberOf(job, workers[i]).operator == address(0)) continue;
            assertTrue(release(job, workers[i]), "I16: a stake stays locked");
        }
    }

    function _cashOut(address who) private {
        for (uint256 i; i < 2; ++i) {
            IVault.Collateral collateral = i == 0 ? IVault.Collateral.Stake : IVault.Collateral.Bond;
            IVault.Balance memory balance = vault.balanceOf(who, collateral);
            assertEq(balance.locked, 0, "I16: money stays locked");
            if (balance.free != 0) assertTrue(unbond(who, collateral, balance.free), "I16: money cannot be unbonded");
        }
    }
}
