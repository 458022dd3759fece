"""Deploy every contract, with or without Brownie, and write deployments/<chainId>.json.

    scripts/brownie run scripts/deploy.py                   on an anvil started for the run
    STEELYARD_RPC=URL STEELYARD_CHAIN_ID=N scripts/brownie run scripts/deploy.py --network named
    .venv/bin/python scripts/deploy.py --rpc URL --keystore FILE

steelyard.chain.deploy does the work. This also writes build/standard-json/<Name>.json, with which an explorer
verifies each contract. DEPLOY_TOKEN is the address of an existing token; else the test token is deployed.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "worker"), str(ROOT / "scripts")]  # steelyard is not installed for Brownie

from eth_utils.address import is_address  # noqa: E402

from standard_json import write_explorer_input  # noqa: E402
from steelyard.chain.deploy import CreatedContract, Creator, Deployed, deploy  # noqa: E402
from steelyard.chain.deployment_plan import DeploymentSettings  # noqa: E402
from steelyard.chain.web3_creator import Web3Creator  # noqa: E402
from steelyard.errors import ConfigError, SteelyardError  # noqa: E402


class BrownieCreator:
    """Creates contracts with an account of Brownie."""

    def __init__(self, account: Any, chain_id: int) -> None:
        self._account = account
        self.chain_id = chain_id
        self.address = str(account.address)

    def nonce(self) -> int:
        """Nonce of the account's next transaction."""
        return int(self._account.nonce)

    def create(self, code: bytes, nonce: int) -> CreatedContract:
        """Send a creation through Brownie, which waits for it and raises if it fails."""
        sent = self._account.transfer(data="0x" + code.hex(), nonce=nonce, silent=True)
        return CreatedContract(
            address=str(sent.contract_address),
            block=int(sent.block_number),
            transaction=str(sent.txid),
            gas=int(sent.gas_used),
        )


def deploy_and_record(
    creator: Creator, folder: Path = ROOT / "deployments", **settings: int
) -> tuple[Deployed, Path]:
    """Deploy with `creator`; returns the deployment and the path of its file."""
    token = os.environ.get("DEPLOY_TOKEN") or None
    if token is not None and not is_address(token):
        raise ConfigError(f"DEPLOY_TOKEN is {token!r}", remedy="set it to an ERC-20's address, or unset it")
    deployed = deploy(creator, DeploymentSettings(token=token, **settings))
    explorer = {name: write_explorer_input(name).relative_to(ROOT).as_posix() for name in deployed.contracts}
    deployed = replace(deployed, standard_json=explorer)
    path = folder / f"{deployed.chain_id}.json"
    deployed.write(path)
    return deployed, path


def main() -> None:
    """Entry point of `brownie run`; the network's first account pays."""
    from brownie import accounts, network  # noqa: PLC0415  # only in Brownie's environment

    deployed, path = deploy_and_record(BrownieCreator(accounts[0], int(network.chain.id)))
    _report(deployed, path)


def _command_line() -> None:
    from web3 import Web3  # noqa: PLC0415

    from steelyard.chain.passwords import Passwords  # noqa: PLC0415  # not in Brownie's environment
    from steelyard.chain.wallets import Keystores  # noqa: PLC0415

    parser = argparse.ArgumentParser(description="Deploy Steelyard's contracts.")
    parser.add_argument("--rpc", required=True, help="URL of the chain")
    parser.add_argument("--keystore", type=Path, required=True, help="V3 keystore of the account that pays")
    parser.add_argument("--password-file", type=Path, help="otherwise STEELYARD_PASSWORD, otherwise a prompt")
    defaults = DeploymentSettings()
    parser.add_argument("--minimum-window", type=int, default=defaults.minimum_window_s, metavar="SECONDS")
    parser.add_argument("--unbonding", type=int, default=defaults.unbonding_s, metavar="SECONDS")
    parser.add_argument("--folder", type=Path, default=ROOT / "deployments", help="where <chainId>.json goes")
    options = parser.parse_args()
    password = Passwords(file=options.password_file).get(options.keystore.stem)
    wallet = Keystores(options.keystore.parent).open(str(options.keystore), password)
    signer = SimpleNamespace(address=wallet.address, sign_transaction=wallet.sign)
    creator = Web3Creator(Web3(Web3.HTTPProvider(options.rpc)), signer)
    windows = {"minimum_window_s": options.minimum_window, "unbonding_s": options.unbonding}
    _report(*deploy_and_record(creator, options.folder, **windows))


def _run() -> int:
    """The command line; returns the exit code, which is the error's as in the `steelyard` command."""
    try:
        _command_line()
    except SteelyardError as error:
        print(f"error: {error.message}\nremedy: {error.remedy}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted; the contracts created so far are unusable", file=sys.stderr)
        return 130
    return 0


def _report(deployed: Deployed, path: Path) -> None:
    for name, created in deployed.contracts.items():
        print(f"{name:16} {created.address}  {created.gas:>9,} gas  block {created.block}")
    print(f"written: {path}; next: steelyard network add NAME --deployment {path} --rpc URL")


if __name__ == "__main__":
    sys.exit(_run())
