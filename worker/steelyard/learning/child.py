"""The training process: it holds no key, knows no chain, and lives as long as its worker.

It reads requests and writes replies, one JSON object a line; tensors travel in safetensors files. The
parent's side is `process.py`. When the parent dies, its end of the pipe closes and this process ends at once.

In:   {"id", "op": "train" | "evaluate", "recipe", "architecture", "weights", "data", "out", "options"}
      {"id", "op": "stop"}
Out:  {"id": 0, "type": "ready"}
      {"id", "type": "progress", "step", "steps", "loss"}
      {"id", "type": "done", "metrics"}
      {"id", "type": "failed", "message", "remedy"}
      {"id", "type": "stopped"}
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from steelyard.errors import SteelyardError, TrainingError
from steelyard.jobs.tensor_spec import TensorSpec
from steelyard.learning.data import read_rows
from steelyard.learning.recipes import recipe_named
from steelyard.learning.recipes.base import Architecture, Cancelled, Learner, Options, Recipe, Weights
from steelyard.learning.safetensors_file import read_tensors, write_tensors

HEARTBEAT_S = 0.2  # between two progress lines
_NO_TORCH = 3  # exit code

Say = Callable[[dict[str, object]], None]


def main() -> None:
    """Serve requests until standard input ends. argv[-1]: JSON of threads, nice, memory_bytes."""
    settings = json.loads(sys.argv[-1])
    say = _replies()
    os.nice(settings["nice"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _import_torch(settings["threads"])
    except ImportError as error:
        say({"id": 0, "type": "failed", "message": str(error), "remedy": ""})
        sys.exit(_NO_TORCH)
    _limit_memory(settings["memory_bytes"])
    inbox = _Inbox()
    say({"id": 0, "type": "ready"})
    while True:
        request = inbox.next()
        say({"id": request["id"], **_answer(request, inbox, say)})


def _replies() -> Say:
    """Take standard output for replies; what libraries print goes to the log on standard error."""
    out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(reply: dict[str, object]) -> None:
        out.write(json.dumps(reply) + "\n")
        out.flush()

    return say


def _import_torch(threads: int) -> None:
    """Import torch and make it repeatable.

    `use_deterministic_algorithms` does the same, but imports torch's compiler: a second of CPU. Filling new
    memory would show code that reads it unwritten, which no recipe does, at a tenth of the time.
    """
    import torch  # noqa: PLC0415 - only here, and only after the limits are set
    import torch.utils.deterministic  # noqa: PLC0415

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False


def _limit_memory(memory_bytes: int) -> None:
    """Bound the address space to what it is now and so much more; where the system counts it (Linux)."""
    try:
        mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, mapped + memory_bytes))


class _Inbox:
    """Requests, read by a thread, so that a stop is heard in the middle of training."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stopped = 0
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> dict[str, Any]:
        """Wait for the next request; the parent's death ends the wait and the process."""
        return self._requests.get()

    def stopped(self, request: int) -> bool:
        """Whether the parent no longer wants this request's answer."""
        return request <= self._stopped

    def _read(self) -> None:
        try:
            for line in sys.stdin:
                message = json.loads(line)
                if message["op"] == "stop":
                    self._stopped = message["id"]
                else:
                    self._requests.put(message)
        finally:
            os._exit(0)  # not sys.exit: the main thread may be deep in a training step


def _answer(request: dict[str, Any], inbox: _Inbox, say: Say) -> dict[str, object]:
    spoken = 0.0

    def report(step: int, steps: int, loss: float) -> None:
        nonlocal spoken
        if inbox.stopped(request["id"]):
            raise Cancelled
        if time.monotonic() - spoken >= HEARTBEAT_S:
            spoken = time.monotonic()
            say({"id": request["id"], "type": "progress", "step": step, "steps": steps, "loss": loss})

    try:
        report(0, 0, 0.0)
        return {"type": "done", "metrics": _work(request, report)}
    except Cancelled:
        return {"type": "stopped"}
    except SteelyardError as error:
        return {"type": "failed", "message": error.message, "remedy": error.remedy}
    except Exception as error:  # noqa: BLE001 - whatever a recipe raises is the parent's to report
        traceback.print_exc()
        return {"type": "failed", "message": f"training raised {type(error).__name__}: {error}", "remedy": ""}


def _work(request: dict[str, Any], report: Callable[[int, int, float], None]) -> dict[str, object]:
    started = time.monotonic()
    architecture: Architecture = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in request["architecture"].items()
    }
    recipe = recipe_named(request["recipe"])
    weights = _read_weights(Path(request["weights"]), recipe.layout(architecture))
    rows = read_rows(Path(request["data"]))
    learner = learner_of(recipe, architecture)
    if request["op"] == "evaluate":
        metrics = asdict(learner.evaluate(weights, rows, report))
    else:
        trained = learner.train(weights, rows, Options(**request["options"]), report)
        write_tensors(Path(request["out"]), trained.weights)
        metrics = {"rows": trained.rows, "steps": trained.steps, "loss": trained.loss}
    return {**metrics, "seconds": time.monotonic() - started}


def learner_of(recipe: Recipe, architecture: Architecture) -> Learner:
    """The recipe's torch side. Its class is found by name, so that recipes don't import torch."""
    module, _, name = recipe.learner.partition(":")
    learner: Learner = getattr(importlib.import_module(module), name)(architecture)
    return learner


def _read_weights(path: Path, layout: tuple[TensorSpec, ...]) -> Weights:
    tensors = read_tensors(path)
    for wanted in layout:
        found = tensors.get(wanted.name)
        if found is None or found.shape != wanted.shape:
            raise TrainingError(
                f"the weights have no tensor {wanted.name} of shape {wanted.shape}",
                remedy="use the model that belongs to the job",
            )
    return {wanted.name: tensors[wanted.name] for wanted in layout}


if __name__ == "__main__":
    main()
