"""Loaders: labelled rows from files, folders, URLs and names of data sets.

    with open_source("s3://bucket/claims.parquet", SourceOptions(label="fraud")) as source:
        scan = source.scan()            # labels and shape, in one pass
        for rows in source.batches():   # the rows in the same order, a few MiB at a time

Remote files are first downloaded to disk. The libraries for this are in the extra `data` and are imported
when they are needed. `catalog.LOADERS` is the table of loaders.
"""

from steelyard.learning.loaders.open_source import open_source
from steelyard.learning.loaders.source import Scan, Source, SourceOptions

__all__ = ["Scan", "Source", "SourceOptions", "open_source"]
