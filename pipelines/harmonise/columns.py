"""Fills one harmonised column from the partner's: text, terms, lists, numbers, dates."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import chemistry, terms, units
from pipelines.contracts import Column, Dataset, Field
from pipelines.errors import ContractError
from pipelines.findings import Finding, as_text

LIST = r"^\[\s*(?P<inner>[^\[\]]*?)\s*\]$"
"""A list without lists in it, as JSON writes it."""
HINTED = 20
"""Distinct unknown terms of a batch that get hints of their own."""


@dataclass
class Draft:
    """A batch on its way: the shaped rows, the columns made so far, and what was found."""

    shaped: pa.RecordBatch
    dataset: Dataset
    vocabularies: dict[str, terms.Vocabulary]
    columns: dict[str, pa.Array] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of rows in the batch."""
        return self.shaped.num_rows

    def raw(self, name: str) -> pa.Array:
        """Give a partner's column; a missing one means that the delivery's layout changed."""
        index = self.shaped.schema.get_field_index(name)
        if index < 0:
            have = [word for word in self.shaped.schema.names if not word.startswith("_")]
            raise ContractError(f"{self.dataset.name}: partner column missing: {name!r}; have {have}")
        return self.shaped.column(index)

    def find(self, rule: str, severity: str, column: str, mask: pa.Array, found: pa.Array | None, hint: str) -> None:
        """Note which rows break a rule that only the raw value can show."""
        mask = pc.fill_null(mask, False) if mask.null_count else mask
        self.findings.append(Finding(f"{self.dataset.name}.{rule}", severity, column, mask, found, hint))


def fill(draft: Draft, target: Field, column: Column) -> None:
    """Fill one column of the draft, and the companions that the contract gives it."""
    if column.const is not None:
        draft.columns[target.name] = constant(column.const, target, draft.rows)
        return
    raw = draft.raw(column.source or "")
    kind = _kind(target, column)
    values = pc.dictionary_encode(raw) if pa.types.is_string(raw.type) and _by_distinct(kind, target) else raw
    _keep_text(draft, target, raw, values)
    MAKERS[kind](draft, target, column, _without_nulls(values, column.nulls))


def constant(value: object, target: Field, rows: int) -> pa.Array:
    """Repeat one value, as a dictionary where it is text."""
    if target.type == "list":
        return pa.array([[str(value)]] * rows, pa.list_(pa.string()))
    if target.type == "string":
        return repeat(str(value), rows)
    if target.type == "numbers":
        raise ContractError(f"{target.name}: a list of numbers cannot be one value for every row; give its column")
    kinds = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "date": pa.date32()}
    return pa.repeat(pa.scalar(value, kinds[target.type]), rows)


def repeat(text: str | None, rows: int) -> pa.Array:
    """Repeat one text as a dictionary array."""
    indices = pa.nulls(rows, pa.int32()) if text is None else pa.repeat(pa.scalar(0, pa.int32()), rows)
    return pa.DictionaryArray.from_arrays(indices, pa.array([text or ""], pa.string()))


def text_of(values: pa.Array) -> pa.Array:
    """Give any column as text; texts in a dictionary stay there."""
    if pa.types.is_list(values.type):
        return as_text(values)
    if isinstance(values, pa.DictionaryArray) and pa.types.is_string(values.type.value_type):
        return values
    return values if pa.types.is_string(values.type) else pc.cast(values, pa.string())


