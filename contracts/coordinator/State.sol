// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Aggregator, JobState, JobTerms, Member, Round, Seat} from "../interfaces/JobTypes.sol";

/// @notice All that the Coordinator stores of one job. Serial 0 stands for the initial model.
struct Job {
    JobState state;
    JobTerms terms;
    address sponsor;
    uint256 occupied; // slots that cannot be given out
    mapping(uint256 version => uint256) sets; // members, as bitmaps of slots; version 0 is empty
    mapping(uint256 serial => Round) rounds;
    mapping(uint256 serial => bytes32) results; // id of the result that stands, zero if none does
    mapping(uint256 serial => uint256) missing; // members that have not submitted
    mapping(uint256 serial => uint256) committees; // if RoundFields.COMMITTEE_STORED
    mapping(uint256 serial => uint256) malformed; // submissions proven malformed
    mapping(uint256 serial => uint256) demoted; // aggregator seats that go last
    mapping(uint256 serial => mapping(uint256 slot => bytes32)) submissions; // hash; zero once claimed
    mapping(uint256 serial => mapping(uint256 tryAndSlot => uint256)) attestations;
    mapping(address operator => Seat) seats;
    mapping(address worker => Member) members;
    mapping(uint256 word => uint256) shards; // bitmap of the taken ones
    mapping(address operator => Aggregator) aggregators;
    mapping(address account => address operator) aggregatorOperators;
    address[32] aggregatorSeats; // operators
    mapping(uint256 number => mapping(address account => uint256)) leftBonds; // how many void results left locked
}

/// @notice All that the Coordinator stores.
struct State {
    uint64 jobCount;
    mapping(uint64 job => Job) jobs;
    mapping(bytes32 commitment => uint256) commitments; // time << 64 | block
}
