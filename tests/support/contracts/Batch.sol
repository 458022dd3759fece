// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFaultProver} from "../../../contracts/interfaces/IFaultProver.sol";

/// @title Many calls in one
/// @notice Calls to try are joined, each behind its length in 4 bytes.
contract Batch {
    /// @notice What each call came to: 1 or 0 for returned or reverted, then the first 4 bytes of what came back.
    function outcomes(address target, bytes calldata calls) external view returns (bytes memory records) {
        while (calls.length != 0) {
            uint256 end = 4 + uint32(bytes4(calls));
            (bool ok, bytes memory answer) = target.staticcall(calls[4:end]);
            records = bytes.concat(records, ok ? bytes1(0x01) : bytes1(0x00), bytes4(answer));
            calls = calls[end:];
        }
    }

    /// @notice How many of 32 coordinates each call finds right; `at` is where in a call the coordinate stands.
    function held(address target, bytes calldata calls, uint256 at) external view returns (bytes memory counts) {
        while (calls.length != 0) {
            uint256 end = 4 + uint32(bytes4(calls));
            bytes memory data = calls[4:end];
            uint8 right;
            for (uint8 c; c < 32; ++c) {
                data[at] = bytes1(c);
                (bool ok, bytes memory answer) = target.staticcall(data);
                if (!ok && bytes4(answer) == IFaultProver.ArithmeticHolds.selector) ++right;
            }
            counts = bytes.concat(counts, bytes1(right));
            calls = calls[end:];
        }
    }
}
