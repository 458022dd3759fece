// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";

import {FaultProver} from "../../../contracts/FaultProver.sol";
import {IFaultProver, Step} from "../../../contracts/interfaces/IFaultProver.sol";
import {Openings} from "../support/Openings.sol";

contract CheckMalformedTest is Test {
    /// @dev An update of three blocks, so four leaves: a, b below ab; c and padding below cd.
    struct Update {
        Step step;
        bytes[4] blocks;
        Openings.Node[4] leaves;
        Openings.Node ab;
        Openings.Node cd;
        Openings.Node top;
    }

    IFaultProver private prover = new FaultProver();

    // guards

    function test_checkMalformed_WhenTheEncodingOfTheJobIsUnknown_ItReverts() external {
        Update memory u = _honest();
        u.step.encoding = 9;
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.EncodingUnknown.selector, 9));
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 0));
    }

    function test_checkMalformed_WhenTheProofEndsBeforeTheRootsFieldsDo_ItReverts() external {
        Update memory u = _honest();
        for (uint256 length; length < 49; length += 12) {
            vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongProofLength.selector, 49, length));
            prover.checkMalformed(u.step, _root(u), new bytes(length));
        }
    }

    function test_checkMalformed_WhenTheFieldsAreNotThoseOfTheUpdateRoot_ItReverts() external {
        Update memory u = _honest();
        bytes memory proof = _leafProof(u, 0);
        proof[44] = 0x01; // claims another encoding
        vm.expectPartialRevert(IFaultProver.UpdateRootMismatch.selector);
        prover.checkMalformed(u.step, _root(u), proof);
    }

    function test_checkMalformed_WhenTheEncodingOrTheBlockCountIsNotTheJobs_AndTheProofGoesOn_ItReverts() external {
        bytes memory fields = Openings.updateFields(_honest().top, 1, 3);
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongProofLength.selector, 49, 50));
        prover.checkMalformed(_step(0), Openings.updateRoot(fields), bytes.concat(fields, hex"00"));
    }

    function test_checkMalformed_WhenTheEncodingOrTheBlockCountIsNotTheJobs_AndTheProofEndsThere_ItReturns()
        external
        view
    {
        bytes memory fields = Openings.updateFields(_honest().top, 1, 3);
        prover.checkMalformed(_step(0), Openings.updateRoot(fields), fields);
        fields = Openings.updateFields(_honest().top, 0, 4);
        prover.checkMalformed(_step(0), Openings.updateRoot(fields), fields);
    }

    function test_checkMalformed_WhenTheProofEndsBeforeItsPathDoes_ItReverts() external {
        Update memory u = _honest();
        bytes memory fields = Openings.updateFields(u.top, 0, 3);
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongProofLength.selector, 54, 49));
        prover.checkMalformed(u.step, _root(u), fields);
        bytes memory proof = abi.encodePacked(fields, uint32(0), uint8(2), new bytes(111));
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.WrongProofLength.selector, 166, 165));
        prover.checkMalformed(u.step, _root(u), proof);
    }

    function test_checkMalformed_WhenThePathIsLongerThanTheTreeIsDeep_ItReverts() external {
        Update memory u = _honest();
        bytes memory proof = abi.encodePacked(Openings.updateFields(u.top, 0, 3), uint32(0), uint8(3), new bytes(168));
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.PathTooLong.selector, 3, 2));
        prover.checkMalformed(u.step, _root(u), proof);
    }

    function test_checkMalformed_WhenThePositionIsOutsideItsLevel_ItReverts() external {
        Update memory u = _honest();
        bytes memory proof = _leafProof(u, 0);
        proof[52] = 0x04;
        vm.expectRevert(abi.encodeWithSelector(IFaultProver.PositionOutOfRange.selector, 4, 2));
        prover.checkMalformed(u.step, _root(u), proof);
    }

    /// @dev Any one byte of a proof, whether of an honest update or of one that is malformed in that very leaf.
    function testFuzz_checkMalformed_WhenThePathDoesNotLeadToTheTree_ItReverts(uint256 at, uint8 flip, bool honest)
        external
        view
    {
        Update memory u = honest ? _honest() : _with(1, Openings.flat(2), 1);
        bytes memory proof = _leafProof(u, 1);
        at = bound(at, 0, proof.length - 1);
        proof[at] ^= bytes1(uint8(bound(flip, 1, 255)));
        (bool done, bytes memory answer) =
            address(prover).staticcall(abi.encodeCall(prover.checkMalformed, (u.step, _root(u), proof)));
        assertFalse(done, "not refused");
        bytes4 error = bytes4(answer);
        assertTrue(
            error == IFaultProver.UpdateRootMismatch.selector || error == IFaultProver.PositionOutOfRange.selector
                || error == IFaultProver.PathTooLong.selector || error == IFaultProver.WrongProofLength.selector
                || error == IFaultProver.TreeMismatch.selector,
            "refused with another error"
        );
    }

    // sound updates

    function test_checkMalformed_WhenTheUpdateIsWellFormed_ItRevertsAtEveryLeaf() external {
        for (uint32 i; i < 4; ++i) {
            _expectHolds(_honest(), _leafProof(_honest(), i));
        }
    }

    function test_checkMalformed_WhenTheUpdateIsWellFormed_ItRevertsAtEveryInnerNode() external {
        Update memory u = _honest();
        _expectHolds(u, _topProof(u));
        _expectHolds(u, _middleProof(u, 0));
        _expectHolds(u, _middleProof(u, 1));
    }

    function test_checkMalformed_WhenTheUpdateIsWellFormed_ItRevertsInATreeOfOneBlock() external {
        bytes memory data = Openings.flat(2);
        bytes memory fields = Openings.updateFields(Openings.Node(Openings.leaf(data), 128), 0, 1);
        Step memory step = _step(0);
        step.blockCount = 1;
        vm.expectRevert(IFaultProver.UpdateHolds.selector);
        prover.checkMalformed(
            step, Openings.updateRoot(fields), abi.encodePacked(fields, uint32(0), uint8(0), hex"00", data)
        );
    }

    function test_checkMalformed_WhenTheUpdateIsWellFormed_ItRevertsWithEveryEncoding() external {
        Update memory u = _honest();
        u.step.encoding = 1;
        u.blocks[0] = Openings.flat8(1, -3); // 36 * 32
        u.blocks[1] = "";
        u.blocks[2] = Openings.flat8(0, 0); // zeros that are not empty
        _seal(u, [uint96(1152), 0, 0, 0]);
        for (uint32 i; i < 4; ++i) {
            _expectHolds(u, _leafProof(u, i));
        }
        u.step.encoding = 2;
        u.blocks[0] = Openings.flat4(1, 0x0d);
        u.blocks[2] = Openings.flat4(9, 0x00);
        _seal(u, [uint96(576), 0, 0, 0]);
        for (uint32 i; i < 4; ++i) {
            _expectHolds(u, _leafProof(u, i));
        }
    }

    // malformed updates

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForARefusedBlock() external view {
        Update memory u = _honest();
        u.step.encoding = 1;
        u.blocks[0] = Openings.flat8(32, 1);
        u.blocks[1] = "";
        u.blocks[2] = "";
        _seal(u, [uint96(0), 0, 0, 0]);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 0));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForABlockOfAWrongLength() external view {
        Update memory u = _with(2, hex"00000001", 0);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 2));
        u = _with(2, new bytes(129), 0);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 2));
        u = _with(2, new bytes(70_000), 0);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 2));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForAnEnergyUnlikeTheBlocks() external {
        Update memory u = _with(1, Openings.flat(2), 127);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 1));
        _expectHolds(u, _leafProof(u, 0));
        u = _with(1, "", 1);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 1));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForABlockThatIsNotEmptyAtOrBeyondTheBlockCount()
        external
    {
        Update memory u = _with(3, Openings.flat(2), 128);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 3));
        u = _with(3, new bytes(128), 0);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 3));
        _expectHolds(u, _leafProof(u, 2));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForAnEnergyBeyondTheBlockCount() external view {
        Update memory u = _with(3, "", 7);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 3));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForEnergiesThatDoNotAddUpToTheRoots() external view {
        Update memory u = _honest();
        u.top.energy -= 1;
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 3));
        prover.checkMalformed(u.step, _root(u), _middleProof(u, 0));
        prover.checkMalformed(u.step, _root(u), _topProof(u));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForEnergiesThatDoNotAddUpToTheNodesAbove() external {
        Update memory u = _honest();
        u.ab.energy += 5;
        u.top = Openings.parent(u.ab, u.cd);
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 0));
        prover.checkMalformed(u.step, _root(u), _leafProof(u, 1));
        _expectHolds(u, _leafProof(u, 2));
        _expectHolds(u, _topProof(u));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForEnergiesThatDoNotAddUpBelowAnInnerNode()
        external
        view
    {
        Update memory u = _honest();
        u.ab.energy += 5;
        u.top = Openings.parent(u.ab, u.cd);
        prover.checkMalformed(u.step, _root(u), _middleProof(u, 0));
    }

    /// @dev Half of the sum's carry is lost in 96 bits, so that the root says 0.
    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForEnergiesThatPass96Bits() external view {
        Update memory u = _honest();
        u.ab.energy = 2 ** 95;
        u.cd.energy = 2 ** 95;
        u.top = Openings.parent(u.ab, u.cd);
        assert(u.top.energy == 0);
        prover.checkMalformed(u.step, _root(u), _topProof(u));

        // The same from below, where cd itself adds up.
        u = _honest();
        u.ab.energy = 2 ** 95;
        u.leaves[2].energy = 2 ** 94;
        u.leaves[3].energy = 2 ** 94;
        u.cd = Openings.parent(u.leaves[2], u.leaves[3]);
        u.top = Openings.parent(u.ab, u.cd);
        assert(u.top.energy == 0);
        prover.checkMalformed(u.step, _root(u), _middleProof(u, 1));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForALeafInAnInnerNodesPlace() external view {
        Update memory u = _honest();
        u.cd = u.leaves[0];
        u.top = Openings.parent(u.ab, u.cd);
        bytes memory leaf = bytes.concat(hex"00", u.blocks[0]);
        prover.checkMalformed(u.step, _root(u), _middle(u, 1, leaf));
        // as long as an inner node's, but a leaf's first byte
        leaf = new bytes(89);
        u.cd = Openings.Node(keccak256(leaf), 0);
        u.top = Openings.parent(u.ab, u.cd);
        prover.checkMalformed(u.step, _root(u), _middle(u, 1, leaf));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForAnInnerNodeInALeafsPlace() external view {
        Update memory u = _honest();
        bytes memory preimage = Openings.parentPreimage(u.leaves[0], u.leaves[1]);
        u.leaves[2].hash = keccak256(preimage);
        _join(u);
        prover.checkMalformed(u.step, _root(u), _leaf(u, 2, preimage));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForALeafOfAnotherFirstByte() external view {
        Update memory u = _honest();
        u.leaves[1].hash = keccak256(hex"05");
        _join(u);
        prover.checkMalformed(u.step, _root(u), _leaf(u, 1, hex"05"));
    }

    function test_checkMalformed_WhenTheUpdateIsMalformed_ItReturnsForTheHashOfNothing() external view {
        Update memory u = _honest();
        u.leaves[3].hash = keccak256("");
        _join(u);
        prover.checkMalformed(u.step, _root(u), _leaf(u, 3, ""));
        u.cd.hash = keccak256("");
        u.top = Openings.parent(u.ab, u.cd);
        prover.checkMalformed(u.step, _root(u), _middle(u, 1, ""));
    }

    // support

    function _step(uint8 encoding) private pure returns (Step memory) {
        return Step({blockCount: 3, encoding: encoding, rule: 0, trim: 0, beta: 0, lr: 65_536, bound2: 0});
    }

    function _honest() private pure returns (Update memory u) {
        u.step = _step(0);
        u.blocks[0] = Openings.flat(3);
        u.blocks[1] = "";
        u.blocks[2] = Openings.flat(-100_000);
        _seal(u, [uint96(288), 0, 320_000_000_000, 0]);
    }

    /// @dev The honest update with another block and its claimed energy.
    function _with(uint256 at, bytes memory data, uint96 energy) private pure returns (Update memory u) {
        u = _honest();
        u.blocks[at] = data;
        uint96[4] memory energies = [uint96(288), 0, 320_000_000_000, 0];
        energies[at] = energy;
        _seal(u, energies);
    }

    function _seal(Update memory u, uint96[4] memory energies) private pure {
        for (uint256 i; i < 4; ++i) {
            u.leaves[i] = Openings.Node(Openings.leaf(u.blocks[i]), energies[i]);
        }
        _join(u);
    }

    function _join(Update memory u) private pure {
        u.ab = Openings.parent(u.leaves[0], u.leaves[1]);
        u.cd = Openings.parent(u.leaves[2], u.leaves[3]);
        u.top = Openings.parent(u.ab, u.cd);
    }

    function _root(Update memory u) private pure returns (bytes32) {
        return Openings.updateRoot(_fields(u));
    }

    function _fields(Update memory u) private pure returns (bytes memory) {
        return Openings.updateFields(u.top, u.step.encoding, 3);
    }

    function _leafProof(Update memory u, uint32 position) private pure returns (bytes memory) {
        return _leaf(u, position, bytes.concat(hex"00", u.blocks[position]));
    }

    function _leaf(Update memory u, uint32 position, bytes memory preimage) private pure returns (bytes memory) {
        uint32 pair = position / 2 * 2;
        bytes memory entries = abi.encodePacked(
            u.leaves[position ^ 1].hash,
            u.leaves[pair].energy,
            u.leaves[pair + 1].energy,
            position < 2 ? u.cd.hash : u.ab.hash,
            u.ab.energy,
            u.cd.energy
        );
        return abi.encodePacked(_fields(u), position, uint8(2), entries, preimage);
    }

    function _middleProof(Update memory u, uint32 position) private pure returns (bytes memory) {
        return _middle(u, position, Openings.parentPreimage(u.leaves[2 * position], u.leaves[2 * position + 1]));
    }

    function _middle(Update memory u, uint32 position, bytes memory preimage) private pure returns (bytes memory) {
        bytes32 sibling = position == 0 ? u.cd.hash : u.ab.hash;
        return abi.encodePacked(_fields(u), position, uint8(1), sibling, u.ab.energy, u.cd.energy, preimage);
    }

    function _topProof(Update memory u) private pure returns (bytes memory) {
        return abi.encodePacked(_fields(u), uint32(0), uint8(0), Openings.parentPreimage(u.ab, u.cd));
    }

    function _expectHolds(Update memory u, bytes memory proof) private {
        bytes32 root = _root(u);
        vm.expectRevert(IFaultProver.UpdateHolds.selector);
        prover.checkMalformed(u.step, root, proof);
    }
}
