"""Chemistry of what laboratories report: elements in compounds, rare-earth totals, results beyond limits."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ContractError

MISSPELT = {"LiO2": "Li2O", "Li20": "Li2O", "Cr203": "Cr2O3", "Fe203": "Fe2O3", "Nb205": "Nb2O5", "Ta205": "Ta2O5"}
"""Formulae that some registers print for another compound; a factor computed from them would be wrong."""

_LANTHANIDES = ["La", "Ce", "Pr", "Nd", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu"]
_TRIVALENT = {element: f"{element}2O3" for element in [*_LANTHANIDES, "Y"]}
_INDUSTRY = _TRIVALENT | {"Ce": "CeO2", "Pr": "Pr6O11", "Tb": "Tb4O7"}
TREO_RECIPES: Mapping[str, Mapping[str, str]] = {
    "lanthanides-y": _INDUSTRY,
    "lanthanides-y-sc": _INDUSTRY | {"Sc": "Sc2O3"},
    "lanthanides-y-trivalent": _TRIVALENT,
}
"""Element to oxide. CIM (2011) counts La to Lu and Y; the AusIMM counts Sc too; INSPIRE's basis is RE2O3 throughout.

``lanthanides-y`` takes the oxides of commerce (CeO2, Pr6O11, Tb4O7). No single legal definition exists, so a total
names its recipe."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?"
_WHOLE_NUMBER = rf"^{_NUMBER}$"


@lru_cache(maxsize=1024)
def element_fraction(compound: str, element: str) -> float:
    """Give the mass of an element in one unit of mass of a compound.

    Parameters
    ----------
    compound : formula; water of crystallisation after ``.``, ``*`` or ``·`` (``LiOH.H2O``).
    element : symbol.

    Raises
    ------
    ContractError
        If the formula cannot be read, is a known misprint, or does not hold the element.

    Source: atomic masses of periodictable.

    >>> round(element_fraction("Li2O", "Li"), 6)
    0.46454
    """
    import periodictable  # heavy: a fifth of a second, which only compounds need
    from pyparsing.exceptions import ParseBaseException

    if compound in MISSPELT:
        raise ContractError(f"{compound!r} is a misprint for {MISSPELT[compound]}: write that")
    try:
        formula = periodictable.formula(re.sub(r"[.·*](?=\d*H2O)", "+", compound))
    except (ValueError, ParseBaseException) as error:
        raise ContractError(f"{compound!r} is not a chemical formula") from error
    counts = {atom.symbol: count for atom, count in formula.atoms.items()}
    if element not in counts:
        raise ContractError(f"{compound} holds no {element!r}; it holds {sorted(counts)}")
    return counts[element] * getattr(periodictable, element).mass / formula.mass


def equivalent(have: str, want: str, element: str) -> float:
    """Give how much of one compound holds as much of an element as one unit of mass of another.

    Lithium carbonate equivalent is ``equivalent(have, "Li2CO3", "Li")``. An element is a compound of itself.

    Raises
    ------
    ContractError
        As `element_fraction`.

    >>> round(equivalent("Li2O", "Li2CO3", "Li"), 5)
    2.47291
    """
    return element_fraction(have, element) / element_fraction(want, element)


def element_equivalents(
    values: pa.Array, compounds: pa.Array, contents: Mapping[str, tuple[str, str]]
) -> tuple[pa.DoubleArray, pa.DictionaryArray]:
    """Give what grades of compounds are as grades of their elements, in the same unit.

    Parameters
    ----------
    values : grades as reported.
    compounds : codes of ``analyte.csv``.
    contents : formula and element of each code.

    Returns
    -------
    Grades of the element, null where the compound has none (a total, a loss on ignition), and the elements' symbols.
    """
    encoded = compounds if isinstance(compounds, pa.DictionaryArray) else pc.dictionary_encode(compounds)
    known = [contents.get(code, ("", "")) for code in encoded.dictionary.to_pylist()]
    shares = [element_fraction(formula, element) if formula and element else None for formula, element in known]
    symbols = pa.array([element if formula and element else None for formula, element in known], pa.string())
    share = pa.array(shares, pa.float64()).take(encoded.indices)
    elements = pc.dictionary_encode(symbols.take(encoded.indices))
    return pc.multiply(pc.cast(values, pa.float64()), share), elements


