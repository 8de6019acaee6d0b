"""A contract as Arrow schemas."""

import pyarrow as pa

from pipelines.contracts.datasets import Dataset, Field

TYPES = {
    "string": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "list": pa.list_(pa.string()),
    "numbers": pa.list_(pa.float64()),
    "geometry": pa.binary(),
}


def arrow_schema(dataset: Dataset) -> pa.Schema:
    """Give the published schema, with each column's description and unit in its metadata."""
    return pa.schema([pa.field(field.name, TYPES[field.type], metadata=_metadata(field)) for field in dataset.fields])


def working_schema(dataset: Dataset) -> pa.Schema:
    """Give the schema used between the steps, in which texts that repeat are dictionaries."""
    return pa.schema([pa.field(field.name, _working_type(field)) for field in dataset.fields])


def _working_type(field: Field) -> pa.DataType:
    if field.type == "string" and (field.vocabulary or field.repeats):
        return pa.dictionary(pa.int32(), pa.string())
    return TYPES[field.type]


def _metadata(field: Field) -> dict[str, str]:
    words = {"description": field.description, "unit": field.unit, "vocabulary": field.vocabulary, "tier": field.tier}
    return {key: value for key, value in words.items() if value}
