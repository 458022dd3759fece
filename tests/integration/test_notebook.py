"""A notebook runs a job: nodes inside the kernel's running event loop, watched by a callback and stopped."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import steelyard

SETUP = """
import asyncio, signal, sys
from pathlib import Path
import numpy as np
import steelyard as sy
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
folder = Path(FOLDER)
chain = sy.dev_network()
dev = chain.__enter__()
for shard in range(2):
    images = np.random.default_rng(shard).integers(0, 256, (50, 1, 28, 28), dtype=np.uint8)
    sy.write_rows(folder / f"shard-{shard}.safetensors", sy.Rows(images, images[:, 0, 9, 9] // 128))
description = sy.JobDescription(
    data=sy.DataSection(source=str(folder)), terms=sy.TermsSection(rounds=50, challenge_window=2)
)
dev.chain.url
"""

JOIN = """
sponsor = dev.participant(folder / "sponsor")
store = sponsor.open_store(serve=True)
await store.__aenter__()
async with sponsor.session() as session:
    job = (await sy.create_job(session, store, description, scratch=sponsor.folder)).job
ann, ben, agg = [dev.participant(folder / name, store.url) for name in ("ann", "ben", "agg")]
for worker in (ann, ben):
    async with worker.session() as own:
        await sy.register_worker(own, stake_units=100 * 10**18)
        await sy.join_job(own, store, job)
async with agg.session() as own:
    await sy.register_aggregator(own, 500 * 10**18)
job
"""

RUN = """
events, posted = [], asyncio.Event()

def show(event):
    events.append(event.kind)
    if event.kind == "post":
        posted.set()

nodes = [each.node(job, "worker", on_event=show) for each in (ann, ben)]
nodes.append(agg.node(job, "aggregator", on_event=show))
for node in nodes:
    await node.start()
async with sponsor.session() as session:
    await sy.control_job(session, job, "start")
[node.running for node in nodes]
"""

SIGNALS = """
[signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
"""

PROGRESS = """
async with asyncio.timeout(60):
    await posted.wait()
sorted(set(events))
"""

STOP = """
outcomes = [(await node.stop()).status for node in nodes]
await store.__aexit__(None, None, None)
chain.__exit__(None, None, None)
left = [task.get_name() for task in asyncio.all_tasks() if "node" in task.get_name()]
outcomes, [node.running for node in nodes], left
"""


def _kernel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer this interpreter as the kernel `here`, and nothing of the machine's own Jupyter settings."""
    spec = folder / "jupyter" / "kernels" / "here"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "here", "language": "python"})
    )
    root = str(Path(steelyard.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((root, os.environ.get("PYTHONPATH", ""))))
    monkeypatch.setenv("JUPYTER_PATH", str(folder / "jupyter"))
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(folder / name.lower()))


def test_a_notebook_runs_nodes_shows_progress_and_stops_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kernel(tmp_path, monkeypatch)
    cells = [SETUP.replace("FOLDER", repr(str(tmp_path))), JOIN, RUN, SIGNALS, PROGRESS, STOP]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="here").execute()

    shown = [cell.outputs for cell in notebook.cells]
    assert [[output.output_type for output in outputs] for outputs in shown] == [["execute_result"]] * 6, (
        shown
    )
    url, job, running, signals, kinds, end = (outputs[0].data["text/plain"] for outputs in shown)
    assert "http://127.0.0.1" in url
    assert (job, running) == ("1", "[True, True, True]")
    assert signals == "True", "starting a node changed the kernel's signal handlers"
    assert {"started", "opened", "trained", "post"} <= {word.strip("[]',") for word in kinds.split()}
    assert end == "(['stopped', 'stopped', 'stopped'], [False, False, False], [])"
