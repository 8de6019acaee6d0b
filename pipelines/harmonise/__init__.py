"""Turns shaped rows of a partner into records of a dataset; what cannot be read is a finding, never a silent null."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import chemistry, geodesy, terms
from pipelines.classification import classify
from pipelines.contracts import Column, Dataset, DatasetMapping, Feed
from pipelines.contracts.arrow import working_schema
from pipelines.errors import ContractError
from pipelines.findings import Finding
from pipelines.harmonise.columns import Draft, fill, repeat, text_of, tidy
from pipelines.harmonise.position import Operations, crs_codes, place
from pipelines.harmonise.shape import DELETED, RawTable, shape

__all__ = [
    "DELETED",
    "TABLE",
    "Harmonised",
    "Plan",
    "RawTable",
    "harmonise",
    "identify",
    "plan",
    "shape",
    "table_files",
]

TABLE = "_table"
"""Column by which a select says which of several tables a row's ``_row`` counts."""


@dataclass(frozen=True)
class Plan:
    """Everything that turning one feed's rows into one dataset needs, prepared once."""

    feed: Feed
    dataset: Dataset
    mapping: DatasetMapping
    delivery: str
    files: dict[str, str]
    """Table name to the partner's file name."""
    main: str
    vocabularies: dict[str, terms.Vocabulary]
    operations: Operations
    schema: pa.Schema


@dataclass(frozen=True)
class Harmonised:
    """One batch in the dataset's working schema, and what was found while making it."""

    batch: pa.RecordBatch
    findings: list[Finding]


def plan(
    feed: Feed, dataset: Dataset, delivery: str, files: dict[str, str], vocabularies: Mapping[str, terms.Vocabulary]
) -> Plan:
    """Prepare the mapping of one dataset: its vocabularies and its coordinate operations.

    Raises
    ------
    ContractError
        If a coordinate operation cannot be had without a silent shift.
    """
    mapping = feed.datasets[dataset.name]
    position = mapping.position
    operations: Operations = {}
    if position is not None:
        operations = {code: geodesy.operation(code, position.area) for code in crs_codes(position)}
    return Plan(
        feed=feed,
        dataset=dataset,
        mapping=mapping,
        delivery=delivery,
        files=files,
        main=feed.main_table(dataset.name),
        vocabularies=dict(vocabularies),
        operations=operations,
        schema=working_schema(dataset),
    )


def harmonise(shaped: pa.RecordBatch, how: Plan) -> Harmonised:
    """Map one batch of shaped rows to the dataset's contract.

    Parameters
    ----------
    shaped : partner columns as text, ``_row`` of the main table, and the feed's check columns.
    how : the plan of the dataset.

    Returns
    -------
    Harmonised
        As many rows as came in, in the same order, and the findings about them.
    """
    draft = Draft(shaped=shaped, dataset=how.dataset, vocabularies=how.vocabularies)
    for name, column in how.mapping.columns.items():
        if column.key:
            draft.columns[name] = _reference(draft, how, column)
        else:
            fill(draft, how.dataset.field(name), column)
    if how.mapping.position is not None:
        place(draft, how.mapping.position, how.operations)
        _keep_off_map(draft)
    _fill_elements(draft)
    _fill_classes(draft)
    _fill_broader(draft)
    key = how.mapping.key
    draft.columns["record_id"] = _record_ids(draft, key.authority, key.register_, key.columns)
    _fill_provenance(draft, how)
    _find_checks(draft, how)
    return Harmonised(_assemble(draft, how), draft.findings)


def identify(shaped: pa.RecordBatch, how: Plan) -> pa.RecordBatch:
    """Give only which record each shaped row is about, and where it stands: what a deletion needs."""
    draft = Draft(shaped=shaped, dataset=how.dataset, vocabularies=how.vocabularies)
    key = how.mapping.key
    draft.columns["record_id"] = _record_ids(draft, key.authority, key.register_, key.columns)
    _fill_provenance(draft, how)
    return _assemble(draft, how)


