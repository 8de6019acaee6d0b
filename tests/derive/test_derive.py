"""Datasets that are computed from others: by a SELECT or a function, and held to their contract."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.contracts import Dataset, Schemas, load_datasets, load_feed
from pipelines.derive import Members, derive
from pipelines.errors import ContractError
from pipelines.flow.linting import lint_schemas
from pipelines.publish.geoparquet import write
from pipelines.publish.shares import Options
from pipelines.settings import Settings
from tests.conftest import PROJECT
from tests.norland import installation
from tests.shares import ids, rows_of

VOCABULARIES = PROJECT / "schemas" / "vocabularies"
SELECT = """
SELECT 'derived:country-sites:' || country AS record_id, country, count(*) AS sites, max(tier) AS tier,
    list_sort(list(DISTINCT licence)) AS licences, list_sort(list(DISTINCT feed)) AS feeds,
    max(confidential_until) AS confidential_until, count(*) AS member_count, list_sort(list(record_id)) AS members
FROM mineral_occurrence GROUP BY country
"""
CONTRACT = {
    "name": "country_sites",
    "title": "Sites by country",
    "description": "For a test.",
    "grain": "one country",
    "version": "1.0.0",
    "shared": ["identity", "derivation"],
    "derived_from": ["mineral_occurrence"],
    "select": SELECT,
    "fields": [
        {"name": "country", "type": "string", "vocabulary": "country", "description": "Country"},
        {"name": "sites", "type": "integer", "description": "Sites", "constraints": {"minimum": 1}},
    ],
}


def with_contract(schemas: Path, **changes: object) -> dict[str, Dataset]:
    """Add a computed dataset to an installation's contracts, and load them all."""
    contract = {**CONTRACT, **changes}
    (schemas / "datasets" / f"{contract['name']}.yml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    return load_datasets(schemas)


def members(schemas: Schemas, folder: Path) -> Members:
    """Publish four sites in three countries, one of them restricted."""
    sites = schemas.datasets["mineral_occurrence"]
    columns = {
        "country": ["in", "gb", "in", "no"],
        "tier": ["open", "open", "restricted", "partner"],
        "licence": ["CC0-1.0", "OGL-UK-3.0", "CC-BY-4.0", "CC0-1.0"],
        "feed": ["gsi_a", "bgs_a", "gsi_b", "ngu_a"],
    }
    written = write(sites, [rows_of(sites, ids(1, 2, 3, 4), **columns)], folder, Options())
    return Members({sites.name: [folder / part.path for part in written.parts]}, VOCABULARIES, folder / "scratch")


def computed(dataset: Dataset, of: Members, folder: Path) -> list[dict]:
    path = folder / "made.arrow"
    derive(dataset, of, path)
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        return reader.read_all().to_pylist()


@pytest.fixture
def norland(tmp_path: Path) -> Settings:
    return installation(tmp_path / "norland")


def test_the_strictest_tier_and_every_licence_of_the_members_flow_in(
    norland: Settings, schemas: Schemas, tmp_path: Path
) -> None:
    dataset = with_contract(norland.schemas)["country_sites"]
    rows = {row["country"]: row for row in computed(dataset, members(schemas, tmp_path), tmp_path)}
    assert rows["in"]["sites"] == 2
    assert rows["in"]["tier"] == "restricted"
    assert rows["in"]["licences"] == ["CC-BY-4.0", "CC0-1.0"]
    assert rows["in"]["members"] == ids(1, 3)
    assert (rows["no"]["tier"], rows["gb"]["tier"]) == ("partner", "open")


def test_rows_come_in_the_order_of_their_ids_and_twice_the_same(
    norland: Settings, schemas: Schemas, tmp_path: Path
) -> None:
    dataset = with_contract(norland.schemas)["country_sites"]
    of = members(schemas, tmp_path)
    first, second = computed(dataset, of, tmp_path), computed(dataset, of, tmp_path)
    assert first == second
    assert [row["record_id"].rsplit(":", 1)[1] for row in first] == ["gb", "in", "no"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"select": SELECT.replace("count(*) AS sites", "0 AS sites")}, "country_sites.sites.minimum: 3 computed rows"),
        ({"select": SELECT.replace("count(*) AS sites", "1 AS site")}, r"missing \['sites'\], surplus \['site'\]"),
        ({"select": SELECT.replace("GROUP BY", "GROUPED BY")}, "not readable as SQL"),
        ({"select": SELECT + "; DROP TABLE mineral_occurrence"}, "exactly one SELECT"),
        ({"select": SELECT.replace("mineral_occurrence", "nothing")}, "its SQL does not run"),
        ({"select": SELECT.replace("mineral_occurrence", "read_csv('/etc/passwd')")}, "its SQL does not run"),
        ({"select": SELECT.replace("country, count", "'xx' AS country, count")}, "country.vocabulary"),
        ({"select": None}, "give a select"),
    ],
    ids=["rule", "columns", "syntax", "two-statements", "unknown-table", "file", "vocabulary", "no-function"],
)
def test_a_derivation_that_does_not_keep_its_contract_is_refused(
    norland: Settings, schemas: Schemas, tmp_path: Path, changes: dict, said: str
) -> None:
    dataset = with_contract(norland.schemas, **changes)["country_sites"]
    with pytest.raises(ContractError, match=said):
        computed(dataset, members(schemas, tmp_path), tmp_path)


