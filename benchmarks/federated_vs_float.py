"""Steelyard's federated result beside float FedAvg in plain PyTorch, from the same seeds.

    .venv/bin/python benchmarks/federated_vs_float.py --seeds 0,1,2,3,4

Both sides share the Dirichlet(0.5) split, the first weights, the shuffles and the loss. Ours goes the whole
way: state files, the training process, quantization, update files with error feedback, exact aggregation. The
other is plain modules, torch.optim and a weighted mean of floats. Exits with 1 where an encoding ends more
than half a point of test accuracy below float.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from steelyard.core.aggregation import aggregate, open_inputs
from steelyard.core.encodings import Encoding
from steelyard.core.rules import AggregationConfig
from steelyard.core.update_file import open_update
from steelyard.core.update_writer import encode_update
from steelyard.jobs.manifest import InitialModel, Manifest, Shard
from steelyard.learning import job_setup
from steelyard.learning.data import Dataset, Rows, ShardFile, load_mnist, publish
from steelyard.learning.partition import dirichlet_partition
from steelyard.learning.recipes import recipe_named
from steelyard.learning.recipes.image_cnn import MNIST_ARCHITECTURE
from steelyard.learning.trainer import Trainer, TrainerSettings, round_options

ROUNDS = 6
MEMBERS = 4
ALLOWED_POINTS = 0.5
ROOT = Path(__file__).resolve().parents[1]
NO_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"  # of nothing: the CID is not followed


@dataclass(frozen=True)
class Task:
    """One seed's split, on disk and in memory."""

    seed: int
    folder: Path
    parts: list[Rows]
    shards: list[ShardFile]
    test: Rows
    test_file: ShardFile

    @classmethod
    def of(cls, data: Dataset, seed: int, folder: Path) -> Task:
        """Split the training rows among the members."""
        split = dirichlet_partition(data.train.labels, MEMBERS, alpha=0.5, seed=seed, min_rows=1000)
        shards, test_file = publish(data, split, folder)
        parts = [data.train.take(rows) for rows in split]
        return cls(seed, folder, parts, shards, data.test, test_file)

    def manifest(self, encoding: Encoding) -> Manifest:
        """The demo's job with this encoding; its first state is written to `folder`."""
        blocks = job_setup.block_count_of("image-cnn", MNIST_ARCHITECTURE)
        root = job_setup.write_initial("image-cnn", MNIST_ARCHITECTURE, self.seed, self.folder / "state-0")
        return job_setup.compose(
            name="benchmark",
            recipe="image-cnn",
            architecture=MNIST_ARCHITECTURE,
            step=AggregationConfig(block_count=blocks, encoding=encoding),
            membership="shards",
            shards=[
                Shard(index=i, cid=NO_CID, weight=s.weight, rows=s.rows, size=s.size)
                for i, s in enumerate(self.shards)
            ],
            test=None,
            initial=InitialModel(cid=NO_CID, root=root),
            training=replace(job_setup.DEMO_TRAINING, seed=self.seed),
        )


async def steelyard_run(task: Task, encoding: Encoding, trainers: list[Trainer]) -> tuple[list[float], int]:
    """Test accuracy in percent after each round, and the bytes of all updates."""
    manifest = task.manifest(encoding)
    accuracies, sent = [], 0
    for round_ in range(1, ROUNDS + 1):
        state = task.folder / f"state-{round_ - 1}"
        sizes = await asyncio.gather(
            *(member_round(task, manifest, trainers[i], state, i, round_) for i in range(MEMBERS))
        )
        sent += sum(sizes)
        step = manifest.step
        updates = [
            open_update(
                task.folder / f"update-{i}",
                encoding=step.encoding,
                job=1,
                serial=round_,
                block_count=step.block_count,
            )
            for i in range(MEMBERS)
        ]
        inputs = open_inputs(
            manifest.step,
            state=state,
            momentum=None,
            updates=updates,
            weights=[shard.weight for shard in manifest.shards],
        )
        out = task.folder / f"state-{round_}"
        await asyncio.to_thread(aggregate, inputs, out_state=out, out_momentum=None)
        tested = await trainers[0].evaluate(manifest, state=out, data=task.test_file.path, deadline_s=120)
        accuracies.append(100 * tested.accuracy)
    return accuracies, sent


async def member_round(
    task: Task, manifest: Manifest, trainer: Trainer, state: Path, member: int, round_: int
) -> int:
    """Train and write the update with error feedback. Returns its size."""
    local, kept = task.folder / f"local-{member}", task.folder / f"kept-{member}-{round_}"
    await trainer.train(
        manifest,
        state=state,
        data=task.shards[member].path,
        out=local,
        round_=round_,
        member=member,
        deadline_s=600,
    )
    before = task.folder / f"kept-{member}-{round_ - 1}"
    written = encode_update(
        task.folder / f"update-{member}",
        encoding=manifest.step.encoding,
        job=1,
        serial=round_,
        block_count=manifest.step.block_count,
        local=local,
        base=state,
        residual=before if round_ > 1 else None,
        new_residual=kept,
    )
    return written.size


