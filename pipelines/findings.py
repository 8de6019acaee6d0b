"""What a check found: masks of broken rows, and the issue rows and counts made from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import Rule

WORD = pa.dictionary(pa.int32(), pa.string())
ISSUE_SCHEMA = pa.schema(
    [
        ("feed", WORD),
        ("delivery", WORD),
        ("dataset", WORD),
        ("file", WORD),
        ("row", pa.int64()),
        ("record_id", pa.string()),
        ("rule", WORD),
        ("severity", WORD),
        ("column", WORD),
        ("found", pa.string()),
        ("hint", WORD),
    ]
)
LONGEST_FOUND = 500
"""Characters of a found value that an issue shows; the quarantine keeps the whole row."""


@dataclass(frozen=True)
class Finding:
    """The rows of one batch that break one rule.

    Parameters
    ----------
    mask : one boolean per row of the batch, true where the rule is broken, never null.
    found : the value that was found on every row of the batch, of any type; None where there is nothing to show.
    """

    rule: str
    severity: str
    column: str | None
    mask: pa.BooleanArray
    found: pa.Array | None = None
    hint: str = ""


@dataclass
class RuleCounts:
    """How often every rule was judged and broken, summed over the batches of a run."""

    evaluated: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch, rules: Iterable[Rule], findings: Iterable[Finding]) -> None:
        """Count one batch: a rule judges the rows that have a value, ``required`` judges every row."""
        for rule in rules:
            judged = rows_judged(batch, rule)
            self.evaluated[rule.id] = self.evaluated.get(rule.id, 0) + judged
            self.failed.setdefault(rule.id, 0)
        for finding in findings:
            self.failed[finding.rule] = self.failed.get(finding.rule, 0) + finding.mask.true_count

    def rows(self, rules: Iterable[Rule]) -> list[dict[str, str | int]]:
        """Give one mapping per rule, as a run's record keeps them."""
        return [
            {
                "rule": rule.id,
                "severity": rule.severity,
                "column": rule.column,
                "evaluated": self.evaluated.get(rule.id, 0),
                "failed": self.failed.get(rule.id, 0),
                "hint": rule.hint,
            }
            for rule in rules
        ]


def rows_judged(batch: pa.RecordBatch, rule: Rule) -> int:
    """Count the rows of a batch on which a rule can be broken."""
    if rule.kind == "required":
        return batch.num_rows
    column = batch.column(rule.column)
    if rule.other is None:
        return batch.num_rows - column.null_count
    return pc.and_(column.is_valid(), batch.column(rule.other).is_valid()).true_count


def error_mask(findings: Iterable[Finding], n: int) -> np.ndarray:
    """Mark the rows, of n, that break at least one rule of severity error."""
    broken = np.zeros(n, dtype=bool)
    for finding in findings:
        if finding.severity == "error":
            broken |= _as_numpy(finding.mask)
    return broken


def issue_table(
    findings: Sequence[Finding],
    *,
    feed: str,
    delivery: str,
    dataset: str,
    files: pa.Array | str | None,
    rows: pa.Array | None,
    record_ids: pa.Array | None,
) -> pa.RecordBatch:
    """Give one issue row per broken row and rule.

    Parameters
    ----------
    files, rows, record_ids : for every row of the judged batch, where it came from and what it is; one text where
        all rows came from one file, None where it is not known.

    Returns
    -------
    RecordBatch in ISSUE_SCHEMA, in the findings' order.
    """
    places = [np.flatnonzero(_as_numpy(finding.mask)) for finding in findings]
    counts = [len(place) for place in places]
    total = sum(counts)
    where = pa.array(np.concatenate(places) if places else np.zeros(0, dtype=np.int64))
    texts = [_found_text(finding.found, pa.array(place)) for finding, place in zip(findings, places, strict=True)]
    columns = {
        "feed": _constant(feed, total),
        "delivery": _constant(delivery, total),
        "dataset": _constant(dataset, total),
        "file": _constant(files, total) if files is None or isinstance(files, str) else _word(files.take(where)),
        "row": pa.nulls(total, pa.int64()) if rows is None else rows.take(where).cast(pa.int64()),
        "record_id": pa.nulls(total, pa.string()) if record_ids is None else record_ids.take(where).cast(pa.string()),
        "rule": _repeated([finding.rule for finding in findings], counts),
        "severity": _repeated([finding.severity for finding in findings], counts),
        "column": _repeated([finding.column for finding in findings], counts),
        "found": pa.concat_arrays(texts) if texts else pa.nulls(0, pa.string()),
        "hint": _repeated([finding.hint for finding in findings], counts),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in ISSUE_SCHEMA.names], schema=ISSUE_SCHEMA)


def rule_lists(findings: Iterable[Finding], selected: np.ndarray) -> pa.ListArray:
    """List, for every selected row, the rules of severity error that it breaks, in the findings' order."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return pa.array([[]] * int(selected.sum()), pa.list_(pa.string()))
    broken = np.stack([_as_numpy(finding.mask)[selected] for finding in errors], axis=1)
    offsets = np.concatenate([[0], np.cumsum(broken.sum(axis=1))]).astype(np.int32)
    names = pa.array([finding.rule for finding in errors], pa.string())
    return pa.ListArray.from_arrays(pa.array(offsets), names.take(pa.array(np.nonzero(broken)[1])))


def as_text(values: pa.Array) -> pa.StringArray:
    """Write values of any type as text: lists joined by a semicolon, bytes as null."""
    kind = values.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _joined(values.cast(pa.list_(pa.string())))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.nulls(len(values), pa.string())
    return values.cast(pa.string())


def _joined(lists: pa.ListArray) -> pa.StringArray:
    """Join the elements of each list by a semicolon; an absent element leaves its place empty."""
    flat = pc.list_flatten(lists)
    if flat.null_count:
        ends = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())
        offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
        lists = pa.ListArray.from_arrays(offsets, flat.fill_null(""), mask=pc.is_null(lists))
    return pc.binary_join(lists, "; ")


def _found_text(found: pa.Array | None, where: pa.Array) -> pa.StringArray:
    if found is None:
        return pa.nulls(len(where), pa.string())
    return pc.utf8_slice_codeunits(as_text(found.take(where)), 0, LONGEST_FOUND)


def _as_numpy(mask: pa.BooleanArray) -> np.ndarray:
    filled = mask.fill_null(False) if mask.null_count else mask
    return filled.to_numpy(zero_copy_only=False)


def _constant(text: str | None, count: int) -> pa.DictionaryArray:
    return _repeated([text], [count])


def _repeated(texts: Sequence[str | None], counts: Sequence[int]) -> pa.DictionaryArray:
    """Repeat each text its number of times, as a dictionary array without equal entries."""
    entries = list(dict.fromkeys(text for text in texts if text is not None))
    codes = np.array([-1 if text is None else entries.index(text) for text in texts], dtype=np.int32)
    spread = np.repeat(codes, np.asarray(counts, dtype=np.int64))
    return pa.DictionaryArray.from_arrays(pa.array(spread, mask=spread < 0), pa.array(entries, pa.string()))


def _word(values: pa.Array) -> pa.DictionaryArray:
    return values.cast(WORD) if pa.types.is_dictionary(values.type) else values.cast(pa.string()).dictionary_encode()
