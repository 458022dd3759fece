"""The independent check of the report, and commands to try while everything is still running."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.chain.dev.devnet import DevChain
from steelyard.cli.demo.accounts import SPONSOR, Actor
from steelyard.cli.output import Output, facts
from steelyard.errors import NodeError
from steelyard.util.checkout import project_root

SCRIPT = Path("scripts") / "verify_report.py"
CHECK_S = 60.0


async def check(report: Path, out: Output) -> str:
    """Run scripts/verify_report.py, which shares no code with the demo.  Raises NodeError if it disagrees."""
    script = project_root() / SCRIPT
    if not script.is_file():
        return "not checked: no checkout"
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, report,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), CHECK_S)
    finally:
        if process.returncode is None:
            process.kill()
    text = output.decode(errors="replace").strip()
    if process.returncode != 0:
        raise NodeError(f"{SCRIPT} disagrees with {report}: {text}", remedy="please report this")
    if not out.json:
        out.console.print(text, markup=False)
    return text.splitlines()[-1] if text else ""


def print_next_steps(
    out: Output, chain: DevChain, actors: Sequence[Actor], report: Mapping[str, Any]
) -> None:
    """Addresses, and the next commands to try."""
    sponsor = next(actor for actor in actors if actor.name == SPONSOR)
    program = "steelyard" if shutil.which("steelyard") else Path(sys.executable).with_name("steelyard")
    steelyard, job = f"{program} --config {sponsor.config}", report["job"]
    out.emit(
        {"rpc_url": chain.url, "config": sponsor.config, "job": job},
        facts(
            [
                ("chain", f"{chain.url} (chain id {chain.chain_id})"),
                ("content", report["content_url"]),
                *((name, each["address"]) for name, each in report["deployment"]["contracts"].items()),
                *((actor.name, actor.address) for actor in actors),
            ]
        ),
        "Everything is still running, until Ctrl-C here. Try in another terminal:",
        f"  {steelyard} job show {job}",
        f"  {steelyard} verify {job} --round 3",
        f"  {steelyard} model pull {job} -o model.safetensors",
        f"  {steelyard} rewards show {job} --for {next(a.address for a in actors if a.role == 'worker')}",
        f"  {sys.executable} {SCRIPT} report.json",
    )
