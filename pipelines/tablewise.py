"""Judges the rows of a dataset together, by the conditions of its contract that one row cannot break by itself."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from pipelines.contracts import Dataset, Rule
from pipelines.contracts.arrow import working_schema
from pipelines.errors import ContractError
from pipelines.findings import Finding
from pipelines.terms import Vocabulary

PLACE = "_place"
"""Number of a row among all rows, from 0."""
ALWAYS = (PLACE, "record_id", "source_file", "source_row")
MEMORY = "1GB"
NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Beside:
    """What the rules of a table may look into beside its rows.

    Parameters
    ----------
    datasets : those that its records refer to, and where their accepted rows are; a file that is not there has none.
    lists : the vocabularies that its contract names.
    """

    datasets: Mapping[str, tuple[Dataset, Path]] = field(default_factory=dict)
    lists: Mapping[str, Vocabulary] = field(default_factory=dict)


@dataclass(frozen=True)
class Together:
    """The rows that break at least one rule of their table, and which they break.

    Parameters
    ----------
    rows : record id, file, row and the judged columns of each, in the file's order.
    places : number of each among all rows, from 0.
    findings : one per broken rule, with masks over ``rows``.
    """

    rows: pa.RecordBatch
    places: np.ndarray
    findings: list[Finding]


def judge_together(
    paths: Sequence[Path],
    dataset: Dataset,
    rules: tuple[Rule, ...],
    *,
    beside: Beside,
    scratch: Path,
    again: np.ndarray = NONE,
) -> Together:
    """Judge harmonised rows by the rules of its table.

    Parameters
    ----------
    paths : rows in the dataset's working schema, in their order (Arrow IPC streams).
    rules : those of kind ``table`` are judged.
    beside : what the rules may look into.
    scratch : folder that DuckDB may spill to.
    again : places of rows that tell a record again; each record is judged once, as it is told first.

    Raises
    ------
    ContractError
        If the contract's SQL does not run, or its view does not give each row once.
    """
    wanted = tuple(rule for rule in rules if rule.kind == "table")
    shown = tuple(dict.fromkeys(rule.column for rule in wanted))
    sql = " ".join([dataset.table_view, *(str(rule.value) for rule in wanted), *shown])
    with _connect(scratch) as connection:
        try:
            _register(connection, sql, beside)
            connection.register("received", rows_of(paths, dataset, _columns(dataset, sql)))
            connection.register("again", pa.table({PLACE: again}))
            connection.execute(
                "CREATE TEMP TABLE rows AS SELECT * FROM received "  # noqa: S608 - a name of ours
                f"WHERE {PLACE} NOT IN (SELECT {PLACE} FROM again)"
            )
            _look(connection, dataset)
            found = _broken(connection, wanted, shown)
        except duckdb.Error as error:
            raise ContractError(f"{dataset.name}.yml: table rules do not run: {_first_line(error)}") from error
    return _together(found, wanted)


def problems(dataset: Dataset, datasets: Mapping[str, Dataset], lists: Mapping[str, Vocabulary]) -> Iterator[str]:
    """Yield what is wrong with the SQL of a contract's table rules, tried on no rows."""
    rules = tuple(rule for rule in dataset.rules() if rule.kind == "table")
    if not rules:
        return
    unknown = sorted({rule.column for rule in rules} - set(dataset.names()))
    if unknown:
        yield f"table_rules: no column {unknown[0]!r}"
        return
    with _connect() as connection:
        _register(connection, None, beside(dataset, datasets, lists, Path()))
        connection.register("rows", _schema(dataset, dataset.names()).empty_table())
        try:
            statements = connection.extract_statements(dataset.table_view)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                yield "table_view must be exactly one SELECT"
                return
            connection.execute(f"CREATE TEMP TABLE seen AS {dataset.table_view}")
        except duckdb.Error as error:
            yield f"table_view: {_first_line(error)}"
            return
        for rule in rules:
            try:
                kind = connection.sql(f"SELECT ({rule.value}) FROM seen").types[0]  # noqa: S608 - the contract's own SQL
            except duckdb.Error as error:
                yield f"{rule.id}: {_first_line(error)}"
                continue
            if str(kind) != "BOOLEAN":
                yield f"{rule.id}: where is {kind}; a condition is wanted"


def beside(
    dataset: Dataset, datasets: Mapping[str, Dataset], lists: Mapping[str, Vocabulary], run_folder: Path
) -> Beside:
    """Give what a dataset's table rules may look into, where a run keeps it."""
    names = _references(dataset, datasets)
    return Beside({name: (datasets[name], run_folder / name / "accepted.arrow") for name in names}, lists)


def _references(dataset: Dataset, datasets: Mapping[str, Dataset]) -> list[str]:
    named = {key.reference.resource for key in dataset.foreign_keys} - {dataset.name}
    return sorted(named & datasets.keys())


