"""The training process. It holds no key, does not access the chain, and ends with its worker.

It reads requests and writes replies, one JSON object a line; tensors are exchanged in safetensors files. The
parent's side is `process.py`. When the parent dies, its end of the pipe closes and this process exits.

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

Reply = Callable[[dict[str, object]], None]


def main() -> None:
    """Serve requests until standard input ends. argv[-1]: JSON of threads, nice, memory_bytes."""
    settings = json.loads(sys.argv[-1])
    reply = _reply_stream()
    os.nice(settings["nice"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _import_torch(settings["threads"])
    except ImportError as error:
        reply({"id": 0, "type": "failed", "message": str(error), "remedy": ""})
        sys.exit(_NO_TORCH)
    _limit_memory(settings["memory_bytes"])
    inbox = _Inbox()
    reply({"id": 0, "type": "ready"})
    while True:
        request = inbox.next()
        reply({"id": request["id"], **_answer(request, inbox, reply)})


def _reply_stream() -> Reply:
    """Reserve standard output for replies; output of libraries goes to the log on standard error."""
    out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def reply(message: dict[str, object]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    return reply


def _import_torch(threads: int) -> None:
    """Import torch and make it deterministic.

    `use_deterministic_algorithms` does the same, but imports torch's compiler: a second of CPU. Filling new
    memory is off: it takes a tenth of the time and only helps code that reads uninitialized memory.
    """
    import torch  # noqa: PLC0415 - only here, and only after the limits are set
    import torch.utils.deterministic  # noqa: PLC0415

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False


def _limit_memory(memory_bytes: int) -> None:
    """Limit the address space to its present size plus `memory_bytes`, on systems that report it (Linux)."""
    try:
        mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, mapped + memory_bytes))


class _Inbox:
    """Requests, read in a thread, so that a stop arrives during training."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stopped = 0
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> dict[str, Any]:
        """Wait for the next request. When the parent dies, the process exits."""
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


def _answer(request: dict[str, Any], inbox: _Inbox, reply: Reply) -> dict[str, object]:
    reported = 0.0

    def report(step: int, steps: int, loss: float) -> None:
        nonlocal reported
        if inbox.stopped(request["id"]):
            raise Cancelled
        if time.monotonic() - reported >= HEARTBEAT_S:
            reported = time.monotonic()
            reply({"id": request["id"], "type": "progress", "step": step, "steps": steps, "loss": loss})

    try:
        report(0, 0, 0.0)
        return {"type": "done", "metrics": _execute(request, report)}
    except Cancelled:
        return {"type": "stopped"}
    except SteelyardError as error:
        return {"type": "failed", "message": error.message, "remedy": error.remedy}
    except Exception as error:  # noqa: BLE001 - the parent reports whatever a recipe raises
        traceback.print_exc()
        return {"type": "failed", "message": f"training raised {type(error).__name__}: {error}", "remedy": ""}


def _execute(request: dict[str, Any], report: Callable[[int, int, float], None]) -> dict[str, object]:
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
    for spec in layout:
        found = tensors.get(spec.name)
        if found is None or found.shape != spec.shape:
            raise TrainingError(
                f"the weights have no tensor {spec.name} of shape {spec.shape}",
                remedy="use the model that belongs to the job",
            )
    return {spec.name: tensors[spec.name] for spec in layout}


if __name__ == "__main__":
    main()
