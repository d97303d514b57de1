"""Rows in, files out: a table on the terminal, CSV, JSON, Parquet and a self-contained HTML report."""

from beholder.reporting.files import RowFile, write_rows
from beholder.reporting.formats import read_rows, write_csv_stream
from beholder.reporting.terminal import print_table

__all__ = ["RowFile", "print_table", "read_rows", "write_csv_stream", "write_rows"]