def tidy(values: pa.Array) -> pa.Array:
    """Give texts without blanks around them; nothing but blanks is no value. Texts in a dictionary stay there."""
    texts = text_of(values)
    if isinstance(texts, pa.DictionaryArray):
        return reworded(texts, tidy(texts.dictionary))
    trimmed = pc.utf8_trim_whitespace(texts)
    blank = pc.equal(trimmed, "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), trimmed) if blank.true_count else trimmed


def reworded(values: pa.DictionaryArray, words: pa.Array) -> pa.DictionaryArray:
    """Put a word, or nothing, in the place of each of a dictionary's; equal ones become one."""
    again = pc.dictionary_encode(words)
    return pa.DictionaryArray.from_arrays(again.indices.take(values.indices), again.dictionary)


def on_distinct(values: pa.Array, work: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Do something once for each distinct value."""
    encoded = _encoded(values)
    return work(encoded.dictionary).take(encoded.indices)


def _encoded(values: pa.Array) -> pa.DictionaryArray:
    return values if isinstance(values, pa.DictionaryArray) else pc.dictionary_encode(values)


def _keep_text(draft: Draft, target: Field, raw: pa.Array, values: pa.Array) -> None:
    companion = draft.dataset.companion("text_of", target.name)
    if companion is not None:
        draft.columns[companion.name] = text_of(values if companion.repeats else raw)


def _without_nulls(values: pa.Array, words: tuple[str, ...]) -> pa.Array:
    if not words:
        return values
    if isinstance(values, pa.DictionaryArray):
        return reworded(values, _without_nulls(values.dictionary, words))
    said = pc.is_in(tidy(values), value_set=pa.array(words, pa.string()))
    return pc.if_else(said, pa.scalar(None, values.type), values)


def _by_distinct(kind: str, target: Field) -> bool:
    """Whether a column is read on its distinct texts."""
    return target.repeats or kind in ("term", "boolean", "date", "result") or bool(target.vocabulary)


def _kind(target: Field, column: Column) -> str:
    if target.type == "string" and target.vocabulary:
        return "term"
    if target.type == "number" and (column.unit or column.unit_from or column.encoding != "plain"):
        return "result"
    return target.type


def _fill_string(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    if column.codes:
        found = _encoded(tidy(values))
        words = [column.codes.get(word, word) for word in found.dictionary.to_pylist()]
        draft.columns[target.name] = reworded(found, pa.array(words, pa.string()))
        return
    draft.columns[target.name] = tidy(values)


def _fill_term(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    vocabulary = draft.vocabularies[target.vocabulary or ""]
    codes, unknown = terms.map_terms(text_of(values), vocabulary, column.codes)
    draft.columns[target.name] = codes
    _find_unknown(draft, target, unknown, values, vocabulary)


def _find_unknown(
    draft: Draft, target: Field, unknown: pa.Array, values: pa.Array, vocabulary: terms.Vocabulary
) -> None:
    severity = "error" if target.constraints.required else "warning"
    rule, texts = f"{target.name}.unknown_term", text_of(values)
    words = pc.unique(texts.filter(unknown))[:HINTED].to_pylist()
    for word in words:
        mine = pc.and_(unknown, pc.equal(texts, word))
        draft.find(rule, severity, target.name, mine, values, f"{word!r}: {terms.hint(vocabulary, word)}")
    if words and len(words) < HINTED:
        return
    others = pc.and_not(unknown, pc.fill_null(pc.is_in(texts, value_set=pa.array(words, pa.string())), False))
    draft.find(rule, severity, target.name, others, values, "compare with the terms above, which have hints")


def _fill_list(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    split = column.split or r"\s*[,;]\s*"
    if target.vocabulary:
        vocabulary = draft.vocabularies[target.vocabulary]
        codes, unknown, missing = terms.map_term_lists(text_of(values), vocabulary, column.codes, split)
        draft.columns[target.name] = codes
        severity = "error" if target.constraints.required else "warning"
        hint = "; ".join(f"{word!r}: {terms.hint(vocabulary, word)}" for word in missing[:3])
        draft.find(f"{target.name}.unknown_term", severity, target.name, unknown, values, hint)
        return
    if pa.types.is_list(values.type):
        draft.columns[target.name] = pc.cast(values, pa.list_(pa.string()))
        return
    draft.columns[target.name] = pc.split_pattern_regex(tidy(values), split)


def _fill_number(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        draft.columns[target.name] = pc.cast(values, pa.float64())
        return
    numbers, unreadable = chemistry.read_numbers(text_of(values), column.decimal)
    draft.columns[target.name] = numbers
    _find_unreadable(draft, target, unreadable, values, "a number")


def _fill_numbers(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    """Fill a list of numbers from its text; an element that says that there is no value is null."""
    texts = tidy(values) if pa.types.is_string(values.type) else text_of(values)
    lists = _element_texts(pc.cast(texts, pa.string()), column.split)
    elements = _without_nulls(tidy(lists.values), (*column.nulls, "null"))
    numbers, unreadable = chemistry.read_numbers(elements, column.decimal)
    draft.columns[target.name] = pa.ListArray.from_arrays(lists.offsets, numbers, mask=pc.is_null(lists))
    strange = np.zeros(draft.rows, dtype=bool)
    strange[pc.list_parent_indices(lists).to_numpy()[pc.fill_null(unreadable, False).to_numpy(False)]] = True
    lost = pc.and_(pc.is_null(lists), pc.is_valid(texts))
    wanted = "numbers between square brackets" if column.split is None else f"numbers between {column.split!r}"
    _find_unreadable(draft, target, pc.or_(lost, pa.array(strange)), values, wanted)


def _element_texts(texts: pa.Array, split: str | None) -> pa.ListArray:
    """Cut the texts of lists into the texts of their elements; what is no list is null, an empty list is empty."""
    if split is not None:
        return pc.split_pattern_regex(texts, split)
    inner = pc.struct_field(pc.extract_regex(texts, LIST), "inner")
    lists = pc.split_pattern(inner, ",")
    empty = pc.fill_null(pc.equal(inner, ""), False)
    return pc.if_else(empty, pa.scalar([], lists.type), lists)


def _fill_integer(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    _fill_number(draft, target, column, values)
    numbers = draft.columns[target.name]
    whole = pc.equal(pc.floor(numbers), numbers)
    draft.columns[target.name] = pc.cast(pc.if_else(whole, numbers, pa.scalar(None, pa.float64())), pa.int64())
    draft.find(
        f"{target.name}.not_whole", _severity(target), target.name, pc.invert(whole), values, "a whole number is wanted"
    )


def _fill_boolean(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    if pa.types.is_boolean(values.type):
        draft.columns[target.name] = values
        return
    words = {"true": True, "false": False}
    encoded = _encoded(tidy(values))
    known = [
        None if word is None else words.get(column.codes.get(word, word).lower())
        for word in encoded.dictionary.to_pylist()
    ]
    draft.columns[target.name] = pa.array(known, pa.bool_()).take(encoded.indices)
    lost = pc.and_(pc.is_null(draft.columns[target.name]), pc.is_valid(tidy(values)))
    _find_unreadable(draft, target, lost, values, "true or false")


def _fill_date(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    formats = column.format or ("%Y-%m-%d",)
    clean = tidy(values)
    draft.columns[target.name] = on_distinct(clean, lambda distinct: _read_dates(distinct, formats))
    lost = pc.and_(pc.is_null(draft.columns[target.name]), pc.is_valid(clean))
    _find_unreadable(draft, target, lost, values, f"a date written as {' or '.join(formats)}")


def _read_dates(words: pa.Array, formats: tuple[str, ...]) -> pa.Array:
    parsed = [pc.strptime(words, format=layout, unit="s", error_is_null=True) for layout in formats]
    return pc.cast(pc.coalesce(*parsed), pa.date32(), safe=False)


def _fill_result(draft: Draft, target: Field, column: Column, values: pa.Array) -> None:
    """Fill a measured value with its qualifier, limit and unit."""
    reading = chemistry.Reading(decimal=column.decimal, sentinel=column.sentinel)
    qualifiers = tidy(draft.raw(column.qualifier_from)) if column.qualifier_from else None
    limits = _limits(draft, target, column)
    results = chemistry.read_results(tidy(values), column.encoding, reading, qualifiers=qualifiers, limits=limits)
    draft.columns[target.name] = results.value
    _find_unreadable(draft, target, results.unreadable, values, "a number, with its qualifier where it is a bound")
    for relation, array in (("qualifier_of", results.qualifier), ("limit_of", results.limit)):
        companion = draft.dataset.companion(relation, target.name)
        if companion is not None:
            draft.columns[companion.name] = array
    if column.encoding == "zero-is-below-undeclared":
        bounded = pc.equal(results.qualifier, "<")
        hint = "ask the partner for the detection limit that was replaced by zero"
        draft.find(f"{target.name}.zero_undeclared", "warning", target.name, bounded, values, hint)
    _fill_unit(draft, target, column)


def _limits(draft: Draft, target: Field, column: Column) -> pa.Array | None:
    """Read the column of limits beside the results; one that is no number is found."""
    if column.limit_from is None:
        return None
    raw = draft.raw(column.limit_from)
    limits, unreadable = chemistry.read_numbers(tidy(raw), column.decimal)
    hint = "the detection limit should be a number"
    draft.find(f"{target.name}.limit_unreadable", "warning", target.name, unreadable, raw, hint)
    return limits


def _fill_unit(draft: Draft, target: Field, column: Column) -> None:
    companion = draft.dataset.companion("unit_of", target.name)
    if companion is None:
        if column.unit and target.unit:
            factor = units.factor(column.unit, target.unit)
            draft.columns[target.name] = pc.multiply(draft.columns[target.name], factor)
        return
    if column.unit:
        draft.columns[companion.name] = repeat(column.unit, draft.rows)
    elif column.unit_from:
        fill(draft, companion, Column.model_validate({"from": column.unit_from, "codes": column.units}))
    _fill_converted(draft, target, companion.name)


def _fill_converted(draft: Draft, target: Field, unit_column: str) -> None:
    values, codes = draft.columns[target.name], draft.columns[unit_column]
    for converted in draft.dataset.fields:
        if converted.converted_from == target.name and converted.element_of is None:
            draft.columns[converted.name], _ = units.convert(values, codes, converted.unit or "")


def _find_unreadable(draft: Draft, target: Field, mask: pa.Array, values: pa.Array, wanted: str) -> None:
    hint = f"{target.name} should be {wanted}"
    draft.find(f"{target.name}.unreadable", _severity(target), target.name, mask, values, hint)


def _severity(target: Field) -> str:
    return "error" if target.constraints.required else "warning"


MAKERS: dict[str, Callable[[Draft, Field, Column, pa.Array], None]] = {
    "string": _fill_string,
    "term": _fill_term,
    "list": _fill_list,
    "number": _fill_number,
    "numbers": _fill_numbers,
    "integer": _fill_integer,
    "boolean": _fill_boolean,
    "date": _fill_date,
    "result": _fill_result,
}