def table_files(shaped: pa.RecordBatch, files: dict[str, str]) -> pa.DictionaryArray:
    """Give each row's file, where a select takes the rows of one dataset from several tables.

    Raises
    ------
    ContractError
        If the select names a table that the feed does not have.
    """
    encoded = pc.dictionary_encode(shaped.column(TABLE))
    names = encoded.dictionary.to_pylist()
    strange = sorted({str(name) for name in names} - set(files))
    if strange or encoded.null_count:
        raise ContractError(
            f"the select's {TABLE} names no table of the feed: {strange or 'null'}; known: {sorted(files)}"
        )
    return pc.dictionary_encode(pa.array([files[name] for name in names], pa.string()).take(encoded.indices))


def _reference(draft: Draft, how: Plan, column: Column) -> pa.Array:
    key = how.feed.datasets[column.of].key if column.of else None
    authority = column.authority or (key.authority if key else None)
    register = column.register_ or (key.register_ if key else None)
    if authority is None or register is None:
        raise ContractError(f"{how.feed.id}: a reference needs `of`, or authority and register")
    return _record_ids(draft, authority, register, column.key)


def _record_ids(draft: Draft, authority: str, register: str, columns: tuple[str, ...]) -> pa.Array:
    """Join authority, register and key; a row whose key is not whole has no id."""
    parts = [tidy(draft.raw(name)) for name in columns]
    prefix = pa.scalar(f"{authority}:{register}")
    return pc.binary_join_element_wise(prefix, *parts, ":")


def _keep_off_map(draft: Draft) -> None:
    """Take the geometry from records that are no data on a map, and ask no position of them."""
    for field in draft.dataset.fields:
        if field.off_map is None or field.name not in draft.columns:
            continue
        vocabulary = draft.vocabularies[field.vocabulary or ""]
        codes = [code for code in vocabulary.codes if vocabulary.more(code, field.off_map)]
        off = pc.is_in(pc.cast(draft.columns[field.name], pa.string()), pa.array(codes, pa.string()))
        for name in ("geometry", "longitude", "latitude"):
            column = draft.columns[name]
            draft.columns[name] = pc.if_else(off, pa.scalar(None, column.type), column)
        excused = {f"{draft.dataset.name}.position.{rule}" for rule in ("missing", "crs_unknown")}
        draft.findings = [
            replace(found, mask=pc.and_(found.mask, pc.invert(off))) if found.rule in excused else found
            for found in draft.findings
        ]


def _fill_elements(draft: Draft) -> None:
    """Give the element of each compound, and the value as that element."""
    fields = draft.dataset.fields
    share = next((field for field in fields if field.element_of and field.converted_from), None)
    if share is None or share.element_of not in draft.columns:
        return
    whole = next(
        field.name for field in fields if field.converted_from == share.converted_from and not field.element_of
    )
    symbol = next(field.name for field in fields if field.element_of and not field.converted_from)
    if whole not in draft.columns:
        return
    vocabulary = draft.vocabularies[draft.dataset.field(share.element_of).vocabulary or ""]
    contents = {code: (vocabulary.more(code, "formula"), vocabulary.more(code, "element")) for code in vocabulary.codes}
    values, elements = chemistry.element_equivalents(draft.columns[whole], draft.columns[share.element_of], contents)
    draft.columns[share.name], draft.columns[symbol] = values, elements


def _fill_classes(draft: Draft) -> None:
    """Give what each estimate category corresponds to, where the feed does not say it itself."""
    for field in draft.dataset.fields:
        if field.class_of not in draft.columns or field.name in draft.columns:
            continue
        codes = _as_type(draft.columns[field.class_of or ""], pa.dictionary(pa.int32(), pa.string()))
        known = [getattr(classify(code), field.class_as or "") for code in codes.dictionary.to_pylist()]
        draft.columns[field.name] = pc.dictionary_encode(pa.array(known, pa.string()).take(codes.indices))


def _fill_broader(draft: Draft) -> None:
    """Give the term above another column's, where the feed does not say it itself."""
    for field in draft.dataset.fields:
        if field.broader_of not in draft.columns or field.name in draft.columns:
            continue
        vocabulary = draft.vocabularies[field.vocabulary or ""]
        codes = _as_type(draft.columns[field.broader_of or ""], pa.dictionary(pa.int32(), pa.string()))
        above = [vocabulary.above(code, field.broader_level or "") for code in codes.dictionary.to_pylist()]
        draft.columns[field.name] = pc.dictionary_encode(pa.array(above, pa.string()).take(codes.indices))


