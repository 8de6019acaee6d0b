"""The row rules of a contract as Arrow masks: true where a row breaks the rule."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import Rule
from pipelines.errors import ContractError

Vocabularies = dict[str, frozenset[str]]
TABLE_RULES = frozenset({"unique", "foreign_key", "table"})
"""Rules that one batch cannot judge."""


def broken_rows(batch: pa.RecordBatch, rule: Rule, vocabularies: Vocabularies) -> pa.BooleanArray | None:
    """Mark the rows of a batch that break a rule; None where no row does.

    A null breaks ``required`` and no other rule. A list breaks one on codes or numbers when an element does.

    Raises
    ------
    ContractError
        If the rule's kind is not a row rule, or its vocabulary is not loaded.
    """
    column = batch.column(rule.column)
    if rule.kind == "required":
        return column.is_null() if column.null_count else None
    if rule.kind == "order":
        return _some(_exceeds(column, batch.column(str(rule.other))))
    if rule.kind not in VALUE_RULES:
        raise ContractError(f"{rule.id}: {rule.kind!r} is not a rule of one row; known: {', '.join(ROW_RULES)}")
    if pa.types.is_dictionary(column.type):
        return _broken_codes(column, rule, vocabularies)
    return _some(_broken_values(column, rule, vocabularies))


def orphans(keys: pa.Array, parents: pa.Array) -> pa.BooleanArray:
    """Mark the keys that name none of the parents; a null names nobody and passes."""
    plain = keys.dictionary_decode() if pa.types.is_dictionary(keys.type) else keys
    return pc.and_(pc.invert(pc.is_in(plain, value_set=parents)), plain.is_valid())


def _broken_codes(column: pa.DictionaryArray, rule: Rule, vocabularies: Vocabularies) -> pa.BooleanArray | None:
    """Judge the dictionary's entries only, then spread the judgement over the rows."""
    entries = _some(_broken_values(column.dictionary, rule, vocabularies))
    return None if entries is None else _some(entries.take(column.indices).fill_null(False))


def _broken_values(values: pa.Array, rule: Rule, vocabularies: Vocabularies) -> pa.BooleanArray:
    return pc.fill_null(VALUE_RULES[rule.kind](values, rule, vocabularies), False)


def _some(mask: pa.BooleanArray) -> pa.BooleanArray | None:
    return mask if mask.true_count else None


def _exceeds(first: pa.Array, second: pa.Array) -> pa.BooleanArray:
    return pc.fill_null(pc.greater(first, second), False)


def _below(values: pa.Array, rule: Rule, vocabularies: Vocabularies) -> pa.BooleanArray:
    if pa.types.is_list(values.type):
        return _in_some_element(values, _below(pc.list_flatten(values), rule, vocabularies))
    # Inverted, so that a value that is not a number is broken and not passed.
    return pc.invert(pc.greater_equal(values, _bound(values, rule)))


def _above(values: pa.Array, rule: Rule, vocabularies: Vocabularies) -> pa.BooleanArray:
    if pa.types.is_list(values.type):
        return _in_some_element(values, _above(pc.list_flatten(values), rule, vocabularies))
    return pc.invert(pc.less_equal(values, _bound(values, rule)))


def _bound(values: pa.Array, rule: Rule) -> pa.Scalar:
    if not isinstance(rule.value, (int, float)):
        raise ContractError(f"{rule.id}: {rule.value!r} is not a number")
    whole = pa.types.is_integer(values.type) and float(rule.value).is_integer()
    return pa.scalar(int(rule.value), pa.int64()) if whole else pa.scalar(float(rule.value), pa.float64())


def _unmatched(values: pa.Array, rule: Rule, _: Vocabularies) -> pa.BooleanArray:
    return pc.invert(pc.match_substring_regex(values, str(rule.value)))


def _too_short(values: pa.Array, rule: Rule, _: Vocabularies) -> pa.BooleanArray:
    return pc.less(_length(values), _bound(_length(values), rule))


def _too_long(values: pa.Array, rule: Rule, _: Vocabularies) -> pa.BooleanArray:
    return pc.greater(_length(values), _bound(_length(values), rule))


def _length(values: pa.Array) -> pa.Array:
    """Characters of a text, elements of a list."""
    return pc.list_value_length(values) if pa.types.is_list(values.type) else pc.utf8_length(values)


def _outside_enum(values: pa.Array, rule: Rule, _: Vocabularies) -> pa.BooleanArray:
    if not isinstance(rule.value, tuple):
        raise ContractError(f"{rule.id}: {rule.value!r} is not a list of words")
    return _outside(values, pa.array(rule.value, pa.string()))


def _outside_vocabulary(values: pa.Array, rule: Rule, vocabularies: Vocabularies) -> pa.BooleanArray:
    name = str(rule.value)
    if name not in vocabularies:
        raise ContractError(f"{rule.id}: vocabulary {name!r} is not loaded; have {sorted(vocabularies)}")
    return _outside(values, pa.array(sorted(vocabularies[name]), pa.string()))


def _outside(values: pa.Array, codes: pa.Array) -> pa.BooleanArray:
    if not pa.types.is_list(values.type):
        return orphans(values, codes)
    return _in_some_element(values, orphans(pc.list_flatten(values), codes))


def _in_some_element(lists: pa.ListArray, broken: pa.BooleanArray) -> pa.BooleanArray:
    """Mark the lists of which some element is marked."""
    rows = np.zeros(len(lists), dtype=bool)
    if broken.true_count:
        rows[pc.list_parent_indices(lists).filter(broken.fill_null(False)).to_numpy()] = True
    return pa.array(rows)


VALUE_RULES: dict[str, Callable[[pa.Array, Rule, Vocabularies], pa.BooleanArray]] = {
    "minimum": _below,
    "maximum": _above,
    "pattern": _unmatched,
    "enum": _outside_enum,
    "vocabulary": _outside_vocabulary,
    "min_length": _too_short,
    "max_length": _too_long,
}
ROW_RULES = ("required", *VALUE_RULES, "order")
