// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Arithmetic of one coordinate
/// @notice The exact rules of protocol.md sections 1 and 4. Values fit 32 bits, weights 20, factors 24, so no sum of up
/// to 256 products comes near 256 bits; hence the unchecked blocks.
library NumberRules {
    /// @notice 1.0 in 16.16.
    uint256 internal constant ONE = 65_536;

    /// @notice Largest magnitude of a clamped value.
    int256 internal constant LIMIT = 2 ** 31 - 1;

    /// @notice a / d, rounded half away from zero.
    /// @dev Half of `d`, floored, serves odd and even divisors alike: an odd one has no exact half.
    /// @param a Below 2^254 in magnitude.
    /// @param d 1 to 2^128.
    function rdiv(int256 a, uint256 d) internal pure returns (int256) {
        unchecked {
            return a < 0 ? -int256((uint256(-a) + d / 2) / d) : int256((uint256(a) + d / 2) / d);
        }
    }

    /// @notice `v`, or the nearest end of ±(2^31 - 1).
    function clamp(int256 v) internal pure returns (int256) {
        if (v > LIMIT) return LIMIT;
        if (v < -LIMIT) return -LIMIT;
        return v;
    }

    /// @notice A decoded value of an update, scaled by its clip factor (16.16).
    function clip(int256 v, uint256 factor) internal pure returns (int256) {
        unchecked {
            // rdiv(ONE * v, ONE) is v: the first case only saves gas.
            return factor == ONE ? v : rdiv(int256(factor) * v, ONE);
        }
    }

    /// @notice The server step: momentum, then learning rate.
    /// @param state Old value of the model.
    /// @param momentum Old value of its momentum, 0 without.
    /// @param mean The rule's result for the updates.
    /// @param beta Momentum, 16.16.
    /// @param lr Learning rate, 16.16.
    function step(int256 state, int256 momentum, int256 mean, uint256 beta, uint256 lr)
        internal
        pure
        returns (int256 newState, int256 newMomentum)
    {
        unchecked {
            newMomentum = clamp(rdiv(int256(beta) * momentum, ONE) + mean);
            newState = clamp(state + rdiv(int256(lr) * newMomentum, ONE));
        }
    }
}
