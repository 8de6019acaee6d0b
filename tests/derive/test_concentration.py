"""Concentration of supply: shares, the index with what is unknown, and what is not comparable."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.contracts import Dataset, Schemas
from pipelines.derive import Members, derive
from pipelines.publish.geoparquet import write
from pipelines.publish.shares import Options
from tests.conftest import PROJECT
from tests.planted import table

USUAL = {
    "flow_kind": "production",
    "stage": "mine",
    "commodity": "lithium",
    "basis": "contained-commodity",
    "year": 2020,
    "quantity_qualifier": "=",
    "feed": "norland_flows",
    "licence": "CC-BY-4.0",
    "tier": "open",
}


def rows_of(dataset: Dataset, rows: list[dict[str, Any]]) -> pa.Table:
    names = dataset.names()
    numbered = [{"record_id": f"norland:flows:{number}", **USUAL, **row} for number, row in enumerate(rows)]
    return table(dataset, {name: [row.get(name) for row in numbered] for name in names})


@pytest.fixture
def concentrations(schemas: Schemas, tmp_path: Path) -> Any:
    def compute(*rows: dict[str, Any]) -> list[dict[str, Any]]:
        flows = schemas.datasets["material_flow"]
        written = write(flows, [rows_of(flows, list(rows))], tmp_path, Options())
        files = {"material_flow": [tmp_path / part.path for part in written.parts]}
        path = tmp_path / "made.arrow"
        members = Members(files, PROJECT / "schemas" / "vocabularies", tmp_path / "scratch")
        derive(schemas.datasets["supply_concentration"], members, path)
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
            return reader.read_all().to_pylist()

    return compute


def test_shares_of_a_half_three_tenths_and_a_fifth_give_3800(concentrations: Any) -> None:
    """50^2 + 30^2 + 20^2 = 3800, as the US merger guidelines (2010, 5.3) define the index."""
    (row,) = concentrations(
        {"country": "au", "mass_t": 50.0}, {"country": "cl", "mass_t": 30.0}, {"country": "cn", "mass_t": 20.0}
    )
    assert row["countries"] == ["au", "cl", "cn"]
    assert row["shares"] == pytest.approx([0.5, 0.3, 0.2])
    assert row["hhi"] == pytest.approx(3800)
    assert row["hhi_most"] == pytest.approx(3800)
    assert (row["unknown_share"], row["total_t"], row["left_out_rows"]) == (0, 100, 0)


def test_one_country_gives_ten_thousand(concentrations: Any) -> None:
    (row,) = concentrations({"country": "cn", "mass_t": 7.0})
    assert (row["hhi"], row["hhi_most"]) == (pytest.approx(10_000), pytest.approx(10_000))


def test_what_a_world_total_has_beyond_the_countries_is_unknown(concentrations: Any) -> None:
    """Of 200 t, 50 and 30 are known: 25^2 + 15^2 = 850 at least, and 850 + 60^2 = 4450 if one supplies the rest."""
    (row,) = concentrations(
        {"country": "au", "mass_t": 50.0}, {"country": "cl", "mass_t": 30.0}, {"is_world_total": True, "mass_t": 200.0}
    )
    assert row["shares"] == pytest.approx([0.25, 0.15])
    assert (row["known_t"], row["total_t"], row["unknown_share"]) == (80, 200, pytest.approx(0.6))
    assert (row["hhi"], row["hhi_most"]) == (pytest.approx(850), pytest.approx(4450))
    assert row["left_out_rows"] == 0


def test_a_flow_of_no_country_is_unknown_too(concentrations: Any) -> None:
    (row,) = concentrations({"country": "au", "mass_t": 60.0}, {"country": None, "mass_t": 40.0})
    assert (row["hhi"], row["unknown_share"]) == (pytest.approx(3600), pytest.approx(0.4))


def test_world_totals_that_differ_are_left_out(concentrations: Any) -> None:
    (row,) = concentrations(
        {"country": "au", "mass_t": 50.0},
        {"is_world_total": True, "mass_t": 100.0},
        {"is_world_total": True, "mass_t": 90.0},
    )
    assert row["total_t"] == 50
    assert row["left_out"] == ["2 rows: world totals that differ"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"is_total_of": ["norland:flows:0"]}, "a total beside its parts"),
        ({"mass_t": None, "volume_m3": 5.0}, "no mass"),
        ({"quantity_qualifier": "<"}, "a bound"),
        ({"ownership_share": 0.5}, "the share of one owner"),
    ],
    ids=["total", "volume", "bound", "owner"],
)
def test_a_flow_that_is_not_comparable_is_left_out_and_counted(concentrations: Any, other: dict, said: str) -> None:
    (row,) = concentrations({"country": "au", "mass_t": 50.0}, {"country": "cl", "mass_t": 30.0, **other})
    assert (row["countries"], row["hhi"]) == (["au"], pytest.approx(10_000))
    assert (row["left_out_rows"], row["left_out"]) == (1, [f"1 rows: {said}"])
    assert row["member_count"] == 2


def test_what_a_country_states_twice_is_not_counted_twice(concentrations: Any) -> None:
    (row,) = concentrations(
        {"country": "au", "mass_t": 50.0}, {"country": "au", "mass_t": 55.0}, {"country": "cl", "mass_t": 30.0}
    )
    assert row["countries"] == ["cl"]
    assert row["left_out"] == ["2 rows: stated twice"]


@pytest.mark.parametrize(
    "other",
    [
        {"stage": "refinery"},
        {"basis": "ore"},
        {"compound": "Li2O"},
        {"year": 2021},
        {"flow_kind": "capacity"},
        {"moisture_basis": "wet"},
        {"feed": "sorland_flows"},
        {"site_name": "Storgruva"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_flows_of_another_kind_are_never_added(concentrations: Any, other: dict) -> None:
    rows = concentrations({"country": "au", "mass_t": 50.0}, {"country": "cl", "mass_t": 30.0, **other})
    assert sorted(row["total_t"] for row in rows) == [30, 50]


def test_imports_are_spread_over_the_countries_that_they_come_from(concentrations: Any) -> None:
    bought = {"flow_kind": "import", "country": "gb"}
    (row,) = concentrations(
        {**bought, "partner_country": "cl", "mass_t": 75.0}, {**bought, "partner_country": "ar", "mass_t": 25.0}
    )
    assert (row["market"], row["countries"], row["hhi"]) == ("gb", ["cl", "ar"], pytest.approx(6250))


def test_a_year_of_which_nothing_is_comparable_is_still_a_row(concentrations: Any) -> None:
    (row,) = concentrations({"country": "au", "mass_t": None})
    assert (row["hhi"], row["countries"], row["unknown_share"], row["left_out_rows"]) == (None, None, None, 1)


def test_the_strictest_tier_flows_in(concentrations: Any) -> None:
    (row,) = concentrations(
        {"country": "au", "mass_t": 50.0}, {"country": "in", "mass_t": 30.0, "tier": "restricted", "licence": "CC0-1.0"}
    )
    assert (row["tier"], row["licences"]) == ("restricted", ["CC-BY-4.0", "CC0-1.0"])
