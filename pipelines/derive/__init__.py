"""Computes the datasets that are made from others, from the rows that stand: for a release, or for one recipient.

A derivation is one SELECT in the dataset's contract, or the function of the dataset's name. It reads published rows
only, so that whoever may see other rows gets another table, computed from those.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from pipelines import masks, terms
from pipelines.contracts import Dataset
from pipelines.contracts.arrow import working_schema
from pipelines.derive.assays import assay_best, laboratory_control
from pipelines.derive.holes import drillhole_trace
from pipelines.derive.members import Members, select
from pipelines.derive.totals import resource_refusals, resource_totals
from pipelines.errors import ContractError

__all__ = ["DERIVATIONS", "Members", "derive"]

Derivation = Callable[[Members], Iterator[pa.RecordBatch]]
DERIVATIONS: Mapping[str, Derivation] = {
    "assay_best": assay_best,
    "drillhole_trace": drillhole_trace,
    "laboratory_control": laboratory_control,
    "resource_refusal": resource_refusals,
    "resource_total": resource_totals,
}
"""The functions that compute a dataset of their name, where one SELECT cannot."""

log = logging.getLogger(__name__)


def derive(dataset: Dataset, members: Members, path: Path) -> int:
    """Compute a dataset into an Arrow IPC stream of its working schema, and give its rows.

    Parameters
    ----------
    members : the rows that it may be computed from.

    Raises
    ------
    ContractError
        If the SELECT does not run, or what was computed does not keep the dataset's contract.
    """
    schema = working_schema(dataset)
    codes = _codes(dataset, members.vocabularies)
    rows = 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in _computed(dataset, members):
            settled = _settled(batch, schema, dataset)
            _refuse_broken(settled, dataset, codes)
            writer.write_batch(settled)
            rows += settled.num_rows
    log.info("%s: %d rows computed from %s", dataset.name, rows, ", ".join(dataset.derived_from))
    return rows


def _computed(dataset: Dataset, members: Members) -> Iterator[pa.RecordBatch]:
    if dataset.select is not None:
        return select(dataset, members)
    if dataset.name not in DERIVATIONS:
        raise ContractError(f"{dataset.name}.yml: give a select; the functions are {sorted(DERIVATIONS)}")
    return DERIVATIONS[dataset.name](members)


def _settled(batch: pa.RecordBatch, schema: pa.Schema, dataset: Dataset) -> pa.RecordBatch:
    """Put computed columns in the contract's order and types; the shared ones must be there too."""
    have, want = set(batch.schema.names), set(schema.names)
    if have != want:
        raise ContractError(
            f"{dataset.name}: computed columns differ: missing {sorted(want - have)}, surplus {sorted(have - want)}"
        )
    try:
        columns = [_as_type(batch.column(field.name), field.type) for field in schema]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ContractError(f"{dataset.name}: a computed column is of another type: {error}") from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return column.cast(pa.string()).dictionary_encode()
    return column.cast(kind)


def _codes(dataset: Dataset, folder: Path) -> dict[str, frozenset[str]]:
    names = {field.vocabulary for field in dataset.fields if field.vocabulary}
    return {name: frozenset(terms.load_vocabulary(folder / f"{name}.csv").codes) for name in names}


def _refuse_broken(batch: pa.RecordBatch, dataset: Dataset, codes: dict[str, frozenset[str]]) -> None:
    """Refuse rows that break an error rule: a computed row is ours to mend, so none is kept back."""
    for rule in dataset.rules():
        if rule.severity == "error" and rule.kind not in masks.TABLE_RULES:
            broken = masks.broken_rows(batch, rule, codes)
            if broken is not None:
                found = batch.column(rule.column).filter(broken)[0].as_py()
                raise ContractError(f"{rule.id}: {broken.true_count} computed rows break it, as {found!r}: {rule.hint}")
