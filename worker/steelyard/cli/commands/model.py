"""`steelyard model`: trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.output import facts
from steelyard.cli.session import current, do
from steelyard.errors import ConfigError

app = typer.Typer(name="model", help="Trained models.", no_args_is_help=True)


@app.command()
def pull(
    job: Annotated[int, typer.Argument(help="Number of the job.", min=1)],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "model.safetensors"
    ),
    round_: Annotated[int | None, typer.Option("--round", min=0, help="Round; the latest final one.")] = None,
) -> None:
    """Fetch a round's model, check it against the root on chain, and write it as float32 safetensors."""
    _check_output(output)
    do(_pull(job, output, round_))


def _check_output(output: Path) -> None:
    """Raise ConfigError if the file exists or cannot be made: nothing is overwritten."""
    if output.exists() or output.is_symlink():
        raise ConfigError(f"{output} exists", remedy="give a name that is free: -o FILE")
    if not output.parent.is_dir():
        raise ConfigError(f"there is no folder {output.parent}", remedy="make it, or give another -o FILE")


async def _pull(job: int, output: Path, number: int | None) -> None:
    from steelyard.cli.context import job_files
    from steelyard.nodes.verify import pull_model

    async with job_files(job) as (session, store, scratch):
        timeout_s = current().config.fetch_timeout_s
        pulled = await pull_model(
            session.client, store, job, number, output, scratch=scratch, timeout_s=timeout_s
        )
        document = {
            "job": job,
            "round": pulled.number,
            "serial": pulled.serial,
            "state_root": pulled.state_root,
            "cid": str(pulled.cid),
            "path": pulled.path,
        }
        pairs = [("model", pulled.path), ("round", pulled.number), ("state root", pulled.state_root)]
        current().out.emit(document, facts([*pairs, ("checked", "equal to the root on chain")]))
