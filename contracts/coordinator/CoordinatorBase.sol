// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IFaultProver} from "../interfaces/IFaultProver.sol";
import {IVault} from "../interfaces/IVault.sol";
import {IWorkerRegistry} from "../interfaces/IWorkerRegistry.sol";
import {State} from "./State.sol";

/// @title Storage and contracts that the Coordinator and its modules share
/// @dev One contract cannot hold all the code, so the rarer calls are in modules that the Coordinator runs on its own
/// storage by `delegatecall`. The modules' addresses are fixed with the Coordinator's; a module called on its own finds
/// an empty storage and a Vault that does not know it.
abstract contract CoordinatorBase {
    IWorkerRegistry public immutable REGISTRY;
    IVault public immutable VAULT;
    IFaultProver public immutable PROVER;
    uint40 public immutable MIN_WINDOW; // seconds

    State internal _self;

    constructor(IWorkerRegistry registry, IVault vault, IFaultProver prover, uint40 minWindow) {
        REGISTRY = registry;
        VAULT = vault;
        PROVER = prover;
        MIN_WINDOW = minWindow;
    }
}
