"""`steelyard token`."""

import typer

app = typer.Typer(name="token")
