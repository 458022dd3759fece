// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAggregators} from "../interfaces/IAggregators.sol";
import {IJobs} from "../interfaces/IJobs.sol";
import {IMembership} from "../interfaces/IMembership.sol";
import {IVault} from "../interfaces/IVault.sol";
import {IWorkerRegistry} from "../interfaces/IWorkerRegistry.sol";
import {Aggregator, JobState, Round} from "../interfaces/JobTypes.sol";
import {BitCounters} from "../libraries/BitCounters.sol";
import {CoordinatorBase} from "./CoordinatorBase.sol";
import {RoundFields} from "./RoundFields.sol";
import {RoundLib} from "./RoundLib.sol";
import {Slots} from "./Slots.sol";
import {Job} from "./State.sol";

/// @title Seats of aggregators
/// @notice Part of the module Membership.
abstract contract Aggregators is CoordinatorBase, IAggregators {
    using RoundFields for Round;
    using RoundLib for Job;
    using Slots for JobState;
    using Slots for Round;

    uint256 internal constant ABSENCES = 3; // that cost a seat
    uint256 private constant AGGREGATOR_SEATS = 32;

    /// @inheritdoc IAggregators
    function enlist(uint64 id) external {
        Job storage job = _self.jobs[id];
        JobState memory state = job.state.load();
        if (job.sponsor == address(0)) revert IJobs.UnknownJob(id);
        if (state.status >= RoundLib.CLOSED) revert IJobs.JobOver(id, state.status);
        address account = REGISTRY.identityOf(msg.sender);
        if (job.aggregatorOperators[account] != address(0)) revert IAggregators.AlreadyAggregator(id, account);
        _requireUnusedByAggregator(job, msg.sender);
        uint128 free = VAULT.balanceOf(account, IVault.Collateral.Bond).free;
        if (free < job.terms.bond) {
            revert IVault.InsufficientFree(account, IVault.Collateral.Bond, free, job.terms.bond);
        }
        uint256 index = BitCounters.lowest(~uint256(state.aggregators));
        if (index >= AGGREGATOR_SEATS) revert IAggregators.AggregatorSeatsFull(id);

        job.state.aggregators = state.aggregators | uint32(1 << index);
        job.aggregatorSeats[index] = msg.sender;
        job.aggregators[msg.sender] = Aggregator({account: account, index: uint8(index + 1), since: state.lastSerial});
        job.aggregatorOperators[account] = msg.sender;

        emit IAggregators.AggregatorEnlisted(id, account, uint8(index));
    }

    /// @inheritdoc IAggregators
    function retire(uint64 id) external {
        Job storage job = _self.jobs[id];
        address account = job.aggregators[msg.sender].account;
        if (account == address(0)) account = msg.sender;
        _requireOwn(account);
        _retire(job, id, account, false);
    }

    /// @inheritdoc IAggregators
    function removeAggregator(uint64 id, address account) external {
        Job storage job = _self.jobs[id];
        bool covered = VAULT.balanceOf(account, IVault.Collateral.Bond).free >= job.terms.bond;
        if (covered && !_isAbsent(job, job.aggregators[job.aggregatorOperators[account]])) {
            revert IMembership.NotAbsent(id, account);
        }
        _retire(job, id, account, true);
    }

    /// @dev A result that is not final names its poster by its seat, so that seat stays until then.
    function _retire(Job storage job, uint64 id, address account, bool removed) private {
        address operator = job.aggregatorOperators[account];
        if (operator == address(0)) revert IAggregators.NotAggregator(id, account);
        uint8 index = job.aggregators[operator].index - 1;
        JobState memory state = job.state.load();
        job.settle(state, id);
        for (uint256 at = state.head; at != state.settledSerial; at = job.rounds[at].parentSerial) {
            if (job.results[at] != 0 && job.rounds[at].load().posterSeat() == index) {
                revert IMembership.StillCommitted(id, account, uint32(at));
            }
        }

        state.aggregators &= ~uint32(1 << index);
        job.state.store(state);
        delete job.aggregatorSeats[index];
        delete job.aggregators[operator];
        delete job.aggregatorOperators[account];

        emit IAggregators.AggregatorRetired(id, account, index, removed);
    }

    /// @dev Whether others posted in its last three elections, of those that led to results that stand. Posts record the
    /// elected seat that they replaced, so counting costs no write. Each seat is elected at least once in 32 rounds, so
    /// the way back is short.
    function _isAbsent(Job storage job, Aggregator memory seat) private view returns (bool) {
        uint256 at = job.state.head;
        // From zero.
        // slither-disable-next-line uninitialized-local
        uint256 missed;
        while (at > seat.since) {
            Round memory round = job.rounds[at].load();
            if (job.results[at] != 0) {
                if (round.posterSeat() + 1 == seat.index) return false;
                if (round.skippedSeat() == seat.index && ++missed == ABSENCES) return true;
            }
            at = round.parentSerial;
        }
        return false;
    }

    function _requireUnusedByAggregator(Job storage job, address operator) internal view {
        address other = job.aggregators[operator].account;
        if (other != address(0)) revert IWorkerRegistry.OperatorTaken(operator, other);
    }

    function _requireOwn(address account) internal view {
        if (msg.sender != account && msg.sender != REGISTRY.accountOf(account).operator) {
            revert IVault.NotAllowed(msg.sender);
        }
    }
}
