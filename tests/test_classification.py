"""Resource categories: crosswalks with their strength, and what is never equated."""

import pytest

from pipelines.classification import STRENGTHS, classify
from pipelines.errors import ContractError
from pipelines.terms import VOCABULARIES, load_vocabulary


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
