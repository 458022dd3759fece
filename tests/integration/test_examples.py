"""examples/ run as they are, use only the public API, and stay short."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import io
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import steelyard

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
MOST_LINES = 40


@dataclass(frozen=True, kw_only=True)
class FinishedJob:
    """The job of examples/run_a_job.py on a chain that is still running."""

    dev: steelyard.DevNetwork
    folder: Path
    job: int
    printed: str


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedJob]:
    folder = tmp_path_factory.mktemp("job")
    with steelyard.dev_network() as dev:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            job = asyncio.run(_module("run_a_job").run_job(dev, folder))
        yield FinishedJob(dev=dev, folder=folder, job=job, printed=printed.getvalue())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_is_short_and_imports_only_steelyard_numpy_and_the_standard_library(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                assert top in {"numpy", *sys.stdlib_module_names} or alias.name == "steelyard"
        elif isinstance(node, ast.ImportFrom):
            assert str(node.module).partition(".")[0] in sys.stdlib_module_names
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sy":
            assert node.attr in steelyard.__all__


def test_the_code_in_the_readme_is_that_of_an_example() -> None:
    block = (ROOT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert len(block.splitlines()) > 5
    assert textwrap.indent(block, "    ") in (EXAMPLES / "convict_offline.py").read_text()


def test_a_wrong_number_is_found_and_convicted_offline() -> None:
    done = _run("convict_offline.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["as posted: True", "block 3, coordinate 4: convicts: True"]


def test_a_job_is_created_joined_and_run_from_python(finished: FinishedJob) -> None:
    assert finished.job == 1
    assert finished.printed == "the nodes ended: ['closed', 'closed', 'closed']\n"


async def test_a_posted_round_is_verified_from_the_chain_and_a_peer(finished: FinishedJob) -> None:
    dev, folder = finished.dev, finished.folder
    deployment = folder / "deployment.json"
    assert dev.network.deployment is not None
    dev.network.deployment.write(deployment)
    aggregator = steelyard.Participant(
        network=dev.network, folder=folder / "agg", account="account", allow_private=True
    )
    async with aggregator.open_store(serve=True) as store:
        arguments = (dev.chain.url, str(deployment), str(finished.job), "2", str(store.url))
        done = await asyncio.to_thread(_run, "verify_round.py", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"round 2 of job {finished.job}, result 0x")
    assert ": right" in done.stdout
    assert "its model: b" in done.stdout
