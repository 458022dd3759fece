// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Coordinator} from "../../../contracts/Coordinator.sol";
import {JobClosure} from "../../../contracts/coordinator/JobClosure.sol";
import {Disputes} from "../../../contracts/coordinator/Disputes.sol";
import {Membership} from "../../../contracts/coordinator/Membership.sol";
import {RoundRecovery} from "../../../contracts/coordinator/RoundRecovery.sol";
import {FaultProver} from "../../../contracts/FaultProver.sol";
import {TestToken} from "../../../contracts/TestToken.sol";
import {Vault} from "../../../contracts/Vault.sol";
import {WorkerRegistry} from "../../../contracts/WorkerRegistry.sol";
import {Openings} from "./Openings.sol";
import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {IWorkerRegistry} from "../../../contracts/interfaces/IWorkerRegistry.sol";
import {JobTerms, Result, Round, Submission} from "../../../contracts/interfaces/JobTypes.sol";

/// @notice A deployment with a sponsor, and short ways to act in it. Workers and aggregators are numbered accounts; each
/// acts by an operator key of its own.
abstract contract Market is Test {
    TestToken internal token;
    TestToken internal bounty;
    WorkerRegistry internal registry;
    Vault internal vault;
    FaultProver internal prover;
    Coordinator internal coordinator;

    address internal sponsor = makeAddr("sponsor");
    address internal challenger = makeAddr("challenger");

    uint128 internal constant STAKE = 100 ether;
    uint128 internal constant BOND = 500 ether;
    uint128 internal constant POOL = 1000 ether;

    /// The model has one block of equal values: what each result makes of it, by serial; 0 is the initial one.
    mapping(uint256 serial => int32) internal states;
    mapping(address worker => uint256) internal numbers; // of worker(i), plus one

    /// What was sent in the current round, to claim by.
    mapping(uint256 serial => mapping(uint256 slot => Submission)) internal submissions;
    mapping(uint256 serial => Result) internal results;

    function setUp() public virtual {
        vm.roll(1000);
        vm.warp(1_700_000_000);
        token = new TestToken();
        bounty = new TestToken();
        uint64 nonce = vm.getNonce(address(this));
        address vaultAt = vm.computeCreateAddress(address(this), nonce + 1);
        address coordinatorAt = vm.computeCreateAddress(address(this), nonce + 7);
        registry = new WorkerRegistry(IVault(vaultAt), coordinatorAt);
        vault = new Vault(address(token), IWorkerRegistry(address(registry)), coordinatorAt, 1 days);
        prover = new FaultProver();
        IVault v = IVault(address(vault));
        Membership membership = new Membership(registry, v, prover, 1);
        RoundRecovery roundRecovery = new RoundRecovery(registry, v, prover, 1);
        Disputes disputes = new Disputes(registry, v, prover, 1);
        JobClosure jobClosure = new JobClosure(registry, v, prover, 1);
        coordinator = new Coordinator(
            registry, v, prover, 1, address(membership), address(roundRecovery), address(disputes), address(jobClosure)
        );
        bounty.mint(sponsor, 1e6 ether);
        vm.prank(sponsor);
        bounty.approve(address(vault), type(uint256).max);
    }

    // ---------------------------------------------------------------- accounts
    function worker(uint256 i) internal returns (address) {
        return makeAddr(string.concat("worker", vm.toString(i)));
    }

    function operator(uint256 i) internal returns (address) {
        return makeAddr(string.concat("operator", vm.toString(i)));
    }

    function aggregator(uint256 i) internal returns (address) {
        return worker(1000 + i);
    }

    function aggregatorKey(uint256 i) internal returns (address) {
        return operator(1000 + i);
    }

    function registerWorker(uint256 i) internal {
        address who = worker(i);
        numbers[who] = i + 1;
        token.mint(who, 10 * STAKE);
        vm.startPrank(who);
        token.approve(address(vault), type(uint256).max);
        registry.register(operator(i), makeAddr(string.concat("payout", vm.toString(i))), bytes32(i), 5 * STAKE);
        vm.stopPrank();
    }

    function registerAggregator(uint256 i) internal {
        address who = aggregator(i);
        token.mint(who, 100 * BOND);
        vm.startPrank(who);
        token.approve(address(vault), type(uint256).max);
        registry.register(aggregatorKey(i), who, bytes32(0), 0);
        vault.deposit(who, IVault.Collateral.Bond, 20 * BOND);
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- jobs
    function defaultTerms() internal view returns (JobTerms memory terms) {
        terms.step.blockCount = 1;
        terms.step.lr = 65_536;
        terms.submitWindow = 100;
        terms.attestWindow = 50;
        terms.turnWindow = 30;
        terms.postWindow = 60;
        terms.challengeWindow = 200;
        terms.deadline = uint40(block.timestamp + 100_000);
        terms.rounds = 10;
        terms.minUpdates = 2;
        terms.maxTries = 3;
        terms.autoOpen = true;
        terms.stake = STAKE;
        terms.bond = BOND;
        terms.pool = POOL;
        terms.workerBps = 7000;
        terms.aggregatorBps = 2000;
        terms.attestorBps = 1000;
        terms.maxMembers = 256;
        terms.maxSlashed = 0;
        terms.maxFailures = 2;
        terms.manifestCodec = 0x55;
        terms.manifestDigest = keccak256("manifest");
        terms.token = address(bounty);
        terms.stateRoot = Openings.leaf(Openings.flat(0));
    }

    function createJob(JobTerms memory terms) internal returns (uint64 job) {
        vm.prank(sponsor);
        job = coordinator.createJob(terms);
    }

    /// A job with workers 0 to n - 1 and two aggregators, and its first round open.
    function startedJob(JobTerms memory terms, uint256 n) internal returns (uint64 job) {
        job = createJob(terms);
        for (uint256 i; i < n; ++i) {
            registerWorker(i);
            join(job, i);
        }
        for (uint256 i; i < 2; ++i) {
            registerAggregator(i);
            vm.prank(aggregatorKey(i));
            coordinator.enlist(job);
        }
        vm.roll(block.number + 1);
        vm.prank(sponsor);
        coordinator.openRound(job);
        vm.roll(block.number + 1);
    }

    function join(uint64 job, uint256 i) internal {
        vm.prank(operator(i));
        coordinator.join(job, 0, 0, 0, 0, new bytes32[](0));
    }

    // ---------------------------------------------------------------- rounds
    function head(uint64 job) internal view returns (uint64) {
        return coordinator.stateOf(job).head;
    }

    function round(uint64 job, uint64 serial) internal view returns (Round memory r) {
        (r,,,,) = coordinator.roundOf(job, serial);
    }

    function resultId(uint64 job, uint64 serial) internal view returns (bytes32 id) {
        (, id,,,) = coordinator.roundOf(job, serial);
    }

    function parentOf(uint64 job, uint64 serial) internal view returns (bytes32) {
        return resultId(job, round(job, serial).parentSerial);
    }

    function submit(uint64 job, uint256 i) internal {
        submitRoot(job, i, updateRoot(i));
    }

    function submitRoot(uint64 job, uint256 i, bytes32 root) internal {
        uint64 serial = head(job);
        Submission memory s;
        s.job = job;
        s.serial = serial;
        s.slot = coordinator.seatOf(job, operator(i)).slot;
        s.worker = worker(i);
        s.weight = coordinator.seatOf(job, operator(i)).weight;
        s.sealedRoot = keccak256(abi.encode(block.chainid, coordinator, job, serial, worker(i), root));
        s.codec = 0x70;
        s.digest = keccak256(abi.encode("file", serial, i));
        submissions[serial][s.slot] = s;
        bytes32 parent = parentOf(job, serial);
        vm.prank(operator(i));
        coordinator.submit(job, serial, parent, s.sealedRoot, s.codec, s.digest);
    }

    /// Worker i's update in every round: one raw32 block of equal values.
    function updateBlock(uint256 i) internal pure returns (bytes memory) {
        return Openings.flat(int32(int256(i + 1)) * 100);
    }

    function updateRoot(uint256 i) internal pure returns (bytes32) {
        uint96 value = uint96(i + 1) * 100;
        Openings.Node memory top = Openings.Node(Openings.leaf(updateBlock(i)), 32 * value * value);
        return Openings.updateRoot(Openings.updateFields(top, 0, 1));
    }

    function attest(uint64 job, uint256 i, uint256 bitmap) internal {
        uint64 serial = head(job);
        bytes32 parent = parentOf(job, serial);
        uint8 tries = round(job, serial).tries;
        vm.prank(operator(i));
        coordinator.attest(job, serial, parent, tries, bitmap);
    }

    /// The right result of the open round.
    function buildResult(uint64 job, uint256 agg, uint256 included) internal returns (Result memory) {
        return buildResult(job, agg, included, 0);
    }

    /// A result whose value is `off` the right one, and all roots built over it.
    function buildResult(uint64 job, uint256 agg, uint256 included, int32 off) internal returns (Result memory r) {
        uint64 serial = head(job);
        Round memory opened = round(job, serial);
        r.job = job;
        r.serial = serial;
        r.attempt = opened.posts;
        r.parent = parentOf(job, serial);
        r.included = included;
        (bytes[] memory updates, bytes memory table, int32 mean) = inputs(serial, included);
        states[serial] = states[opened.parentSerial] + mean + off;
        bytes[] memory blocks = new bytes[](updates.length + 2);
        blocks[0] = Openings.flat(states[opened.parentSerial]);
        blocks[1] = Openings.flat(states[serial]);
        for (uint256 i; i < updates.length; ++i) {
            blocks[i + 2] = updates[i];
        }
        r.stateRoot = Openings.leaf(blocks[1]);
        r.transcriptRoot = Openings.transcriptLeaf(blocks);
        r.table = keccak256(bytes.concat(hex"05", table));
        r.codec = 0x55;
        r.digest = sha256(blocks[1]);
        r.poster = aggregator(agg);
    }

    /// Updates and table of the included slots, and their mean (weights are equal).
    function inputs(uint256 serial, uint256 included)
        internal
        view
        returns (bytes[] memory updates, bytes memory table, int32 mean)
    {
        uint256 n;
        int256 sum;
        for (uint256 slot; slot < 256; ++slot) {
            if ((included >> slot) & 1 == 1) ++n;
        }
        updates = new bytes[](n);
        n = 0;
        for (uint256 slot; slot < 256; ++slot) {
            if ((included >> slot) & 1 == 0) continue;
            uint256 i = numbers[submissions[serial][slot].worker] - 1;
            updates[n++] = updateBlock(i);
            sum += int256(i + 1) * 100;
            table = abi.encodePacked(table, uint24(1), uint24(65_536));
        }
        if (n != 0) mean = int32((2 * sum + int256(n)) / (2 * int256(n)));
    }

    /// The proof that the first value of a posted result is wrong.
    function proofOf(Result memory r) internal view returns (bytes memory) {
        return proofOf(r, "");
    }

    function proofOf(Result memory r, bytes memory path) internal view returns (bytes memory proof) {
        Round memory opened = round(r.job, r.serial);
        (bytes[] memory updates, bytes memory table,) = inputs(r.serial, r.included);
        proof = abi.encodePacked(
            uint32(0),
            uint8(0),
            Openings.flat(states[opened.parentSerial]),
            Openings.flat(states[r.serial]),
            table,
            path
        );
        for (uint256 i; i < updates.length; ++i) {
            proof = abi.encodePacked(proof, uint16(updates[i].length), updates[i]);
        }
    }

    function post(uint64 job, uint256 agg, uint256 included) internal returns (bytes32) {
        return postResult(agg, buildResult(job, agg, included));
    }

    function postResult(uint256 agg, Result memory r) internal returns (bytes32) {
        vm.prank(aggregatorKey(agg));
        coordinator.post(r);
        results[r.serial] = r;
        return keccak256(abi.encode(r));
    }

    /// The aggregator of `startedJob` whose turn it is.
    function elected(uint64 job) internal returns (uint256) {
        (address account,) = coordinator.electedOf(job);
        return account == aggregator(0) ? 0 : 1;
    }

    function all(uint256 n) internal pure returns (uint256) {
        return n == 256 ? type(uint256).max : (1 << n) - 1;
    }

    /// Workers 0 to n - 1 submit and attest everything, and whoever's turn it is posts.
    function playRound(uint64 job, uint256 n) internal returns (uint64 serial) {
        serial = head(job);
        for (uint256 i; i < n; ++i) {
            submit(job, i);
        }
        for (uint256 i; i < n; ++i) {
            attest(job, i, all(n));
        }
        post(job, elected(job), all(n));
        vm.roll(block.number + 1);
        vm.warp(block.timestamp + 1);
    }

    function claimOf(uint64 serial, uint256 slot) internal view returns (Result[] memory r, Submission[] memory s) {
        r = new Result[](1);
        s = new Submission[](1);
        r[0] = results[serial];
        s[0] = submissions[serial][slot];
    }
}
