"""Vocabularies: what is found, what is refused, and that every list in the repository holds together."""

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.errors import ContractError
from pipelines.terms import VOCABULARIES, fold, hint, load_vocabulary, map_term_lists, map_terms

LISTS = sorted(path.stem for path in VOCABULARIES.glob("*.csv") if path.stem != "critical_list")
OTHER_BROADER = {"unit", "feature_type"}
"""Lists whose broader column names a dimension or an occurrence type, not a code of their own."""

HEADER = "code,label,uri,aliases,broader,source"


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "colour.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def commodity():
    return load_vocabulary(VOCABULARIES / "commodity.csv")


@pytest.mark.parametrize("name", LISTS)
def test_every_vocabulary_is_unambiguous_and_its_hierarchy_closed(name):
    vocabulary = load_vocabulary(VOCABULARIES / f"{name}.csv")
    assert vocabulary.codes
    for code in vocabulary.codes:
        assert vocabulary.find(code) == code
        assert vocabulary.label(code) and vocabulary.terms[code].source
        if name not in OTHER_BROADER:
            assert set(vocabulary.broader(code)) <= set(vocabulary.codes)


def test_a_spelling_for_two_codes_is_refused(tmp_path):
    path = written(tmp_path, "red,red,,rot|crimson,,x", "blue,blue,,Crimson,,x")
    with pytest.raises(ContractError, match="would mean both red and blue"):
        load_vocabulary(path)


def test_a_missing_column_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(ContractError, match=r"columns missing: \['source'\]"):
        load_vocabulary(written(tmp_path, header="code,label,uri,aliases,broader"))
    with pytest.raises(ContractError, match=r"shade\.csv cannot be read"):
        load_vocabulary(tmp_path / "shade.csv")


def test_a_changed_file_is_read_again(tmp_path):
    assert load_vocabulary(written(tmp_path, "red,red,,,,x")).codes == ("red",)
    assert load_vocabulary(written(tmp_path, "red,red,,,,x", "blue,blue,,,,x")).codes == ("red", "blue")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (" Rare Earth Elements ", "rare-earth-element"),
        ("REE", "rare-earth-element"),
        ("Rare Earth Elements (REE)", "rare-earth-element"),  # Geoscience Australia, workbook 147741
        ("Aluminium (High-purity alumina)", "high-purity-alumina"),  # the same
        ("Niobium (Columbium)", "niobium"),  # MRDS
        ("PGE_PT", "platinum"),  # MRDS
        ("aluminum", "aluminium"),
        ("Li2O", "lithium"),
        ("unobtanium", None),
        ("", None),
    ],
)
def test_agencies_spellings_of_commodities_are_found(text, code):
    assert commodity().find(text) == code


def test_blanks_hyphens_case_and_plus_or_minus_do_not_count():
    assert fold("Greisen tin +/- W-Mo") == fold("greisen  TIN ±W_Mo")


def test_case_counts_where_a_vocabulary_has_symbols():
    units = load_vocabulary(VOCABULARIES / "unit.csv")
    assert (units.find("Mt"), units.find("mt"), units.find("MT")) == ("Mt", None, None)
    assert (units.find("t"), units.find("T"), units.find("TONNES")) == ("t", None, "t")
    analytes = load_vocabulary(VOCABULARIES / "analyte.csv")
    assert (analytes.find("Eu"), analytes.find("eU"), analytes.find("EU")) == ("Eu", "eU", None)


def test_terms_are_mapped_and_unknown_ones_marked():
    column = pa.array(["Gold", "gold ", None, "unobtanium", "  ", "Cu"])
    codes, unknown = map_terms(column, commodity())
    assert codes.type == pa.dictionary(pa.int32(), pa.string())
    assert codes.to_pylist() == ["gold", "gold", None, None, None, "copper"]
    assert unknown.to_pylist() == [False, False, False, True, False, False]


def test_a_feeds_own_codes_win():
    codes, unknown = map_terms(
        pa.array(["MG", "mg ", "Mg metal"]), commodity(), {"MG": "magnesite", "Mg metal": "gold"}
    )
    assert codes.to_pylist() == ["magnesite", "magnesite", "gold"]
    assert not any(unknown.to_pylist())


def test_a_feeds_code_must_exist():
    with pytest.raises(ContractError, match="codes that are not in commodity.csv"):
        map_terms(pa.array(["x"]), commodity(), {"x": "lithum"})


def test_dictionary_columns_and_empty_columns_are_mapped():
    codes, _ = map_terms(pa.array(["Au", None, "Au"]).dictionary_encode(), commodity())
    assert codes.to_pylist() == ["gold", None, "gold"]
    codes, unknown = map_terms(pa.array([], pa.string()), commodity())
    assert (len(codes), len(unknown)) == (0, 0)


