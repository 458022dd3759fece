// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {console} from "forge-std/console.sol";
import {Market} from "../support/Market.sol";
import {Openings} from "../support/Openings.sol";
import {IVault} from "../../../contracts/interfaces/IVault.sol";
import {JobTerms, Result, Submission} from "../../../contracts/interfaces/JobTypes.sol";

/// @notice What each act costs as a whole transaction, intrinsic gas and calldata included, in its worst case.
/// @dev `scripts/gas.py` runs it with `--isolate`, so that every call is a transaction on a cold state, and reads the lines.
contract GasTest is Market {
    function _note(string memory what) internal view {
        console.log(string.concat("gas|", what, "|", vm.toString(uint256(vm.lastCallGas().gasTotalUsed))));
    }

    function _submitAll(uint64 job, uint256 n) internal {
        for (uint256 i; i < n; ++i) {
            submit(job, i);
        }
    }

    function _attestAll(uint64 job, uint256 n) internal {
        for (uint256 i; i < n; ++i) {
            attest(job, i, type(uint256).max);
        }
    }

    // ---------------------------------------------------------------- rounds
    function test_RoundOfFour() public {
        uint64 job = startedJob(defaultTerms(), 4);
        // Worker 3 misses a round, so that the next one waits for it by its own word alone.
        for (uint256 i; i < 3; ++i) {
            submit(job, i);
        }
        _note("submit: first ever, records the seed");
        vm.warp(block.timestamp + 100);
        _attestAll(job, 3);
        _note("attest: everything");
        uint64 first = head(job);
        post(job, elected(job), 7);
        vm.roll(block.number + 1);
        bytes32 id = resultId(job, first);
        vm.prank(operator(3));
        coordinator.hold(job, first, id);
        _note("hold: a member that was away");
        submit(job, 3);
        _note("submit: awaited by its own word");
        for (uint256 i; i < 3; ++i) {
            submit(job, i);
        }
        _note("submit: the last awaited, closes");
        _attestAll(job, 4);
        post(job, elected(job), 15);
        _note("post: opens the next round, 4 attestors");
        _submitAll(job, 4);
        coordinator.settle(job);
        _note("settle: counts the holds of two results");
    }

    function test_PostInTheTurnOfAnother() public {
        uint64 job = startedJob(defaultTerms(), 4);
        playRound(job, 4);
        _submitAll(job, 4);
        _attestAll(job, 4);
        vm.warp(block.timestamp + 50 + 30);
        post(job, 1 - elected(job), 15);
        _note("post: opens the next round, 4 attestors, in the turn of an absent one");
    }

    function test_PostAfterAConviction() public {
        uint64 job = startedJob(defaultTerms(), 4);
        playRound(job, 4);
        _submitAll(job, 4);
        _attestAll(job, 4);
        uint256 liar = elected(job);
        Result memory wrong = buildResult(job, liar, 15, 1);
        postResult(liar, wrong);
        vm.prank(challenger);
        coordinator.convict(wrong, proofOf(wrong));
        post(job, elected(job), 15);
        _note("post: opens the next round, 4 attestors, after a conviction");
    }

    function test_PostAfterOneThatNobodyHeld() public {
        uint64 job = startedJob(defaultTerms(), 4);
        playRound(job, 4);
        _submitAll(job, 4);
        coordinator.settle(job); // which counts those submissions as holds
        _attestAll(job, 4);
        uint64 serial = head(job);
        uint256 first = elected(job);
        post(job, first, 15);
        vm.warp(block.timestamp + 100);
        coordinator.retry(job, serial);
        _attestAll(job, 4);
        uint256 snapshot = vm.snapshotState();
        post(job, elected(job), 15);
        _note("post: opens the next round, 4 attestors, after a result that was not held");
        vm.revertToState(snapshot);
        vm.warp(block.timestamp + 50 + 30);
        post(job, first, 15);
        _note("post: opens the next round, 4 attestors, by the poster of a result that was not held");
    }

    function test_PostWithoutAMalformedUpdate() public {
        uint64 job = startedJob(defaultTerms(), 4);
        playRound(job, 4);
        uint64 serial = head(job);
        (bytes32 root, bytes memory proof) = _malformed(0);
        submitRoot(job, 0, root);
        for (uint256 i = 1; i < 4; ++i) {
            submit(job, i);
        }
        _attestAll(job, 4);
        vm.prank(challenger);
        coordinator.convictUpdate(submissions[serial][0], root, proof);
        post(job, elected(job), 14);
        _note("post: opens the next round, 4 attestors, without a malformed update");
    }

    function test_RoundOfSixteen() public {
        uint64 job = startedJob(defaultTerms(), 16);
        playRound(job, 16);
        _submitAll(job, 16);
        _attestAll(job, 16);
        post(job, elected(job), all(16));
        _note("post: opens the next round, 16 attestors");
    }

    function test_RoundOf256() public {
        uint64 job = startedJob(defaultTerms(), 256);
        _submitAll(job, 256);
        coordinator.drawCommittee(job, head(job));
        _note("drawCommittee: 16 of 256");
        (,,, uint256 committee,) = coordinator.roundOf(job, head(job));
        for (uint256 i; i < 256; ++i) {
            if ((committee >> i) & 1 == 0) continue;
            attest(job, i, type(uint256).max);
        }
        _note("attest: everything, of a drawn committee");
        post(job, elected(job), type(uint256).max);
        _note("post: opens the next round, 16 attestors of 256");
        _submitAll(job, 1);
        _note("submit: 256 members");
    }

    // ---------------------------------------------------------------- money
    function test_Claims() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 12;
        terms.submitWindow = 10_000;
        uint64 job = startedJob(terms, 4);
        uint64 first = head(job);
        for (uint256 i; i < 12; ++i) {
            playRound(job, 4);
            if (i == 11) {
                for (uint256 k; k < 3; ++k) {
                    bytes32 id = resultId(job, first + 11);
                    vm.prank(operator(k));
                    coordinator.hold(job, first + 11, id);
                }
                _note("hold: the K-th, starts the challenge window");
            }
            coordinator.settle(job);
            vm.warp(block.timestamp + 200);
            coordinator.settle(job);
        }
        Result[] memory r;
        Submission[] memory s;
        (r, s) = claimOf(first, 0);
        coordinator.claim(r, s);
        _note("claim: first ever");
        (r, s) = claimOf(first + 1, 0);
        coordinator.claim(r, s);
        _note("claim: the slots exist");
        r = new Result[](10);
        s = new Submission[](10);
        for (uint64 i; i < 10; ++i) {
            r[i] = results[first + 2 + i];
            s[i] = submissions[first + 2 + i][0];
        }
        coordinator.claim(r, s);
        _note("claim: ten rounds at once");
        Result[] memory posted = new Result[](1);
        posted[0] = results[first];
        coordinator.claimPosts(posted);
        _note("claimPosts: one");
        coordinator.close(job);
        _note("close");
        coordinator.release(job, worker(0));
        _note("release");
        vm.prank(worker(0));
        vault.unbond(IVault.Collateral.Stake, STAKE);
        _note("unbond");
        vm.warp(block.timestamp + 1 days);
        address[] memory tokens = new address[](1);
        tokens[0] = address(bounty);
        vault.withdraw(worker(0), tokens);
        _note("withdraw: stake and one credit");
    }

    function test_RegisterAndJoin() public {
        uint64 job = createJob(defaultTerms());
        _note("createJob");
        registerWorker(0);
        _note("register: with stake by approval");
        join(job, 0);
        _note("join: open");
        registerAggregator(0);
        vm.prank(aggregatorKey(0));
        coordinator.enlist(job);
        _note("enlist");
        registerWorker(1);
        join(job, 1);
        vm.prank(sponsor);
        coordinator.openRound(job);
        _note("openRound: the first");
        vm.prank(operator(0));
        coordinator.leave(job);
        _note("leave");
    }

    function test_RoundRecovery() public {
        uint64 job = startedJob(defaultTerms(), 16);
        _submitAll(job, 16);
        _attestAll(job, 16);
        uint64 serial = head(job);
        post(job, elected(job), all(16));
        vm.warp(block.timestamp + 100);
        coordinator.retry(job, serial);
        _note("retry: a result not held, 16 attestors");
        for (uint256 k; k < 2; ++k) {
            vm.warp(block.timestamp + 110);
            coordinator.retry(job, serial);
        }
        vm.warp(block.timestamp + 110);
        coordinator.reopen(job, serial);
        _note("reopen: after the last try");
        vm.warp(block.timestamp + 200_000);
        coordinator.abort(job);
        _note("abort");
        (, uint256 left) = vault.escrowOf(job);
        assertEq(left, 0);
        coordinator.releaseBond(job, 1, results[serial].poster);
        _note("releaseBond");
    }

    // ---------------------------------------------------------------- disputes
    function test_Convict10Workers8M() public {
        _convict(10, 1 << 18, 18, "10 workers x 8.4 M parameters (depth 18), raw32");
    }

    function test_Convict64Workers1M() public {
        _convict(64, 1 << 15, 15, "64 workers x 1 M parameters (depth 15), raw32");
    }

    function test_Convict256Workers33M() public {
        _convict(256, 1 << 20, 20, "256 workers x 33.5 M parameters (depth 20), raw32");
    }

    function test_MalformedUpdate() public {
        JobTerms memory terms = defaultTerms();
        terms.step.blockCount = 1 << 18;
        uint64 job = startedJob(terms, 4);
        uint64 serial = head(job);
        (bytes32 root, bytes memory proof) = _malformed(18);
        submitRoot(job, 0, root);
        Submission memory s = submissions[serial][0];
        bytes32 hash = keccak256(abi.encode(s));
        bytes32 proofHash = keccak256(abi.encode(hash, root, proof));
        vm.prank(challenger);
        coordinator.commit(keccak256(abi.encode(block.chainid, coordinator, challenger, proofHash)));
        _note("commit");
        vm.roll(block.number + 1);
        uint256 snapshot = vm.snapshotState();
        coordinator.convictUpdate(s, root, proof);
        _note("convictUpdate: depth 18, raw32");
        vm.revertToState(snapshot);
        vm.prank(challenger);
        coordinator.convictUpdate(s, root, proof);
        _note("convictUpdate: depth 18, raw32, rewarded");
    }

    /// An update of 2 ** depth blocks whose first is malformed: its root and the proof.
    function _malformed(uint8 depth) internal pure returns (bytes32 root, bytes memory proof) {
        bytes memory bad = new bytes(129);
        for (uint256 i; i < 129; ++i) {
            bad[i] = 0xff;
        }
        Openings.Node memory node = Openings.Node(Openings.leaf(bad), 0);
        bytes memory path;
        for (uint256 l; l < depth; ++l) {
            Openings.Node memory sibling =
                Openings.Node(keccak256(abi.encode(l)), uint96(uint256(keccak256(abi.encode(l))) >> 168));
            path = bytes.concat(path, abi.encodePacked(sibling.hash, node.energy, sibling.energy));
            node = Openings.parent(node, sibling);
        }
        bytes memory fields = Openings.updateFields(node, 0, uint32(1) << depth);
        root = Openings.updateRoot(fields);
        proof = abi.encodePacked(fields, uint32(0), depth, path, hex"00", bad);
    }

    function _convict(uint256 n, uint32 blocks, uint256 depth, string memory what) internal {
        JobTerms memory terms = defaultTerms();
        terms.step.blockCount = blocks;
        uint64 job = startedJob(terms, n);
        _submitAll(job, n);
        uint64 serial = head(job);
        if (n > 16) coordinator.drawCommittee(job, serial);
        (,,, uint256 committee,) = coordinator.roundOf(job, serial);
        for (uint256 i; i < n; ++i) {
            if ((committee >> i) & 1 == 1) attest(job, i, type(uint256).max);
        }
        uint256 liar = elected(job);
        Result memory r = buildResult(job, liar, all(n), 1);
        bytes32[] memory siblings = new bytes32[](depth);
        for (uint256 l; l < depth; ++l) {
            siblings[l] = keccak256(abi.encode("sibling", l));
            r.transcriptRoot = keccak256(abi.encodePacked(hex"01", r.transcriptRoot, siblings[l]));
        }
        bytes32 id = postResult(liar, r);
        bytes memory proof = proofOf(r, abi.encodePacked(siblings));
        bytes32 proofHash = keccak256(abi.encode(id, bytes32(0), proof));
        vm.prank(challenger);
        coordinator.commit(keccak256(abi.encode(block.chainid, coordinator, challenger, proofHash)));
        vm.roll(block.number + 1);
        uint256 snapshot = vm.snapshotState();
        coordinator.convict(r, proof);
        _note(string.concat("convict: ", what));
        vm.revertToState(snapshot);
        vm.prank(challenger);
        coordinator.convict(r, proof);
        _note(string.concat("convict, rewarded: ", what));
    }
}
