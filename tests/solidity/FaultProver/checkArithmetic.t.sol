// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {FaultProver} from "../../../contracts/FaultProver.sol";
import {IFaultProver, Step} from "../../../contracts/interfaces/IFaultProver.sol";
import {Openings} from "../support/Openings.sol";

contract CheckArithmeticTest is Test {
    /// @dev A result of three blocks (depth 2) in which only block 1 matters; the others are any leaves.
    struct Result {
        Step step;
        bytes[] states; // old, new and, with momentum, old and new of it
        bytes table;
        bytes[] updates;
        uint32 position;
        uint8 coordinate;
    }

    uint24 private constant ONE = 65_536;

    IFaultProver private prover = new FaultProver();

    // guards

    function test_checkArithmetic_WhenTheRuleIsNotFedAvg_ItReverts() external {
        Result memory r = _plain(58);
        for (uint8 rule = 1; rule < 4; ++rule) {
            r.step.rule = rule;
            _expect(r, abi.encodeWithSelector(IFaultProver.RuleUnsupported.selector, rule));
        }
    }

    function test_checkArithmetic_WhenTheEncodingIsUnknown_ItReverts() external {
        Result memory r = _plain(58);
        r.step.encoding = 3;
        _expect(r, abi.encodeWithSelector(IFaultProver.EncodingUnknown.selector, 3));
    }

    function test_checkArithmetic_WhenNoUpdateOrMoreThan256AreIncluded_ItReverts() external {
        Result memory r = _plain(58);
        (bytes32 root, bytes memory proof) = _open(r);
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongUpdateCount.selector, 0));
        prover.checkArithmetic(r.step, root, _hash(r.table), 0, proof);
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongUpdateCount.selector, 257));
        prover.checkArithmetic(r.step, root, _hash(r.table), 257, proof);
    }

    function test_checkArithmetic_WhenTheProofEndsBeforeItsUpdates_ItReverts() external {
        Result memory r = _plain(58);
        (bytes32 root,) = _open(r);
        uint256 shortest = 5 + 2 * 128 + 2 * 6 + 2 * 32;
        for (uint256 length; length < shortest; length += 13) {
            vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongProofLength.selector, shortest, length));
            prover.checkArithmetic(r.step, root, _hash(r.table), 2, new bytes(length));
        }
    }

    function test_checkArithmetic_WhenTheBlockLiesBeyondTheModel_ItReverts() external {
        Result memory r = _plain(58);
        r.position = 3; // a leaf of the tree all the same
        _expect(r, abi.encodeWithSelector(IFaultProver.BlockOutOfRange.selector, 3, 3));
    }

    function test_checkArithmetic_WhenTheCoordinateLiesBeyondTheBlock_ItReverts() external {
        Result memory r = _plain(58);
        r.coordinate = 32;
        _expect(r, abi.encodeWithSelector(IFaultProver.CoordinateOutOfRange.selector, 32));
    }

    function test_checkArithmetic_WhenTheTableIsNotThePostedOne_ItReverts() external {
        Result memory r = _plain(58);
        (bytes32 root, bytes memory proof) = _open(r);
        bytes32 posted = _hash(_table(1, ONE, 4, ONE));
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.TableMismatch.selector, posted, _hash(r.table)));
        prover.checkArithmetic(r.step, root, posted, 2, proof);
    }

    function test_checkArithmetic_WhenAnUpdatesBlockRunsPastTheEnd_ItReverts() external {
        Result memory r = _plain(58);
        (bytes32 root, bytes memory proof) = _open(r);
        for (uint256 cut = 1; cut < 260; cut += 37) {
            // Cut into the last block, or through it into the one before.
            bytes memory short = _head(proof, proof.length - cut);
            uint256 expected = cut < 129 ? proof.length : proof.length - 130;
            vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongProofLength.selector, expected, short.length));
            prover.checkArithmetic(r.step, root, _hash(r.table), 2, short);
        }
    }

    function test_checkArithmetic_WhenBytesFollowTheLastUpdate_ItReverts() external {
        Result memory r = _plain(58);
        (bytes32 root, bytes memory proof) = _open(r);
        uint256 length = proof.length;
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongProofLength.selector, length, length + 1));
        prover.checkArithmetic(r.step, root, _hash(r.table), 2, bytes.concat(proof, hex"00"));
    }

    /// @dev Any one byte. Those of the coordinate choose another value, which is just as wrong here, and are left out.
    function testFuzz_checkArithmetic_WhenABlockThePathOrThePositionIsNotThePostedOne_ItReverts(uint256 at, uint8 flip)
        external
        view
    {
        Result memory r = _plain(58);
        (bytes32 root, bytes memory proof) = _open(r);
        at = bound(at, 0, proof.length - 2);
        if (at >= 4) ++at;
        flip = uint8(bound(flip, 1, 255));
        proof[at] ^= bytes1(flip);
        (bool done, bytes memory answer) =
            address(prover).staticcall(abi.encodeCall(prover.checkArithmetic, (r.step, root, _hash(r.table), 2, proof)));
        assertFalse(done, "not refused");
        bytes4 error = bytes4(answer);
        assertTrue(
            error == IFaultProver.BlockOutOfRange.selector || error == IFaultProver.TableMismatch.selector
                || error == IFaultProver.TranscriptMismatch.selector || error == IFaultProver.WrongProofLength.selector,
            "refused with another error"
        );
    }

    function test_checkArithmetic_WhenAnotherBlocksPathIsUsed_ItReverts() external {
        Result memory r = _plain(58);
        (bytes32 root, bytes memory proof) = _open(r);
        proof[3] = 0x02;
        vm.expectPartialRevert(IFaultProver.TranscriptMismatch.selector);
        prover.checkArithmetic(r.step, root, _hash(r.table), 2, proof);
    }

    function test_checkArithmetic_WhenTheJobsStepOrNIsAnotherThanThePostedResults_ItReverts() external {
        Result memory r = _plain(58);
        (bytes32 root, bytes memory proof) = _open(r);
        Step memory step = r.step;
        step.beta = 1; // then two more blocks are due
        vm.expectPartialRevert(IFaultProver.TableMismatch.selector);
        prover.checkArithmetic(step, root, _hash(r.table), 2, proof);
        step.beta = 0;
        step.blockCount = 5; // one more level
        vm.expectPartialRevert(IFaultProver.WrongProofLength.selector);
        prover.checkArithmetic(step, root, _hash(r.table), 2, proof);
        step.blockCount = 2; // one less
        vm.expectPartialRevert(IFaultProver.WrongProofLength.selector);
        prover.checkArithmetic(step, root, _hash(r.table), 2, proof);
        step.blockCount = 3;
        vm.expectPartialRevert(IFaultProver.TableMismatch.selector);
        prover.checkArithmetic(step, root, _hash(r.table), 1, proof);
        vm.expectPartialRevert(IFaultProver.TableMismatch.selector);
        prover.checkArithmetic(step, root, _hash(r.table), 3, proof);
    }

    function test_checkArithmetic_WhenTheWeightsAddUpToZero_ItReverts() external {
        Result memory r = _plain(58);
        r.table = _table(0, ONE, 0, ONE);
        _expect(r, abi.encodeWithSelector(IFaultProver.NoWeight.selector));
    }

    // right values: (1 * 10 + 3 * 20) / 4 = 17.5, so 18 is added to 40

    function test_checkArithmetic_WhenThePostedValueIsRight_ItRevertsWithoutMomentum() external {
        Result memory r = _plain(58);
        for (uint8 c; c < 32; ++c) {
            r.coordinate = c;
            _expectHolds(r, 58, 18);
        }
    }

    function test_checkArithmetic_WhenThePostedValueIsRight_ItRevertsWithMomentum() external {
        // m' = rdiv(0.5 * -7) + 18 = -4 + 18 = 14; W' = 40 + rdiv(0.25 * 14) = 44
        _expectHolds(_withMomentum(44, 14), 44, 14);
    }

    function test_checkArithmetic_WhenThePostedValueIsRight_ItRevertsWithClippedUpdates() external {
        // halves: 5 and 10, so (5 + 30) / 4 = 8.75
        Result memory r = _plain(49);
        r.table = _table(1, ONE / 2, 3, ONE / 2);
        _expectHolds(r, 49, 9);
        // Factors are taken as posted, over 1.0 too: 10 * 240 and 20 * 240
        r = _plain(40 + 4200);
        r.table = _table(1, 240 * ONE, 3, 240 * ONE);
        _expectHolds(r, 4240, 4200);
    }

    function test_checkArithmetic_WhenThePostedValueIsRight_ItRevertsWithEveryEncoding() external {
        Result memory r = _plain(58);
        r.step.encoding = 1;
        r.updates[0] = Openings.flat8(1, 5);
        r.updates[1] = Openings.flat8(2, 5);
        _expectHolds(r, 58, 18);
        r.step.encoding = 2;
        r.updates[0] = Openings.flat4(1, 0x55);
        r.updates[1] = Openings.flat4(2, 0x55);
        _expectHolds(r, 58, 18);
    }

    function test_checkArithmetic_WhenThePostedValueIsRight_ItRevertsWithARefusedBlockThatCountedAsZeros() external {
        // (0 + 3 * 20) / 4 = 15
        Result memory r = _plain(55);
        r.updates[0] = hex"";
        _expectHolds(r, 55, 15);
        r.updates[0] = new bytes(127);
        _expectHolds(r, 55, 15);
        r.updates[0] = bytes.concat(Openings.flat(10), hex"0a");
        _expectHolds(r, 55, 15);
        r.step.encoding = 1;
        r.updates[0] = Openings.flat8(1, 5);
        r.updates[0][32] = 0x80;
        r.updates[1] = Openings.flat8(2, 5);
        _expectHolds(r, 55, 15);
    }

    function test_checkArithmetic_WhenThePostedValueIsRight_ItRevertsWith256Updates() external {
        Result memory r = _plain(40 - 5);
        r.updates = new bytes[](256);
        r.table = "";
        for (uint256 i; i < 256; ++i) {
            r.updates[i] = Openings.flat(-5);
            r.table = bytes.concat(r.table, abi.encodePacked(uint24(2 ** 20 - 1), ONE));
        }
        _expectHolds(r, 35, -5);
    }

    // wrong values

    function test_checkArithmetic_WhenThePostedValueIsWrong_ItReturnsForTheState() external view {
        _convicts(_plain(57));
        _convicts(_plain(59));
        _convicts(_plain(-58));
    }

    function test_checkArithmetic_WhenThePostedValueIsWrong_ItReturnsForTheStateWithMomentum() external view {
        _convicts(_withMomentum(45, 14));
    }

    function test_checkArithmetic_WhenThePostedValueIsWrong_ItReturnsForTheMomentumAlone() external view {
        _convicts(_withMomentum(44, 15));
    }

    function test_checkArithmetic_WhenThePostedValueIsWrong_ItReturnsIfARefusedBlockWasCounted() external view {
        Result memory r = _plain(58);
        r.step.encoding = 1;
        r.updates[0] = Openings.flat8(1, 5);
        r.updates[0][32] = 0x80;
        r.updates[1] = Openings.flat8(2, 5);
        _convicts(r);
    }

    function test_checkArithmetic_WhenThePostedValueIsWrong_ItReturnsIfAFactorWasLeftOut() external view {
        Result memory r = _plain(58);
        r.table = _table(1, ONE / 2, 3, ONE / 2);
        _convicts(r);
    }

    function test_checkArithmetic_WhenThePostedValueIsWrong_ItReturnsInAModelOfOneBlock() external {
        Result memory r = _plain(58);
        r.step.blockCount = 1;
        r.position = 0;
        _expectHolds(r, 58, 18);
        r.states[1] = Openings.flat(59);
        _convicts(r);
    }

    // support

    /// @dev 10 and 20 with weights 1 and 3 on a state of 40.
    function _plain(int32 newState) private pure returns (Result memory r) {
        r.step = Step({blockCount: 3, encoding: 0, rule: 0, trim: 0, beta: 0, lr: ONE, bound2: 0});
        r.states = new bytes[](2);
        r.states[0] = Openings.flat(40);
        r.states[1] = Openings.flat(newState);
        r.table = _table(1, ONE, 3, ONE);
        r.updates = new bytes[](2);
        r.updates[0] = Openings.flat(10);
        r.updates[1] = Openings.flat(20);
        r.position = 1;
        r.coordinate = 17;
    }

    /// @dev The same with beta 0.5, lr 0.25 and an old momentum of -7.
    function _withMomentum(int32 newState, int32 newMomentum) private pure returns (Result memory r) {
        r = _plain(newState);
        r.step.beta = ONE / 2;
        r.step.lr = ONE / 4;
        bytes[] memory states = new bytes[](4);
        (states[0], states[1]) = (r.states[0], r.states[1]);
        (states[2], states[3]) = (Openings.flat(-7), Openings.flat(newMomentum));
        r.states = states;
    }

    function _table(uint24 w1, uint24 f1, uint24 w2, uint24 f2) private pure returns (bytes memory) {
        return abi.encodePacked(w1, f1, w2, f2);
    }

    function _hash(bytes memory table) private pure returns (bytes32) {
        return keccak256(bytes.concat(hex"05", table));
    }

    function _open(Result memory r) private pure returns (bytes32 root, bytes memory proof) {
        bytes[] memory blocks = new bytes[](r.states.length + r.updates.length);
        proof = abi.encodePacked(r.position, r.coordinate);
        for (uint256 i; i < r.states.length; ++i) {
            blocks[i] = r.states[i];
            proof = bytes.concat(proof, r.states[i]);
        }
        proof = bytes.concat(proof, r.table);
        for (uint256 i; i < r.updates.length; ++i) {
            blocks[r.states.length + i] = r.updates[i];
        }

        bytes32[] memory leaves = new bytes32[](r.step.blockCount);
        for (uint256 i; i < leaves.length; ++i) {
            leaves[i] = keccak256(abi.encode("another block", i));
        }
        if (r.position < leaves.length) leaves[r.position] = Openings.transcriptLeaf(blocks);
        bytes32[][] memory levels = Openings.tree(leaves);
        root = Openings.root(levels);
        proof = bytes.concat(proof, Openings.path(levels, r.position));
        for (uint256 i; i < r.updates.length; ++i) {
            proof = bytes.concat(proof, bytes2(uint16(r.updates[i].length)), r.updates[i]);
        }
    }

    function _convicts(Result memory r) private view {
        (bytes32 root, bytes memory proof) = _open(r);
        prover.checkArithmetic(r.step, root, _hash(r.table), r.updates.length, proof);
    }

    function _expect(Result memory r, bytes memory reason) private {
        (bytes32 root, bytes memory proof) = _open(r);
        vm.expectRevert(reason);
        prover.checkArithmetic(r.step, root, _hash(r.table), r.updates.length, proof);
    }

    function _expectHolds(Result memory r, int256 state, int256 momentum) private {
        _expect(
            r, abi.encodeWithSelector(IFaultProver.ArithmeticHolds.selector, r.position, r.coordinate, state, momentum)
        );
    }

    function _head(bytes memory data, uint256 length) private pure returns (bytes memory head) {
        head = new bytes(length);
        for (uint256 i; i < length; ++i) {
            head[i] = data[i];
        }
    }
}
