"""Answers one SQL SELECT from a published release, and from nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.errors import ContractError


@contextmanager
def opened(release: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a release for reading: one view per dataset, no other file, no network, no way out.

    Parameters
    ----------
    release : folder of one release.
    """
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    try:
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET allowed_directories = [?]", [str(release)])
        for dataset in sorted(path.name for path in release.iterdir() if any(path.glob("*.parquet"))):
            files = str(release / dataset / "*.parquet").replace("'", "''")
            connection.execute(f"CREATE VIEW \"{dataset}\" AS SELECT * FROM read_parquet('{files}')")  # noqa: S608 - a release's own folder
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def query(sql: str, release: Path) -> pa.Table:
    """Run exactly one SELECT over a release's datasets.

    Raises
    ------
    ContractError
        If it is anything else, or does not run; the message names the datasets that there are.
    """
    with opened(release) as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise ContractError("query: exactly one SELECT is answered")
            found: pa.Table = connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            names = sorted(
                row[0]
                for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
            )
            raise ContractError(f"query: {str(error).splitlines()[0]} (datasets: {', '.join(names)})") from error
    return found
