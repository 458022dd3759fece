"""Every kind of local source: published, then one round of training in a real training process."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from steelyard.core.encodings import Encoding
from steelyard.core.rules import AggregationConfig
from steelyard.errors import TrainingError
from steelyard.jobs.manifest import InitialModel, Manifest, TrainingConfig
from steelyard.learning import job_setup
from steelyard.learning.data import Kind, Rows, write_rows
from steelyard.learning.trainer import Trainer
from support import jobs, sources
from support.publishing import assert_learned, trial

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trainer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trainer]:
    """One training process for all these tests."""
    async with Trainer(tmp_path_factory.mktemp("training")) as started:
        yield started


async def test_csv(tmp_path: Path, trainer: Trainer) -> None:
    values, names, labels = sources.wine()
    done = await trial(sources.wine_csv(tmp_path / "wine.csv"), tmp_path, trainer)
    assert_learned(done)
    assert done.labels == Counter(labels)
    assert done.pixels() == sorted(row.astype(np.float32).tobytes() for row in values)
    assert done.data.columns == tuple(names)
    assert done.job.recipe == "tabular"
    assert done.after.accuracy > 0.8


async def test_parquet_of_columns(tmp_path: Path, trainer: Trainer) -> None:
    values, _, _ = sources.breast_cancer()
    done = await trial(sources.cancer_parquet(tmp_path / "c.parquet"), tmp_path, trainer, shards=3)
    assert_learned(done)
    assert done.labels == Counter({"1": 357, "0": 212})
    assert done.pixels() == sorted(row.astype(np.float32).tobytes() for row in values)
    assert done.after.accuracy > 0.8


async def test_parquet_of_images_in_train_and_test_files(tmp_path: Path, trainer: Trainer) -> None:
    place = tmp_path / "set" / "data"
    place.mkdir(parents=True)
    sources.digits_parquet(place / "train-00000-of-00001.parquet", 0, 300)
    sources.digits_parquet(place / "test-00000-of-00001.parquet", 300, 400)
    images, labels = sources.digits(400)
    done = await trial(tmp_path / "set", tmp_path, trainer)
    assert_learned(done)
    assert done.test is not None
    assert (sum(map(len, done.shards)), len(done.test)) == (300, 100)
    assert done.labels == Counter(f"digit {k}" for k in labels)
    assert done.pixels() == sorted(image.tobytes() for image in images)
    assert done.job.recipe == "image-cnn"


async def test_parquet_of_jpegs_in_colour(tmp_path: Path, trainer: Trainer) -> None:
    file = sources.digits_parquet(tmp_path / "d.parquet", 0, 200, encode=sources.jpeg)
    done = await trial(file, tmp_path, trainer, image_size=20)
    assert_learned(done)
    assert done.shards[0].inputs.shape[1:] == (3, 20, 20)
    assert done.labels == Counter(f"digit {k}" for k in sources.digits(200)[1])


async def test_a_folder_of_pictures(tmp_path: Path, trainer: Trainer) -> None:
    images, labels = sources.digits(200)
    done = await trial(sources.digits_folder(tmp_path / "digits"), tmp_path, trainer, partition="iid")
    assert_learned(done)
    assert done.labels == Counter(str(k) for k in labels)
    assert done.pixels() == sorted(image.tobytes() for image in images)


async def test_a_folder_of_texts(tmp_path: Path, trainer: Trainer) -> None:
    known = sources.descriptions()
    done = await trial(sources.texts_folder(tmp_path / "texts"), tmp_path, trainer, text_bytes=128)
    assert_learned(done)
    assert done.labels == Counter(label for _, label in known)
    assert done.job.recipe == "text"
    assert done.after.accuracy > 0.6


async def test_a_column_of_texts(tmp_path: Path, trainer: Trainer) -> None:
    file = sources.texts_csv(tmp_path / "texts.csv")
    done = await trial(file, tmp_path, trainer, text="words", label="source", partition="iid")
    assert_learned(done)
    assert done.labels == Counter(label for _, label in sources.descriptions())


async def test_rows_that_belong_together_by_a_column(tmp_path: Path, trainer: Trainer) -> None:
    farms = [f"farm {i % 5}" for i in range(178)]
    file = sources.wine_csv(tmp_path / "wine.csv", extra=[("farm", farms)])
    done = await trial(file, tmp_path, trainer, shards=5, partition="by:farm")
    assert_learned(done)
    assert sum(map(len, done.shards)) + (len(done.test) if done.test else 0) == 178
    assert "farm" not in done.data.columns


async def test_data_files_and_mnist(tmp_path: Path, trainer: Trainer) -> None:
    (tmp_path / "first").mkdir()
    first = await trial(sources.wine_csv(tmp_path / "wine.csv"), tmp_path / "first", trainer, shards=1)
    again = await trial(tmp_path / "first" / "out" / "shard-0.safetensors", tmp_path, trainer)
    assert_learned(again)
    assert sorted(again.pixels()) == sorted(np.asarray(row).tobytes() for row in first.shards[0].inputs)


async def test_the_same_source_has_the_same_cids_anywhere(tmp_path: Path, trainer: Trainer) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
    done = [
        await trial(sources.wine_csv(tmp_path / place / "wine.csv"), tmp_path / place, trainer)
        for place in ("a", "b")
    ]
    assert done[0].data == done[1].data
    assert done[0].job.encode() == done[1].job.encode()


def described(recipe: str, architecture: dict[str, Any]) -> Manifest:
    """An open job of a recipe, without data."""
    return job_setup.compose(
        name="A job for tests",
        recipe=recipe,
        architecture=architecture,
        step=AggregationConfig(
            block_count=job_setup.block_count_of(recipe, architecture), encoding=Encoding.BFP8
        ),
        membership="open",
        shards=[],
        test=None,
        initial=InitialModel(cid=jobs.cid_of("initial"), root=bytes(range(32))),
        training=TrainingConfig(batch_size=8, local_epochs=2),
    )


TABLE: dict[str, Any] = {
    "columns": 3,
    "classes": 2,
    "hidden": (4,),
    "mean": ("0", "0", "0"),
    "deviation": ("1", "1", "1"),
}
WORDS: dict[str, Any] = {"length": 16, "classes": 2, "ngram": 3, "buckets": 64, "width": 4}


def some_rows(recipe: str) -> Rows:
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 40).astype(np.uint8)
    if recipe == "text":
        return Rows(random.integers(32, 127, (40, 16)).astype(np.uint8), labels, Kind.TEXTS)
    return Rows(random.normal(size=(40, 3)).astype(np.float32), labels, Kind.FEATURES)


@pytest.mark.parametrize(("recipe", "architecture"), [("tabular", TABLE), ("text", WORDS)])
async def test_training_of_tables_and_texts_gives_the_same_bytes_again(
    tmp_path: Path, trainer: Trainer, recipe: str, architecture: dict[str, Any]
) -> None:
    wanted = described(recipe, architecture)
    job_setup.write_initial(recipe, architecture, 1, tmp_path / "state")
    write_rows(tmp_path / "rows", some_rows(recipe))
    outs = []
    for name, member in (("a", "ann"), ("b", "ann"), ("c", "ben")):
        await trainer.train(
            wanted, state=tmp_path / "state", data=tmp_path / "rows", out=tmp_path / name, round_=1,
            member=member, deadline_s=60,
        )  # fmt: skip
        outs.append((tmp_path / name).read_bytes())
    assert outs[0] == outs[1] != outs[2]


@pytest.mark.parametrize(
    ("recipe", "change", "said"),
    [
        (
            "tabular",
            lambda rows: Rows(rows.inputs * np.nan, rows.labels, Kind.FEATURES),
            "not a finite number",
        ),
        ("tabular", lambda rows: Rows(rows.inputs[:, :2], rows.labels, Kind.FEATURES), "do not fit"),
        ("tabular", lambda rows: Rows(rows.inputs, rows.labels + 2, Kind.FEATURES), "labels up to 3"),
        ("text", lambda rows: Rows(rows.inputs.astype(np.float32), rows.labels, Kind.FEATURES), "do not fit"),
    ],
)
async def test_rows_of_another_kind_or_without_numbers_are_refused(
    tmp_path: Path, trainer: Trainer, recipe: str, change: Callable[[Rows], Rows], said: str
) -> None:
    architecture = TABLE if recipe == "tabular" else WORDS
    job_setup.write_initial(recipe, architecture, 1, tmp_path / "state")
    write_rows(tmp_path / "rows", change(some_rows(recipe)))
    with pytest.raises(TrainingError, match=said):
        await trainer.evaluate(
            described(recipe, architecture), state=tmp_path / "state", data=tmp_path / "rows", deadline_s=60
        )


async def test_texts_shorter_than_an_ngram_or_empty_are_taken(tmp_path: Path, trainer: Trainer) -> None:
    wanted = described("text", WORDS)
    job_setup.write_initial("text", WORDS, 1, tmp_path / "state")
    texts = np.zeros((4, 16), np.uint8)
    texts[0, :2] = (65, 66)
    write_rows(tmp_path / "rows", Rows(texts, np.array([0, 1, 0, 1], np.uint8), Kind.TEXTS))
    found = await trainer.evaluate(wanted, state=tmp_path / "state", data=tmp_path / "rows", deadline_s=60)
    assert found.loss == pytest.approx(np.log(2), rel=1e-4)
