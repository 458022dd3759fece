"""`steelyard model`."""

import typer

app = typer.Typer(name="model")