def test_a_dataset_computed_from_one_that_does_not_exist_is_refused(norland: Settings) -> None:
    with pytest.raises(ContractError, match="did you mean 'mineral_occurrence'"):
        with_contract(norland.schemas, derived_from=["mineral_ocurrence"])


def test_datasets_computed_from_each_other_are_refused(norland: Settings) -> None:
    with_contract(norland.schemas)
    with_contract(norland.schemas, name="site_countries", derived_from=["country_sites"])
    with pytest.raises(ContractError, match="computed from each other: .*country_sites"):
        with_contract(norland.schemas, derived_from=["site_countries"])


def test_no_feed_fills_a_dataset_that_is_computed(norland: Settings) -> None:
    datasets = with_contract(norland.schemas)
    path = norland.schemas / "feeds" / "norland_sites.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("  mineral_occurrence:", "  country_sites:"), encoding="utf-8")
    with pytest.raises(ContractError, match=r"norland_sites\.yml:12: country_sites is computed at each release"):
        load_feed(path, datasets)


def test_lint_says_why_a_dataset_cannot_be_computed(norland: Settings) -> None:
    with_contract(norland.schemas, select=None, vocabularies=["colour"])
    said = lint_schemas(norland, [])
    assert "country_sites.yml: vocabularies: no vocabulary 'colour'" in said
    assert any(line.startswith("country_sites.yml: no select, and no derivation of its name") for line in said)
    with_contract(norland.schemas, derived_from=[])
    assert "country_sites.yml: select: say in derived_from or vocabularies what it is computed from" in lint_schemas(
        norland, []
    )


def test_a_commodity_stands_on_a_list_by_name_or_by_its_group(schemas: Schemas, tmp_path: Path) -> None:
    """India's list of June 2023 names lithium, and the rare earths as a group; gold is on none of its lists."""
    rows = computed(schemas.datasets["critical_membership"], Members({}, VOCABULARIES, tmp_path), tmp_path)
    india = {row["commodity"]: row for row in rows if row["list"] == "IN-2023"}
    assert sum(row["is_direct"] for row in india.values()) == 30
    assert india["lithium"]["is_direct"]
    assert (india["neodymium"]["is_direct"], india["neodymium"]["listed_commodity"]) == (False, "rare-earth-element")
    assert india["neodymium"]["effective_on"].isoformat() == "2023-06-28"
    assert not {"gold", "iron"} & india.keys()


def test_a_list_of_which_only_the_year_is_known_keeps_that_text(schemas: Schemas, tmp_path: Path) -> None:
    rows = computed(schemas.datasets["critical_membership"], Members({}, VOCABULARIES, tmp_path), tmp_path)
    japan = {(row["effective_text"], row["effective_on"].isoformat()) for row in rows if row["jurisdiction"] == "jp"}
    assert japan == {("2009", "2009-01-01")}
    assert {row["list"] for row in rows if row["membership"] == "unsettled"} == {"UK-2024"}


def test_published_files_are_what_a_derivation_reads(schemas: Schemas, tmp_path: Path) -> None:
    of = members(schemas, tmp_path)
    read = pa.Table.from_batches(list(of.scan("mineral_occurrence", ["record_id", "country"])))
    assert read.column("country").to_pylist() == ["in", "gb", "in", "no"]
    assert read.equals(pq.read_table(of.files["mineral_occurrence"][0], columns=["record_id", "country"]))
