// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Aggregation rules
/// @notice The rules' numbers, and which of them the chain takes. A new rule gets its line here and its arithmetic in
/// FaultProver.
library RuleLib {
    uint8 internal constant FEDAVG = 0;
    uint8 internal constant TRIMMED_MEAN = 1; // reserved
    uint8 internal constant MEDIAN = 2; // reserved

    /// @notice Whether the chain computes this rule, so that a job may use it.
    function supported(uint8 rule) internal pure returns (bool) {
        return rule == FEDAVG;
    }

    /// @notice Whether the rule drops values at either end, so that a job may set `trim`.
    function trims(uint8 rule) internal pure returns (bool) {
        return rule == TRIMMED_MEAN;
    }

    /// @notice Whether a job may have this rule with this `trim`.
    function accepts(uint8 rule, uint8 trim) internal pure returns (bool) {
        return supported(rule) && (trim == 0 || trims(rule));
    }
}
