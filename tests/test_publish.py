"""A release is whole, true and the same again, whatever happens while it is made."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.contracts import Dataset, Schemas
from pipelines.errors import ContractError, RejectedError
from pipelines.publish import (
    Share,
    current,
    list_releases,
    load_release,
    rebuild_current,
    verify_release,
)
from pipelines.store import LocalStore
from tests.shares import files_in, ids, published, rows_of, share_of, stated, two_shares

DATASETS = ("assay", "mineral_occurrence")


@pytest.fixture
def datasets(schemas: Schemas) -> dict[str, Dataset]:
    return {name: schemas.datasets[name] for name in DATASETS}


@pytest.fixture
def shares(datasets: dict[str, Dataset], tmp_path: Path) -> list[Share]:
    return two_shares(datasets, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "home")


def test_a_release_holds_every_dataset_and_says_so(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    done = published(shares, datasets, store)
    assert (done.number, done.new, done.folder) == (1, True, "releases/1")
    assert done.rows == {"assay": 120, "mineral_occurrence": 780}
    release = load_release(store)
    told = {file["path"] for entry in release["datasets"].values() for file in entry["files"]}
    twins = {entry["geopackage"]["path"] for entry in release["datasets"].values()}
    rest = {file["path"] for file in release["files"]}
    assert told == {"assay/part-00000.parquet", *(f"mineral_occurrence/part-0000{part}.parquet" for part in range(3))}
    assert set(files_in(store, done.folder)) == told | twins | rest | {"release.json"}
    counted = duckdb.read_parquet(f"{store.root}/{done.folder}/mineral_occurrence/*.parquet")
    assert len(counted.select("record_id").distinct()) == 780
    assert release["datasets"]["mineral_occurrence"]["extent"] == pytest.approx([68, 8, 97, 35], abs=0.5)


def test_the_ledger_balances_for_every_feed_and_dataset(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    done = published(shares, datasets, store)
    found = {
        (row.feed, row.dataset): (row.accepted, row.published, row.superseded, row.withheld) for row in done.ledger
    }
    assert found == {
        ("gsi_sites", "mineral_occurrence"): (500, 480, 20, 0),
        ("bgs_sites", "mineral_occurrence"): (300, 300, 0, 0),
        ("bgs_sites", "assay"): (160, 120, 40, 0),
    }
    ledger = load_release(store)["ledger"]
    assert ledger["sources"][0]["quarantined"] == 4
    assert ledger["datasets"][0] | {"feed": "gsi_sites", "shaped": 505, "accepted": 500} == ledger["datasets"][0]
    assert [row["withheld_by_rule"] for row in ledger["release"]] == [{}, {}, {}]


def test_restricted_rows_are_released_and_left_to_exports(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    done = published(shares, datasets, store)
    rows = duckdb.read_parquet(f"{store.root}/{done.folder}/mineral_occurrence/*.parquet")
    assert len(rows.filter("tier = 'restricted'")) == 300


def test_feeds_and_licences_are_told(shares: list[Share], datasets: dict[str, Dataset], store: LocalStore) -> None:
    published(shares, datasets, store)
    release = load_release(store)
    assert {feed: told["state"] for feed, told in release["feeds"].items()} == {
        "gsi_sites": "fresh",
        "bgs_sites": "carried",
        "usgs_sites": "absent",
    }
    assert release["feeds"]["bgs_sites"]["rows"] == {"assay": 120, "mineral_occurrence": 300}
    assert release["feeds"]["bgs_sites"]["since"] == 1
    assert release["feeds"]["usgs_sites"]["since"] is None
    (licence,) = release["licences"].values()
    assert licence["rows"] == 900
    assert licence["feeds"] == {"bgs_sites": 420, "gsi_sites": 480}
    assert licence["attributions"]["gsi_sites"] == "Contains gsi_sites's records"


def test_columns_are_explained_in_the_dictionary_and_the_manifest(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    done = published(shares, datasets, store)
    lines = store.get(f"{done.folder}/dictionary.csv").decode().splitlines()
    assert lines[0] == "dataset,column,type,unit,vocabulary,tier,description"
    assert any(line.startswith("mineral_occurrence,elevation_m,number,m,") for line in lines)
    assert len(lines) == 1 + sum(len(dataset.fields) for dataset in datasets.values()) + 1
    schema = {column["name"]: column for column in load_release(store)["datasets"]["assay"]["schema"]}
    assert schema["value_ppm"]["unit"] == "ppm"
    assert "mineral_occurrence" in store.get(f"{done.folder}/README.txt").decode()


def test_no_file_of_a_release_tells_a_time(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    done = published(shares, datasets, store)
    day = done.committed_at[:10].encode()
    assert json.loads(store.get(done.log_key))["committed_at"] == done.committed_at
    assert not [key for key in store.list(f"{done.folder}/") if day in store.get(key)]


def test_the_same_shares_give_the_same_bytes(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore, tmp_path: Path
) -> None:
    other = LocalStore(tmp_path / "elsewhere")
    one = published(shares, datasets, store)
    two = published(two_shares(datasets, tmp_path / "again"), datasets, other, bucket_rows=100_000)
    assert one.content_hash == two.content_hash
    assert files_in(store, one.folder) == files_in(other, two.folder)


def test_nothing_new_publishes_nothing(shares: list[Share], datasets: dict[str, Dataset], store: LocalStore) -> None:
    first = published(shares, datasets, store)
    unchanged = [replace(share, state="unchanged") for share in shares]
    again = published(unchanged, datasets, store)
    assert (again.number, again.new, again.content_hash) == (1, False, first.content_hash)
    assert again.ledger == first.ledger
    assert len(list_releases(store)) == 1
    assert not store.list("releases/2")


def test_a_new_statement_makes_a_new_release_on_top(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore, tmp_path: Path
) -> None:
    first = published(shares, datasets, store)
    sites = datasets["mineral_occurrence"]
    more = stated(tmp_path / "more", sites, rows_of(sites, ids(9000), feed="gsi_sites", delivery="1" * 64))
    changed = replace(shares[0], delivery="1" * 64, datasets={})
    changed = replace(changed, accepted={"mineral_occurrence": [*shares[0].accepted["mineral_occurrence"], more]})
    second = published([changed, *shares[1:]], datasets, store)
    assert (second.number, second.new) == (2, True)
    assert second.semantic_version == "1.0.1"
    release = load_release(store)
    assert release["parent"] == {"release": 1, "content_hash": first.content_hash}
    assert release["feeds"]["gsi_sites"]["since"] == 2
    assert release["feeds"]["bgs_sites"]["since"] == 1
    assert load_release(store, 1)["release"] == 1
    assert verify_release(store, 1) == verify_release(store, 2) == 9


def test_a_changed_attribution_is_published(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    published(shares, datasets, store)
    named = replace(shares[0], rights=replace(shares[0].rights, attribution="Contains other words"))
    assert published([named, *shares[1:]], datasets, store).new


@pytest.mark.parametrize(
    ("change", "version"),
    [
        (lambda fields: fields[:-1], "2.0.0"),
        (lambda fields: (*fields[:-1], fields[-1].model_copy(update={"unit": "m"})), "2.0.0"),
        (lambda fields: (*fields, fields[-1].model_copy(update={"name": "more"})), "1.1.0"),
        (lambda fields: (*fields[:-1], fields[-1].model_copy(update={"description": "in other words"})), "1.0.1"),
    ],
)
def test_the_version_tells_what_a_schema_change_means_to_readers(
    datasets: dict[str, Dataset], store: LocalStore, change: Callable[..., Any], version: str
) -> None:
    assay = datasets["assay"]
    published([], {"assay": assay}, store)
    changed = assay.model_copy(update={"fields": change(assay.fields)})
    assert published([], {"assay": changed}, store).semantic_version == version


def test_a_large_dataset_has_no_twin_and_the_release_says_why(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    published(shares, datasets, store, twin_rows=500)
    told = {name: entry["geopackage"] for name, entry in load_release(store)["datasets"].items()}
    assert told["assay"]["path"] == "assay.gpkg"
    assert told["mineral_occurrence"] == {"absent": "780 rows; a GeoPackage is made of at most 500"}


def test_rows_that_were_counted_and_are_not_there_stop_the_release(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    missing = replace(shares[0], datasets={"mineral_occurrence": {"accepted": 501}})
    with pytest.raises(RejectedError, match="501 accepted rows, its files have 500"):
        published([missing, *shares[1:]], datasets, store)
    assert current(store) is None


def test_a_record_that_stands_twice_stops_the_release(
    datasets: dict[str, Dataset], store: LocalStore, tmp_path: Path
) -> None:
    assay = datasets["assay"]
    path = stated(tmp_path, assay, rows_of(assay, ids(1, 2, 1), feed="gsi_assays"))
    with pytest.raises(RejectedError, match="gsi:register:1 stands 2 times"):
        published([share_of("gsi_assays", {"assay": [path]})], datasets, store)
    assert current(store) is None


def test_unknown_datasets_and_doubled_feeds_are_refused(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    with pytest.raises(ContractError, match="unknown"):
        published(shares, {"assay": datasets["assay"]}, store)
    with pytest.raises(ContractError, match="twice"):
        published([shares[0], shares[0]], datasets, store)


@dataclass(frozen=True)
class DecayingStore(LocalStore):
    """A store on a disk that flips one bit of one kind of file while it is written."""

    suffix: str = ".parquet"

    def put_new(self, key: str, source: Path | bytes) -> None:
        """Store a file, and flip a bit in its middle."""
        super().put_new(key, source)
        if key.endswith(self.suffix):
            flip(self.path(key))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg", "dictionary.csv"])
def test_a_bit_that_flips_on_the_way_stops_the_release(
    shares: list[Share], datasets: dict[str, Dataset], tmp_path: Path, suffix: str
) -> None:
    store = DecayingStore(tmp_path / "home", suffix)
    with pytest.raises(RejectedError, match="was not committed: .*SHA-256 differs"):
        published(shares, datasets, store)
    assert current(store) is None
    whole = published(shares, datasets, LocalStore(store.root))
    assert whole.folder.startswith("releases/1-")
    assert verify_release(LocalStore(store.root)) == 9


def test_a_bit_that_flips_later_is_found(shares: list[Share], datasets: dict[str, Dataset], store: LocalStore) -> None:
    done = published(shares, datasets, store)
    for path in files_in(store, done.folder):
        target = store.path(f"{done.folder}/{path}")
        before = target.read_bytes()
        flip(target)
        with pytest.raises(RejectedError, match=path):
            verify_release(store, done.number)
        target.write_bytes(before)
    store.path(f"{done.folder}/assay.gpkg").unlink()
    with pytest.raises(RejectedError, match="assay.gpkg: missing"):
        verify_release(store)


def test_current_is_derived_from_the_log(shares: list[Share], datasets: dict[str, Dataset], store: LocalStore) -> None:
    done = published(shares, datasets, store)
    told = json.loads(store.get("current.json"))
    assert told["release"] == 1
    assert told["manifest_sha256"] == done.manifest_sha256
    store.path("current.json").unlink()
    assert current(store) == told
    rebuild_current(store)
    assert json.loads(store.get("current.json")) == told


def test_what_was_never_published_is_told_so(store: LocalStore) -> None:
    assert current(store) is None
    assert list_releases(store) == []
    rebuild_current(store)
    with pytest.raises(RejectedError, match="no release"):
        load_release(store)


def test_a_release_that_was_tampered_with_is_not_loaded(
    shares: list[Share], datasets: dict[str, Dataset], store: LocalStore
) -> None:
    done = published(shares, datasets, store)
    manifest = json.loads(store.get(f"{done.folder}/release.json"))
    manifest["datasets"]["assay"]["rows"] = 7
    store.path(f"{done.folder}/release.json").write_text(json.dumps(manifest))
    with pytest.raises(RejectedError, match="not the one that was committed"):
        load_release(store)


def test_the_workspace_is_cleared(shares: list[Share], datasets: dict[str, Dataset], store: LocalStore) -> None:
    published(shares, datasets, store)
    assert list((store.root / "staging").iterdir()) == []