def total_rare_earth_oxides(grades: Mapping[str, pa.Array], recipe: str) -> pa.DoubleArray:
    """Sum element grades to a total of rare-earth oxides by a named recipe.

    Parameters
    ----------
    grades : grade of each element by symbol, all in one unit.
    recipe : a name of `TREO_RECIPES`.

    Returns
    -------
    The total in the grades' unit; null wherever one of the recipe's elements is absent: a partial sum is no total.

    Raises
    ------
    ContractError
        If the recipe is unknown, or one of its elements has no column.
    """
    if recipe not in TREO_RECIPES:
        raise ContractError(f"no recipe {recipe!r} for rare-earth oxides; have {sorted(TREO_RECIPES)}")
    oxides = TREO_RECIPES[recipe]
    missing = [element for element in oxides if element not in grades]
    if missing:
        raise ContractError(f"recipe {recipe} needs grades of {missing}")
    total = None
    for element, oxide in oxides.items():
        share = pc.divide(pc.cast(grades[element], pa.float64()), element_fraction(oxide, element))
        total = share if total is None else pc.add(total, share)
    return total


def read_numbers(column: pa.Array, decimal: str = ".") -> tuple[pa.DoubleArray, pa.BooleanArray]:
    """Read numbers from text.

    Parameters
    ----------
    column : text, plain or dictionary-encoded; a blank counts as absent.
    decimal : the decimal sign.

    Returns
    -------
    The numbers, and a mask of the texts that are present but are no finite number; these are null.
    """
    if isinstance(column, pa.DictionaryArray):
        numbers, unreadable = read_numbers(column.dictionary, decimal)
        return numbers.take(column.indices), pc.fill_null(unreadable.take(column.indices), False)
    text = column if decimal == "." else _with_points(column, decimal)
    try:
        numbers = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        text = pc.utf8_trim_whitespace(text)
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
        readable = pc.match_substring_regex(text, _WHOLE_NUMBER)
        numbers = pc.cast(pc.if_else(readable, text, pa.scalar(None, pa.string())), pa.float64())
    finite = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))
    return finite, pc.and_(pc.is_valid(text), pc.is_null(finite))


def _with_points(column: pa.Array, decimal: str) -> pa.Array:
    """Turn decimal commas to points; a text that has points already is left unreadable."""
    doubtful = pc.match_substring(column, ".")
    pointed = pc.replace_substring(column, decimal, ".")
    return pc.if_else(doubtful, pc.binary_join_element_wise("?", column, ""), pointed)


@dataclass(frozen=True)
class Results:
    """Laboratory results as numbers with their qualifiers.

    Parameters
    ----------
    value : the measured number; null beyond a limit. Never the limit, never half of it.
    qualifier : codes of ``qualifier.csv``; null where nothing was reported.
    limit : the limit that was not reached, or exceeded; of a measured number the limit that stands beside it.
    unreadable : texts that are present but say neither.
    """

    value: pa.DoubleArray
    qualifier: pa.DictionaryArray
    limit: pa.DoubleArray
    unreadable: pa.BooleanArray


MARKS: Mapping[str, str] = {"<": "<", "L": "<", ">": ">", "G": ">", "N": "not-detected", "B": "not-analysed", "=": "="}
"""Qualifier letters of the United States: PLUTO and DDS-47 (<, >, N, B), OFR 81-197 (N, L, B, G), AGDB2 (N, G)."""


@dataclass(frozen=True)
class Reading:
    """How one column of results is written.

    Parameters
    ----------
    decimal : the decimal sign.
    sentinel : the number that stands for "below the limit", for the encoding ``sentinel``.
    marks : what each text of the companion column means, for the encoding ``qualifier-column``.
    """

    decimal: str = "."
    sentinel: float | None = None
    marks: Mapping[str, str] = field(default_factory=lambda: MARKS)


_Columns = tuple[pa.Array, pa.Array, pa.Array, pa.Array]
_NOTHING = pa.scalar(None, pa.float64())


