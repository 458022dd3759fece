"""`steelyard network`: chains, their RPCs and deployments."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.output import table
from steelyard.cli.session import current
from steelyard.errors import ConfigError

if TYPE_CHECKING:
    from steelyard.chain.networks import Deployment, Network, Networks

app = typer.Typer(name="network", help="Chains, their RPCs and deployments.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the known and the added networks."""
    from steelyard.chain.networks import Networks
    from steelyard.chain.rpc import redact

    session = current()
    networks = Networks(session.config.networks_file)
    found = [networks.get(name) for name in networks.names()]
    document = [
        {
            "name": each.name,
            "chain_id": each.chain_id,
            "rpc": redact(each.rpc_url),
            "confirmations": each.confirmations,
            "max_fee_gwei": each.max_fee_gwei,
            "max_spend_per_day": each.max_spend_per_day,
            "contracts": dict(each.deployment.contracts) if each.deployment else {},
        }
        for each in found
    ]
    rows = [
        (each.name, each.chain_id, redact(each.rpc_url), each.confirmations, "yes" if each.deployment else "")
        for each in found
    ]
    session.out.emit(document, table(("network", ">chain", "RPC", ">confirmations", "deployment"), rows))


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the network to add or change.")],
    rpc: Annotated[
        str, typer.Option("--rpc", help="URL of its RPC, kept in a file that only you can read.")
    ] = "",
    chain_id: Annotated[
        int | None, typer.Option(min=1, help="Chain id, if the network is not known.")
    ] = None,
    confirmations: Annotated[
        int | None, typer.Option(min=0, help="Blocks on top of an event before it counts.")
    ] = None,
    poll_s: Annotated[
        float | None, typer.Option(min=0.01, help="Seconds between polls of the chain.")
    ] = None,
) -> None:
    """Add or change a network; `--deployment FILE` has the addresses of its contracts."""
    from steelyard.chain.networks import Deployment, Networks

    session = current()
    config = session.config
    deployment = Deployment.read(config.deployment) if config.deployment else None
    networks = Networks(config.networks_file)
    given = {
        "chain_id": chain_id,
        "rpc_url": rpc or config.rpc_url or None,
        "confirmations": confirmations,
        "poll_s": poll_s,
        "max_fee_gwei": config.max_fee_gwei,
        "max_spend_per_day": config.max_spend_per_day,
    }
    network = _described(
        networks, name, deployment, {key: value for key, value in given.items() if value is not None}
    )
    if deployment is not None and deployment.chain_id != network.chain_id:
        raise ConfigError(
            f"{config.deployment} is for chain {deployment.chain_id}, network {name} is {network.chain_id}",
            remedy="give the deployment of this network, or another --chain-id",
        )
    networks.add(network, config.deployment)
    document = {"name": name, "chain_id": network.chain_id, "file": config.networks_file}
    session.out.emit(document, f"{name}: chain {network.chain_id}, written to {config.networks_file}")


def _described(
    networks: Networks, name: str, deployment: Deployment | None, given: dict[str, Any]
) -> Network:
    """The network of that name with the given values, or a new one.  Raises ConfigError if one is missing."""
    from steelyard.chain.networks import KNOWN, Network

    if name in networks.names():
        return dataclasses.replace(networks.get(name), **given)
    if deployment is not None:
        given.setdefault("chain_id", deployment.chain_id)
    alike = [each for each in KNOWN.values() if each.chain_id == given.get("chain_id")]
    if alike:
        return dataclasses.replace(alike[0], name=name, **given)
    missing = [key for key in ("chain_id", "rpc_url") if key not in given]
    if missing:
        raise ConfigError(f"{name} is not a known network", remedy="give --chain-id and --rpc")
    return Network(name=name, **given)