def _connect(scratch: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a database in memory that reaches no file but its own scratch."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,  # one thread keeps the order of rows the same on every run
        "memory_limit": MEMORY,
        "python_enable_replacements": False,
    }
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        config["temp_directory"] = str(scratch)
    connection = duckdb.connect(config=config)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _register(connection: duckdb.DuckDBPyConnection, sql: str | None, around: Beside) -> None:
    """Give the SQL its other tables: accepted rows of other datasets, and code lists."""
    words = None if sql is None else _words(sql)
    for name, (dataset, path) in around.datasets.items():
        if words is not None and name not in words:
            continue
        columns = dataset.names() if sql is None else _columns(dataset, sql)
        if path.is_file():
            connection.register("_other", rows_of([path], dataset, columns))
            connection.execute(f'CREATE TEMP TABLE "{name}" AS SELECT * EXCLUDE ({PLACE}) FROM _other')  # noqa: S608 - a dataset's name
        else:
            connection.register(name, _schema(dataset, columns).empty_table())
    for name, vocabulary in around.lists.items():
        if words is None or name in words:
            connection.register(name, _list_table(vocabulary))


def _list_table(vocabulary: Vocabulary) -> pa.Table:
    """Give a vocabulary's codes beside the columns that only it has."""
    terms = vocabulary.terms.values()
    own = next(iter(terms)).more if vocabulary.terms else {}
    texts = {name: [term.more[name] or None for term in terms] for name in own}
    return pa.table({"code": list(vocabulary.terms), **texts}).cast(
        pa.schema([(name, pa.string()) for name in ("code", *own)])
    )


def _columns(dataset: Dataset, sql: str) -> tuple[str, ...]:
    """List the columns that an SQL text names, so that no other is read."""
    words = _words(sql)
    return tuple(name for name in dataset.names() if name in words or name in ALWAYS)


def _words(sql: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", sql))


def _schema(dataset: Dataset, columns: tuple[str, ...]) -> pa.Schema:
    working = working_schema(dataset)
    plain = [(name, _plain_type(working.field(name).type)) for name in columns]
    return pa.schema([(PLACE, pa.int64()), *plain])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def rows_of(paths: Sequence[Path], dataset: Dataset, columns: tuple[str, ...]) -> pa.RecordBatchReader:
    """Stream some columns of files of rows, with texts plain and each row's place among all beside them."""
    schema = _schema(dataset, columns)
    return pa.RecordBatchReader.from_batches(schema, _numbered(paths, schema))


def _numbered(paths: Sequence[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    start = 0
    for path in paths:
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                places = pa.array(np.arange(start, start + batch.num_rows))
                plain = [batch.column(field.name).cast(field.type) for field in schema if field.name != PLACE]
                yield pa.RecordBatch.from_arrays([places, *plain], schema=schema)
                start += batch.num_rows


def _look(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    connection.execute(f"CREATE TEMP TABLE seen AS {dataset.table_view}")
    told = connection.execute(
        f"SELECT (SELECT count(*) FROM rows), count(*), count(DISTINCT {PLACE}) FROM seen"  # noqa: S608 - a name of ours
    ).fetchall()
    rows, seen, distinct = told[0]
    if not rows == seen == distinct:
        words = f"{rows} rows came out as {seen}, of which {distinct} differ"
        raise ContractError(f"{dataset.name}.yml: table_view must give each of its rows once; {words}")


def _broken(connection: duckdb.DuckDBPyConnection, rules: tuple[Rule, ...], shown: tuple[str, ...]) -> pa.Table:
    names = [f"_rule_{index}" for index in range(len(rules))]
    # A rule is broken only where its column has a value, as every other rule.
    told = [
        f'coalesce(({rule.value}) AND "{rule.column}" IS NOT NULL, false) AS {name}'
        for rule, name in zip(rules, names, strict=True)
    ]
    kept = dict.fromkeys([*ALWAYS, *shown])
    return connection.sql(
        f"SELECT {', '.join([*kept, *names])} FROM (SELECT *, {', '.join(told)} FROM seen) "  # noqa: S608 - the contract's own SQL
        f"WHERE {' OR '.join(names)} ORDER BY {PLACE}"
    ).to_arrow_table()


def _together(found: pa.Table, rules: tuple[Rule, ...]) -> Together:
    batches = found.combine_chunks().to_batches()
    rows = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=found.schema)
    findings = [
        Finding(rule.id, rule.severity, rule.column, mask, rows.column(rule.column), rule.hint)
        for index, rule in enumerate(rules)
        if (mask := rows.column(f"_rule_{index}")).true_count
    ]
    return Together(rows, rows.column(PLACE).to_numpy(zero_copy_only=False), findings)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
