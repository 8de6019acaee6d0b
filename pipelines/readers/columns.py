"""Arrow columns of any type as text."""

import base64
import json

import pyarrow as pa
import pyarrow.compute as pc


def text(column: pa.Array) -> pa.Array:
    """Give a column as text: numbers at their shortest, dates in ISO 8601, lists and records as JSON, bytes in base64.

    >>> text(pa.array([1.0, 0.1, None])).to_pylist(), text(pa.array([[1, 2], None])).to_pylist()
    (['1', '0.1', None], ['[1,2]', None])
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return text(column.dictionary).take(column.indices)
    if pa.types.is_floating(kind):
        return pc.replace_substring_regex(column.cast(pa.string()), r"\.0$", "")
    if pa.types.is_timestamp(kind):
        return _time(column)
    if pa.types.is_nested(kind):
        return pa.array([None if value is None else _json(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if value is None else _base64(value) for value in column.to_pylist()], pa.string())
    return column.cast(pa.string())


def plain(column: pa.Array) -> pa.Array:
    """Give a column without its dictionary."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def is_ascii(column: pa.Array) -> bool:
    """Tell whether a column of text is plain ASCII."""
    return bool(pc.all(pc.string_is_ascii(column), min_count=0).as_py())


def _time(column: pa.Array) -> pa.Array:
    written = pc.replace_substring(column.cast(pa.string()), " ", "T")
    return pc.replace_substring_regex(written, r"(:\d\d)\.0+(Z?)$", r"\1\2")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> str:
    return _base64(value) if isinstance(value, bytes) else str(value)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
