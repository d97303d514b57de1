"""Data sets of pictures and opinions: tables, known sets, splits, checks, the tile cache, variations, synthesis."""

from beholder.datasets.tables import Dataset, Sample, read_table, write_table

__all__ = ["Dataset", "Sample", "read_table", "write_table"]
