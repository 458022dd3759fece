// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {TestToken} from "../../../contracts/TestToken.sol";
import {Acts} from "../support/Acts.sol";
import {IJobs} from "../../../contracts/interfaces/IJobs.sol";
import {JobTerms, Result} from "../../../contracts/interfaces/JobTypes.sol";

/// @notice Keeps a hundredth of each transfer.
contract FeeToken is TestToken {
    function _update(address from, address to, uint256 value) internal override {
        uint256 fee = from == address(0) ? 0 : value / 100;
        super._update(from, to, value - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}

contract CreateJobTest is Acts {
    function _refuse(JobTerms memory terms, bytes32 field) private {
        bytes memory reason = abi.encodeWithSelector(IJobs.BadTerms.selector, field);
        refused(sponsor, abi.encodeCall(coordinator.createJob, (terms)), reason);
        assertEq(coordinator.jobCount(), 0);
    }

    function test_createJob_WhenTheBlockCountIsZeroOrOver2To28_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.step.blockCount = 0;
        _refuse(terms, "blockCount");
        terms.step.blockCount = (1 << 28) + 1;
        _refuse(terms, "blockCount");
    }

    function test_createJob_WhenTheEncodingIsUnknown_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.step.encoding = 3;
        _refuse(terms, "encoding");
    }

    function test_createJob_WhenTheRuleIsNotFedAvg_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.step.rule = 1;
        _refuse(terms, "rule");
        terms.step.rule = 0;
        terms.step.trim = 1;
        _refuse(terms, "rule");
    }

    function test_createJob_WhenBetaIsOverOne_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.step.beta = (1 << 16) + 1;
        _refuse(terms, "beta");
    }

    function test_createJob_WhenTheLearningRateIsZeroOrOver2To24_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.step.lr = 0;
        _refuse(terms, "lr");
        terms.step.lr = (1 << 24) + 1;
        _refuse(terms, "lr");
    }

    function test_createJob_WhenAWindowIsShorterThanTheLeast_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.submitWindow = 0;
        _refuse(terms, "windows");
        terms = defaultTerms();
        terms.attestWindow = 0;
        _refuse(terms, "windows");
        terms = defaultTerms();
        terms.turnWindow = 0;
        _refuse(terms, "windows");
        terms = defaultTerms();
        terms.challengeWindow = 0;
        _refuse(terms, "windows");
    }

    function test_createJob_WhenAWindowIsLongerThanAYear_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.deadline = uint40(block.timestamp + 3650 days);
        terms.submitWindow = 365 days + 1;
        _refuse(terms, "windows");
        terms.submitWindow = 100;
        terms.attestWindow = 365 days + 1;
        _refuse(terms, "windows");
        terms.attestWindow = 50;
        terms.postWindow = 365 days + 1;
        _refuse(terms, "windows");
        terms.postWindow = 60;
        terms.challengeWindow = 365 days + 1;
        _refuse(terms, "windows");
        terms.challengeWindow = 365 days;
        assertEq(createJob(terms), 1);
    }

    function test_createJob_WhenTheDeadlineIsOverTenYearsAhead_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.deadline = uint40(block.timestamp + 3650 days + 1);
        _refuse(terms, "deadline");
    }

    function test_createJob_WhenThePostWindowLeavesNoTimeAfterTheTurn_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.postWindow = terms.turnWindow;
        _refuse(terms, "windows");
    }

    function test_createJob_WhenMinUpdatesIsZeroOrOverMaxMembers_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.minUpdates = 0;
        _refuse(terms, "minUpdates");
        terms.minUpdates = 257;
        _refuse(terms, "minUpdates");
    }

    function test_createJob_WhenMaxMembersIsOver256_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.maxMembers = 257;
        _refuse(terms, "maxMembers");
    }

    function test_createJob_WhenThereAreNoRounds_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.rounds = 0;
        _refuse(terms, "rounds");
    }

    function test_createJob_WhenMaxTriesIsUnder2OrOver64_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.maxTries = 1;
        _refuse(terms, "maxTries");
        terms.maxTries = 65;
        _refuse(terms, "maxTries");
    }

    function test_createJob_WhenTheAdmissionIsUnknown_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.admission = 3;
        _refuse(terms, "admission");
    }

    function test_createJob_WhenTheSharesDoNotAddUp_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.attestorBps += 1;
        _refuse(terms, "bps");
    }

    function test_createJob_WhenTheManifestsCodecIsUnknown_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        terms.manifestCodec = 0x71;
        _refuse(terms, "manifestCodec");
        terms.manifestCodec = 0x70;
        assertEq(createJob(terms), 1);
    }

    function test_createJob_WhenARoundDoesNotFitBeforeTheDeadline_ItRefuses() public {
        JobTerms memory terms = defaultTerms();
        uint256 course = 100 + 4 * (50 + 60 + 100);
        terms.deadline = uint40(block.timestamp + course - 1);
        _refuse(terms, "deadline");
        terms.deadline += 1;
        assertEq(createJob(terms), 1);
    }

    function test_createJob_WhenTheTokenKeepsAFee_ItRefuses() public {
        FeeToken fees = new FeeToken();
        fees.mint(sponsor, 1e6 ether);
        vm.prank(sponsor);
        fees.approve(address(vault), type(uint256).max);
        JobTerms memory terms = defaultTerms();
        terms.token = address(fees);
        _refuse(terms, "token");
    }

    function test_createJob_WhenTheTermsAreGood_ItEscrowsTheBounty() public {
        JobTerms memory terms = defaultTerms();
        vm.expectEmit(address(coordinator));
        emit IJobs.JobCreated(1, sponsor, terms);
        uint64 job = createJob(terms);
        (address escrowed, uint256 amount) = vault.escrowOf(job);
        assertEq(escrowed, address(bounty));
        assertEq(amount, 10 * uint256(POOL));
        (JobTerms memory stored, address owner) = coordinator.termsOf(job);
        assertEq(abi.encode(stored), abi.encode(terms));
        assertEq(owner, sponsor);
        assertEq(coordinator.jobCount(), 1);
    }

    function test_createJob_WhenThereIsNoMomentum_TheInitialModelHasNone() public {
        uint64 job = createJob(defaultTerms());
        assertEq(resultId(job, 0), keccak256(abi.encode(_initial(job, 0))));
        assertTrue(coordinator.isFinal(job, 0));
    }

    function test_createJob_WhenThereIsMomentum_ItStartsFromZeros() public {
        JobTerms memory terms = defaultTerms();
        terms.step.beta = 1 << 15;
        uint64 job = createJob(terms);
        assertEq(resultId(job, 0), keccak256(abi.encode(_initial(job, keccak256(new bytes(129))))));
    }

    function _initial(uint64 job, bytes32 momentumRoot) private view returns (Result memory r) {
        JobTerms memory terms = defaultTerms();
        r.job = job;
        r.stateRoot = terms.stateRoot;
        r.momentumRoot = momentumRoot;
        r.codec = 0x55;
        r.digest = terms.manifestDigest;
        r.poster = sponsor;
    }
}
