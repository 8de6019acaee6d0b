"""Resource categories: crosswalks with their strength, and what is never equated."""

from datetime import date

import pyarrow as pa
import pytest

from pipelines.classification import REFUSALS, STRENGTHS, add_up, classify, leaves
from pipelines.errors import ContractError, RejectedError
from pipelines.terms import VOCABULARIES, load_vocabulary
from tests.truth import truth


def categories():
    vocabulary = load_vocabulary(VOCABULARIES / "estimate_category.csv")
    return [classify(code) for code in vocabulary.codes]


def test_every_category_states_a_strength_and_a_source():
    for category in categories():
        assert category.strength in STRENGTHS and category.source
        assert (category.crirsco is None) or (category.strength != "none")


@pytest.mark.parametrize("code", ["unfc1997-211", "unfc1997-221", "unfc1997-222"])
def test_indias_uneconomic_classes_are_no_resources_of_the_crirsco_family(code):
    category = classify(code)  # SRK: the part of measured or indicated found uneconomic after study
    assert (category.crirsco, category.strength, category.is_resource) == (None, "none", False)


def test_reconnaissance_is_never_a_resource():
    category = classify("unfc1997-334")  # MEMC Rules 2015 s.3(g): reconnaissance survey, stage G4
    assert (category.crirsco, category.is_resource, category.is_reserve) == ("exploration-target", False, False)


@pytest.mark.parametrize(
    ("code", "crirsco"),
    [
        ("111", "proved-reserve"),
        ("122", "probable-reserve"),
        ("331", "measured-resource"),
        ("333", "inferred-resource"),
    ],
)
def test_indias_other_codes_need_a_competent_person(code, crirsco):
    category = classify(f"unfc1997-{code}")
    assert (category.crirsco, category.strength, category.is_derived) == (crirsco, "competent-person", True)


def test_indias_axes_are_not_those_of_unfc_2019():
    category = classify("unfc1997-331")
    assert (category.unfc_1997, category.unfc_e, category.unfc_f, category.unfc_g) == ("E3 F3 G1", "E2", "F2", "G1")


def test_reserves_and_resources_are_told_apart():
    assert [classify("probable-ore-reserves").is_reserve, classify("probable-ore-reserves").is_resource] == [
        True,
        False,
    ]
    assert [classify("inferred-mineral-resource").is_reserve, classify("inferred-mineral-resource").is_resource] == [
        False,
        True,
    ]


def test_sums_of_categories_are_known_as_such():
    assert classify("measured-and-indicated-mineral-resource").is_aggregate
    assert not classify("measured-mineral-resource").is_aggregate


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("Proven", "proved-ore-reserves"),
        ("indic", "indicated-mineral-resource"),  # MRDS column
        ("demo", "demonstrated"),  # USGS Circular 831, not a CRIRSCO statement
        ("222", "unfc1997-222"),
        ("tot_resources", "total-resources"),
    ],
)
def test_the_words_of_agencies_lead_to_categories(word, code):
    assert load_vocabulary(VOCABULARIES / "estimate_category.csv").find(word) == code


def test_an_unknown_category_is_refused():
    with pytest.raises(ContractError, match="has no code 'sure'"):
        classify("sure")


@pytest.mark.parametrize("row", truth("classification"), ids=lambda row: f"{row['category']}:{row['scheme']}")
def test_the_table_of_truth_holds(row):
    category = classify(row["category"])
    match = category.matches[row["scheme"]]
    assert (match.target or "", match.strength) == (row["target"], row["strength"])
    assert (category.is_resource, category.is_reserve) == (row["is_resource"] == "yes", row["is_reserve"] == "yes")
    assert row["source"] and match.source


def test_every_row_of_the_crosswalk_is_about_a_category_and_says_how_surely():
    crosswalk, known = (load_vocabulary(VOCABULARIES / f"estimate_{name}.csv") for name in ("crosswalk", "category"))
    for term in crosswalk.terms.values():
        assert term.more["category"] in known.codes and term.source
        assert (term.more["target"] == "") == (term.more["strength"] == "none")
    stated = {(term.more["category"], term.more["scheme"]) for term in crosswalk.terms.values()}
    want = {(code, scheme) for code in known.codes for scheme in ("crirsco", "unfc-2019")}
    assert want <= stated


