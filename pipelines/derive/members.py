"""What a derivation may read: the published rows of the datasets that it names, and vocabularies, as tables."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.contracts import Dataset
from pipelines.errors import ContractError

BATCH_ROWS = 65_536
MEMORY = "1GB"


@dataclass(frozen=True)
class Members:
    """The rows that a derivation may read.

    Parameters
    ----------
    files : Parquet files of each dataset, in their order.
    vocabularies : folder of the vocabularies.
    scratch : folder that DuckDB may spill to.
    """

    files: Mapping[str, Sequence[Path]]
    vocabularies: Path
    scratch: Path

    def scan(self, dataset: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream the rows of a dataset, or some of their columns, in the published order."""
        for path in self.files[dataset]:
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=columns)

    def table(self, dataset: str, columns: Sequence[str]) -> pa.Table:
        """Read some columns of a dataset whole."""
        batches = list(self.scan(dataset, columns))
        return pa.Table.from_batches(batches) if batches else pa.table({name: pa.nulls(0) for name in columns})

    def connect(self, vocabularies: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
        """Open DuckDB with a view of each dataset and vocabulary, one thread, and no file or network in reach."""
        import pyarrow.dataset as ds  # heavy: loads pandas

        self.scratch.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(
            config={
                "threads": 1,  # one thread keeps the order of a join, and the rounding of a sum, the same on every run
                "memory_limit": MEMORY,
                "temp_directory": str(self.scratch),
                "python_enable_replacements": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        for name, paths in self.files.items():
            connection.register(name, ds.dataset([str(path) for path in paths], format="parquet"))
        for name in vocabularies:
            connection.register(name, vocabulary_table(self.vocabularies / f"{name}.csv"))
        return connection


def vocabulary_table(path: Path) -> pa.Table:
    """Read a vocabulary as a table of text; an empty cell is null.

    Raises
    ------
    ContractError
        If there is no such vocabulary.
    """
    if not path.is_file():
        raise ContractError(f"no vocabulary {path.name} to compute from")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or ())
        rows = [[row[name] or None for name in names] for row in reader]
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=names)


def select(dataset: Dataset, members: Members) -> Iterator[pa.RecordBatch]:
    """Stream the rows of a contract's SELECT in the order of their record ids.

    Raises
    ------
    ContractError
        If the SQL is not one SELECT, or does not run.
    """
    connection = members.connect(dataset.vocabularies)
    try:
        yield from connection.sql(one_select(dataset)).to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        raise ContractError(f"{dataset.name}.yml: its SQL does not run: {str(error).splitlines()[0]}") from error
    finally:
        connection.close()


def one_select(dataset: Dataset) -> str:
    """Give a contract's SELECT, with its rows in the order of their record ids.

    Raises
    ------
    ContractError
        If it is anything but one SELECT.
    """
    sql = (dataset.select or "").strip().rstrip(";")
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise ContractError(f"{dataset.name}.yml: not readable as SQL: {str(error).splitlines()[0]}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ContractError(f"{dataset.name}.yml: select must be exactly one SELECT")
    return f"SELECT * FROM ({sql}) AS made ORDER BY record_id"  # noqa: S608 - the contract's own SQL
