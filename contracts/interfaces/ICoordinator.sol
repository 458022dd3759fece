// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAccessLog} from "./IAccessLog.sol";
import {IAggregators} from "./IAggregators.sol";
import {IDisputes} from "./IDisputes.sol";
import {IJobClosure} from "./IJobClosure.sol";
import {IJobs} from "./IJobs.sol";
import {IJobViews} from "./IJobViews.sol";
import {IMembership} from "./IMembership.sol";
import {IPayouts} from "./IPayouts.sol";
import {IRoundRecovery} from "./IRoundRecovery.sol";
import {IRounds} from "./IRounds.sol";

/// @title Jobs and rounds
/// @notice All calls of the Coordinator; `docs/protocol.md` describes a round. Phases derive from deadlines, counts and
/// the block's time. Windows are half-open: a call is in time strictly before the deadline.
/// @dev Each part is implemented whole by one contract: a module, which the Coordinator runs on its own storage, or the
/// Coordinator itself. Both sides implement the same interface, so the compiler holds their signatures together.
///
/// | part           | about                                     | implemented by |
/// |----------------|-------------------------------------------|----------------|
/// | IJobs          | creating a job                            | Membership     |
/// | IMembership    | members                                   | Membership     |
/// | IAggregators   | aggregators                               | Membership     |
/// | IAccessLog     | access to private shards                  | Coordinator    |
/// | IRounds        | submit, attest, post                      | Coordinator    |
/// | IRoundRecovery | open, draw, hold, retry, reopen, settle   | RoundRecovery  |
/// | IDisputes      | convictions                               | Disputes       |
/// | IPayouts       | rewards of workers and attestors          | Coordinator    |
/// | IJobClosure    | posters' pay, bonds, the end of a job     | JobClosure     |
/// | IJobViews      | reads                                     | Coordinator    |
interface ICoordinator is
    IJobs,
    IMembership,
    IAggregators,
    IAccessLog,
    IRounds,
    IRoundRecovery,
    IDisputes,
    IPayouts,
    IJobClosure,
    IJobViews
{}
