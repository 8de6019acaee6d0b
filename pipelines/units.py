"""Units: one definition of each, conversion between those of one dimension, refusal of those that mean two things."""

import re
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pint
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ContractError
from pipelines.terms import VOCABULARIES, Vocabulary, fold, hint, load_vocabulary

DEFINITIONS = (
    "ppb = 1e-9",
    "lakh = 1e5",
    "crore = 1e7",
    "cpht = carat / (100 * metric_ton)",
    "gamma_api = [gamma_api]",
    *(f"{currency} = [currency_{currency.lower()}]" for currency in ("USD", "AUD", "GBP", "EUR", "CAD", "INR")),
)
"""What pint lacks. Spellings never reach pint: ``kt`` would be knots there, ``mt`` a kilogram, ``milligal`` a volume.

Only the expressions of ``unit.csv`` do."""

_TON = "is a short ton in one source, a long ton or a tonne in another: write short-ton, long-ton or t"
_OUNCE = "may be a troy or an avoirdupois ounce: write troy-oz or avoirdupois-oz"
_MT = "is metric tons in one source and million tonnes in another: write t or Mt"
REFUSED = {
    "ton": _TON,
    "tons": _TON,
    "oz": _OUNCE,
    "ounce": _OUNCE,
    "ounces": _OUNCE,
    "koz": _OUNCE,
    "moz": _OUNCE,
    "oz/t": _OUNCE,
    "oz/ton": _OUNCE + ", and say which ton",
    "ounces/ton": _OUNCE + ", and say which ton",
    "ounces per ton": _OUNCE + ", and say which ton",
    "mt": _MT,
    "t": "is tesla, tonne or ton: write nT, t or short-ton",
    "st": "is short ton or stone: write short-ton",
    "lt": "is long ton or litre: write long-ton or L",
    "fl": "is flask or fluid: write flask",
    "m": "is metre or million: write m, or the whole unit",
    "ppt": "is parts per trillion or per thousand: write permille, or convert to ppb",
    "lakh": "is a number: write lakh-t or lakh-INR",
    "crore": "is a number: write crore-t or crore-INR",
}
"""Spellings, folded, that mean two things, and why; ``t``, ``m`` and ``Mt`` are known as they stand.

A feed's ``units`` may still say what its partner means by them."""

_COUNTED = re.compile(
    r"^(?:(?:0{3}s?|thousands?|millions?|billions?|of|dry|wet|recoverable|contained) )+(?P<what>ounces?|oz|tons?)$"
)
"""A number of ounces or tons, folded, that says no more of them than the bare word."""


def factor(have: str, want: str) -> float:
    """Give the multiplier from one unit to another of the same dimension.

    Parameters
    ----------
    have, want : unit codes of ``unit.csv``, or spellings that it knows.

    Raises
    ------
    ContractError
        If a unit is unknown or means two things, or if the dimensions differ.

    >>> factor("kt", "Mt")
    0.001
    >>> factor("troy-oz/short-ton", "g/t")
    34.285714285714285
    """
    return float(_ratio(code_of(have), code_of(want)))


def dimension(unit: str) -> str:
    """Give what a unit measures: mass, volume, mass_fraction, length ...

    >>> dimension("wt-pct")
    'mass_fraction'
    """
    return _units().broader(code_of(unit))[0]


def code_of(text: str) -> str:
    """Give the code of a unit as it is spelled, refusing what is ambiguous.

    Raises
    ------
    ContractError
        With the reason, if the spelling means two things, or with the nearest units, if it is unknown.
    """
    code = _units().find(text)
    if code is not None:
        return code
    reason = refusal(text)
    if reason:
        raise ContractError(f"unit {text!r} is refused: it {reason}")
    raise ContractError(f"unit {text!r} is unknown; {hint(_units(), text)}")


def refusal(text: str) -> str | None:
    """Say why a spelling is not accepted as a unit, or None where nothing is held against it."""
    if _units().find(text):
        return None
    counted = _COUNTED.match(fold(text))
    return REFUSED.get(counted["what"] if counted else fold(text))


def convert(values: pa.Array, units: pa.Array, want: str) -> tuple[pa.DoubleArray, pa.BooleanArray]:
    """Convert a column of numbers, each in the unit beside it, to one unit.

    Parameters
    ----------
    values : numbers.
    units : unit codes, plain or dictionary-encoded.
    want : the unit to convert to.

    Returns
    -------
    The converted numbers, and a mask of the values that could not be converted because their unit is absent, unknown
    or of another dimension; these are null.
    """
    target = code_of(want)
    encoded = units if isinstance(units, pa.DictionaryArray) else pc.dictionary_encode(units)
    pairs = [_scale(code, target) for code in encoded.dictionary.to_pylist()]
    at = encoded.indices
    multiplier = pa.array([pair[0] for pair in pairs], pa.float64()).take(at)
    divisor = pa.array([pair[1] for pair in pairs], pa.float64()).take(at)
    numbers = pc.cast(values, pa.float64())
    converted = pc.divide(pc.multiply(numbers, multiplier), divisor)
    return converted, pc.and_(pc.is_valid(numbers), pc.is_null(converted))


def scale(values: np.ndarray, have: str, want: str) -> np.ndarray:
    """Convert numbers that are all in one unit, with the rounding of `convert`."""
    multiplier, divisor = _parts(code_of(have), code_of(want))
    return values * multiplier / divisor


def _scale(code: str | None, target: str) -> tuple[float | None, float | None]:
    """Give multiplier and divisor, or None for a unit that does not lead to the target."""
    if code is None or code not in _units().terms or _units().broader(code) != _units().broader(target):
        return None, None
    return _parts(code, target)


def _parts(code: str, target: str) -> tuple[float, float]:
    """Give multiplier and divisor, one of them 1: dividing by 1000 rounds once and rightly."""
    ratio = _ratio(code, target)
    inverse = 1 / ratio
    return (1.0, float(inverse)) if inverse == inverse.to_integral_value() else (float(ratio), 1.0)


@lru_cache(maxsize=4096)
def _ratio(have: str, want: str) -> Decimal:
    if have == want:
        return Decimal(1)
    units = _units()
    if units.broader(have) != units.broader(want):
        raise ContractError(f"no conversion from {have} ({dimension(have)}) to {want} ({dimension(want)})")
    return (_quantity(have) / _quantity(want)).to_base_units().magnitude


def _quantity(code: str) -> pint.Quantity:
    return _registry().Quantity(Decimal(1)) * _registry().parse_expression(_units().more(code, "pint"))


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry:
    """Build a registry of decimals, so that a factor is the nearest float to the true one."""
    registry: pint.UnitRegistry = pint.UnitRegistry(non_int_type=Decimal)
    for definition in DEFINITIONS:
        registry.define(definition)
    return registry


def _units() -> Vocabulary:
    return load_vocabulary(VOCABULARIES / "unit.csv")
