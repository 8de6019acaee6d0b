"""Schemas, vocabularies and feeds as frozen, checked objects; light enough to load while a DAG is parsed."""

from pipelines.contracts.datasets import Dataset, Field, Rule
from pipelines.contracts.feeds import Column, DatasetMapping, Feed, Position, Table
from pipelines.contracts.loading import (
    Schemas,
    feed_files,
    in_order_of_making,
    load_datasets,
    load_feed,
    load_schemas,
)

__all__ = [
    "Column",
    "Dataset",
    "DatasetMapping",
    "Feed",
    "Field",
    "Position",
    "Rule",
    "Schemas",
    "Table",
    "feed_files",
    "in_order_of_making",
    "load_datasets",
    "load_feed",
    "load_schemas",
]
