"""A contract's rules as Great Expectations' own, and their verdict on a frame."""

import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import Dataset, Rule
from pipelines.errors import ContractError
from pipelines.masks import Vocabularies

if TYPE_CHECKING:
    import pandas as pd

BETWEEN_ELEMENTS = "\x1f"
"""Joins a list's elements into one text, see `native_frame`."""


@dataclass(frozen=True)
class Expectation:
    """One rule in Great Expectations' words: the class of the expectation and what it is told."""

    rule: str
    column: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What Great Expectations said about one rule.

    Parameters
    ----------
    unexpected_count : rows that break the rule; None where the expectation raised, or judges one figure.
    evaluated : rows that were judged; None where the expectation raised.
    rows : positions of the first rows that break it, where they were asked for.
    exception : what the expectation raised, in its own words.
    """

    rule: str
    column: str
    expectation: str
    success: bool
    unexpected_count: int | None = None
    evaluated: int | None = None
    observed: float | None = None
    rows: tuple[int, ...] = ()
    exception: str | None = None

    def as_mapping(self) -> dict[str, Any]:
        """Give the verdict as it is kept in audit.json."""
        kept = asdict(self)
        del kept["rows"]
        return kept


def native_expectations(dataset: Dataset, vocabularies: Vocabularies) -> tuple[Expectation, ...]:
    """Derive the suite for a dataset's rows: every rule of severity error that a frame of them can break.

    Great Expectations passes nulls, as the masks do; a column that must not be null has a rule of its own. Left out are
    references to other datasets, which the frame does not hold, geometry, which would travel as bytes, and the bounds
    of lists of numbers, which it cannot judge.
    """
    planned = []
    for rule in dataset.rules():
        kind = dataset.field(rule.column).type
        if rule.severity != "error" or rule.kind not in NATIVE or kind == "geometry":
            continue
        lists = kind in ("list", "numbers")
        if lists and rule.kind not in LISTS:
            continue
        name, options = (LISTS if lists else NATIVE)[rule.kind](rule, vocabularies)
        column = {} if "column_A" in options else {"column": rule.column}
        planned.append(Expectation(rule=rule.id, column=rule.column, kind=name, options={**column, **options}))
    return tuple(planned)


def native_frame(rows: pa.Table, planned: Iterable[Expectation]) -> "pd.DataFrame":
    """Turn the columns that are judged into a frame of plain texts, numbers and days.

    A list becomes one text, its elements joined: on lists themselves Great Expectations counts wrongly or raises.
    """
    options = [expectation.options for expectation in planned]
    wanted = {each[key] for each in options for key in ("column", "column_A", "column_B") if key in each}
    names = [name for name in rows.column_names if name in wanted]
    plain = pa.table({name: _plain(rows.column(name)) for name in names})
    return plain.to_pandas(date_as_object=False)


def judge(frame: "pd.DataFrame", planned: tuple[Expectation, ...]) -> list[Verdict]:
    """Judge a frame; rules that fail are judged again to name their rows.

    Returns
    -------
    One verdict per planned expectation, in their order. One that raised, or that gave no answer, has failed.
    """
    if not planned:
        return []
    verdicts = _validate(frame, planned, "BASIC")
    again = tuple(each for each in planned if not verdicts[each.rule].success and not verdicts[each.rule].exception)
    if again:
        verdicts.update(_validate(frame, again, "COMPLETE"))
    return [verdicts[each.rule] for each in planned]


def _validate(
    frame: "pd.DataFrame", planned: tuple[Expectation, ...], result_format: Literal["BASIC", "COMPLETE"]
) -> dict[str, Verdict]:
    # Great Expectations takes 4 to 10 s to import: it is loaded only where something is audited.
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

    with _quiet():
        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
        asset = context.data_sources.add_pandas("accepted").add_dataframe_asset("accepted")
        batch = asset.add_batch_definition_whole_dataframe("rows").get_batch({"dataframe": frame})
        named = [getattr(gxe, each.kind)(meta={"rule": each.rule}, **each.options) for each in planned]
        suite = gx.ExpectationSuite(name="contract", expectations=named)
        results = batch.validate(suite, result_format=result_format).results
    # The answers come in an order of their own.
    answers = {config.meta["rule"]: result for result in results if (config := result.expectation_config)}
    return {each.rule: _verdict(each, answers.get(each.rule)) for each in planned}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Great Expectations logs and warns about out of ours: it is all in the verdicts."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _verdict(planned: Expectation, answer: Any) -> Verdict:
    said: dict[str, Any] = {"rule": planned.rule, "column": planned.column, "expectation": planned.kind}
    if answer is None:
        return Verdict(**said, success=False, exception="no answer was given")
    raised = _raised(answer.exception_info)
    if raised:
        return Verdict(**said, success=False, exception=raised)
    result = answer.result
    count = result.get("unexpected_count")
    evaluated = None if count is None else result["element_count"] - result.get("missing_count", 0)
    observed = result.get("observed_value")
    if count is None and observed is None:
        return Verdict(**said, success=False, exception="nothing was counted and nothing was observed")
    return Verdict(
        **said,
        success=bool(answer.success),
        unexpected_count=None if count is None else int(count),
        evaluated=evaluated,
        observed=None if observed is None else float(observed),
        rows=tuple(result.get("unexpected_index_list") or ())[:5],
    )


def _raised(info: dict[str, Any] | None) -> str | None:
    """Give what was raised: the mapping is either about the expectation, or holds one mapping per metric."""
    each = [info or {}, *(value for value in (info or {}).values() if isinstance(value, dict))]
    texts = [str(one.get("exception_message")) for one in each if one.get("raised_exception")]
    return "; ".join(dict.fromkeys(texts)) or None


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type):
        return pc.binary_join(column.cast(pa.list_(pa.string())), BETWEEN_ELEMENTS)
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


Translation = tuple[str, dict[str, Any]]


def _codes(rule: Rule, vocabularies: Vocabularies) -> list[str]:
    if rule.kind == "enum" and isinstance(rule.value, tuple):
        return sorted(rule.value)
    if str(rule.value) not in vocabularies:
        raise ContractError(f"{rule.id}: vocabulary {rule.value!r} is not loaded; have {sorted(vocabularies)}")
    return sorted(vocabularies[str(rule.value)])


def _not_null(_: Rule, __: Vocabularies) -> Translation:
    return "ExpectColumnValuesToNotBeNull", {}


def _unique(_: Rule, __: Vocabularies) -> Translation:
    return "ExpectColumnValuesToBeUnique", {}


def _at_least(rule: Rule, _: Vocabularies) -> Translation:
    return "ExpectColumnValuesToBeBetween", {"min_value": rule.value}


def _at_most(rule: Rule, _: Vocabularies) -> Translation:
    return "ExpectColumnValuesToBeBetween", {"max_value": rule.value}


def _matches(rule: Rule, _: Vocabularies) -> Translation:
    return "ExpectColumnValuesToMatchRegex", {"regex": rule.value}


def _in_set(rule: Rule, vocabularies: Vocabularies) -> Translation:
    return "ExpectColumnValuesToBeInSet", {"value_set": _codes(rule, vocabularies)}


def _at_least_long(rule: Rule, _: Vocabularies) -> Translation:
    return "ExpectColumnValueLengthsToBeBetween", {"min_value": rule.value}


def _at_most_long(rule: Rule, _: Vocabularies) -> Translation:
    return "ExpectColumnValueLengthsToBeBetween", {"max_value": rule.value}


def _not_above(rule: Rule, _: Vocabularies) -> Translation:
    return "ExpectColumnPairValuesAToBeGreaterThanB", {
        "column_A": rule.other,
        "column_B": rule.column,
        "or_equal": True,
        "ignore_row_if": "either_value_is_missing",
    }


def _elements_in_set(rule: Rule, vocabularies: Vocabularies) -> Translation:
    code = "|".join(re.escape(each) for each in _codes(rule, vocabularies))
    return "ExpectColumnValuesToMatchRegex", {"regex": f"^(?:(?:{code})(?:{BETWEEN_ELEMENTS}(?:{code}))*)?$"}


NATIVE: dict[str, Callable[[Rule, Vocabularies], Translation]] = {
    "required": _not_null,
    "unique": _unique,
    "minimum": _at_least,
    "maximum": _at_most,
    "pattern": _matches,
    "enum": _in_set,
    "vocabulary": _in_set,
    "min_length": _at_least_long,
    "max_length": _at_most_long,
    "order": _not_above,
}
LISTS: dict[str, Callable[[Rule, Vocabularies], Translation]] = {
    "required": _not_null,
    "unique": _unique,
    "enum": _elements_in_set,
    "vocabulary": _elements_in_set,
}
