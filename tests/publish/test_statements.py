"""Of several statements about a record, the newest stands."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts import Dataset, Schemas
from pipelines.errors import RejectedError
from pipelines.publish.statements import standing
from tests.shares import ids, rows_of, share_of, stated


@pytest.fixture
def assay(schemas: Schemas) -> Dataset:
    return schemas.datasets["assay"]


def what_stands(dataset: Dataset, shares: list, work: Path) -> list[tuple[str, str]]:
    batches = standing(dataset, shares, work).batches()
    return [(row["record_id"], row["batch"]) for batch in batches for row in batch.to_pylist()]


def test_the_later_file_of_a_feed_stands(assay: Dataset, tmp_path: Path) -> None:
    old = stated(tmp_path / "old", assay, rows_of(assay, ids(1, 2, 3), batch="old"))
    new = stated(tmp_path / "new", assay, rows_of(assay, ids(3, 4, 1), batch="new"))
    share = share_of("gsi_assays", {"assay": [old, new]})
    found = what_stands(assay, [share], tmp_path)
    assert found == [(ids(2)[0], "old"), *((record, "new") for record in ids(3, 4, 1))]
    assert standing(assay, [share], tmp_path).superseded_rows("gsi_assays") == 2


def test_the_later_feed_stands(assay: Dataset, tmp_path: Path) -> None:
    one = stated(tmp_path / "one", assay, rows_of(assay, ids(1, 2), batch="one"))
    other = stated(tmp_path / "other", assay, rows_of(assay, ids(2, 3), batch="other"))
    shares = [share_of("gsi_one", {"assay": [one]}), share_of("gsi_other", {"assay": [other]})]
    assert dict(what_stands(assay, shares, tmp_path))[ids(2)[0]] == "other"
    assert dict(what_stands(assay, shares[::-1], tmp_path))[ids(2)[0]] == "one"
    stands = standing(assay, shares, tmp_path)
    assert [stands.superseded_rows(share.feed) for share in shares] == [1, 0]


def test_many_statements_give_what_a_dictionary_would(assay: Dataset, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    expected: dict[str, str] = {}
    files = []
    for number in range(6):
        records = ids(*random.choice(400, 150, replace=False))
        files.append(stated(tmp_path / str(number), assay, rows_of(assay, records, batch=str(number)), batch_rows=37))
        expected |= dict.fromkeys(records, str(number))
    found = what_stands(assay, [share_of("gsi_assays", {"assay": files})], tmp_path)
    assert len(found) == len(expected)
    assert dict(found) == expected


def test_a_file_that_was_cut_off_is_refused(assay: Dataset, tmp_path: Path) -> None:
    path = stated(tmp_path, assay, rows_of(assay, ids(*range(50))))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(RejectedError, match="cannot be read"):
        list(standing(assay, [share_of("gsi_assays", {"assay": [path]})], tmp_path).batches())


def test_rows_of_another_contract_are_refused(assay: Dataset, tmp_path: Path) -> None:
    path = stated(tmp_path, assay, rows_of(assay, ids(1)).append_column("more", pa.array([1])))
    with pytest.raises(RejectedError, match="another contract"):
        list(standing(assay, [share_of("gsi_assays", {"assay": [path]})], tmp_path).batches())
