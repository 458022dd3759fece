// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IJobViews} from "../interfaces/IJobViews.sol";
import {Aggregator, JobState, JobTerms, Member, Round, Seat} from "../interfaces/JobTypes.sol";
import {Posts} from "./Posts.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Reads of jobs and rounds
/// @notice Part of the Coordinator.
abstract contract JobViews is Posts, IJobViews {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for Round;

    /// @inheritdoc IJobViews
    function jobCount() external view returns (uint64) {
        return _self.jobCount;
    }

    /// @inheritdoc IJobViews
    function termsOf(uint64 job) external view returns (JobTerms memory terms, address sponsor) {
        return (_self.jobs[job].terms, _self.jobs[job].sponsor);
    }

    /// @inheritdoc IJobViews
    function stateOf(uint64 job) external view returns (JobState memory) {
        return _self.jobs[job].state;
    }

    /// @inheritdoc IJobViews
    function roundOf(uint64 job, uint64 serial)
        external
        view
        returns (Round memory round, bytes32 result, uint256 submitted, uint256 committee, uint256 malformed)
    {
        Job storage j = _self.jobs[job];
        round = j.rounds[serial].load();
        submitted = j.submitted(round, serial);
        return (round, j.results[serial], submitted, j.committee(round, serial, submitted), j.malformed[serial]);
    }

    /// @inheritdoc IJobViews
    function submissionOf(uint64 job, uint64 serial, uint8 slot) external view returns (bytes32) {
        return _self.jobs[job].submissions[serial][slot];
    }

    /// @inheritdoc IJobViews
    function attestationOf(uint64 job, uint64 serial, uint8 tries, uint8 slot) external view returns (uint256) {
        return _self.jobs[job].attestations[serial][(uint256(tries) << 8) | slot];
    }

    /// @inheritdoc IJobViews
    function seatOf(uint64 job, address operator) external view returns (Seat memory) {
        return _self.jobs[job].seats[operator];
    }

    /// @inheritdoc IJobViews
    function memberOf(uint64 job, address worker) external view returns (Member memory) {
        return _self.jobs[job].members[worker];
    }

    /// @inheritdoc IJobViews
    function aggregatorOf(uint64 job, address operator) external view returns (Aggregator memory) {
        return _self.jobs[job].aggregators[operator];
    }

    /// @inheritdoc IJobViews
    function aggregatorsOf(uint64 job) external view returns (address[32] memory) {
        return _self.jobs[job].aggregatorSeats;
    }

    /// @inheritdoc IJobViews
    function electedOf(uint64 job) external view returns (address account, uint40 anyoneFrom) {
        return _electedOf(job);
    }

    /// @inheritdoc IJobViews
    function isFinal(uint64 job, uint64 serial) external view returns (bool) {
        Job storage j = _self.jobs[job];
        uint256 settled = j.state.settledSerial;
        while (serial > settled) {
            Round memory round = j.rounds[serial].load();
            if (j.results[serial] == 0 || !round.isHeld() || block.timestamp < RoundLib.finalAt(round, j.terms)) {
                return false;
            }
            serial = round.parentSerial;
        }
        return j.results[serial] != 0;
    }
}
