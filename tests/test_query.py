"""A question is one SELECT over a release, and reaches nothing else."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ContractError
from pipelines.query import query


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "releases" / "1"
    (folder / "assay").mkdir(parents=True)
    pq.write_table(
        pa.table({"analyte": ["Li", "Au"], "value_ppm": [120.0, 0.5]}), folder / "assay" / "part-00000.parquet"
    )
    (tmp_path / "secret.csv").write_text("word\nhidden\n", encoding="utf-8")
    return folder


def test_a_dataset_is_asked_by_its_name(release: Path) -> None:
    assert query("SELECT analyte FROM assay WHERE value_ppm > 1", release).to_pylist() == [{"analyte": "Li"}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM assay; SELECT 1",
        "DROP VIEW assay",
        "COPY assay TO 'out.csv'",
        "ATTACH 'x.db'",
        "SET enable_external_access = true",
        "SELECT * FROM '{parent}/secret.csv'",
        "SELECT * FROM read_text('{parent}/secret.csv')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "INSTALL spatial",
        "PRAGMA database_list",
    ],
)
def test_anything_but_one_select_over_the_release_is_refused(release: Path, sql: str) -> None:
    with pytest.raises(ContractError):
        query(sql.format(parent=release.parents[1]), release)
    assert not (Path.cwd() / "out.csv").exists()


def test_a_misspelt_dataset_is_answered_with_those_that_there_are(release: Path) -> None:
    with pytest.raises(ContractError, match="datasets: assay"):
        query("SELECT * FROM assays", release)