def test_stages_of_exploration_are_no_axis_of_unfc_2019():
    stages = load_vocabulary(VOCABULARIES / "exploration_stage.csv")
    axes = {classify(code).unfc_g for code in load_vocabulary(VOCABULARIES / "estimate_category.csv").codes}
    assert stages.find("G4") == "g4" and "g4" not in axes and all(not stages.uri(code) for code in stages.codes)


@pytest.mark.parametrize(("stage", "code"), [("g4", "334"), ("g3", "333"), ("g2", "332"), ("g1", "331")])
def test_a_stage_names_the_code_that_its_geological_study_reaches(stage, code):
    stages = load_vocabulary(VOCABULARIES / "exploration_stage.csv")  # MEMC Rules 2015 s.3(g); teriin.org policy brief
    assert stages.more(stage, "unfc_1997") == f"unfc1997-{code}"
    assert classify(f"unfc1997-{code}").matches["unfc-2019"].strength in ("competent-person", "none")


@pytest.mark.parametrize(
    ("word", "code", "feature", "unfc", "strength"),
    [  # UNFC Anthropogenic Resource Specifications 2018; EarthResourceML-Lite 2.0.1; INSPIRE; CGI
        ("mining waste", "tailings", "MiningWasteView", "E3.3;F4;G1+G2+G3", "competent-person"),
        ("mineral reject", "mineral-reject", "MiningWasteView", "E3.3;F4;G1+G2+G3", "competent-person"),
        ("battery black mass", "end-of-life", "ProcessingPlantView", "", "none"),
        ("recycled aggregate", "recycled-aggregate", "CommodityResourceView", "", "none"),
        ("anthropogenicDeposit", "anthropogenic-deposit", "", "", "none"),
        ("end-use-recycling", "end-use-recycling", "", "", "none"),
    ],
)
def test_stocks_made_by_people_are_bridged_as_their_sources_say(word, code, feature, unfc, strength):
    stocks = load_vocabulary(VOCABULARIES / "anthropogenic_stock.csv")
    assert stocks.find(word) == code and stocks.source(code)
    assert [stocks.more(code, name) for name in ("erml_feature", "unfc", "strength")] == [feature, unfc, strength]


@pytest.mark.parametrize(
    ("word", "code", "crirsco"),
    [  # the list of reporting codes with its sources: CGI classification-method-used; statutes
        ("JORC Code 2012", "jorc-code", "yes"),
        ("NI 43-101", "ni-43-101", "yes"),
        ("CIM Definition Standards", "cim-standards", "yes"),
        ("PERC Reporting Standard", "perc-code", "yes"),
        ("SAMREC", "samrec-code", "yes"),
        ("S-K 1300", "sk-1300", "aligned"),
        ("SEC Industry Guide 7", "sec-guide", "no"),
        ("NACRI", "imic", "yes"),
        ("MEMC Rules", "memc-unfc-1997", "no"),
        ("UNFC 2019", "unfc-code", "bridged"),
        ("CRIRSCO Template", "crirsco-code", "yes"),
        ("SME Guide", "sme-guide", "yes"),
        ("GKZ", "russian-code", "no"),
        ("UNFC anthropogenic 2018", "unfc-anthropogenic", "no"),
    ],
)
def test_reporting_codes_say_whether_they_are_of_the_crirsco_family(word, code, crirsco):
    codes = load_vocabulary(VOCABULARIES / "reporting_code.csv")
    assert (codes.find(word), codes.more(code, "crirsco_family")) == (code, crirsco)


def reasons(*rows, **more):
    """Give the reason of each row (estimate, category, year, inclusive, is_total_of), all of one subject."""
    columns = list(zip(*[(*row, None, None, None)[:5] for row in rows], strict=True))
    found = leaves(
        subject=pa.array(["mine"] * len(rows)),
        estimate=pa.array(columns[0]),
        category=pa.array(columns[1]),
        effective=pa.array(columns[2], pa.int64()),
        is_inclusive=pa.array(columns[3], pa.bool_()),
        is_total_of=pa.array(columns[4], pa.list_(pa.string())),
        **more,
    )
    assert found.summable.to_pylist() == [reason is None for reason in found.reason.to_pylist()]
    return found.reason.to_pylist()


MEASURED, INDICATED, INFERRED = (f"{word}-mineral-resource" for word in ("measured", "indicated", "inferred"))
BOTH, ALL = "measured-and-indicated-mineral-resource", "measured-indicated-inferred-mineral-resource"


