"""A contract is checked when it is loaded, and every mistake is told with its file, its line and the nearest word."""

from pathlib import Path

import pytest

from pipelines.contracts import Schemas, load_datasets, load_feed
from pipelines.contracts.arrow import arrow_schema, working_schema
from pipelines.errors import ContractError

SCHEMAS = Path(__file__).resolve().parents[1] / "schemas"
FEED = """\
feed: {name}
title: Three sites
partner: norland
description: Sites for a test.
owner: Survey of Norland
schedule: "0 3 * * 1"
cadence: P1M
tables:
  sites: {{path: norland/sites.csv, reader: delimited}}
rights: {{basis: licence, document: A licence, licence: CC-BY-4.0}}
datasets:
  mineral_occurrence:
    key: {{authority: norland, register: sites, columns: [id]}}
    columns:
      name: name
      occurrence_type: {{const: occurrence}}
    position: {{x: lon, y: lat, crs: "EPSG:4326"}}
"""


def written(folder: Path, text: str, name: str = "norland_sites") -> Path:
    path = folder / "feeds" / f"{name}.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(name=name) if "{name}" in text else text, encoding="utf-8")
    return path


def mistake(tmp_path: Path, old: str, new: str) -> str:
    text = FEED.format(name="norland_sites")
    assert old in text
    path = written(tmp_path, text.replace(old, new))
    with pytest.raises(ContractError) as caught:
        load_feed(path, load_datasets(SCHEMAS))
    return str(caught.value)


def test_a_feed_that_holds_is_loaded(tmp_path: Path) -> None:
    feed = load_feed(written(tmp_path, FEED), load_datasets(SCHEMAS))
    assert feed.id == "norland_sites"
    assert feed.datasets["mineral_occurrence"].columns["name"].source == "name"


def test_a_misspelt_key_is_told_with_its_line_and_the_nearest_key(tmp_path: Path) -> None:
    message = mistake(tmp_path, "schedule:", "shedule:")
    assert message.startswith("norland_sites.yml:6:")
    assert "did you mean 'schedule'" in message


def test_a_misspelt_column_is_told_with_its_line_and_the_nearest_column(tmp_path: Path) -> None:
    message = mistake(tmp_path, "occurrence_type:", "ocurrence_type:")
    assert message.startswith("norland_sites.yml:16:")
    assert "did you mean 'occurrence_type'" in message


def test_a_misspelt_dataset_is_told_with_the_nearest_dataset(tmp_path: Path) -> None:
    assert "did you mean 'mineral_occurrence'" in mistake(tmp_path, "mineral_occurrence:", "mineral_ocurrence:")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("feed: norland_sites", "feed: other", "must be the file's name"),
        ("name: name", "name: {from: name, const: x}", "exactly one of from, const or key"),
        ("{path: norland/sites.csv, reader", "{path: a, url: b, reader", "either path or url"),
        ('crs: "EPSG:4326"', 'crs: "EPSG:4326", crs_basis: assumed', "needs a crs_reason"),
        ("title: Three sites", "title: &t Three sites\nowner2: *t", "YAML aliases are not used"),
        ("title: Three sites", "title: [", "not readable as YAML"),
        ("title: Three sites", "title: !!python/object/apply:os.system [ls]", "not readable as YAML"),
    ],
)
def test_a_mistake_is_refused_in_words(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in mistake(tmp_path, old, new)


def test_a_changed_mapping_changes_the_fingerprint(tmp_path: Path) -> None:
    datasets = load_datasets(SCHEMAS)
    one = load_feed(written(tmp_path, FEED), datasets).fingerprint
    other = load_feed(written(tmp_path, FEED.replace("name: name", "name: title")), datasets).fingerprint
    assert one != other


def test_every_shared_column_stands_in_every_dataset_that_names_its_group(schemas: Schemas) -> None:
    for dataset in schemas.datasets.values():
        assert dataset.names()[0] == "record_id"
        told = {"feed", "delivery", "source_file", "source_row", "licence"}
        wanted = {"feeds", "licences", "members", "member_count"} if dataset.derived else told
        assert wanted | {"tier"} <= set(dataset.names())


def test_the_published_schema_carries_units_and_descriptions(schemas: Schemas) -> None:
    field = arrow_schema(schemas.datasets["assay"]).field("value_ppm")
    assert field.metadata[b"unit"] == b"ppm"
    assert b"mass fraction" in field.metadata[b"description"]


def test_working_and_published_schema_have_the_same_columns(schemas: Schemas) -> None:
    for dataset in schemas.datasets.values():
        assert working_schema(dataset).names == arrow_schema(dataset).names


def test_rule_names_are_unique_within_a_dataset(schemas: Schemas) -> None:
    for dataset in schemas.datasets.values():
        names = [rule.id for rule in dataset.rules()]
        assert len(names) == len(set(names))


def test_every_feed_is_one_file_of_less_than_120_lines() -> None:
    for path in (SCHEMAS / "feeds").glob("*.yml"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 120, path.name
