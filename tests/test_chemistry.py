"""Chemistry: oxide factors, totals of rare earths, numbers and detection limits as agencies write them."""

import csv

import pyarrow as pa
import pytest

from pipelines.chemistry import (
    ENCODINGS,
    TREO_RECIPES,
    Reading,
    element_equivalents,
    element_fraction,
    equivalent,
    read_numbers,
    read_results,
    total_rare_earth_oxides,
)
from pipelines.errors import ContractError
from pipelines.terms import VOCABULARIES, load_vocabulary
from tests.truth import truth


def rows(texts, encoding, reading=None, **columns):
    results = read_results(pa.array(texts, pa.string()), encoding, reading, **columns)
    parts = (results.value, results.qualifier, results.limit, results.unreadable)
    return list(zip(*(part.to_pylist() for part in parts), strict=True))


NOTHING = (None, None, None, False)
UNREADABLE = (None, None, None, True)


@pytest.mark.parametrize(
    ("compound", "element", "expected"),
    [  # CriticalMAAS MinMod commodity_form.csv
        ("Li2O", "Li", 0.46454031259412965),
        ("Li2CO3", "Li", 0.1878518839324383),
        ("LiOH.H2O", "Li", 0.16538773175730423),
        ("WO3", "W", 0.7929709235367953),
        ("U3O8", "U", 0.8480047109134321),
        ("Nb2O5", "Nb", 0.69904939562708),
    ],
)
def test_element_fractions_agree_with_published_factors(compound, element, expected):
    assert element_fraction(compound, element) == pytest.approx(expected, abs=1e-12)


def test_all_tabulated_oxide_factors_are_met(shared):
    with (shared / "vocab/oxide_factors.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            fraction = element_fraction(row["compound"], row["element"])
            assert fraction == pytest.approx(float(row["element_fraction"]), abs=6e-7)


@pytest.mark.parametrize(
    ("compound", "element", "message"),
    [
        ("LiO2", "Li", "misprint for Li2O"),  # so printed by CGI's commodity-code and by MRDS
        ("Zz9", "Li", "not a chemical formula"),
        ("Li2O(", "Li", "not a chemical formula"),
        ("Li2O", "Na", "holds no 'Na'"),
    ],
)
def test_wrong_formulae_are_refused(compound, element, message):
    with pytest.raises(ContractError, match=message):
        element_fraction(compound, element)


def test_every_compound_of_the_vocabulary_has_a_factor():
    analytes = load_vocabulary(VOCABULARIES / "analyte.csv")
    for code in analytes.codes:
        formula, element = analytes.more(code, "formula"), analytes.more(code, "element")
        if formula:
            assert 0 < element_fraction(formula, element) <= 1


def test_grades_of_compounds_become_grades_of_elements():
    contents = {"Li2O": ("Li2O", "Li"), "Li": ("Li", "Li"), "LOI": ("", "")}
    grades, elements = element_equivalents(
        pa.array([1.0, 1.0, 5.0, None]), pa.array(["Li2O", "Li", "LOI", "Li"]), contents
    )
    assert grades.to_pylist() == [pytest.approx(0.46454031259412965), 1.0, None, None]
    assert elements.to_pylist() == ["Li", "Li", None, "Li"]


def test_a_total_of_rare_earths_names_its_recipe_and_is_null_where_an_element_is_missing():
    grades = {element: pa.array([100.0, 100.0]) for element in TREO_RECIPES["lanthanides-y"]}
    grades["Y"] = pa.array([0.0, None])
    total = total_rare_earth_oxides(grades, "lanthanides-y-trivalent").to_pylist()
    expected = sum(
        100 / element_fraction(oxide, element)
        for element, oxide in TREO_RECIPES["lanthanides-y-trivalent"].items()
        if element != "Y"
    )
    assert total == [pytest.approx(expected), None]
    with pytest.raises(ContractError, match=r"needs grades of \['Sc'\]"):
        total_rare_earth_oxides(grades, "lanthanides-y-sc")
    with pytest.raises(ContractError, match="no recipe 'treo'"):
        total_rare_earth_oxides(grades, "treo")


def test_numbers_are_read_and_what_is_no_number_is_marked():
    numbers, unreadable = read_numbers(pa.array(["1.5", " 7 ", "+2e3", None, "", "abc", "nan", "inf", "1e400", "1,5"]))
    assert numbers.to_pylist() == [1.5, 7.0, 2000.0, None, None, None, None, None, None, None]
    assert unreadable.to_pylist() == [False, False, False, False, False, True, True, True, True, True]


def test_the_fast_path_does_not_let_infinity_through():
    numbers, unreadable = read_numbers(pa.array(["1.5", "inf", "nan"]))
    assert (numbers.to_pylist(), unreadable.to_pylist()) == ([1.5, None, None], [False, True, True])


def test_a_decimal_comma_is_read_where_it_is_declared():
    numbers, unreadable = read_numbers(pa.array(["1,5", "1.000,5", "2"]), decimal=",")
    assert (numbers.to_pylist(), unreadable.to_pylist()) == ([1.5, None, 2.0], [False, True, False])


def test_less_than_text_as_south_australia_writes_it():
    # SARIG sarig_rs_chem_exp: "<15", ">15" and an unexplained "-10"
    found = rows(["1.5", "<15", "> 15", "-10", None, "", "<", "<<5", "<-2", "0"], "less-than-text")
    assert found == [
        (1.5, "=", None, False),
        (None, "<", 15.0, False),
        (None, ">", 15.0, False),
        UNREADABLE,
        NOTHING,
        NOTHING,
        UNREADABLE,
        UNREADABLE,
        UNREADABLE,
        (0.0, "=", None, False),
    ]


def test_negative_is_limit_as_nure_writes_it():
    # USGS OFR 97-492: Ag_ppm = -2 is analysed, below a lower limit of 2
    assert rows(["-2", "3", None], "negative-is-limit") == [(None, "<", 2.0, False), (3.0, "=", None, False), NOTHING]


def test_suffix_letters_as_ofr_81_197_writes_them():
    found = rows(["5.000N", "1.000L", ".0000B", "10G", "3.5", "N", "3.5X"], "suffix-letter")
    assert found == [
        (None, "not-detected", 5.0, False),
        (None, "<", 1.0, False),
        (None, "not-analysed", None, False),
        (None, ">", 10.0, False),
        (3.5, "=", None, False),
        UNREADABLE,
        UNREADABLE,
    ]


def test_a_sentinel_takes_its_limit_from_another_column():
    # CMMI Mineral Gx v0: -99999 below detection, limit in a column of its own
    limits = pa.array([2.0, None, 1.0, 4.0])
    found = rows(["-99999", "-99999.0", "3", None], "sentinel", Reading(sentinel=-99999.0), limits=limits)
    assert found == [(None, "<", 2.0, False), (None, "<", None, False), (3.0, "=", 1.0, False), NOTHING]
    with pytest.raises(ContractError, match="needs the sentinel"):
        rows(["1"], "sentinel")


def test_zeros_for_an_undeclared_limit_have_neither_value_nor_limit():
    # GSI NGCM stream sediments: Pt = 0 on 8,397 of 10,004 samples
    assert rows(["0.0", "3.1"], "zero-is-below-undeclared") == [(None, "<", None, False), (3.1, "=", None, False)]


def test_a_column_of_qualifiers_as_pluto_writes_it():
    # USGS DDS-47: < below, > above, N not detected, B not analysed
    marks = pa.array(["<", ">", "N", "B", "", None, "?"])
    assert rows(["5"] * 7, "qualifier-column", qualifiers=marks) == [
        (None, "<", 5.0, False),
        (None, ">", 5.0, False),
        (None, "not-detected", 5.0, False),
        (None, "not-analysed", None, False),
        (5.0, "=", None, False),
        (5.0, "=", None, False),
        UNREADABLE,
    ]


@pytest.mark.parametrize("encoding", sorted(set(ENCODINGS) - {"qualifier-column"}))
def test_no_encoding_stores_half_a_limit_or_loses_a_text(encoding):
    texts = ["<4", "-4", "4", "4L", "0", "rubbish"]
    known = set(load_vocabulary(VOCABULARIES / "qualifier.csv").codes)
    for text, (value, qualifier, limit, unreadable) in zip(
        texts, rows(texts, encoding, Reading(sentinel=-4.0)), strict=True
    ):
        assert value in (None, 4.0, -4.0, 0.0) and limit in (None, 4.0), text
        assert unreadable == (qualifier is None), text
        assert qualifier is None or qualifier in known


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ContractError, match="no encoding 'half-limit'"):
        rows(["1"], "half-limit")
    with pytest.raises(ContractError, match="qualifier-column"):
        rows(["1"], "qualifier-column")


