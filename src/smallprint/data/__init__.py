"""Labelled text in Polars: read, detect, split, encode, summarize; and rows in a stream for files of any size."""