def _plain(text: pa.Array, reading: Reading) -> _Columns:
    """Read numbers only."""
    numbers, unreadable = read_numbers(text, reading.decimal)
    return _columns(numbers, pc.is_valid(numbers), [], unreadable)


def _less_than_text(text: pa.Array, reading: Reading) -> _Columns:
    """Read ``<15`` as below 15, ``>15`` as above it; a negative number is unexplained, so unreadable."""
    trimmed = pc.utf8_trim_whitespace(text)
    below, above = pc.starts_with(trimmed, "<"), pc.starts_with(trimmed, ">")
    numbers, unreadable = read_numbers(pc.utf8_trim_whitespace(pc.utf8_ltrim(trimmed, "<>")), reading.decimal)
    signs = pc.greater(pc.utf8_length(trimmed), pc.utf8_length(pc.utf8_ltrim(trimmed, "<>")))
    doubled = pc.match_substring_regex(trimmed, r"^[<>]{2}")
    lone = pc.and_(signs, pc.is_null(numbers))
    unreadable = pc.or_(pc.or_(unreadable, _true(pc.less(numbers, 0))), pc.or_(_true(doubled), _true(lone)))
    numbers = pc.if_else(unreadable, _NOTHING, numbers)
    measured = pc.and_(pc.is_valid(numbers), pc.invert(_true(signs)))
    return _columns(numbers, measured, [("<", below), (">", above)], unreadable)


def _negative_is_limit(text: pa.Array, reading: Reading) -> _Columns:
    """Read ``-2`` as below a limit of 2. NURE HSSR (USGS OFR 97-492), USGS best-value tables, R's compositions."""
    numbers, unreadable = read_numbers(text, reading.decimal)
    below = pc.less(numbers, 0)
    return _columns(pc.abs(numbers), pc.greater_equal(numbers, 0), [("<", below)], unreadable)


def _suffix_letter(text: pa.Array, reading: Reading) -> _Columns:
    """Read ``5.000N`` as not detected at 5, ``1.000L`` below 1, ``10G`` above 10, ``B`` as no data. USGS OFR 81-197."""
    parts = pc.extract_regex(pc.utf8_trim_whitespace(text), r"^(?P<number>.*?)\s*(?P<letter>[NLGB]?)$")
    letter, number = pc.struct_field(parts, "letter"), pc.struct_field(parts, "number")
    empty = pc.and_(pc.equal(letter, "B"), pc.equal(number, ""))
    numbers, unreadable = read_numbers(number, reading.decimal)
    lone = pc.and_(pc.is_null(numbers), pc.is_in(letter, pa.array(["N", "L", "G"])))
    unreadable = pc.or_(unreadable, _true(lone))
    marked = [(code, pc.equal(letter, mark)) for mark, code in MARKS.items() if mark in "NLGB"]
    numbers = pc.if_else(_true(pc.equal(letter, "B")), _NOTHING, numbers)
    measured = pc.and_(pc.is_valid(numbers), _true(pc.equal(letter, "")))
    return _columns(numbers, measured, marked, pc.and_not(unreadable, _true(empty)))


def _sentinel(text: pa.Array, reading: Reading) -> _Columns:
    """Read one number, such as -99999, as below the limit; the limit, if told, is in another column."""
    if reading.sentinel is None:
        raise ContractError("encoding 'sentinel' needs the sentinel: the number that stands for below the limit")
    numbers, unreadable = read_numbers(text, reading.decimal)
    below = pc.equal(numbers, reading.sentinel)
    numbers = pc.if_else(_true(below), _NOTHING, numbers)
    return _columns(numbers, pc.is_valid(numbers), [("<", below)], unreadable)


def _zero_is_below_undeclared(text: pa.Array, reading: Reading) -> _Columns:
    """Read 0 as below a limit that nobody declared: no value, no limit."""
    numbers, unreadable = read_numbers(text, reading.decimal)
    below = pc.equal(numbers, 0.0)
    numbers = pc.if_else(_true(below), _NOTHING, numbers)
    return _columns(numbers, pc.is_valid(numbers), [("<", below)], unreadable)


