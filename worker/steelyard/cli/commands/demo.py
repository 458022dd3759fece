"""`steelyard demo`."""

import typer


def install(app: typer.Typer) -> None:
    app.command("demo")(lambda: None)
