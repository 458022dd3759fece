"""torchvision's data sets, from a folder and from a mirror; no unknown pickle is opened."""

from __future__ import annotations

import hashlib
import pickle
import textwrap
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from steelyard.errors import ConfigError, TrainingError
from steelyard.learning.loaders import SourceOptions, torchvision_source
from steelyard.learning.loaders.torchvision_source import open_vision
from steelyard.learning.trainer import Trainer
from support import sources
from support.hub import plain
from support.publishing import assert_learned, trial

pytestmark = pytest.mark.asyncio(loop_scope="module")
RAW = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trainer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trainer]:
    async with Trainer(tmp_path_factory.mktemp("training")) as started:
        yield started


def child(folder: Path, before: str) -> tuple[str, ...]:
    """The reading process, in which `before` runs first."""
    script = folder / "child.py"
    script.write_text(
        textwrap.dedent(before) + "\nfrom steelyard.learning.loaders.torchvision_child import main\nmain()\n"
    )
    return (str(script),)


async def test_a_folder_that_torchvision_filled(tmp_path: Path, trainer: Trainer) -> None:
    name = "FashionMNIST"
    root = sources.mnist_raw(tmp_path / "root", name)
    raw = np.fromfile(root / name / "raw" / RAW[1], np.uint8)[8:]
    more = np.fromfile(root / name / "raw" / RAW[3], np.uint8)[8:]
    done = await trial(f"torchvision:{name}:{root}", tmp_path, trainer)
    assert_learned(done)
    assert done.shards[0].inputs.shape[1:] == (1, 28, 28)
    assert done.labels == Counter(done.data.labels[int(k)] for k in np.concatenate([raw, more]))
    pixels = np.fromfile(root / name / "raw" / RAW[0], np.uint8)[16:].reshape(600, 784)
    tests = np.fromfile(root / name / "raw" / RAW[2], np.uint8)[16:].reshape(100, 784)
    assert done.pixels() == sorted(row.tobytes() for row in (*pixels, *tests))


def cifar(root: Path, rows: int = 120) -> dict[str, str]:
    """CIFAR-10's six batches and its names, with digits as images.  Gives the hash of each file."""
    images, labels = sources.digits(rows)
    large = np.pad(images, ((0, 0), (8, 8), (8, 8)))
    data = np.repeat(large[:, None], 3, axis=1).reshape(rows, -1)
    place = root / "cifar-10-batches-py"
    place.mkdir(parents=True)
    files = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for number, file in enumerate(files):
        mine = slice(number * rows // 6, (number + 1) * rows // 6)
        batch = {"data": data[mine], "labels": [int(k) for k in labels[mine]]}
        (place / file).write_bytes(pickle.dumps(batch))
    names = {"label_names": [f"kind {k}" for k in range(10)]}
    (place / "batches.meta").write_bytes(pickle.dumps(names))
    return {file: hashlib.md5((place / file).read_bytes()).hexdigest() for file in [*files, "batches.meta"]}  # noqa: S324


def known(hashes: dict[str, str]) -> str:
    """Make torchvision expect these hashes of CIFAR-10."""
    return f"""
    from torchvision.datasets import CIFAR10
    hashes = {hashes!r}
    CIFAR10.train_list = [[name, hashes[name]] for name in hashes if name.startswith("data")]
    CIFAR10.test_list = [["test_batch", hashes["test_batch"]]]
    CIFAR10.meta = {{"filename": "batches.meta", "key": "label_names", "md5": hashes["batches.meta"]}}
    """


async def test_cifar_whose_hashes_are_right(
    tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = cifar(tmp_path / "root")
    monkeypatch.setattr(torchvision_source, "CHILD", child(tmp_path, known(hashes)))
    done = await trial(f"torchvision:cifar10:{tmp_path / 'root'}", tmp_path, trainer)
    assert_learned(done)
    assert done.shards[0].inputs.shape[1:] == (3, 32, 32)
    assert done.labels == Counter(f"kind {k}" for k in sources.digits(120)[1])
    assert done.test is not None
    assert len(done.test) == 20


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> object:
        return (Path.touch, (self._mark,))


async def test_a_pickle_whose_hash_is_another_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = cifar(tmp_path / "root")
    mark = tmp_path / "unpickled"
    (tmp_path / "root" / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(ConfigError, match="corrupted"):
        open_vision(
            f"torchvision:CIFAR10:{tmp_path / 'root'}",
            SourceOptions(),
            tmp_path,
            child(tmp_path, known(hashes)),
        )
    assert not mark.exists()


async def test_a_download_from_a_mirror(
    tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    root = sources.mnist_raw(tmp_path / "there", "MNIST")
    packed = {name: gzip.compress((root / "MNIST" / "raw" / name).read_bytes(), mtime=0) for name in RAW}
    hashes = [(f"{name}.gz", hashlib.md5(body).hexdigest()) for name, body in packed.items()]  # noqa: S324
    with plain({f"/m/{name}.gz": body for name, body in packed.items()}) as url:
        before = f"""
        from torchvision.datasets import MNIST
        MNIST.mirrors = ["{url}/m/"]
        MNIST.resources = {hashes!r}
        """
        monkeypatch.setattr(torchvision_source, "CHILD", child(tmp_path, before))
        done = await trial("torchvision:MNIST", tmp_path, trainer)
    assert_learned(done)
    assert sum(done.labels.values()) == 700


async def test_a_changed_download_is_refused(tmp_path: Path) -> None:
    with plain({f"/m/{name}.gz": b"changed" for name in RAW}) as url:
        changed = child(tmp_path, f"from torchvision.datasets import MNIST\nMNIST.mirrors = ['{url}/m/']")
        with pytest.raises(ConfigError, match="torchvision cannot read MNIST"):
            open_vision("torchvision:MNIST", SourceOptions(), tmp_path, changed)


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder") as caught:
        open_vision(f"torchvision:MNIST:{tmp_path}/no", SourceOptions(), tmp_path)
    assert "download" in caught.value.remedy


async def test_without_torchvision_the_extra_is_named(tmp_path: Path) -> None:
    missing = child(tmp_path, "import sys\nsys.modules['torchvision'] = None")
    with pytest.raises(TrainingError) as caught:
        open_vision("torchvision:MNIST", SourceOptions(), tmp_path, missing)
    assert "steelyard[train]" in caught.value.remedy
