// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Token for development chains and testnets
/// @notice A plain ERC-20 of 18 decimals with EIP-2612 permits that anyone may mint. It is worth nothing, by design.
contract TestToken is ERC20, ERC20Permit {
    constructor() ERC20("Steelyard Test Token", "SYT") ERC20Permit("Steelyard Test Token") {}

    /// @notice Gives `to` as much as the caller likes.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
