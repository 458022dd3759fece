"""`steelyard data`: publishing and inspecting training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli.session import do

app = typer.Typer(name="data", help="Training data: publish it as shards, inspect it.", no_args_is_help=True)

SOURCE = "File or folder (CSV, Parquet, images, texts), URL, hf://datasets/…, torchvision:CIFAR10 or mnist."
Source = Annotated[str, typer.Argument(help=SOURCE)]
Partition = Annotated[str, typer.Option(help="iid, dirichlet:<alpha> or by:<column>.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the partition's random draws.")]
Label = Annotated[str, typer.Option(help="Column of labels.")]
Columns = Annotated[str, typer.Option(help="Columns of features, by commas; else all others.")]
Text = Annotated[str, typer.Option(help="Column of texts to learn from.")]
TextBytes = Annotated[int, typer.Option(min=8, max=1 << 16, help="Bytes kept of each text.")]
Image = Annotated[str, typer.Option(help="Column of encoded images.")]
ImageSize = Annotated[
    int, typer.Option(min=0, max=512, help="Scale images to squares of this many pixels a side.")
]
Delimiter = Annotated[str, typer.Option(help="Of CSV.")]
Test = Annotated[float | None, typer.Option(help="Share held out for tests if the source has none: 0.1.")]
Like = Annotated[str, typer.Option(help="Data manifest (CID or data.json) whose labels and columns to keep.")]


@app.command()
def publish(
    source: Source,
    shards: Annotated[int, typer.Option(min=1, max=1 << 14, help="Number of shards.")] = 4,
    partition: Partition = "iid",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="New folder for the files; else NAME-shards.")
    ] = None,
    seed: Seed = 1,
    label: Label = "",
    columns: Columns = "",
    text: Text = "",
    text_bytes: TextBytes = 256,
    image: Image = "",
    image_size: ImageSize = 0,
    delimiter: Delimiter = ",",
    test: Test = None,
    like: Like = "",
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt the shards; `job grant` lets members read them.")
    ] = False,
    at_home: Annotated[
        bool, typer.Option("--at-home", help="Only write the files, for `run --data`; store none.")
    ] = False,
) -> None:
    """Make shard files and their manifest, and add them to this home's store.

    Published data is public unless it is encrypted; test rows and the manifest's counts are always public.
    """
    from steelyard.cli.datasets import ChosenRows, publish_data
    from steelyard.learning.loaders import SourceOptions

    if encrypt and at_home:
        raise typer.BadParameter("data that stays at home is not encrypted", param_hint="--encrypt")
    options = SourceOptions(
        label=label, columns=_listed(columns), text=text, text_bytes=text_bytes, image=image,
        image_size=image_size, delimiter=delimiter,
    )  # fmt: skip
    chosen = ChosenRows(
        source=source, options=options, shards=shards, partition=partition, seed=seed, test=test, like=like,
        encrypt=encrypt, at_home=at_home,
    )  # fmt: skip
    do(publish_data(chosen, out))


@app.command()
def inspect(
    source: Annotated[str, typer.Argument(help=SOURCE + " Or published data: its CID or its folder.")],
    shards: Annotated[int, typer.Option(min=1, max=1 << 14, help="Number of shards to split it into.")] = 1,
    partition: Partition = "iid",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also draw it into this .svg file.")] = None,
    seed: Seed = 1,
    label: Label = "",
    columns: Columns = "",
    text: Text = "",
    text_bytes: TextBytes = 256,
    image: Image = "",
    image_size: ImageSize = 0,
    delimiter: Delimiter = ",",
    test: Test = None,
) -> None:
    """Show rows, sizes and the label counts of each shard. Nothing is published."""
    from steelyard.cli.datasets import ChosenRows, inspect_data
    from steelyard.learning.loaders import SourceOptions

    options = SourceOptions(
        label=label, columns=_listed(columns), text=text, text_bytes=text_bytes, image=image,
        image_size=image_size, delimiter=delimiter,
    )  # fmt: skip
    chosen = ChosenRows(
        source=source, options=options, shards=shards, partition=partition, seed=seed, test=test
    )
    do(inspect_data(chosen, out))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
