"""JSON read strictly: what programs understand differently is an error, not a guess."""

import json
import math
from typing import Any

from pipelines.readers.values import number_text

DEPTH = 400
"""Levels of nesting, about; a reader sets it as the limit of recursion in its process."""


def decoder() -> json.JSONDecoder:
    """Give a decoder that refuses NaN, infinity, and a name that stands twice in one object, with a ValueError."""
    return json.JSONDecoder(object_pairs_hook=names_once, parse_constant=no_constant)


def text(value: Any) -> str | None:  # noqa: ANN401 - JSON holds anything
    """Give a value as text: numbers at their shortest, lists and objects as JSON.

    Raises
    ------
    ValueError
        If a number is too large for the double precision that JSON readers have.

    >>> [text(each) for each in (None, "a", True, 3.0, [1, {"b": None}])]
    [None, 'a', 'true', '3', '[1,{"b":null}]']
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is too large")
    if isinstance(value, int | float):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def names_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Give an object; ValueError where a name stands twice in it."""
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object")
    return record


def no_constant(word: str) -> float:
    """Raise ValueError for NaN and the infinities, which are no JSON."""
    raise ValueError(f"{word} is no JSON number")