class Net(nn.Module):  # type: ignore[misc]
    """The recipe's net, written as anyone would."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.linear = nn.Linear(800, 10)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixels: uint8 (batch, 1, 28, 28). Returns logits (batch, 10)."""
        x = functional.pixel_unshuffle((pixels.float() - 33) / 79, 2)
        x = self.conv2(functional.relu(self.conv1(x)))
        return self.linear(functional.relu(functional.max_pool2d(x, 2)).flatten(1))


def float_run(task: Task) -> list[float]:
    """FedAvg in floats: test accuracy in percent after each round."""
    first = recipe_named("image-cnn").initial(MNIST_ARCHITECTURE, task.seed)
    state = {name: torch.from_numpy(values) for name, values in first.items()}
    weights = np.array([len(part) for part in task.parts], np.float64)
    shares = weights / weights.sum()
    images, labels = torch.from_numpy(task.test.images), torch.from_numpy(task.test.labels.astype(np.int64))
    net, accuracies = Net(), []
    for round_ in range(1, ROUNDS + 1):
        locals_ = [float_round(net, state, task, member, round_) for member in range(MEMBERS)]
        state = {
            name: sum(float(share) * local[name] for share, local in zip(shares, locals_, strict=True))
            for name in state
        }
        net.load_state_dict(state)
        with torch.no_grad():
            right = sum(
                int((net(images[i : i + 500]).argmax(1) == labels[i : i + 500]).sum())
                for i in range(0, len(labels), 500)
            )
        accuracies.append(100 * right / len(labels))
    return accuracies


def float_round(
    net: Net, state: dict[str, torch.Tensor], task: Task, member: int, round_: int
) -> dict[str, torch.Tensor]:
    """One member's local training. Returns its state."""
    options = round_options(replace(job_setup.DEMO_TRAINING, seed=task.seed), round_, member)
    part = task.parts[member]
    images, labels = torch.from_numpy(part.images), torch.from_numpy(part.labels.astype(np.int64))
    counts = torch.bincount(labels, minlength=10) + 1
    prior = torch.log(counts / counts.sum())
    net.load_state_dict(state)
    optimizer = torch.optim.SGD(
        net.parameters(), lr=options.learning_rate, momentum=options.momentum, nesterov=True
    )
    order = np.random.RandomState(options.seed).permutation(len(part))
    size = options.batch_size
    for start in range(0, len(part) - size + 1, size):
        batch = torch.from_numpy(order[start : start + size])
        optimizer.zero_grad()
        functional.cross_entropy(net(images[batch]) + prior, labels[batch]).backward()
        nn.utils.clip_grad_norm_(net.parameters(), options.clip_norm)
        optimizer.step()
    return {name: values.clone() for name, values in net.state_dict().items()}


def row(name: str, accuracies: list[float], sent: int, seconds: float, baseline: float) -> str:
    """A line of the table."""
    rounds = " | ".join(f"{accuracy:.2f}" for accuracy in accuracies)
    size = f"{sent / 1e6:.2f}" if sent else "-"
    return (
        f"| {name} | {rounds} | {round(accuracies[-1] - baseline, 2) + 0.0:+.2f} | {size} | {seconds:.0f} |"
    )


async def compare(data: Dataset, seed: int, encodings: list[Encoding], folder: Path) -> float:
    """Run all sides for one seed and print their rows. Returns how far the worst of ours is below float."""
    task = Task.of(data, seed, folder)
    started = time.monotonic()
    plain = await asyncio.to_thread(float_run, task)
    sizes = ", ".join(str(len(part)) for part in task.parts)
    print(f"\nSeed {seed}; rows of the shards: {sizes}\n")
    print("| | " + " | ".join(f"round {r}" for r in range(1, ROUNDS + 1)) + " | to float | MB sent | s |")
    print("|---|" + "---:|" * (ROUNDS + 3))
    print(row("float, PyTorch", plain, 0, time.monotonic() - started, plain[-1]), flush=True)
    worst = 0.0
    trainers = [Trainer(folder / f"trainer-{i}", TrainerSettings(nice=0)) for i in range(MEMBERS)]
    try:
        await asyncio.gather(*(trainer.start() for trainer in trainers))
        for encoding in encodings:
            started = time.monotonic()
            accuracies, sent = await steelyard_run(task, encoding, trainers)
            seconds = time.monotonic() - started
            print(row(encoding.name.lower(), accuracies, sent, seconds, plain[-1]), flush=True)
            worst = max(worst, plain[-1] - accuracies[-1])
    finally:
        await asyncio.gather(*(trainer.close() for trainer in trainers))
    return worst


def main() -> int:
    """Run what the arguments ask for. Returns the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seeds", default="0,1,2", help="splits and trainings to run")
    arguments.add_argument("--encodings", default="raw32,bfp8,bfp4")
    given = arguments.parse_args()
    encodings = [Encoding.from_name(name) for name in given.encodings.split(",")]
    torch.set_num_threads(1)
    data = load_mnist(ROOT / "node_modules")
    worst = 0.0
    for seed in given.seeds.split(","):
        with tempfile.TemporaryDirectory() as folder:
            worst = max(worst, asyncio.run(compare(data, int(seed), encodings, Path(folder))))
    print(f"\nAt worst {max(0.0, worst):.2f} points below float; {ALLOWED_POINTS} are allowed.")
    return int(worst > ALLOWED_POINTS)


if __name__ == "__main__":
    sys.exit(main())
