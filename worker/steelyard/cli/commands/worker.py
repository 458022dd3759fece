"""`steelyard worker`."""

import typer

app = typer.Typer(name="worker")