@pytest.mark.parametrize("row", truth("oxides"), ids=lambda row: f"{row['element']} in {row['compound']}")
def test_oxide_factors_are_those_of_the_table_of_truth(row):
    fraction = element_fraction(row["compound"], row["element"])
    assert fraction == pytest.approx(float(row["element_fraction"]), abs=6e-7)
    assert 1 / fraction == pytest.approx(float(row["compound_per_element"]), abs=1e-6 * max(1, 1 / fraction))


@pytest.mark.parametrize("row", truth("equivalents"), ids=lambda row: f"{row['have']} as {row['want']}")
def test_equivalents_are_those_of_the_table_of_truth(row):
    factor = equivalent(row["have"], row["want"], row["element"])
    assert factor == pytest.approx(float(row["factor"]), abs=6e-6)


def test_recipes_of_rare_earth_totals_name_the_oxide_of_every_element():
    stated = {(row["recipe"], row["element"]): row["oxide"] for row in truth("treo")}
    assert {(name, one): oxide for name, recipe in TREO_RECIPES.items() for one, oxide in recipe.items()} == stated


@pytest.mark.parametrize(
    "row", truth("detection_limits"), ids=lambda row: f"{row['encoding']} {row['text']}{row['mark']}"
)
def test_every_way_of_writing_a_result_beyond_a_limit_is_read(row):
    columns = {}
    if row["encoding"] == "qualifier-column":
        columns["qualifiers"] = pa.array([row["mark"] or None], pa.string())
    if row["limit_beside"]:
        columns["limits"] = pa.array([float(row["limit_beside"])])
    reading = Reading(sentinel=float(row["sentinel"])) if row["sentinel"] else None
    value, limit = (float(row[name]) if row[name] else None for name in ("value", "limit"))
    expected = (value, row["qualifier"] or None, limit, row["unreadable"] == "yes")
    assert rows([row["text"] or None], row["encoding"], reading, **columns) == [expected]