def _fill_provenance(draft: Draft, how: Plan) -> None:
    rights = how.feed.rights
    said = {
        "feed": how.feed.id,
        "delivery": how.delivery,
        "source_file": how.files[how.main],
        "rights_basis": rights.basis,
        "rights_document": rights.document,
        "licence": rights.licence,
        "tier": rights.tier,
    }
    for name, text in said.items():
        draft.columns.setdefault(name, repeat(text, draft.rows))
    _restrict(draft)
    if draft.shaped.schema.get_field_index(TABLE) >= 0:
        draft.columns["source_file"] = table_files(draft.shaped, how.files)
    draft.columns["source_row"] = pc.cast(draft.raw("_row"), pa.int64())
    draft.columns["source_also"] = _other_rows(draft, how)


def _restrict(draft: Draft) -> None:
    """Make the records restricted that their own content restricts, whatever the feed says."""
    for field in draft.dataset.fields:
        if field.restricts and field.name in draft.columns:
            strict = pc.fill_null(draft.columns[field.name], False)
            tiers = pc.cast(draft.columns["tier"], pa.string())
            draft.columns["tier"] = pc.dictionary_encode(pc.if_else(strict, "restricted", tiers))


def _other_rows(draft: Draft, how: Plan) -> pa.Array:
    """Name the rows of other tables that a record was made from, as file:row."""
    lists = []
    for table, file in how.files.items():
        index = draft.shaped.schema.get_field_index(f"_row_{table}")
        if index >= 0:
            lists.append((file, draft.shaped.column(index)))
    if not lists:
        return pa.nulls(draft.rows, pa.list_(pa.string()))
    if len(lists) == 1:
        return _named_rows(*lists[0])
    named = [_named_rows(file, rows).to_pylist() for file, rows in lists]
    return pa.array(
        [sum((part or [] for part in parts), []) or None for parts in zip(*named, strict=True)], pa.list_(pa.string())
    )


def _named_rows(file: str, rows: pa.Array) -> pa.Array:
    if not pa.types.is_list(rows.type):
        values = pc.binary_join_element_wise(pa.scalar(f"{file}:"), pc.cast(rows, pa.string()), "")
        offsets = pa.array(np.arange(len(rows) + 1, dtype=np.int32))
        lists = pa.ListArray.from_arrays(offsets, values)
        return pc.if_else(pc.is_null(rows), pa.scalar(None, lists.type), lists)
    texts = pc.binary_join_element_wise(pa.scalar(f"{file}:"), pc.cast(rows.values, pa.string()), "")
    lists = pa.ListArray.from_arrays(rows.offsets, texts)
    return pc.if_else(pc.is_null(rows), pa.scalar(None, lists.type), lists)


def _find_checks(draft: Draft, how: Plan) -> None:
    for index, check in enumerate(how.mapping.checks):
        mask = pc.fill_null(draft.raw(f"_check_{index}"), False)
        found = None
        if check.column is not None and draft.shaped.schema.get_field_index(check.column) >= 0:
            found = text_of(draft.raw(check.column))
        draft.findings.append(Finding(check.rule, check.severity, check.column or "", mask, found, check.hint))


def _assemble(draft: Draft, how: Plan) -> pa.RecordBatch:
    arrays = []
    for field in how.schema:
        made = draft.columns.get(field.name)
        arrays.append(pa.nulls(draft.rows, field.type) if made is None else _as_type(made, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=how.schema)


def _as_type(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if pa.types.is_dictionary(kind):
        encoded = array if pa.types.is_dictionary(array.type) else pc.dictionary_encode(array)
        return pa.DictionaryArray.from_arrays(
            pc.cast(encoded.indices, pa.int32()), pc.cast(encoded.dictionary, pa.string())
        )
    if pa.types.is_dictionary(array.type):
        return pc.cast(array.dictionary_decode(), kind)
    return pc.cast(array, kind)
