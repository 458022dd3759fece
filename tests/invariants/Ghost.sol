// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";
import {IVault} from "../../contracts/interfaces/IVault.sol";
import {Market} from "../solidity/support/Market.sol";
import {IMembership} from "../../contracts/interfaces/IMembership.sol";
import {IRounds} from "../../contracts/interfaces/IRounds.sol";
import {IRoundRecovery} from "../../contracts/interfaces/IRoundRecovery.sol";
import {IDisputes} from "../../contracts/interfaces/IDisputes.sol";
import {IPayouts} from "../../contracts/interfaces/IPayouts.sol";
import {IJobClosure} from "../../contracts/interfaces/IJobClosure.sol";
import {Result, Round, Submission} from "../../contracts/interfaces/JobTypes.sol";

/// @dev Of six workers, two lie; of eighteen, nine.
function lies(uint256 worker) pure returns (bool) {
    return worker < 2 || (worker > 5 && worker < 13);
}

/// @title What really happened, kept beside the contracts
/// @notice Follows the events of every act and judges each as it comes. What it knows and the contracts do not: which
/// results are right, whose files are out, who lies. A promise that is broken is written down in `broken` by its number
/// in docs/invariants.md, since an act of a campaign must not revert.
abstract contract Ghost is Market {
    enum Life {
        None,
        Standing,
        Void,
        Final
    }

    /// @notice A posted result.
    struct Post {
        uint64 job;
        uint64 serial;
        uint24 number;
        address poster;
        bytes32 parent;
        int32 value; // of all the model's values
        int32 momentum; // likewise, where the job uses it
        bool right; // in every bit
        bool convictable; // its fault is a number that anyone who has the files can show
        bool captured; // liars had K seats or more of its committee
        bool paid;
        Life life;
        uint40 knownSince; // when its files came out, 0 = not yet
        uint40 finalAt; // 0 while it is not held
        uint256 committee;
        uint256 holds; // by `hold`
        uint64 child; // the opening that came with it
    }

    /// @notice What a job is like, beside its windows and counts.
    struct Setting {
        uint8 admission;
        bool shady; // liars are two of its three members
        uint32 beta;
        uint32 lr;
        uint96 bound2;
        uint256 span; // only workers below this number join
    }

    uint256 public immutable WORKERS;
    uint256 public constant FEW = 6; // workers of a job without a draw
    uint256 public constant AGGREGATORS = 3;
    uint256 public constant HONEST_AGGREGATOR = 1;

    // Kinds of update.
    uint8 public constant SOUND = 0;
    uint8 public constant MALFORMED = 1; // its file is out, and is not an update
    uint8 public constant WITHHELD = 2; // sound, and its file is not out

    address[] public workers;
    address[] public aggregators;
    address[] public people; // all that can own money in the Vault
    mapping(address account => uint256) internal numberOf; // of a worker, plus one
    mapping(address account => bool) public honest;
    mapping(address account => address) public payoutNow;
    mapping(address account => bool) public wasPayout;

    mapping(uint64 job => Setting) internal settings;
    mapping(uint64 job => mapping(address worker => uint24)) internal weightOf; // as admitted
    mapping(uint64 job => mapping(uint64 serial => uint256)) internal committees; // the last one drawn or named
    mapping(uint64 job => mapping(uint64 serial => uint256)) internal tryFrom; // when attesting of this try began
    mapping(uint64 job => mapping(uint64 serial => uint256)) internal postedFirst; // in this try

    mapping(bytes32 id => Post) internal posts;
    mapping(bytes32 id => Result) internal resultOf;
    mapping(uint64 job => bytes32[]) internal history; // all posted results
    mapping(uint64 job => bytes32[]) internal finals;
    mapping(uint64 job => mapping(uint64 serial => mapping(uint256 slot => Submission))) internal sent;
    mapping(uint64 job => mapping(uint64 serial => mapping(uint256 slot => uint8))) internal kinds;
    mapping(uint64 job => mapping(uint64 serial => uint256)) internal sentSlots;
    mapping(uint64 job => mapping(uint64 serial => mapping(uint256 slot => bool))) internal claimed;
    mapping(uint64 job => mapping(uint64 serial => bool)) internal dead; // openings that are void
    mapping(uint64 job => uint64) internal lastOpened;

    mapping(address token => uint256) public moneyIn;
    mapping(address token => uint256) public moneyOut;
    mapping(address token => uint256) public donated; // sent to the Vault past its ledgers
    mapping(uint64 job => mapping(uint64 serial => uint256)) public paidOf; // out of a round's pool
    mapping(uint64 job => uint256) public spent; // out of the escrow
    mapping(address account => uint256) public boundBonds; // behind results that stand
    mapping(address account => uint256) public leftBonds; // behind results that are void
    mapping(uint64 job => mapping(uint24 number => mapping(address account => uint256))) internal leftAt;
    mapping(uint64 job => mapping(uint64 serial => bool)) internal unheldOf; // openings with a result that was not held

    /// What the next post and the next submission are; the chain does not know.
    mapping(bytes32 id => Post) internal drafts;
    uint8 internal nextKind;
    bytes32 private _posting; // the result of this transaction

    string[] public broken;
    mapping(bytes32 name => uint256) public tally; // of what came about, for the campaign's summary

    constructor(uint256 workers_) {
        WORKERS = workers_;
    }

    function postOf(bytes32 id) external view returns (Post memory) {
        return posts[id];
    }

    function brokenCount() external view returns (uint256) {
        return broken.length;
    }

    function must(bool holds, string memory which) internal {
        if (!holds) broken.push(which);
    }

    // ---------------------------------------------------------------- events
    function digest(Vm.Log[] memory logs) internal {
        _posting = 0;
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter == address(coordinator)) _ofCoordinator(logs[i]);
            else if (logs[i].emitter == address(vault)) _ofVault(logs[i]);
            else _ofToken(logs[i]);
        }
    }

    function _ofCoordinator(Vm.Log memory log) private {
        bytes32 what = log.topics[0];
        if (what == IRounds.Submitted.selector) _onSubmitted(log);
        else if (what == IRounds.Posted.selector) _onPosted(log);
        else if (what == IRounds.RoundOpened.selector) _onOpened(log);
        else if (what == IRounds.OpeningVoid.selector) _onOpeningVoid(log);
        else if (what == IRoundRecovery.Held.selector) _onHeld(log);
        else if (what == IRoundRecovery.ThresholdHeld.selector) _onThresholdHeld(log);
        else if (what == IRounds.ResultVoid.selector) _onVoid(log);
        else if (what == IDisputes.Convicted.selector) _onConvicted(log);
        else if (what == IDisputes.UpdateMalformed.selector) _onMalformed(log);
        else if (what == IRoundRecovery.Final.selector) _onFinal(log);
        else if (what == IRounds.SubmissionsClosed.selector) tryFrom[_job(log)][_serial(log)] = block.timestamp;
        else if (what == IRoundRecovery.CommitteeDrawn.selector) _onDrawn(log);
        else if (what == IRoundRecovery.Retried.selector) _onRetried(log);
        else _ofMoney(log);
    }

    function _ofMoney(Vm.Log memory log) private {
        bytes32 what = log.topics[0];
        if (what == IPayouts.Claimed.selector) _onClaimed(log);
        else if (what == IPayouts.Returned.selector) _pay(_job(log), _serial(log), abi.decode(log.data, (uint256)));
        else if (what == IJobClosure.AggregatorPaid.selector) _onAggregatorPaid(log);
        else if (what == IJobClosure.BondReleased.selector) _onBondReleased(log);
        else if (what == IMembership.Released.selector) _onReleased(log);
        else if (what == IJobClosure.JobEnded.selector) _onEnded(log);
    }

    function _job(Vm.Log memory log) private pure returns (uint64) {
        return uint64(uint256(log.topics[1]));
    }

    function _serial(Vm.Log memory log) private pure returns (uint64) {
        return uint64(uint256(log.topics[2]));
    }

    function _third(Vm.Log memory log) private pure returns (address) {
        return address(uint160(uint256(log.topics[3])));
    }

    // ---------------------------------------------------------------- rounds
    function _onSubmitted(Vm.Log memory log) private {
        Submission memory s;
        s.job = _job(log);
        s.serial = _serial(log);
        (s.worker, s.slot, s.weight, s.sealedRoot, s.codec, s.digest) =
            abi.decode(log.data, (address, uint8, uint24, bytes32, uint8, bytes32));
        must((sentSlots[s.job][s.serial] >> s.slot) & 1 == 0, "I12: a second submission of one slot");
        must(s.weight == weightOf[s.job][s.worker], "I12: another weight than was admitted");
        sent[s.job][s.serial][s.slot] = s;
        kinds[s.job][s.serial][s.slot] = nextKind;
        sentSlots[s.job][s.serial] |= 1 << s.slot;
    }

    function _onPosted(Vm.Log memory log) private {
        (bytes32 id, Result memory r,,) = abi.decode(log.data, (bytes32, Result, uint8, uint40));
        must(posts[id].life == Life.None, "I10: an id that was posted before");
        must(keccak256(abi.encode(r)) == id, "I10: an id that is not its result's");
        Post memory p = drafts[id];
        (p.job, p.serial, p.poster, p.parent) = (r.job, r.serial, r.poster, r.parent);
        (Round memory opened,,, uint256 committee,) = coordinator.roundOf(r.job, r.serial);
        p.number = opened.number;
        p.committee = committee;
        p.captured = bits(committee & liarsAt(r.job, r.serial)) >= bits(committee) / 2 + 1;
        p.life = Life.Standing;
        if (p.knownSince != 0) p.knownSince = uint40(block.timestamp);
        posts[id] = p;
        resultOf[id] = r;
        if (postedFirst[r.job][r.serial] == 0) postedFirst[r.job][r.serial] = block.timestamp;
        history[r.job].push(id);
        _posting = id;

        if (unheldOf[r.job][r.serial] && leftAt[r.job][p.number][r.poster] != 0) {
            --leftAt[r.job][p.number][r.poster];
            --leftBonds[r.poster];
        }
        ++boundBonds[r.poster];
        ++tally[p.right ? bytes32("right results") : bytes32("wrong results")];
        if (p.captured) ++tally["posts where liars have K"];
    }

    /// @dev Sixteen of those who submitted, whose hashes with the seed are the lowest.
    function _onDrawn(Vm.Log memory log) private {
        (uint64 job, uint64 serial) = (_job(log), _serial(log));
        uint256 committee = abi.decode(log.data, (uint256));
        uint256 rest = sentSlots[job][serial] & ~committee;
        bytes32 seed = bytes32(uint256(uint32(round(job, serial).tally)));
        must(bits(committee) == 16 && committee & ~sentSlots[job][serial] == 0, "I17: drawn others than 16 submitters");
        must(committees[job][serial] == 0, "I17: drawn twice");
        must(_highest(committee, seed) < _lowestHash(rest, seed), "I17: drawn others than the lowest");
        committees[job][serial] = committee;
        ++tally["committees drawn"];
    }

    function _highest(uint256 slots, bytes32 seed) private pure returns (uint256 most) {
        for (; slots != 0; slots &= slots - 1) {
            uint256 hash = uint256(keccak256(abi.encode(seed, lowest(slots))));
            if (hash > most) most = hash;
        }
    }

    function _lowestHash(uint256 slots, bytes32 seed) private pure returns (uint256 least) {
        least = type(uint256).max;
        for (; slots != 0; slots &= slots - 1) {
            uint256 hash = uint256(keccak256(abi.encode(seed, lowest(slots))));
            if (hash < least) least = hash;
        }
    }

    function _onRetried(Vm.Log memory log) private {
        (uint64 job, uint64 serial) = (_job(log), _serial(log));
        (, uint256 committee) = abi.decode(log.data, (uint8, uint256));
        uint256 before = committees[job][serial];
        if (before == 0) before = sentSlots[job][serial];
        must(committee != 0 && committee & ~before == 0, "I17: a retry brings in others");
        if (committee != before) {
            uint256 first = postedFirst[job][serial];
            bool ran = (first == 0 ? block.timestamp : first) >= tryFrom[job][serial] + 10;
            must(ran, "I17: an attestor left out that could still speak");
            ++tally["committees shrunk"];
        }
        committees[job][serial] = committee;
        tryFrom[job][serial] = block.timestamp;
        postedFirst[job][serial] = 0;
    }

    function _onOpened(Vm.Log memory log) private {
        (uint64 job, uint64 serial) = (_job(log), _serial(log));
        (, bytes32 parent, uint64 parentSerial,,, uint40 submitBy) =
            abi.decode(log.data, (uint24, bytes32, uint64, uint256, uint16, uint40));
        tryFrom[job][serial] = submitBy;
        must(serial == lastOpened[job] + 1, "I7: a serial that is not the next");
        must(parentSerial < serial, "I7: a parent that is not older");
        lastOpened[job] = serial;
        if (_posting != 0 && parent == _posting) posts[parent].child = serial;
        ++tally["openings"];
    }

    function _onOpeningVoid(Vm.Log memory log) private {
        (uint64 job, uint64 serial) = (_job(log), _serial(log));
        dead[job][serial] = true;
        // Submissions to it were holds of its parent, and count no longer.
        for (uint256 i; i < history[job].length; ++i) {
            if (posts[history[job][i]].child == serial) posts[history[job][i]].child = 0;
        }
    }

    function _onHeld(Vm.Log memory log) private {
        (bytes32 id,, uint8 slot) = abi.decode(log.data, (bytes32, address, uint8));
        must((posts[id].holds >> slot) & 1 == 0, "I9: a hold that counts twice");
        posts[id].holds |= 1 << slot;
    }

    function _onThresholdHeld(Vm.Log memory log) private {
        (bytes32 id, uint40 finalAt) = abi.decode(log.data, (bytes32, uint40));
        Post storage p = posts[id];
        uint256 holders = p.holds | (p.child == 0 ? 0 : sentSlots[p.job][p.child]);
        must(bits(holders & p.committee) >= bits(p.committee) / 2 + 1, "I9: held by fewer than K");
        must(p.finalAt == 0 && p.life == Life.Standing, "I9: counted when it should not be");
        must(finalAt == block.timestamp + CHALLENGE, "I9: a challenge window of another length");
        p.finalAt = finalAt;
    }

    function _onVoid(Vm.Log memory log) private {
        (bytes32 id, address poster, uint8 cause) = abi.decode(log.data, (bytes32, address, uint8));
        Post storage p = posts[id];
        must(p.life == Life.Standing, "I10: void, and did not stand");
        must(poster == p.poster, "I5: another poster answers for a result");
        // Not convicted, and on a parent that stays: dropped for itself, which only a result that K did not hold may be.
        Life below = posts[p.parent].life;
        bool alone = cause == 0 || (cause == 2 && (below == Life.None || below == Life.Final));
        must(!alone || p.finalAt == 0, "I9: a result that K hold was dropped");
        p.life = Life.Void;
        --boundBonds[p.poster];
        if (cause == 0) unheldOf[p.job][p.serial] = true;
        if (cause != 1) {
            ++leftBonds[p.poster];
            ++leftAt[p.job][p.number][p.poster];
        }
        ++tally[cause == 0 ? bytes32("not held") : cause == 1 ? bytes32("convicted") : bytes32("built on void")];
    }

    function _onConvicted(Vm.Log memory log) private {
        (, bytes32 id,) = abi.decode(log.data, (address, bytes32, bool));
        must(!posts[id].right, "I3: a right result was convicted");
        must(posts[id].finalAt == 0 || block.timestamp < posts[id].finalAt, "I11: convicted after the window");
    }

    function _onMalformed(Vm.Log memory log) private {
        uint8 slot = abi.decode(log.data, (uint8));
        must(kinds[_job(log)][_serial(log)][slot] == MALFORMED, "I3: a sound update was convicted");
        ++tally["malformed"];
    }

    function _onFinal(Vm.Log memory log) private {
        (uint24 number, bytes32 id) = abi.decode(log.data, (uint24, bytes32));
        Post storage p = posts[id];
        bytes32[] storage chain = finals[p.job];
        must(p.life == Life.Standing, "I10: final, and did not stand");
        must(p.finalAt != 0 && block.timestamp >= p.finalAt, "I9: final before its time");
        must(number == chain.length + 1 && number == p.number, "I8: a number left out");
        must(chain.length == 0 || p.parent == chain[chain.length - 1], "I8: built on another than the last final one");
        if (!p.right) {
            // Only where liars had a majority, and nobody honest could show the fault in time.
            must(p.captured, "I1: a wrong result is final");
            bool shown = p.convictable && p.knownSince != 0 && p.knownSince < p.finalAt;
            must(!shown, "I2: a fault that was there to show is final");
            ++tally["captured"];
        }
        _countFinal(p);
        p.life = Life.Final;
        chain.push(id);
        ++tally["final"];
    }

    function _countFinal(Post storage p) private {
        Setting storage setting = settings[p.job];
        if (setting.admission == 1) ++tally["final, by shards"];
        if (setting.admission == 2) ++tally["final, by invitation"];
        if (setting.beta != 0) ++tally["final, with momentum"];
        if (setting.bound2 != 0) ++tally["final, with clipping"];
        if (bits(sentSlots[p.job][p.serial]) > 16) ++tally["final, of a drawn committee"];
    }

    // ---------------------------------------------------------------- money
    function _pay(uint64 job, uint64 serial, uint256 amount) private {
        spent[job] += amount;
        if (serial != 0) paidOf[job][serial] += amount; // 0: what rounding left
    }

    function _onClaimed(Vm.Log memory log) private {
        (uint64 job, uint64 serial) = (_job(log), _serial(log));
        (uint8 slot, uint256 work, uint256 attesting) = abi.decode(log.data, (uint8, uint256, uint256));
        must(!claimed[job][serial][slot], "I6: a share paid twice");
        must(_third(log) == sent[job][serial][slot].worker, "I6: another's share");
        claimed[job][serial][slot] = true;
        _pay(job, serial, work + attesting);
        bytes32 id = resultId(job, serial);
        bool earned = (resultOf[id].included >> slot) & 1 == 1 && kinds[job][serial][slot] != MALFORMED;
        uint256 share = uint256(POOL) * 7000 / 10_000 * sent[job][serial][slot].weight / weightSum(job, serial);
        must(!earned || work == share, "I6: less than its share");
        ++tally["claims"];
    }

    function _onAggregatorPaid(Vm.Log memory log) private {
        (uint64 job, uint64 serial) = (_job(log), _serial(log));
        Post storage p = posts[resultId(job, serial)];
        must(!p.paid, "I6: a poster paid twice");
        must(p.life == Life.Final && p.poster == _third(log), "I6: paid for another's result");
        p.paid = true;
        --boundBonds[p.poster];
        _pay(job, serial, abi.decode(log.data, (uint256)));
    }

    function _onBondReleased(Vm.Log memory log) private {
        (uint64 job, uint24 number, address account) = (_job(log), uint24(uint256(log.topics[2])), _third(log));
        must(leftAt[job][number][account] != 0, "I5: a bond released that was not left");
        leftBonds[account] -= leftAt[job][number][account];
        leftAt[job][number][account] = 0;
        ++tally["bonds released"];
    }

    function _onReleased(Vm.Log memory log) private {
        uint64 job = _job(log);
        address who = address(uint160(uint256(log.topics[2])));
        if (coordinator.stateOf(job).status >= 2) return;
        uint64 at = coordinator.stateOf(job).head;
        uint64 settled = coordinator.stateOf(job).settledSerial;
        uint8 slot = abi.decode(log.data, (uint8));
        while (at > settled) {
            bool its = (sentSlots[job][at] >> slot) & 1 == 1 && sent[job][at][slot].worker == who;
            must(!its, "I13: released with a round unsettled");
            at = round(job, at).parentSerial;
        }
    }

    function _onEnded(Vm.Log memory log) private {
        (, uint24 finalRounds, uint256 returned) = abi.decode(log.data, (bool, uint24, uint256));
        must(finalRounds == finals[_job(log)].length, "I8: ended with another count");
        spent[_job(log)] += returned;
        ++tally["jobs ended"];
    }

    function _ofVault(Vm.Log memory log) private {
        bytes32 what = log.topics[0];
        if (what == IVault.Deposited.selector) {
            moneyIn[address(token)] += abi.decode(log.data, (uint256));
        } else if (what == IVault.Funded.selector) {
            moneyIn[address(uint160(uint256(log.topics[2])))] += abi.decode(log.data, (uint256));
        } else if (what == IVault.Slashed.selector) {
            must(!honest[address(uint160(uint256(log.topics[1])))], "I3: an honest party was slashed");
            ++tally["slashed"];
        } else if (what == IVault.Withdrawn.selector) {
            address account = address(uint160(uint256(log.topics[2])));
            must(_third(log) == payoutNow[account], "I14: money to another than the payout address");
            moneyOut[address(uint160(uint256(log.topics[1])))] += abi.decode(log.data, (uint256));
        }
    }

    function _ofToken(Vm.Log memory log) private {
        if (log.topics.length != 3 || log.topics[0] != keccak256("Transfer(address,address,uint256)")) return;
        if (address(uint160(uint256(log.topics[1]))) != address(vault)) return;
        must(wasPayout[address(uint160(uint256(log.topics[2])))], "I14: tokens to one who is nobody's payout address");
    }

    // ---------------------------------------------------------------- help
    uint32 public constant CHALLENGE = 40; // seconds, of all jobs

    function weightSum(uint64 job, uint64 serial) public view returns (uint256 sum) {
        for (uint256 left = sentSlots[job][serial]; left != 0; left &= left - 1) {
            sum += sent[job][serial][lowest(left)].weight;
        }
    }

    function liarsAt(uint64 job, uint64 serial) public view returns (uint256 slots) {
        for (uint256 left = sentSlots[job][serial]; left != 0; left &= left - 1) {
            uint256 slot = lowest(left);
            if (!honest[sent[job][serial][slot].worker]) slots |= 1 << slot;
        }
    }

    function bits(uint256 set) public pure returns (uint256 count) {
        for (; set != 0; set &= set - 1) {
            ++count;
        }
    }

    /// @dev Sets here are small: slots below 20.
    function lowest(uint256 set) public pure returns (uint256 slot) {
        while ((set >> slot) & 1 == 0) ++slot;
    }
}
