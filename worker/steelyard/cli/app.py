"""The root: options for every command, and the conversion of errors to exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from steelyard.cli import commands, failures
from steelyard.cli.arguments import forward
from steelyard.cli.output import Output
from steelyard.cli.session import Session, begin
from steelyard.cli.settings import Config
from steelyard.errors import SteelyardError
from steelyard.util.version import __version__

EPILOG = (
    "Options of this page may also follow any command. Exit codes: 0 done, 1 the system refused, "
    "2 usage or settings, 3 number rules, 4 manifest, 5 content, 6 chain, 7 wallet, 8 training, 9 node, "
    "10 public data has expired, 11 a posted result is wrong, 130 interrupted."
)

app = typer.Typer(
    name="steelyard",
    help="Federated training of one model on machines that don't trust each other, settled on Ethereum.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
commands.install(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"steelyard {__version__}")
        raise typer.Exit


@app.callback()
def root(
    network: Annotated[str | None, typer.Option(help="Known or added network.", metavar="NAME")] = None,
    account: Annotated[str | None, typer.Option(help="Keystore that signs: name, address or path.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File whose first line opens the keystore.")
    ] = None,
    rpc_url: Annotated[
        str | None, typer.Option(help="RPC to use instead of the network's.", metavar="URL")
    ] = None,
    deployment: Annotated[Path | None, typer.Option(help="File with the contracts' addresses.")] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder of keystores, networks, content, journals.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings, instead of ./steelyard.toml.")] = None,
    peer: Annotated[
        list[str] | None, typer.Option(help="Content store to fetch from; repeatable.", metavar="URL")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="embedded, or kubo: an IPFS daemon.", metavar="KIND")
    ] = None,
    ipfs: Annotated[
        str | None, typer.Option(help="RPC of the IPFS daemon; implies kubo.", metavar="ADDR")
    ] = None,
    max_fee_gwei: Annotated[float | None, typer.Option(help="Ceiling of the fee per gas.")] = None,
    max_spend_per_day: Annotated[float | None, typer.Option(help="Ceiling of ETH spent in 24 h.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on stdout; never prompts.")
    ] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log lines as JSON on stderr.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Simulate and price transactions; send none.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Read the settings and start the session."""
    del version
    flags = {
        "network": network, "account": account, "password_file": password_file, "rpc_url": rpc_url,
        "deployment": deployment, "home": home, "config": config, "peers": peer or None,
        "store": store, "ipfs_api": ipfs,
        "max_fee_gwei": max_fee_gwei, "max_spend_per_day": max_spend_per_day,
    }  # fmt: skip
    settings = Config.load(flags)
    begin(
        Session(
            config=settings, out=Output(json=as_json), dry_run=dry_run, log_json=log_json, verbose=verbose
        )
    )


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    code = run(sys.argv[1:] if argv is None else argv)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.exit(code)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(failures.BROKEN_PIPE)


def run(arguments: Sequence[str]) -> int:
    """Run the command line; print what went wrong; return the exit code."""
    arguments = forward(arguments)
    out = Output(json="--json" in arguments)
    try:
        code = app(args=arguments, prog_name="steelyard", standalone_mode=False)
        if code == failures.INTERRUPTED:  # Typer's answer to Ctrl-C
            return failures.report_interrupt(out)
        return code if isinstance(code, int) else 0
    except SteelyardError as error:
        return failures.report(error, out)
    except failures.USAGE as error:
        return failures.report_usage(error, out)
    except (KeyboardInterrupt, typer.Abort):
        return failures.report_interrupt(out)
    except BrokenPipeError:
        raise
    except OSError as error:
        return failures.report(failures.from_system(error), out)
