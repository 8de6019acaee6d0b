"""What a partner's values become, and that nothing present becomes absent unseen."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.contracts import Feed, Schemas
from pipelines.errors import ContractError, MineralsError
from pipelines.flow.installation import vocabularies_of
from pipelines.harmonise import Harmonised, RawTable, harmonise, plan, shape

KEY = {"authority": "norland", "register": "sites", "columns": ["id"]}


def feed_of(dataset: str, mapping: dict[str, Any]) -> Feed:
    return Feed.model_validate(
        {
            "feed": "norland_sites",
            "title": "Sites",
            "partner": "norland",
            "description": "Sites for a test.",
            "owner": "Survey of Norland",
            "schedule": "0 3 * * 1",
            "cadence": "P1M",
            "tables": {"sites": {"path": "norland/sites.csv", "reader": "delimited"}},
            "rights": {"basis": "licence", "document": "A licence", "licence": "CC-BY-4.0"},
            "datasets": {dataset: {"key": KEY, **mapping}},
        }
    )


def made(schemas: Schemas, dataset: str, mapping: dict[str, Any], **columns: list[Any]) -> Harmonised:
    feed = feed_of(dataset, mapping)
    contract = schemas.datasets[dataset]
    how = plan(feed, contract, "d" * 64, {"sites": "sites.csv"}, vocabularies_of(contract, schemas))
    count = len(next(iter(columns.values())))
    columns = {"id": [str(one) for one in range(1, count + 1)], **columns, "_row": list(range(2, count + 2))}
    return harmonise(pa.RecordBatch.from_pydict(columns), how)


def values(done: Harmonised, column: str) -> list[Any]:
    return done.batch.column(column).to_pylist()


def broken(done: Harmonised) -> dict[str, list[int]]:
    """Rows, from 0, that each finding is about."""
    masks = {finding.rule: finding.mask.to_pylist() for finding in done.findings}
    return {rule: [row for row, is_broken in enumerate(mask) if is_broken] for rule, mask in masks.items() if any(mask)}


def test_a_record_says_where_it_comes_from(schemas: Schemas) -> None:
    done = made(schemas, "mineral_occurrence", {"columns": {"name": "name"}}, name=["Store Berg"])
    assert values(done, "record_id") == ["norland:sites:1"]
    assert values(done, "source_file") == ["sites.csv"]
    assert values(done, "source_row") == [2]
    assert values(done, "licence") == ["CC-BY-4.0"]


def test_a_row_without_its_whole_key_has_no_id(schemas: Schemas) -> None:
    done = made(schemas, "mineral_occurrence", {}, id=["7", None, "  "])
    assert values(done, "record_id") == ["norland:sites:7", None, None]


def test_terms_keep_their_text_and_unknown_ones_are_found(schemas: Schemas) -> None:
    columns = {"status": {"from": "status", "codes": {"I DRIFT": "operating"}}}
    done = made(schemas, "mineral_occurrence", {"columns": columns}, status=["I DRIFT", "Closed ", "sleeping", None])
    assert values(done, "status") == ["operating", "closed", None, None]
    assert values(done, "status_text") == ["I DRIFT", "Closed ", "sleeping", None]
    assert broken(done) == {"mineral_occurrence.status.unknown_term": [2]}


def test_lists_keep_the_order_of_the_source(schemas: Schemas) -> None:
    columns = {"commodities": {"from": "metals", "split": "[;/]"}}
    done = made(
        schemas, "mineral_occurrence", {"columns": columns}, metals=["Zinc;copper/zinc", "gold;unobtanium", None]
    )
    assert values(done, "commodities") == [["zinc", "copper"], ["gold"], None]
    assert broken(done) == {"mineral_occurrence.commodities.unknown_term": [1]}


def test_dates_are_read_in_every_declared_layout(schemas: Schemas) -> None:
    columns = {"source_modified": {"from": "day", "format": ["%d-%b-%y", "%d-%b-%Y %H:%M:%S"]}}
    days = ["29-OCT-02", "29-OCT-2002 09:07:14", "2002-10-29", None]
    done = made(schemas, "mineral_occurrence", {"columns": columns}, day=days)
    assert values(done, "source_modified") == [date(2002, 10, 29), date(2002, 10, 29), None, None]
    assert broken(done) == {"mineral_occurrence.source_modified.unreadable": [2]}


def test_numbers_that_cannot_be_read_are_found(schemas: Schemas) -> None:
    done = made(schemas, "drillhole", {"columns": {"depth_m": "depth"}}, depth=["12.5", "deep", "", None])
    assert values(done, "depth_m") == [12.5, None, None, None]
    assert broken(done) == {"drillhole.depth_m.unreadable": [1]}


def test_a_broken_year_is_no_year(schemas: Schemas) -> None:
    columns = {"effective_year": {"from": "year", "nulls": ["0"]}}
    done = made(schemas, "estimate", {"columns": columns}, year=["1981", "0", "1981.5"])
    assert values(done, "effective_year") == [1981, None, None]
    assert broken(done) == {"estimate.effective_year.not_whole": [2]}


def test_results_keep_value_qualifier_limit_unit_and_text(schemas: Schemas) -> None:
    columns = {
        "value": {"from": "value", "unit_from": "unit", "encoding": "less-than-text"},
        "analyte": {"const": "Au"},
    }
    done = made(
        schemas, "assay", {"columns": columns}, value=["12", "<5", ">100", "trace"], unit=["ppb", "ppm", "ppm", "ppm"]
    )
    assert values(done, "value") == [12.0, None, None, None]
    assert values(done, "qualifier")[:3] == ["=", "<", ">"]
    assert values(done, "detection_limit") == [None, 5.0, 100.0, None]
    assert values(done, "unit") == ["ppb", "ppm", "ppm", "ppm"]
    assert values(done, "value_ppm") == [0.012, None, None, None]
    assert values(done, "value_text") == ["12", "<5", ">100", "trace"]
    assert broken(done)["assay.value.unreadable"] == [3]


def test_an_undeclared_zero_is_below_an_unknown_limit(schemas: Schemas) -> None:
    columns = {"value": {"from": "value", "unit": "ppb", "encoding": "zero-is-below-undeclared"}}
    done = made(schemas, "assay", {"columns": columns}, value=["0.0", "1.5"])
    assert values(done, "value") == [None, 1.5]
    assert values(done, "qualifier") == ["<", "="]
    assert values(done, "detection_limit") == [None, None]
    assert broken(done) == {"assay.value.zero_undeclared": [0]}


def test_a_qualifier_and_a_limit_may_stand_in_columns_of_their_own(schemas: Schemas) -> None:
    beside = {"encoding": "qualifier-column", "qualifier_from": "mark", "limit_from": "limit"}
    columns = {"value": {"from": "value", "unit": "ppm", **beside}}
    done = made(schemas, "assay", {"columns": columns}, value=["5", "12"], mark=["<", None], limit=["5", "1"])
    assert values(done, "value") == [None, 12.0]
    assert values(done, "qualifier") == ["<", "="]
    assert values(done, "detection_limit")[0] == 5.0


def test_coordinates_may_have_a_decimal_comma(schemas: Schemas) -> None:
    position = {"x": "lon", "y": "lat", "crs": "EPSG:4326", "decimal": ","}
    done = made(schemas, "mineral_occurrence", {"position": position}, lon=["10,5"], lat=["60,5"])
    assert (values(done, "longitude"), values(done, "latitude")) == ([10.5], [60.5])


def test_a_grade_of_an_oxide_is_given_as_its_element_too(schemas: Schemas) -> None:
    columns = {"commodity": {"const": "tungsten"}, "compound": "item", "grade": {"from": "grade", "unit": "%"}}
    done = made(schemas, "estimate_grade", {"columns": columns}, item=["WO3", "Cu"], grade=["0.5", "2"])
    assert values(done, "grade_ppm") == [5000.0, 20000.0]
    assert values(done, "element") == ["W", "Cu"]
    assert values(done, "element_ppm") == pytest.approx([5000 * 0.7930, 20000], rel=1e-3)  # W in WO3: 183.84 / 231.84


def test_points_keep_their_own_coordinates_and_say_how_they_were_moved(schemas: Schemas) -> None:
    position = {"x": "e", "y": "n", "crs": "EPSG:28355", "area": [146, -21, 147, -20], "uncertainty_m": 5}
    done = made(schemas, "drillhole", {"position": position}, e=["371427.0"], n=["7750416.0"])
    assert values(done, "source_x") == [371427.0]
    assert values(done, "source_crs") == ["EPSG:28355"]
    assert (values(done, "longitude")[0], values(done, "latitude")[0]) == pytest.approx((145.77, -20.34), abs=0.01)
    assert values(done, "crs_operation")[0]
    assert values(done, "position_uncertainty_m")[0] >= 5
    assert broken(done) == {"drillhole.position.outside_area": [0]}


def test_a_system_that_the_feed_does_not_know_is_found(schemas: Schemas) -> None:
    position = {"x": "e", "y": "n", "crs": {"from": "grid", "codes": {"MGA_94_55": "EPSG:28355"}}}
    done = made(
        schemas,
        "drillhole",
        {"position": position},
        e=["371427"] * 2,
        n=["7750416"] * 2,
        grid=["MGA_94_55", "MGA_94_99"],
    )
    assert values(done, "longitude")[1] is None
    assert values(done, "source_x") == [371427.0, 371427.0]
    assert broken(done) == {"drillhole.position.crs_unknown": [1]}


@pytest.mark.parametrize(
    ("lon", "lat", "rules"),
    [
        ("10.5", None, ["position.missing"]),
        ("10.5", "sixty", ["position.unreadable"]),
        ("10.5", "160.5", ["position.not_transformable"]),
        ("0", "0", ["position.outside_area", "position.zero"]),
    ],
)
def test_a_point_that_cannot_be_placed_is_found(schemas: Schemas, lon: str, lat: str | None, rules: list[str]) -> None:
    position = {"x": "lon", "y": "lat", "crs": "EPSG:4326", "area": [4, 57, 32, 72]}
    done = made(schemas, "mineral_occurrence", {"position": position}, lon=[lon, "10.5"], lat=[lat, "60.5"])
    assert broken(done) == {f"mineral_occurrence.{rule}": [0] for rule in rules}
    assert values(done, "longitude")[1] == 10.5


def test_corner_lists_become_polygons_and_both_notations_are_compared(schemas: Schemas) -> None:
    corners = {"x": "lon", "y": "lat", "check_x": "dms_lon", "check_y": "dms_lat"}
    position = {"corners": corners, "crs": "EPSG:4326"}
    square = {"lon": "69.0,69.1,69.1,69.0\t", "lat": "23.0,23.0,23.1,23.1"}
    done = made(
        schemas,
        "exploration_activity",
        {"position": position},
        lon=[square["lon"]] * 2,
        lat=[square["lat"]] * 2,
        dms_lon=["69°0'0,69°6'0,69°6'0,69°0'0", "69°0'0,69°16'0,69°16'0,69°0'0"],
        dms_lat=["23°0'0,23°0'0,23°6'0,23°6'0"] * 2,
    )
    assert values(done, "longitude") == pytest.approx([69.05, 69.05])
    assert broken(done) == {"exploration_activity.position.corners_differ": [1]}


@pytest.mark.parametrize("crs", ["EPSG:24382", "EPSG:4243"])
def test_a_system_without_a_known_operation_is_refused(schemas: Schemas, crs: str) -> None:
    contract = schemas.datasets["drillhole"]
    feed = feed_of("drillhole", {"position": {"x": "e", "y": "n", "crs": crs}})
    with pytest.raises(MineralsError, match="Kalianpur 1880"):
        plan(feed, contract, "d" * 64, {"sites": "sites.csv"}, vocabularies_of(contract, schemas))


def test_a_missing_column_refuses_the_delivery_and_says_what_is_there(schemas: Schemas) -> None:
    with pytest.raises(ContractError, match=r"partner column missing: 'name'; have \['id', 'navn'\]"):
        made(schemas, "mineral_occurrence", {"columns": {"name": "name"}}, navn=["Berg"])


def test_joined_rows_name_every_row_that_they_were_made_from(schemas: Schemas, tmp_path: Path) -> None:
    tables = {}
    for name, rows in {"sites": {"id": ["1", "2"]}, "names": {"id": ["1", "1"], "name": ["a", "b"]}}.items():
        path = tmp_path / f"{name}.arrow"
        batch = pa.RecordBatch.from_pydict({**rows, "_row": [2, 3]})
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        tables[name] = RawTable(name, f"{name}.csv", path)
    select = (
        "SELECT s.id, s._row, list(n._row ORDER BY n._row) AS _row_names "
        "FROM sites s LEFT JOIN names n USING (id) GROUP BY ALL ORDER BY 2"
    )
    feed = feed_of("mineral_occurrence", {"select": select, "main": "sites"})
    contract = schemas.datasets["mineral_occurrence"]
    files = {name: table.file for name, table in tables.items()}
    how = plan(feed, contract, "d" * 64, files, vocabularies_of(contract, schemas))
    (shaped,) = shape(tables, how.mapping, "sites", tmp_path / "scratch", feed.id)
    assert values(harmonise(shaped, how), "source_also")[0] == ["names.csv:2", "names.csv:3"]


READING = {"survey_id": {"const": "norland:surveys:1"}, "channel": {"const": "Con"}}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("[1.5, 2, -3e2]", [1.5, 2.0, -300.0]),
        ("[1.5, -9999999.99, null]", [1.5, None, None]),
        ("[]", []),
        (" ", None),
        (None, None),
    ],
)
def test_an_array_becomes_a_list_of_numbers_in_its_order(
    schemas: Schemas, text: str | None, numbers: list[float | None] | None
) -> None:
    columns = {**READING, "values": {"from": "con", "nulls": ["-9999999.99"]}}
    done = made(schemas, "geophysical_reading", {"columns": columns}, con=["[7]", text])
    assert values(done, "values") == [[7.0], numbers]
    assert values(done, "values_text") == ["[7]", text]
    assert broken(done) == {}


def test_an_array_with_an_element_that_is_no_number_is_found(schemas: Schemas) -> None:
    columns = {**READING, "values": "con"}
    done = made(schemas, "geophysical_reading", {"columns": columns}, con=["[1, 2]", "[1, x]", "1, 2", "[[1], 2]"])
    assert values(done, "values") == [[1.0, 2.0], [1.0, None], None, None]
    assert broken(done) == {"geophysical_reading.values.unreadable": [1, 2, 3]}


def test_an_array_may_be_split_as_the_feed_says(schemas: Schemas) -> None:
    columns = {**READING, "values": {"from": "con", "split": "[|]", "decimal": ","}}
    done = made(schemas, "geophysical_reading", {"columns": columns}, con=["1,5|2|", "8"])
    assert values(done, "values") == [[1.5, 2.0, None], [8.0]]


def test_a_category_tells_its_classes_and_how_surely_unless_the_feed_does(schemas: Schemas) -> None:
    columns = {"estimate_id": "id", "category": "class", "quantity": {"from": "t", "unit": "t"}}
    given = {"class": ["Indicated", "222", "334"], "t": ["5", "6", "7"]}
    done = made(schemas, "estimate_quantity", {"columns": columns}, **given)
    assert values(done, "crirsco") == ["indicated-resource", None, "exploration-target"]
    assert values(done, "unfc_g") == ["G2", None, None]
    assert values(done, "match_strength") == ["close", "none", "competent-person"]
    own = made(schemas, "estimate_quantity", {"columns": {**columns, "unfc_g": {"const": "G1"}}}, **given)
    assert values(own, "unfc_g") == ["G1", "G1", "G1"]


def test_defence_material_is_restricted_whatever_the_feed_says(schemas: Schemas) -> None:
    columns = {"kind": {"const": "magnet"}, "is_defence": {"from": "defence", "codes": {"Y": "true", "N": "false"}}}
    done = made(schemas, "secondary_resource", {"columns": columns}, defence=["Y", "N", None])
    assert values(done, "tier") == ["restricted", "open", "open"]


def test_a_brine_has_a_concentration_and_a_rock_a_mass_fraction(schemas: Schemas) -> None:
    columns = {"commodity": {"const": "lithium"}, "grade": {"from": "li", "unit_from": "unit"}}
    done = made(schemas, "estimate_grade", {"columns": columns}, li=["1835", "0.62", "1.2"], unit=["mg/L", "%", "g/L"])
    assert values(done, "concentration_mg_l") == [1835.0, None, 1200.0]
    assert values(done, "grade_ppm") == [None, pytest.approx(6200.0), None]


def test_gravity_in_milligals_is_ten_times_as_many_micrometres_a_second_squared(schemas: Schemas) -> None:
    """1 Gal is 1 cm/s2 (BIPM, The International System of Units, 8th edition, table 9)."""
    columns = {**READING, "value": {"from": "g", "unit_from": "unit"}}
    done = made(schemas, "geophysical_reading", {"columns": columns}, g=["-12.5", "-125"], unit=["mGal", "um/s2"])
    assert values(done, "gravity_um_s2") == [pytest.approx(-125.0), -125.0]
    assert values(done, "magnetic_nt") == [None, None]


def test_a_control_sample_has_no_geometry_and_needs_no_position(schemas: Schemas) -> None:
    mapping = {"columns": {"role": "role"}, "position": {"x": "lon", "y": "lat", "crs": "EPSG:4326"}}
    roles = ["original", "blank", "standard", "original"]
    done = made(
        schemas, "sample", mapping, role=roles, lon=["10.5", "10.6", None, None], lat=["60.5", "60.6", None, None]
    )
    assert [shape is not None for shape in values(done, "geometry")] == [True, False, False, False]
    assert values(done, "longitude") == [10.5, None, None, None]
    assert values(done, "source_x") == [10.5, 10.6, None, None]
    assert values(done, "role") == roles
    assert broken(done) == {"sample.position.missing": [3]}


def test_a_deposit_type_tells_its_group_and_environment(schemas: Schemas) -> None:
    """Hofstra and others 2021 (USGS OFR 2021-1049) put pegmatites into the magmatic environment."""
    columns = {"deposit_type": "type"}
    done = made(schemas, "mineral_occurrence", {"columns": columns}, type=["Abyssal pegmatite REE", "pegmatite", None])
    assert values(done, "deposit_group") == ["pegmatite", "pegmatite", None]
    environments = values(done, "deposit_environment")
    assert environments[0] == environments[1] == "magmatic"
