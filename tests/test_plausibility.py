"""Where a record can be: mistakes are found, corrections are proposed with evidence, and none is applied unasked."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyproj import CRS

from pipelines import flow
from pipelines.contracts import Schemas, load_schemas
from pipelines.contracts.feeds import Position
from pipelines.errors import ContractError
from pipelines.flow.installation import find_feed, run_fingerprint
from pipelines.flow.linting import lint_schemas
from pipelines.geodesy import SHEETS, load_outlines, neighbours, outlines_digest, utm_zones, zone_of
from pipelines.harmonise import Harmonised
from pipelines.terms import VOCABULARIES, load_vocabulary
from tests.norland import FEED, installation
from tests.test_harmonise import broken, made, values

AUSTRALIA = [112, -44.5, 154.5, -9]


@pytest.fixture(autouse=True)
def _outlines() -> None:
    """Need the country outlines, which set-up installs."""
    if load_outlines() is None:
        pytest.fail("the country outlines are not installed; `make setup` installs them")


def placed(
    schemas: Schemas, x: float, y: float, *, crs: str = "EPSG:4326", country: str = "au", **more: Any
) -> Harmonised:
    position = {"x": "x", "y": "y", "crs": crs, **more}
    mapping = {"position": position, "columns": {"country": {"const": country}}}
    return made(schemas, "mineral_occurrence", mapping, x=[str(x)], y=[str(y)])


def found(done: Harmonised) -> dict[str, str]:
    """Give what each finding of the only row shows."""
    told = [finding for finding in done.findings if finding.mask[0].as_py()]
    return {one.rule.removeprefix("mineral_occurrence.position."): one.found[0].as_py() for one in told}


def test_a_point_in_its_country_and_area_is_not_doubted(schemas: Schemas) -> None:
    assert found(placed(schemas, 121.4, -30.7, area=AUSTRALIA)) == {}


@pytest.mark.parametrize(
    ("x", "y", "rule", "proposed"),
    [
        (-30.7, 121.4, "swapped_axes", "121.4, -30.7"),
        (121.4, 30.7, "lost_sign", "121.4, -30.7"),  # as the column DLat of the regolith chemistry
        (-121.4, -30.7, "lost_sign", "121.4, -30.7"),
        (-121.4, 30.7, "lost_sign", "121.4, -30.7"),
    ],
)
def test_a_correction_is_proposed_with_its_evidence_and_not_applied(
    schemas: Schemas, x: float, y: float, rule: str, proposed: str
) -> None:
    done = placed(schemas, x, y)
    assert found(done)[rule] == f"{x}, {y}; proposed {proposed}"
    told = next(one for one in done.findings if one.rule.endswith(rule) and one.mask[0].as_py())
    assert told.severity == "warning" and "the country that is stated" in told.hint
    assert (values(done, "source_x"), values(done, "source_y")) == ([x], [y])
    assert values(done, "position_note") == [None]
    if abs(y) <= 90:
        assert (values(done, "longitude"), values(done, "latitude")) == ([x], [y])


def test_one_coordinate_copied_over_the_other_cannot_be_mended(schemas: Schemas) -> None:
    done = placed(schemas, -105.476203632, -105.476203632, country="us")  # all six rows of the gallium deposits
    assert found(done) == {
        "not_transformable": "-105.476203632, -105.476203632",
        "copied": "-105.476203632, -105.476203632",
    }


def test_zeros_are_no_position(schemas: Schemas) -> None:
    assert set(found(placed(schemas, 0, 0, country="us"))) == {"zero"}


def test_a_point_that_nothing_explains_is_foreign(schemas: Schemas) -> None:
    assert found(placed(schemas, 2.35, 48.85)) == {"outside_country": "2.35, 48.85"}


@pytest.mark.parametrize(
    ("country", "lon", "lat"),
    [
        ("in", 76.0, 35.9),  # Gilgit-Baltistan, by India's maps
        ("pk", 77.6, 34.2),  # Leh, by Pakistan's map of 2020
        ("cn", 79.5, 35.2),  # Aksai Chin
        ("in", 79.5, 35.2),
        ("cn", 94.0, 28.0),  # Arunachal Pradesh
        ("in", 94.0, 28.0),
        ("np", 80.8, 30.2),  # Limpiyadhura
        ("ar", -59.0, -51.7),
        ("gb", -59.0, -51.7),
        ("us", -66.4, 18.2),  # Puerto Rico, a territory
        ("dk", -40.0, 70.0),  # Greenland
    ],
)
def test_what_a_country_claims_or_holds_is_not_foreign_to_it(
    schemas: Schemas, country: str, lon: float, lat: float
) -> None:
    assert found(placed(schemas, lon, lat, country=country)) == {}


def test_coordinates_of_the_zone_beside_are_recognised(schemas: Schemas) -> None:
    done = placed(schemas, 345678, 6612345, crs="EPSG:28353", area=[120, -32, 123, -29])  # Kalgoorlie, in zone 51
    assert found(done)["wrong_zone"].startswith("345678, 6612345; proposed 121.39")
    assert "EPSG:28351" in next(one.hint for one in done.findings if one.rule.endswith("wrong_zone"))


def test_metres_in_columns_of_degrees_are_recognised(schemas: Schemas) -> None:
    done = placed(schemas, 345678, 6612345, area=[120, -32, 123, -29])
    assert found(done)["metres_in_degrees"].startswith("345678, 6612345; proposed 121.39")


def test_where_several_systems_would_do_all_are_named_and_none_is_proposed(schemas: Schemas) -> None:
    done = placed(schemas, 345678, 6612345)  # in a whole continent five zones and more would fit
    assert found(done)["metres_in_degrees"] == "345678, 6612345"
    hint = next(one.hint for one in done.findings if one.rule.endswith("metres_in_degrees") and one.mask[0].as_py())
    assert "EPSG:32750" in hint and "EPSG:32755" in hint and hint.endswith("ask which")


def test_zones_of_a_stretch_across_180_degrees_are_those_of_both_ends() -> None:
    assert utm_zones(177.0, -178.0) == ("EPSG:32660", "EPSG:32760", "EPSG:32601", "EPSG:32701")


def test_an_easting_in_the_ground_of_another_zone_is_asked_about(schemas: Schemas) -> None:
    done = placed(schemas, 948000, 7100000, crs="EPSG:28352")  # as the first reading of the Musgrave survey
    assert set(found(done)) == {"beyond_zone"}
    told = next(one for one in done.findings if one.mask[0].as_py())
    assert "zone 52" in told.hint and "[53]" in told.hint
    assert zone_of("EPSG:4326") is None and zone_of("EPSG:27700") is None and neighbours("EPSG:27700") == ()


def test_a_grid_name_that_was_dragged_down_is_proposed_by_its_coordinates(schemas: Schemas) -> None:
    crs = {"from": "grid", "codes": {"MGA_94_55": "EPSG:28355"}}
    position = {"x": "e", "y": "n", "crs": crs, "area": [145.6, -20.5, 145.95, -20.2]}
    columns = {"e": ["371427"] * 2, "n": ["7750416"] * 2, "grid": ["MGA_94_55", "MGA_94_99"]}
    done = made(schemas, "drillhole", {"position": position}, **columns)
    assert broken(done) == {"drillhole.position.crs_unknown": [1], "drillhole.position.crs_proposed": [1]}
    assert values(done, "longitude")[1] is None


def sheeted(schemas: Schemas, series: str, sheet: str, lon: float, lat: float) -> dict[str, str]:
    position = {"x": "x", "y": "y", "crs": "EPSG:4326", "sheet": "sheet", "sheet_series": series}
    return found(made(schemas, "mineral_occurrence", {"position": position}, x=[lon], y=[lat], sheet=[sheet]))


def test_the_map_sheet_shows_what_a_country_cannot(schemas: Schemas) -> None:
    india, australia = "india-and-adjacent-countries", "australia-250k"
    assert sheeted(schemas, india, "58A/7", 76.3, 11.3) == {}
    assert "proposed 76.3, 11.3" in sheeted(schemas, india, "58A/7", 11.3, 76.3)["swapped_axes"]
    assert set(sheeted(schemas, india, "58A07,58A11", 77.9, 11.3)) == {"outside_sheet"}
    assert "proposed 120.2, -27.9" in sheeted(schemas, australia, "SG51_13", 120.2, 27.9)["lost_sign"]
    assert set(sheeted(schemas, india, "sheet 7", 76.3, 11.3)) == {"sheet_unreadable"}


@pytest.mark.parametrize(
    ("series", "number", "box"),
    [  # a place on each sheet: Survey of India's and Geoscience Australia's sheet names
        ("india-and-adjacent-countries", "53H/2", (77.0, 28.5, 77.25, 28.75)),  # Delhi
        ("india-and-adjacent-countries", "79B", (88.0, 22.0, 89.0, 23.0)),  # Kolkata
        ("india-and-adjacent-countries", "66C", (80.0, 13.0, 81.0, 14.0)),  # Chennai
        ("india-and-adjacent-countries", "47A", (72.0, 19.0, 73.0, 20.0)),  # Mumbai
        ("india-and-adjacent-countries", "43J", (74.0, 34.0, 75.0, 35.0)),  # Srinagar
        ("india-and-adjacent-countries", "87A", (92.0, 11.0, 93.0, 12.0)),  # Port Blair
        ("india-and-adjacent-countries", "57G12", (77.5, 13.0, 77.75, 13.25)),  # Bengaluru
        ("india-and-adjacent-countries", "57G17", None),
        ("india-and-adjacent-countries", "99A", None),
        ("australia-250k", "SE55-14", (145.5, -20.0, 147.0, -19.0)),  # Townsville
        ("australia-250k", "SH5109", (120.0, -31.0, 121.5, -30.0)),  # Kalgoorlie
        ("australia-250k", "SE55-17", None),
    ],
)
def test_sheet_numbers_are_boxes(series: str, number: str, box: tuple[float, ...] | None) -> None:
    assert SHEETS[series](number) == box


def test_sheets_of_the_indian_export_hold_its_blocks(shared: Path) -> None:
    blocks = json.loads((shared / "data/gsi-ngdr-export/Export_subset.json").read_text(encoding="utf-8"))
    for block in blocks:
        lat, lon = (float(block[f"exp_dd_{name}"].split(",")[0]) for name in ("latitude", "longitude"))
        numbers = [part for part in block["toposheet_number"].split(",") if part.strip()]
        boxes = [SHEETS["india-and-adjacent-countries"](number) for number in numbers]
        assert all(boxes)
        assert any(b[0] - 0.01 <= lon <= b[2] + 0.01 and b[1] - 0.01 <= lat <= b[3] + 0.01 for b in boxes if b), block


def test_a_declared_correction_is_applied_noted_and_leaves_the_source_as_it_was(schemas: Schemas) -> None:
    correction = {"do": "negate_y", "where": "flag = 'lost'", "reason": "the column lost its sign"}
    position = {"x": "x", "y": "y", "crs": "EPSG:4283", "country": "au", "corrections": [correction]}
    columns: dict[str, list[Any]] = {"x": ["121.4"] * 2, "y": ["30.7", "-30.7"], "_correct_0": [True, False]}
    done = made(schemas, "drillhole", {"position": position}, **columns)
    assert values(done, "latitude") == pytest.approx([-30.7, -30.7], abs=1e-4)
    assert values(done, "source_y") == [30.7, -30.7]
    assert values(done, "position_note") == ["negate_y: the column lost its sign", None]
    assert broken(done) == {}


def test_a_correction_is_of_points_and_a_sheet_has_a_series() -> None:
    with pytest.raises(ValueError, match="corrections are of points"):
        Position(geometry="_wkb", crs="EPSG:4326", corrections=({"do": "swap_xy", "reason": "x"},))
    with pytest.raises(ValueError, match="sheet_series"):
        Position(x="x", y="y", crs="EPSG:4326", sheet="sheet")


@pytest.mark.parametrize(
    ("words", "elevation", "kind"),
    [
        ({"elevation_datum": "ahd"}, 383.0, "orthometric"),
        ({"elevation_datum": "navd88", "z_unit": "ft"}, 383 * 0.3048, "orthometric"),
        ({"elevation_datum": "ellipsoid-gda2020"}, 383.0, "ellipsoidal"),
        ({"elevation_datum": "mine-level"}, None, "mine-level"),
        ({"elevation_datum": "unknown"}, None, "unknown"),
        ({"elevation_kind": "orthometric"}, None, "orthometric"),  # a kind without a datum is no elevation
        ({"elevation_datum": "mine-level", "elevation_kind": "orthometric"}, None, "orthometric"),
        ({}, None, "unknown"),
    ],
)
def test_a_level_is_an_elevation_only_in_a_known_datum(
    schemas: Schemas, words: dict[str, str], elevation: float | None, kind: str
) -> None:
    position = {"x": "x", "y": "y", "z": "z", "crs": "EPSG:4326", **words}
    done = made(schemas, "drillhole", {"position": position}, x=["121.4"], y=["-30.7"], z=["383"])
    assert values(done, "elevation_m") == [elevation if elevation is None else pytest.approx(elevation)]
    assert values(done, "source_z") == [383.0] and values(done, "elevation_kind") == [kind]
    assert values(done, "elevation_datum") == [words.get("elevation_datum")]


def test_every_vertical_datum_says_its_kind_and_its_source() -> None:
    datums = load_vocabulary(VOCABULARIES / "vertical_datum.csv")
    kinds = {datums.more(code, "kind") for code in datums.codes}
    assert kinds == {"orthometric", "ellipsoidal", "mine-level", "unknown"}
    assert datums.find("m AOD") == "odn" and datums.find("mean sea level") == "unknown"
    codes = {code: datums.uri(code) for code in datums.codes if datums.uri(code)}
    for code, uri in codes.items():
        crs = CRS(f"EPSG:{uri.rsplit('/', 1)[-1]}")
        assert crs.is_vertical == (datums.more(code, "kind") == "orthometric"), code


def test_the_linter_knows_countries_datums_and_units_of_heights(tmp_path: Path) -> None:
    words = "country: aus, z: h, z_unit: kg, elevation_datum: mine-level, elevation_kind: orthometric"
    feed = FEED.replace('crs: "EPSG:4326"', f'crs: "EPSG:4326", {words}')
    settings = installation(tmp_path, feed)
    schemas = load_schemas(settings.schemas)
    told = " ".join(lint_schemas(settings, list(schemas.feeds.values())))
    assert "no country 'aus'" in told and "no conversion from kg" in told
    assert "elevation_kind 'orthometric' is not that of mine-level" in told


def outlined(path: Path, column: str = "ISO_A2") -> Path:
    """Write an outline of one country, a box of ten degrees."""
    corners = [[4, 57], [14, 57], [14, 67], [4, 67], [4, 57]]
    shape = {"type": "Polygon", "coordinates": [corners]}
    feature = {"type": "Feature", "properties": {column: "NO"}, "geometry": shape}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    return path


def test_an_installation_may_name_outlines_of_its_own(
    schemas: Schemas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert found(placed(schemas, 20.0, 69.0, country="no")) == {}
    before = outlines_digest()
    monkeypatch.setenv("MINERALS_OUTLINES", str(outlined(tmp_path / "ours.geojson")))
    assert found(placed(schemas, 20.0, 69.0, country="no")) == {"outside_country": "20, 69"}
    assert found(placed(schemas, 94.0, 28.0, country="in")) == {}  # no outline of India here, so no doubt either
    assert outlines_digest() != before


def test_a_file_that_holds_no_outlines_is_a_contract_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINERALS_OUTLINES", str(outlined(tmp_path / "names.geojson", "NAME")))
    with pytest.raises(ContractError, match="names.geojson has no column ISO_A2_EH or ISO_A2"):
        load_outlines()
    (tmp_path / "text.geojson").write_text("no outlines")
    monkeypatch.setenv("MINERALS_OUTLINES", str(tmp_path / "text.geojson"))
    with pytest.raises(ContractError, match="text.geojson holds no country outlines"):
        load_outlines()


def test_without_outlines_the_run_says_that_the_comparison_was_not_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINERALS_OUTLINES", str(tmp_path / "nothing.zip"))
    record = flow.ingest("norland_sites", installation(tmp_path))
    assert record["outlines"].startswith("not installed")
    monkeypatch.delenv("MINERALS_OUTLINES")
    assert run_fingerprint(find_feed("norland_sites", installation(tmp_path / "again"))) != record["fingerprint"]
