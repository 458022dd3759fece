"""Opening a source: a name, a URL, a file or a folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.errors import ConfigError
from steelyard.learning.loaders import catalog
from steelyard.learning.loaders.remote import download
from steelyard.learning.loaders.source import Source, SourceOptions


@contextmanager
def open_source(where: str, options: SourceOptions, scratch: Path | None = None) -> Iterator[Source]:
    """The source that `where` names; downloaded files are removed when the context ends.

    where: `mnist`, `torchvision:NAME[:FOLDER]`, a URL, a file or a folder.  scratch: an existing folder on a
    disk with enough space; default: the system's.  Raises ConfigError, FormatError.
    """
    folder = Path(tempfile.mkdtemp(prefix="steelyard-data-", dir=scratch))
    try:
        yield _by_name(where, options, folder) or _by_path(where, options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _by_name(where: str, options: SourceOptions, scratch: Path) -> Source | None:
    for loader in catalog.LOADERS:
        source = loader.by_name(where, options, scratch)
        if source is not None:
            return source
    return None


def _by_path(where: str, options: SourceOptions, scratch: Path) -> Source:
    path = download(where, scratch / "remote") if "://" in where else Path(where).expanduser()
    if not path.exists():
        *others, last = catalog.examples()
        raise ConfigError(
            f"there is no {path}",
            remedy=f"give a file, a folder, a URL, {', '.join(others)} or {last}",
        )
    for loader in catalog.LOADERS:
        source = loader.by_path(path, options)
        if source is not None:
            return source
    *others, last = catalog.file_suffixes()
    raise ConfigError(
        f"{path.name} cannot be read: no loader takes files of this kind",
        remedy=f"give a file of {', '.join(others)} or {last}, or a folder",
    )
