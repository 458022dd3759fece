"""A Flower app whose clients train nothing: what is left of a round is what Flower itself takes.

The server writes the time at which each round begins, and the time of the end, as lines of the file that the
run's configuration names as `opened`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


class Timed(FedAvg):
    """FedAvg that notes when each round begins; clients do not evaluate."""

    def __init__(self, opened: Path, nodes: int) -> None:
        super().__init__(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes)
        self._opened = opened

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Note the time, then do what FedAvg does."""
        self.note()
        return super().configure_train(server_round, arrays, config, grid)

    def note(self) -> None:
        """Append the time to the file."""
        with self._opened.open("a", encoding="ascii") as file:
            file.write(f"{time.time()}\n")


@client.train()
def train(message: Message, _context: Context) -> Message:
    """Hand the model back a little changed."""
    model = message.content["arrays"].to_numpy_ndarrays()
    reply = {
        "arrays": ArrayRecord([array + np.float32(0.001) for array in model]),
        "metrics": MetricRecord({"num-examples": 1}),
    }
    return Message(content=RecordDict(reply), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds."""
    config = context.run_config
    strategy = Timed(Path(str(config["opened"])), int(config["nodes"]))
    model = ArrayRecord([np.zeros(int(config["parameters"]), dtype=np.float32)])
    strategy.start(grid=grid, initial_arrays=model, num_rounds=int(config["rounds"]))
    strategy.note()
