"""`steelyard rewards`."""

import typer

app = typer.Typer(name="rewards")