def test_a_total_beside_its_parts_is_not_added_to_them():
    assert reasons(("a", MEASURED), ("a", INDICATED), ("a", BOTH)) == [None, None, "total"]
    assert reasons(("a", MEASURED), ("a", "total-resources", None, None, [MEASURED])) == [None, "not-a-resource"]
    assert reasons(("a", MEASURED), ("a", INFERRED, None, None, [MEASURED])) == [None, "total"]


def test_a_sum_without_its_parts_stands_for_them():
    assert reasons(("a", BOTH), ("a", INFERRED)) == [None, None]
    assert reasons(("a", BOTH), ("a", MEASURED)) == ["overlaps", None]
    assert reasons(("a", BOTH), ("a", ALL)) == ["overlaps", None]
    crossed = "indicated-and-inferred-mineral-resource"
    assert reasons(("a", BOTH), ("a", crossed)) == ["overlaps", "overlaps"]


def test_only_the_latest_estimate_of_a_subject_counts():
    assert reasons(("a", MEASURED, 2010), ("b", MEASURED, 2020), ("c", MEASURED)) == ["superseded", None, "undated"]
    assert reasons(("a", MEASURED, 2020), ("b", MEASURED, 2020)) == ["same-date", "same-date"]
    assert reasons(("a", MEASURED), ("a", INFERRED)) == [None, None]
    assert reasons(("a", MEASURED), supersedes=pa.array(["a"])) == ["superseded"]


def test_dates_are_compared_as_years_are():
    found = leaves(
        subject=pa.array(["mine", "mine"]),
        estimate=pa.array(["a", "b"]),
        category=pa.array([MEASURED, MEASURED]),
        effective=pa.array([date(2020, 6, 30), date(2021, 6, 30)]),
        is_inclusive=pa.nulls(2, pa.bool_()),
        is_total_of=pa.nulls(2, pa.list_(pa.string())),
    )
    assert found.reason.to_pylist() == ["superseded", None]


def test_reserves_and_the_resources_that_include_them_are_not_added():
    proved = "proved-ore-reserves"
    assert reasons(("a", proved, 2020, True), ("a", MEASURED, 2020, True)) == ["included-in-resources", None]
    assert reasons(("a", proved, 2020, False), ("a", MEASURED, 2020, False)) == [None, None]
    assert reasons(("a", proved, 2020), ("a", MEASURED, 2020)) == [None, "may-include-reserves"]


def test_indias_codes_wait_for_a_competent_person_and_334_is_never_added():
    codes = [("a", f"unfc1997-{number}") for number in (121, 122, 211, 331, 334)]
    waiting, no = "needs-competent-person", "not-a-resource"
    assert reasons(*codes) == [waiting, waiting, no, waiting, no]
    assert reasons(*codes, allow_derived=True) == [None, None, no, "may-include-reserves", no]


def test_a_category_that_stands_twice_is_not_added():
    assert reasons(("a", MEASURED), ("a", MEASURED), ("a", INFERRED)) == ["stated-twice", "stated-twice", None]


def test_a_total_that_would_double_count_is_refused_with_the_reason():
    rows = {
        "subject": pa.array(["mine"] * 2),
        "estimate": pa.array(["a", "a"]),
        "is_inclusive": pa.nulls(2, pa.bool_()),
        "effective": pa.nulls(2, pa.int64()),
        "is_total_of": pa.array([[], [MEASURED]], pa.list_(pa.string())),
    }
    found = leaves(category=pa.array([MEASURED, ALL]), **rows)
    with pytest.raises(RejectedError, match="no total: .*1 rows: a total that stands beside its parts"):
        add_up(pa.array([5.0, 9.0]), found)
    assert add_up(pa.array([5.0]), leaves(category=pa.array([MEASURED]), **{k: v[:1] for k, v in rows.items()})) == 5.0


def test_no_rows_have_no_leaves():
    assert (
        leaves(
            subject=pa.array([], pa.string()),
            estimate=pa.array([], pa.string()),
            category=pa.array([], pa.string()),
            effective=pa.array([], pa.int64()),
            is_inclusive=pa.array([], pa.bool_()),
            is_total_of=pa.array([], pa.list_(pa.string())),
        ).reason.to_pylist()
        == []
    )
    assert all(REFUSALS.values())
