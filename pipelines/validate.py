"""Judges harmonised rows by the row rules of their contract."""

from collections.abc import Iterable

import pyarrow as pa

from pipelines.contracts import Rule
from pipelines.findings import Finding
from pipelines.masks import TABLE_RULES, Vocabularies, broken_rows, orphans


def row_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Give the rules that one row can break by itself; keys and references need the whole table."""
    return tuple(rule for rule in rules if rule.kind not in TABLE_RULES)


def validate(batch: pa.RecordBatch, rules: tuple[Rule, ...], vocabularies: Vocabularies) -> list[Finding]:
    """Find the rows of a batch that break a row rule.

    Parameters
    ----------
    batch : rows in the contract's working schema.
    rules : rules of the contract; those that need the whole table are passed over.
    vocabularies : code lists by name.

    Returns
    -------
    One finding per rule that at least one row breaks, in the rules' order; nulls break ``required`` only.

    Raises
    ------
    ContractError
        If a rule's vocabulary is not loaded or its value does not fit its kind.

    >>> rule = Rule("assay.value.minimum", "assay", "value", kind="minimum", severity="error", value=0)
    >>> [finding.mask.to_pylist() for finding in validate(pa.record_batch({"value": [1.5, -2.0, None]}), (rule,), {})]
    [[False, True, False]]
    """
    findings = []
    for rule in row_rules(rules):
        mask = broken_rows(batch, rule, vocabularies)
        if mask is not None:
            findings.append(_finding(batch, rule, mask))
    return findings


def foreign_keys(batch: pa.RecordBatch, rule: Rule, parents: pa.Array) -> Finding:
    """Find the rows that name a record which is not among the parents' accepted ids."""
    return _finding(batch, rule, orphans(batch.column(rule.column), parents))


def _finding(batch: pa.RecordBatch, rule: Rule, mask: pa.BooleanArray) -> Finding:
    return Finding(
        rule=rule.id,
        severity=rule.severity,
        column=rule.column,
        mask=mask,
        found=batch.column(rule.column),
        hint=rule.hint,
    )