ENCODINGS: Mapping[str, Callable[[pa.Array, Reading], _Columns]] = {
    "plain": _plain,
    "less-than-text": _less_than_text,
    "negative-is-limit": _negative_is_limit,
    "suffix-letter": _suffix_letter,
    "sentinel": _sentinel,
    "zero-is-below-undeclared": _zero_is_below_undeclared,
    "qualifier-column": _plain,
}
"""How results beyond a detection limit are written, each as a system of an agency writes them."""


def read_results(
    column: pa.Array,
    encoding: str,
    reading: Reading | None = None,
    *,
    qualifiers: pa.Array | None = None,
    limits: pa.Array | None = None,
) -> Results:
    """Read laboratory results, keeping apart what was measured and what is only bounded.

    Parameters
    ----------
    column : text as received, plain or dictionary-encoded; a blank counts as not reported.
    encoding : a name of `ENCODINGS`.
    reading : decimal sign, sentinel and qualifier marks.
    qualifiers : the companion column, for ``qualifier-column``.
    limits : lower limits from a column of their own, kept where the text itself tells none.

    Raises
    ------
    ContractError
        If the encoding is unknown, or lacks what it needs.
    """
    if encoding not in ENCODINGS:
        raise ContractError(f"no encoding {encoding!r} of detection limits; have {sorted(ENCODINGS)}")
    if (encoding == "qualifier-column") != (qualifiers is not None):
        raise ContractError("a column of qualifiers goes with the encoding 'qualifier-column', and with no other")
    reading = reading or Reading()
    encoded = column if isinstance(column, pa.DictionaryArray) else pc.dictionary_encode(column)
    distinct = ENCODINGS[encoding](encoded.dictionary, reading)
    value, qualifier, limit, unreadable = (part.take(encoded.indices) for part in distinct)
    if qualifiers is not None:
        value, qualifier, limit, unreadable = _qualified(value, unreadable, qualifiers, reading.marks)
    if limits is not None:
        lower = pc.is_in(qualifier, pa.array(["=", "<", "not-detected"]))  # what stands beside is a lower limit
        limit = pc.if_else(pc.and_(_true(lower), pc.is_null(limit)), pc.cast(limits, pa.float64()), limit)
    return Results(value, pc.dictionary_encode(qualifier), limit, pc.fill_null(unreadable, False))


def _qualified(value: pa.Array, unreadable: pa.Array, qualifiers: pa.Array, marks: Mapping[str, str]) -> _Columns:
    """Apply a companion column of qualifiers; a mark without a meaning makes its result unreadable."""
    encoded = qualifiers if isinstance(qualifiers, pa.DictionaryArray) else pc.dictionary_encode(qualifiers)
    texts = [(text or "").strip() for text in encoded.dictionary.to_pylist()]
    meaning = pa.array([marks.get(text) if text else "=" for text in texts], pa.string()).take(encoded.indices)
    strange = _true(pa.array([bool(text) and text not in marks for text in texts], pa.bool_()).take(encoded.indices))
    meaning = pc.if_else(pc.is_valid(encoded), meaning, "=")
    number = pc.if_else(_true(pc.equal(meaning, "not-analysed")), _NOTHING, value)
    marked = [(code, pc.equal(meaning, code)) for code in sorted(set(marks.values()) - {"="})]
    measured = pc.and_(pc.is_valid(number), _true(pc.equal(meaning, "=")))
    return _columns(number, measured, marked, pc.or_(_true(unreadable), strange))


def _columns(
    number: pa.Array, measured: pa.Array, marked: list[tuple[str, pa.Array]], unreadable: pa.Array
) -> _Columns:
    """Give value, qualifier, limit and unreadable from one number that is either measured or a limit."""
    qualifier = pc.if_else(measured, pa.scalar("="), pa.scalar(None, pa.string()))
    for code, mask in marked:
        qualifier = pc.if_else(pc.and_not(_true(mask), _true(unreadable)), pa.scalar(code), qualifier)
    value = pc.if_else(measured, number, _NOTHING)
    limit = pc.if_else(pc.and_not(pc.is_valid(qualifier), measured), number, _NOTHING)
    return value, qualifier, limit, unreadable


def _true(mask: pa.Array) -> pa.Array:
    return pc.fill_null(mask, False)
