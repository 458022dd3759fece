"""The checks of a new client: the chain id, and code at each contract's address."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from steelyard.chain.codec import Interface
from steelyard.chain.networks import Deployment, Network
from steelyard.chain.rpc import Rpc, RpcRefused
from steelyard.errors import WrongNetwork

_DEVELOPMENT_CLIENTS = ("anvil", "ganache", "ethereumjs testrpc", "hardhatnetwork")


async def identify(rpc: Rpc, network: Network) -> tuple[bool, str]:
    """Whether it is a development node, and the first block's hash.  Raises WrongNetwork."""
    chain_id = await rpc.number("eth_chainId")
    if chain_id != network.chain_id:
        raise WrongNetwork(
            f"{rpc.name} is chain {chain_id}, and network {network.name!r} is chain {network.chain_id}",
            remedy="choose another --network, or another `rpc_url` for this one",
        )
    genesis = str((await rpc.call("eth_getBlockByNumber", "0x0", False))["hash"])
    version = ""
    with contextlib.suppress(RpcRefused):
        version = str(await rpc.call("web3_clientVersion")).lower()
    return version.startswith(_DEVELOPMENT_CLIENTS), genesis


def interfaces_of(deployment: Deployment | None, extra: Mapping[str, Interface]) -> dict[str, Interface]:
    """The deployment's contracts and `extra`, by address. Linked libraries have no interface."""
    named = deployment.contracts if deployment else {}
    known = {address: Interface.load(name) for name, address in named.items() if Interface.exists(name)}
    return {**known, **extra}


async def check_code(rpc: Rpc, network: Network, known: Mapping[str, Interface]) -> None:
    """Check that each address has code.  Raises WrongNetwork if one has none."""
    deployment = network.deployment
    if deployment is not None and deployment.chain_id != network.chain_id:
        raise WrongNetwork(
            f"the deployment is for chain {deployment.chain_id}, and {network.name!r} is {network.chain_id}",
            remedy="`network add --deployment` the file of this chain",
        )
    if not known:
        return
    codes = await rpc.batch([("eth_getCode", [address, "latest"]) for address in known])
    for (address, interface), code in zip(known.items(), codes, strict=True):
        if code in (None, "0x", "0x0"):
            raise WrongNetwork(
                f"no {interface.name} at {address} on chain {network.chain_id} ({rpc.name})",
                remedy="deploy first, or give the deployment file of this chain",
            )