def test_lists_keep_their_order_drop_repeats_and_say_what_is_unknown():
    column = pa.array(
        [
            "REE, Zirconium, Niobium, +/- Hafnium, Lithium, Tantalum, Gallium",  # Geoscience Australia
            "Bauxite/Laterite,Vanadium,Gallium,Rare Earth Elements",  # GSI
            "Gold, Au, unobtanium",
            "unobtanium",
            None,
            "",
        ]
    )
    lists, strange, unknown = map_term_lists(column, commodity(), {}, r",|/|\+/-")
    assert lists.to_pylist() == [
        ["rare-earth-element", "zirconium", "niobium", "hafnium", "lithium", "tantalum", "gallium"],
        ["bauxite", "laterite", "vanadium", "gallium", "rare-earth-element"],
        ["gold"],
        None,
        None,
        None,
    ]
    assert strange.to_pylist() == [False, False, True, True, False, False]
    assert unknown == ["unobtanium"]


def test_a_term_that_holds_the_separator_is_not_split():
    lists, _, unknown = map_term_lists(pa.array(["Sand and Gravel, Construction"]), commodity(), {}, ",")
    assert (lists.to_pylist(), unknown) == ([["sand-and-gravel"]], [])


def test_a_wrong_regular_expression_is_a_contract_error():
    with pytest.raises(ContractError, match="not a regular expression"):
        map_term_lists(pa.array(["a"]), commodity(), {}, "(")


def test_a_hint_names_the_nearest_terms():
    assert commodity().nearest("Litium")[0] == "lithium"
    assert hint(commodity(), "Tantalium").startswith("nearest known terms: 'tantalum'")
    assert "add an alias there" in hint(commodity(), "§§§")


def test_all_spellings_of_the_mineral_resources_data_system_are_known(shared):
    deposits = load_vocabulary(VOCABULARIES / "deposit_type.csv")
    with (shared / "data/usgs-mrdata-sites/mrds_with_ca.csv").open(encoding="utf-8", newline="") as file:
        assert [text for text in {row["deposit_type"] for row in csv.DictReader(file)} if not deposits.find(text)] == []
    with (shared / "data/usgs-mrds/Resource_detail.txt").open(encoding="utf-8", newline="") as file:
        details = list(csv.DictReader(file, delimiter="\t"))
    spellings = {row["code"] for row in details} | {row["commod"] for row in details}
    assert [text for text in spellings if not commodity().find(text)] == []


def test_dated_lists_of_critical_minerals_name_our_commodities_and_mark_what_is_unsettled():
    with (VOCABULARIES / "critical_list.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["commodity"] for row in rows} <= set(commodity().codes)
    assert {row["membership"] for row in rows} == {"listed", "derived", "unsettled"}
    assert {row["list"] for row in rows if row["membership"] == "unsettled"} == {"UK-2024"}
    # Ministry of Mines of India, June 2023: 30 minerals; USGS, Federal Register 7 November 2025: 60.
    assert sum(row["list"] == "IN-2023" for row in rows) == 30
    assert sum(row["list"] == "US-2025" for row in rows) == 60


WRONGLY_MATCHED = {
    "coal": "cobalt",
    "granite": "graphite",
    "iridium": "rubidium",
    "radium": "uranium",
    "sapphire": "sapphirine",
    "zircon": "zirconia",
    "industrial-material": "industrialMineral",
}
"""CGI codes whose published match in INSPIRE, made by likeness of letters, is another commodity."""
INSPIRE = "http://inspire.ec.europa.eu/codelist/CommodityCodeValue/"


def test_a_uri_means_its_term_in_both_lists():
    assert commodity().find("http://resource.geosciml.org/classifier/cgi/commodity-code/neodymium") == "neodymium"
    assert commodity().find(f"{INSPIRE}neodymium") == "neodymium"


@pytest.mark.parametrize(("code", "wrong"), WRONGLY_MATCHED.items())
def test_a_published_match_that_is_wrong_is_not_followed(code, wrong):
    assert commodity().more(code, "inspire_uri") != f"{INSPIRE}{wrong}"
    assert commodity().find(f"{INSPIRE}{wrong}") != code


def test_matches_with_inspire_are_the_corrected_ones(shared):
    with (shared / "vocab/cgi_inspire_commodity_corrected.csv").open(encoding="utf-8") as file:
        wanted = {row["cgi_uri"]: row["corrected_inspire_uri"] for row in csv.DictReader(file)}
    found = {term.uri: term.more["inspire_uri"] for term in commodity().terms.values() if term.uri in wanted}
    assert found == wanted


def test_a_uri_that_two_terms_share_means_neither():
    categories = load_vocabulary(VOCABULARIES / "estimate_category.csv")
    assert categories.find("http://resource.geosciml.org/classifier/cgi/unfc/additional-quantities-in-place") is None
