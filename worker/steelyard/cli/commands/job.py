"""`steelyard job`."""

import typer

app = typer.Typer(name="job")
