"""Readers of documents and workbooks meet what is not theirs: one clear finding, and no rows."""

from pathlib import Path

import pytest

from pipelines.readers import Limits
from tests.partners import opened, rules_of

STRICT = Limits(deadline_s=10, cpu_s=5, memory_bytes=1 << 30, output_bytes=256 << 20)
READERS = ("aseg_gdf2", "gml", "html_table", "las", "xls")
FOREIGN = (
    "gz/bomb.csv.gz",
    "geojson/deep_100k.geojson",
    "parquet/dict_bomb_500MB.parquet",
    "xlsx/sheet_bomb.xlsx",
    "xml/deep_200000.kml",
)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_of_documents_takes_what_is_not_its_own(tmp_path: Path, shared: Path, reader: str, name: str) -> None:
    outcome = opened(shared / "badinputs/generated" / name, reader, tmp_path, limits=STRICT)
    assert outcome.path is None
    assert [severity for _rule, severity, _row in rules_of(outcome)] == ["error"]
    assert outcome.issues[0]["found"] and outcome.issues[0]["hint"]
    assert str(tmp_path) not in str(outcome)
