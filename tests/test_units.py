"""Units: factors with sourced values, refusals with their reasons, conversion of columns."""

import csv

import pyarrow as pa
import pytest
from python_calamine import CalamineWorkbook

from pipelines.errors import ContractError
from pipelines.terms import VOCABULARIES, load_vocabulary
from pipelines.units import REFUSED, code_of, convert, dimension, factor, refusal, scale
from tests.truth import truth


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        ("kt", "Mt", 0.001),  # kilotonne; pint alone would read knots
        ("short-ton", "kg", 907.18474),  # NIST SP 811: 2000 lb of 0.45359237 kg
        ("long-ton", "kg", 1016.0469088),  # NIST SP 811: 2240 lb
        ("troy-oz", "g", 31.1034768),  # NIST SP 811
        ("ct", "g", 0.2),  # metric carat, CGPM 1907
        ("troy-oz/short-ton", "g/t", 31.1034768 / 0.90718474),  # 34.2857 g/t
        ("lb/short-ton", "%", 0.05),
        ("cpht", "ct/t", 0.01),
        ("g/t", "ppm", 1.0),
        ("%", "ppm", 1e4),
        ("ppb", "ppm", 0.001),
        ("lakh-t", "t", 1e5),  # Indian numbering
        ("crore-t", "Mt", 10.0),
        ("mGal", "um/s2", 10.0),  # 1 Gal = 1 cm/s2
        ("ft", "m", 0.3048),  # international foot, 1959
        ("acre", "m2", 4046.8564224),
        ("bbl", "m3", 0.158987294928),  # 42 US gallons
        ("crore-INR", "million-INR", 10.0),
        ("metric tons", "tonnes", 1.0),
    ],
)
def test_factors_agree_with_their_sources(have, want, expected):
    assert factor(have, want) == pytest.approx(expected, rel=1e-15)


def test_every_unit_converts_within_its_dimension():
    units = load_vocabulary(VOCABULARIES / "unit.csv")
    first: dict[str, str] = {}
    for code in units.codes:
        base = first.setdefault(dimension(code), code)
        assert factor(code, base) * factor(base, code) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("text", ["ton", "TONS", "oz", "Moz", "T", "mt", "MT", "st", "fl", "M"])
def test_spellings_that_mean_two_things_are_refused_with_the_reason(text):
    with pytest.raises(ContractError, match="is refused: it .* write "):
        factor(text, "kg")


def test_no_refused_spelling_is_in_the_vocabulary_and_no_unit_is_refused():
    units = load_vocabulary(VOCABULARIES / "unit.csv")
    known_as_they_stand = {"t", "m"}
    assert [text for text in REFUSED if units.find(text) and text not in known_as_they_stand] == []
    assert [code for code in units.codes if refusal(code)] == []


def test_an_unknown_unit_is_named_with_its_neighbours():
    with pytest.raises(ContractError, match="unit 'hectarse' is unknown; nearest known terms: 'ha'"):
        code_of("hectarse")


def test_dimensions_are_not_crossed_even_where_both_are_plain_numbers():
    with pytest.raises(ContractError, match="no conversion from ppm"):
        factor("ppm", "deg")


def test_a_column_is_converted_unit_by_unit_and_what_cannot_be_is_marked():
    values = pa.array([5.1, 3.0, 1.0, None, 7.0, 2.0])
    units = pa.array(["kg", "kt", "m", "t", None, "nonsense"])
    converted, failed = convert(values, units, "t")
    assert converted.to_pylist() == [5.1 / 1000, 3000.0, None, None, None, None]
    assert failed.to_pylist() == [False, False, True, False, True, True]


def test_a_column_and_an_array_round_alike():
    values = [0.1, 5.1, 1234.567]
    converted, _ = convert(pa.array(values), pa.array(["kg"] * 3), "t")
    assert scale(converted.to_numpy() * 0 + values, "kg", "t").tolist() == converted.to_pylist()


def test_unit_spellings_of_the_mineral_resources_data_system_are_known_or_refused(shared):
    units = load_vocabulary(VOCABULARIES / "unit.csv")
    with (shared / "data/usgs-mrds/Resources.txt").open(encoding="utf-8", newline="") as file:
        spellings = {row["units"].strip() for row in csv.DictReader(file, delimiter="\t")} - {""}
    left = {text for text in spellings if not units.find(text)}
    # These need the feed's word: `mt` is metric tons there, and million tonnes elsewhere.
    assert left == {"mt", "MT", "mt ore", "mt commodity", "mt concentrate", "mt metal", "tons", "st", "fl"}
    assert [factor(text, "%") for text in ("wt-pct", "g/mt")] == [1.0, 1e-4]


@pytest.mark.parametrize("row", truth("units"), ids=lambda row: row["spelling"])
def test_the_table_of_truth_holds(row):
    if row["in"] == "refused":
        assert refusal(row["spelling"])
        with pytest.raises(ContractError, match="is refused: it "):
            code_of(row["spelling"])
        return
    assert factor(row["spelling"], row["in"]) == pytest.approx(float(row["factor"]), rel=1e-12)


def _answer_key(folder):
    """Give, by spelling, the unit that the authors of the mining data read it as, and its tonnes."""

    def rows(name):
        with (folder / name).open(encoding="cp1252", newline="") as file:
            return list(csv.DictReader(file, delimiter=";"))

    tonnes = {row["unit_id"]: float(row["conv_factor_t"]) for row in rows("conversion_factors.csv")[:32]}
    known = {
        row["source_unit"]: row["unit_id"] for row in rows("source_unit_ids.csv") if row["source_cat"] == "detailed"
    }
    assert {row["unit_id"] for row in rows("unit_ids.csv")} >= set(known.values()) - {"Kg/t", "Kbcm"}
    return {spelling: (unit, tonnes[unit]) for spelling, unit in known.items() if unit in tonnes}


def test_all_unit_spellings_of_the_mining_data_agree_with_its_authors_or_are_refused(shared):
    folder = shared / "data/fineprint-mine-production"
    with CalamineWorkbook.from_path(folder / "detailed_data_mining.xlsx") as workbook:
        header, *rows = workbook.get_sheet_by_name("commodities").to_python()
    written = {row[header.index("unit")] for row in rows} - {""}
    spellings = {text.strip() for text in written}
    key = _answer_key(folder)
    assert len(written) == 46 and spellings <= set(key)
    refused = {text for text in spellings if refusal(text)}
    # The authors take bare ounces as avoirdupois, though most are of gold, and bare tons as tonnes.
    assert {key[text][0] for text in refused} == {"oz", "Koz", "Moz", "t", "Kt"}
    assert refused == {
        "oz", "ounces", "koz", "Koz", "000 ounces", "thousand ounces", "thousand recoverable ounces", "million ounces",
        "tons", "thousand tons",
    }  # fmt: skip
    for text in spellings - refused:
        assert factor(text, "t") == pytest.approx(key[text][1], rel=2e-4), text  # the key has three or four figures
