"""Loaders: from what a person has (files, folders, URLs, names of data sets) to labelled rows.

    with opened("s3://bucket/claims.parquet", Wishes(label="fraud")) as source:
        scan = source.scan()            # labels and shape, in one pass
        for rows in source.batches():   # the rows in the same order, a few MiB at a time

What is remote is first brought to the disk. The libraries for it are in the extra `data`; none is imported
before it is needed.
"""

from steelyard.learning.loaders.open_source import opened
from steelyard.learning.loaders.source import Scan, Source, SourceOptions

__all__ = ["Scan", "Source", "SourceOptions", "opened"]
