"""`steelyard aggregator`."""

import typer

app = typer.Typer(name="aggregator")
