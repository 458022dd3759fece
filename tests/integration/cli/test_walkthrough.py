"""docs/walkthrough.md, typed by a shell as it stands, but for ports and folder."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 280


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def script_of(document: Path, folder: Path) -> str:
    """The document's shell blocks as one script that stops at the first error."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    text = "set -euo pipefail\n" + "\n".join(blocks)
    for port in ("8545", "4100"):
        text = text.replace(f":{port}", f":{{{port}}}").replace(f"--port {port}", f"--port {{{port}}}")
        text = text.replace(f"{{{port}}}", str(free_port()))
    return re.sub(r"\byard\b", str(folder), text).replace(f"$PWD/{folder}", str(folder))


@pytest.mark.slow
def test_the_walkthrough_works_as_it_is_written(tmp_path: Path) -> None:
    script = tmp_path / "walkthrough.sh"
    script.write_text(script_of(ROOT / "docs" / "walkthrough.md", tmp_path / "yard"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STEELYARD_")}
    environ = {**clean, "STEELYARD_STATE_DIR": str(tmp_path / "state"), "OMP_NUM_THREADS": "1"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["bash", str(script)], cwd=ROOT, env=environ, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = shell.wait(timeout=DEADLINE_S)
        finally:
            if shell.poll() is None or _alive(shell.pid):
                os.killpg(shell.pid, signal.SIGKILL)
    said = log.read_text()
    assert code == 0, said[-3000:]
    assert "verdict" in said
    assert "right" in said
    assert (tmp_path / "yard" / "model.safetensors").stat().st_size > 10_000
    nodes = "".join((tmp_path / "yard" / f"{who}.log").read_text() for who in ("ann", "ben", "cleo"))
    assert nodes.count("the node ended: closed") == 3, nodes


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
