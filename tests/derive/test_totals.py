"""Totals of resources: what is added, what is refused and why, and what is contained."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.contracts import Dataset, Schemas
from pipelines.derive import Members, derive
from pipelines.derive.totals import REASONS
from pipelines.publish.geoparquet import write
from pipelines.publish.shares import Options
from tests.conftest import PROJECT
from tests.planted import table

RIGHTS = {"licence": "CC-BY-4.0", "tier": "open", "feed": "norland_estimates", "rights_basis": "licence"}
DEPOSIT = {"record_id": "norland:estimates:1", "site_id": "norland:sites:1", "effective_on": date(2020, 6, 30)}


def rows_of(dataset: Dataset, rows: list[dict[str, Any]]) -> pa.Table:
    """Make rows of which only some columns have values."""
    names = dataset.names()
    whole = [{**{name: RIGHTS.get(name) for name in names}, **row} for row in rows]
    return table(dataset, {name: [row[name] for row in whole] for name in names})


def quantity(number: int, category: str, mass: float | None, estimate: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "record_id": f"norland:quantities:{number}",
        "estimate_id": f"norland:estimates:{estimate}",
        "category": category,
        "mass_t": mass,
        "of_what": "ore",
        "quantity_qualifier": "=",
        **more,
    }


def grade(number: int, commodity: str, ppm: float, category: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "record_id": f"norland:grades:{number}",
        "estimate_id": "norland:estimates:1",
        "commodity": commodity,
        "grade_ppm": ppm,
        "element_ppm": ppm,
        "element": commodity[:2].title(),
        "category": category,
        "grade_qualifier": "=",
        **more,
    }


class Register:
    """A small register of estimates, and what is computed from it."""

    def __init__(self, schemas: Schemas, folder: Path) -> None:
        self.schemas, self.folder = schemas, folder

    def compute(self, name: str, estimates: list[dict], quantities: list[dict], grades: list[dict]) -> list[dict]:
        """Publish the register, and compute a dataset from it."""
        given = {"estimate": estimates, "estimate_quantity": quantities, "estimate_grade": grades}
        files = {}
        for dataset, rows in given.items():
            contract = self.schemas.datasets[dataset]
            written = write(contract, [rows_of(contract, rows)] if rows else [], self.folder, Options())
            files[dataset] = [self.folder / part.path for part in written.parts]
        path = self.folder / "made.arrow"
        members = Members(files, PROJECT / "schemas" / "vocabularies", self.folder / "scratch")
        derive(self.schemas.datasets[name], members, path)
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
            return reader.read_all().to_pylist()

    def totals(self, quantities: list[dict], grades: list[dict] = (), estimates: list[dict] = (DEPOSIT,)) -> list[dict]:
        """Give the totals."""
        return self.compute("resource_total", list(estimates), quantities, list(grades))

    def reasons(self, quantities: list[dict], estimates: list[dict] = (DEPOSIT,)) -> dict[int, str]:
        """Give the reason of every refused quantity, by its number."""
        rows = self.compute("resource_refusal", list(estimates), quantities, [])
        return {int(row["quantity_id"].rsplit(":", 1)[1]): row["reason"] for row in rows}


@pytest.fixture
def register(schemas: Schemas, tmp_path: Path) -> Register:
    return Register(schemas, tmp_path)


def test_leaves_are_added_and_a_total_beside_them_is_not(register: Register) -> None:
    """5 + 3 Mt of measured and indicated ore are 8 Mt, though their stated sum stands beside them."""
    quantities = [
        quantity(1, "measured-mineral-resource", 5e6),
        quantity(2, "indicated-mineral-resource", 3e6),
        quantity(3, "measured-and-indicated-mineral-resource", 8e6),
    ]
    (row,) = register.totals(quantities)
    assert (row["kind"], row["basis"], row["commodity"], row["mass_t"]) == ("resource", "ore", None, 8e6)
    assert row["categories"] == ["indicated-mineral-resource", "measured-mineral-resource"]
    assert row["members"] == ["norland:estimates:1", "norland:quantities:1", "norland:quantities:2"]
    assert row["left_out_rows"] == 1
    assert register.reasons(quantities) == {3: "total"}


def test_contained_metal_is_tonnage_times_the_grade_of_its_category(register: Register) -> None:
    """5 Mt at 2 % and 3 Mt at 1 % hold 100,000 t and 30,000 t of copper."""
    quantities = [quantity(1, "measured-mineral-resource", 5e6), quantity(2, "indicated-mineral-resource", 3e6)]
    grades = [grade(1, "copper", 2e4, "measured-mineral-resource"), grade(2, "copper", 1e4)]
    ore, copper = sorted(register.totals(quantities, grades), key=lambda row: row["basis"], reverse=True)
    assert ore["mass_t"] == 8e6
    assert (copper["commodity"], copper["compound"], copper["mass_t"]) == ("copper", "Co", pytest.approx(130_000))
    assert (copper["method"], copper["ore_t"]) == ("tonnage-times-grade", 8e6)


def test_a_stated_metal_stands_before_one_computed_from_the_grade(register: Register) -> None:
    quantities = [
        quantity(1, "inferred-mineral-resource", 1e6),
        quantity(2, "inferred-mineral-resource", 19_000, of_what="commodity", contained_commodity="copper"),
    ]
    rows = register.totals(quantities, [grade(1, "copper", 2e4)])
    assert {(row["basis"], row["method"], row["mass_t"]) for row in rows} == {
        ("ore", "stated", 1e6),
        ("contained-commodity", "stated", 19_000),
    }


def test_a_brine_holds_volume_times_concentration(register: Register) -> None:
    """2 million m3 at 500 mg/L, which is 500 g in each cubic metre, hold 1,000 t of lithium."""
    quantities = [quantity(1, "indicated-mineral-resource", None, volume_m3=2e6, of_what="solution")]
    brine = grade(1, "lithium", 0, grade_ppm=None, element_ppm=None, element=None, concentration_mg_l=500.0)
    rows = {row["basis"]: row for row in register.totals(quantities, [{**brine, "compound": "Li"}])}
    assert rows["solution"]["volume_m3"] == 2e6
    assert rows["contained-commodity"]["mass_t"] == pytest.approx(1000)
    assert rows["contained-commodity"]["method"] == "volume-times-concentration"


def test_only_the_latest_estimate_of_a_site_counts(register: Register) -> None:
    newer = {**DEPOSIT, "record_id": "norland:estimates:2", "effective_on": date(2022, 6, 30)}
    quantities = [quantity(1, "measured-mineral-resource", 5e6), quantity(2, "inferred-mineral-resource", 7e6, 2)]
    (row,) = register.totals(quantities, estimates=[DEPOSIT, newer])
    assert (row["estimate_id"], row["mass_t"]) == ("norland:estimates:2", 7e6)
    assert register.reasons(quantities, [DEPOSIT, newer]) == {1: "superseded"}


def test_metal_of_an_older_estimate_does_not_stand_beside_ore_of_a_newer_one(register: Register) -> None:
    newer = {**DEPOSIT, "record_id": "norland:estimates:2", "effective_on": date(2022, 6, 30)}
    metal = quantity(1, "measured-mineral-resource", 5e4, of_what="commodity", contained_commodity="copper")
    quantities = [metal, quantity(2, "measured-mineral-resource", 7e6, 2)]
    (row,) = register.totals(quantities, estimates=[DEPOSIT, newer])
    assert (row["basis"], row["mass_t"]) == ("ore", 7e6)


def test_parts_of_a_site_count_side_by_side_where_all_are_named(register: Register) -> None:
    north = {**DEPOSIT, "part": "north"}
    south = {**DEPOSIT, "record_id": "norland:estimates:2", "part": "south"}
    quantities = [quantity(1, "measured-mineral-resource", 5e6), quantity(2, "measured-mineral-resource", 7e6, 2)]
    assert sorted(row["mass_t"] for row in register.totals(quantities, estimates=[north, south])) == [5e6, 7e6]
    assert register.reasons(quantities, [north, {**south, "part": None}]) == {1: "same-date", 2: "same-date"}


@pytest.mark.parametrize(
    ("second", "estimate", "reasons"),
    [
        (quantity(2, "probable-ore-reserves", 2e6), {"is_inclusive": True}, {2: "included-in-resources"}),
        (quantity(2, "probable-ore-reserves", 2e6), {"is_inclusive": None}, {1: "may-include-reserves"}),
        (quantity(2, "probable-ore-reserves", 2e6), {"is_inclusive": False}, {}),
        (quantity(2, "unfc1997-334", 2e6), {}, {2: "not-a-resource"}),
        (quantity(2, "unfc1997-332", 2e6), {}, {2: "needs-competent-person"}),
        (quantity(2, "inferred-mineral-resource", None), {}, {2: "no-quantity"}),
        (quantity(2, "inferred-mineral-resource", 2e6, quantity_qualifier=">"), {}, {2: "bound"}),
        (quantity(2, "measured-mineral-resource", 2e6), {}, {1: "stated-twice", 2: "stated-twice"}),
    ],
    ids=["inclusive", "unsaid", "exclusive", "reconnaissance", "india", "no-mass", "bound", "twice"],
)
def test_what_may_not_be_added_is_a_row_with_its_reason(
    register: Register, second: dict, estimate: dict, reasons: dict[int, str]
) -> None:
    quantities = [quantity(1, "measured-mineral-resource", 5e6), second]
    assert register.reasons(quantities, [{**DEPOSIT, **estimate}]) == reasons


def test_every_quantity_is_in_a_total_or_refused(register: Register) -> None:
    quantities = [
        quantity(1, "measured-mineral-resource", 5e6),
        quantity(2, "measured-and-indicated-mineral-resource", 8e6),
        quantity(3, "proved-ore-reserves", 1e6),
        quantity(4, "exploration-target", 9e6),
    ]
    added = {one for row in register.totals(quantities) for one in row["members"] if ":quantities:" in one}
    refused = {f"norland:quantities:{number}" for number in register.reasons(quantities)}
    assert added | refused == {row["record_id"] for row in quantities}
    assert not added & refused


def test_the_strictest_tier_and_all_licences_of_quantity_estimate_and_grade_flow_in(register: Register) -> None:
    estimate = {**DEPOSIT, "licence": "CC0-1.0"}
    quantities = [quantity(1, "measured-mineral-resource", 5e6, confidential_until=date(2030, 1, 1))]
    rows = register.totals(quantities, [grade(1, "copper", 2e4, tier="restricted")], [estimate])
    tiers = {row["basis"]: row["tier"] for row in rows}
    assert tiers == {"ore": "open", "contained-commodity": "restricted"}
    assert all(row["licences"] == ["CC-BY-4.0", "CC0-1.0"] for row in rows)
    assert all(row["confidential_until"] == date(2030, 1, 1) for row in rows)


def test_the_contract_has_every_reason(schemas: Schemas) -> None:
    assert schemas.datasets["resource_refusal"].field("reason").constraints.enum == tuple(REASONS)
