"""Resource classification: what a category means in other schemes and how surely, and which quantities may be added."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ContractError, RejectedError
from pipelines.terms import VOCABULARIES, Vocabulary, load_vocabulary

STRENGTHS = ("exact", "close", "competent-person", "none")
"""From the surest on: the class itself; a published bridge; a Competent Person's judgement; no correspondence."""

AXES = ("E", "F", "G")


@dataclass(frozen=True)
class Match:
    """What a category corresponds to in one scheme; a row of ``estimate_crosswalk.csv``.

    Parameters
    ----------
    target : class, axes or URI in the scheme; None where there is no correspondence.
    strength : one of `STRENGTHS`.
    source : where the correspondence, or its absence, comes from.
    """

    scheme: str
    target: str | None
    strength: str
    source: str


@dataclass(frozen=True)
class Category:
    """What one estimate category corresponds to.

    Parameters
    ----------
    code : code of ``estimate_category.csv``.
    matches : correspondences by scheme (``crirsco``, ``unfc-2019``, ``unfc-1997``, ``inspire``).
    is_resource : a Mineral Resource in the sense of the CRIRSCO family; never true of India's 211, 221, 222 and 334.
    is_reserve : a Mineral Reserve in that sense.
    source : where the category itself comes from.
    """

    code: str
    matches: Mapping[str, Match]
    is_resource: bool
    is_reserve: bool
    source: str

    @property
    def crirsco(self) -> str | None:
        """Class of the CRIRSCO family, a sum of classes joined by ``+``, or None where there is none."""
        return self._target("crirsco")

    @property
    def unfc_e(self) -> str | None:
        """Environmental-socio-economic axis of UNFC 2019."""
        return self._axis("E")

    @property
    def unfc_f(self) -> str | None:
        """Technical-feasibility axis of UNFC 2019."""
        return self._axis("F")

    @property
    def unfc_g(self) -> str | None:
        """Degree-of-confidence axis of UNFC 2019; India's stages of exploration are not on it."""
        return self._axis("G")

    @property
    def unfc_1997(self) -> str | None:
        """Axes of India's three-digit code, in the order E F G; not those of UNFC 2019."""
        target = self._target("unfc-1997")
        return target.replace(";", " ") if target else None

    @property
    def strength(self) -> str:
        """How surely, of the weakest of the correspondences to CRIRSCO and UNFC 2019 that there are."""
        found = [match.strength for match in self.matches.values() if match.scheme in ("crirsco", "unfc-2019")]
        stated = [strength for strength in found if strength != "none"]
        return max(stated, key=STRENGTHS.index, default="none")

    @property
    def is_derived(self) -> bool:
        """Whether the correspondence is a conversion, not the statement of a Competent Person."""
        return self.strength == "competent-person"

    @property
    def is_aggregate(self) -> bool:
        """Whether the category is a sum of others, never to be added to them."""
        return self.crirsco is not None and "+" in self.crirsco

    def _target(self, scheme: str) -> str | None:
        match = self.matches.get(scheme)
        return match.target if match else None

    def _axis(self, letter: str) -> str | None:
        axes = (self._target("unfc-2019") or "").split(";")
        return next((axis for axis in axes if axis.startswith(letter)), None)


def classify(code: str, folder: Path = VOCABULARIES) -> Category:
    """Give what an estimate category corresponds to; nothing is silently equated.

    Parameters
    ----------
    code : code of ``estimate_category.csv``.
    folder : the vocabularies.

    Raises
    ------
    ContractError
        If the code is unknown, or its rows state a strength or a flag that does not exist.

    >>> classify("unfc1997-221").crirsco is None
    True
    >>> classify("unfc1997-331").strength
    'competent-person'
    """
    vocabulary = load_vocabulary(folder / "estimate_category.csv")
    source = vocabulary.source(code)
    return Category(
        code=code,
        matches={match.scheme: match for match in _matches(load_vocabulary(folder / "estimate_crosswalk.csv"), code)},
        is_resource=_flag(vocabulary, code, "is_resource"),
        is_reserve=_flag(vocabulary, code, "is_reserve"),
        source=source,
    )


@lru_cache(maxsize=1024)
def _matches(crosswalk: Vocabulary, code: str) -> tuple[Match, ...]:
    """Give the rows of the crosswalk that are about a category."""
    rows = [term for term in crosswalk.terms.values() if term.more["category"] == code]
    wrong = [term.code for term in rows if term.more["strength"] not in STRENGTHS]
    if wrong:
        raise ContractError(f"{crosswalk.name}.csv: {wrong[0]} has no strength of {STRENGTHS}")
    return tuple(
        Match(row.more["scheme"], row.more["target"] or None, row.more["strength"], row.source) for row in rows
    )


def _flag(vocabulary: Vocabulary, code: str, column: str) -> bool:
    text = vocabulary.more(code, column)
    if text not in ("yes", "no"):
        raise ContractError(f"{vocabulary.name}.csv: {code} has {column} {text!r}; want yes or no")
    return text == "yes"


REFUSALS: Mapping[str, str] = {
    "not-a-resource": "neither a resource nor a reserve of the CRIRSCO family",
    "needs-competent-person": "a conversion that no Competent Person has made",
    "superseded": "a newer estimate of the same ground replaces it",
    "undated": "other estimates of the same ground exist, and this one has no date",
    "same-date": "another estimate of the same ground has the same date",
    "total": "a total that stands beside its parts",
    "overlaps": "it includes a category that is also stated by itself or in another sum",
    "stated-twice": "its category stands more than once in the estimate",
    "included-in-resources": "a reserve that the estimate's resources include",
    "may-include-reserves": "a resource beside reserves, and the estimate does not say whether it includes them",
}
"""Why a quantity may not be added to others, in the order in which they are looked for."""


@dataclass(frozen=True)
class Leaves:
    """Which quantities may be added up.

    Parameters
    ----------
    summable : true for the rows that may.
    reason : of every other row the first of `REFUSALS` that holds; null for those that may.
    """

    summable: pa.BooleanArray
    reason: pa.DictionaryArray


def leaves(
    *,
    subject: pa.Array,
    estimate: pa.Array,
    category: pa.Array,
    is_total_of: pa.Array,
    is_inclusive: pa.Array,
    effective: pa.Array,
    supersedes: pa.Array | None = None,
    allow_derived: bool = False,
) -> Leaves:
    """Find the quantities that may be added without counting anything twice.

    What remains is the latest estimate of each subject, its leaf categories, resources without the reserves in them.

    Parameters
    ----------
    subject : what is estimated (a site, one of its ore bodies); estimates of one subject replace each other.
    estimate : the estimate that each row belongs to.
    category : codes of ``estimate_category.csv``, plain or dictionary-encoded.
    is_total_of : lists of the categories that a row includes; empty or null for a leaf.
    is_inclusive : whether the estimate's resources include its reserves; null where it does not say.
    effective : date or year that the estimate holds for; null where it is not stated.
    supersedes : estimate that this row's estimate replaces, where one is named.
    allow_derived : take India's codes too, as if a Competent Person had converted them.

    Raises
    ------
    ContractError
        If a category is unknown.
    """
    category = category if isinstance(category, pa.DictionaryArray) else pc.dictionary_encode(category)
    known = [None if code is None else classify(code) for code in category.dictionary.to_pylist()]
    kind = _spread([_kind(one) for one in known], category.indices, 0)
    derived = _spread([one is not None and one.is_derived for one in known], category.indices, False)
    parts = _spread(_part_bits(known), category.indices, 0)
    single = _spread([bits.bit_count() == 1 for bits in _part_bits(known)], category.indices, False)
    estimates, subjects = _numbered(estimate), _numbered(subject)
    told = pc.fill_null(pc.greater(pc.list_value_length(is_total_of), 0), False).to_numpy(zero_copy_only=False)
    countable = (kind > 0) & (allow_derived | ~derived)
    found = {"not-a-resource": kind == 0, "needs-competent-person": (kind > 0) & ~countable}
    found |= _replaced(estimate, estimates, subjects, effective, supersedes)
    standing = countable & ~np.logical_or.reduce(list(found.values()))
    found |= _nested(estimates * 2 + (kind == 2), parts, single, told, standing)
    standing &= ~np.logical_or.reduce(list(found.values()))
    found |= _inclusive(estimates, kind, is_inclusive, standing)
    return _first_reason(found)


def add_up(amounts: pa.Array, found: Leaves) -> float:
    """Add amounts that are all leaves.

    Raises
    ------
    RejectedError
        If one of the amounts may not be added to the others, with the reasons and their counts.
    """
    if pc.all(found.summable).as_py() is False:
        counts = pc.value_counts(found.reason.filter(pc.invert(found.summable)).dictionary_decode()).to_pylist()
        told = "; ".join(f"{one['counts']} rows: {REFUSALS[one['values']]}" for one in counts)
        raise RejectedError(f"no total: it would count twice, or what may not be counted ({told})")
    return float(pc.sum(amounts).as_py() or 0.0)


def _kind(category: Category | None) -> int:
    """Give 1 for a resource, 2 for a reserve, 0 for what is neither."""
    return 0 if category is None else 2 * category.is_reserve + category.is_resource


def _part_bits(known: list[Category | None]) -> list[int]:
    """Give each category's parts as bits: a sum has those of its classes, an Indian code one of its own."""
    own = [one for one in known if one is not None]
    names = sorted({name for one in own for name in _parts_of(one)})
    return [sum(1 << names.index(name) for name in _parts_of(one)) if one else 0 for one in known]


def _parts_of(category: Category) -> list[str]:
    if category.matches.get("unfc-1997"):
        return [category.code]
    return (category.crirsco or category.code).split("+")


def _spread(values: list, indices: pa.Array, absent: object) -> np.ndarray:
    """Give one value per row from one per distinct category."""
    return np.array([*values, absent])[pc.fill_null(indices, len(values)).to_numpy(zero_copy_only=False)]


def _numbered(names: pa.Array) -> np.ndarray:
    """Give each distinct name a number; a row without one stands for itself."""
    encoded = names if isinstance(names, pa.DictionaryArray) else pc.dictionary_encode(names)
    numbers = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(numbers < 0, len(encoded.dictionary) + np.arange(len(numbers)), numbers)


def _replaced(
    names: pa.Array, estimates: np.ndarray, subjects: np.ndarray, effective: pa.Array, supersedes: pa.Array | None
) -> dict[str, np.ndarray]:
    """Find the rows of estimates that are not the latest of their subject, or not surely so."""
    dates = pc.cast(effective, pa.int32()) if pa.types.is_date32(effective.type) else effective
    day = pc.fill_null(pc.cast(dates, pa.float64()), -np.inf).to_numpy(zero_copy_only=False)
    newest = np.full(int(subjects.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(newest, subjects, day)
    pairs = np.unique(np.column_stack([subjects, estimates]), axis=0)
    several = np.bincount(pairs[:, 0], minlength=len(newest)) > 1
    dated = np.isfinite(day)
    last = dated & (day == newest[subjects])
    rivals = np.unique(np.column_stack([subjects, estimates])[last], axis=0)
    tied = np.bincount(rivals[:, 0], minlength=len(newest)) > 1
    named = np.zeros(len(day), bool)
    if supersedes is not None:
        plain = names.dictionary_decode() if isinstance(names, pa.DictionaryArray) else names
        named = pc.is_in(plain, value_set=pc.drop_null(supersedes)).to_numpy(zero_copy_only=False)
    return {
        "superseded": named | (dated & (day < newest[subjects])),
        "undated": ~dated & several[subjects],
        "same-date": last & tied[subjects],
    }


def _nested(
    groups: np.ndarray, parts: np.ndarray, single: np.ndarray, told: np.ndarray, standing: np.ndarray
) -> dict[str, np.ndarray]:
    """Find totals beside their parts, sums that overlap, and categories that stand twice, within each group."""
    size = int(groups.max(initial=-1)) + 1
    leaf, whole = standing & single & ~told, standing & ~single & ~told
    stated, largest = np.zeros(size, np.int64), np.zeros(size, np.int64)
    np.bitwise_or.at(stated, groups[leaf], parts[leaf])
    beside = stated[groups] & parts
    total = told | (whole & (beside == parts))
    overlaps = whole & ~total & (beside > 0)
    alone = whole & ~total & ~overlaps
    np.bitwise_or.at(largest, groups[alone], parts[alone])
    bits = np.array([int(value).bit_count() for value in parts]) if alone.any() else parts
    together, crossed = np.zeros(size, np.int64), largest != 0
    np.add.at(together, groups[alone], bits[alone])
    crossed &= together > np.array([int(value).bit_count() for value in largest])
    overlaps |= alone & crossed[groups] & (parts != largest[groups])
    kept = (leaf | alone) & ~overlaps
    pairs, inverse, counts = np.unique(
        np.column_stack([groups, parts])[kept], axis=0, return_inverse=True, return_counts=True
    )
    twice = np.zeros(len(groups), bool)
    twice[kept] = counts[inverse.reshape(-1)] > 1
    return {"total": total, "overlaps": overlaps, "stated-twice": twice}


def _inclusive(
    estimates: np.ndarray, kind: np.ndarray, is_inclusive: pa.Array, standing: np.ndarray
) -> dict[str, np.ndarray]:
    """Find the reserves that resources include, and the resources that may include reserves."""
    size = int(estimates.max(initial=-1)) + 1
    has = {number: np.bincount(estimates[standing & (kind == number)], minlength=size) > 0 for number in (1, 2)}
    both = (has[1] & has[2])[estimates]
    said = pc.is_valid(is_inclusive).to_numpy(zero_copy_only=False)
    yes = pc.fill_null(is_inclusive, False).to_numpy(zero_copy_only=False)
    return {
        "included-in-resources": standing & both & yes & (kind == 2),
        "may-include-reserves": standing & both & ~said & (kind == 1),
    }


def _first_reason(found: dict[str, np.ndarray]) -> Leaves:
    """Give every row the first reason that holds for it."""
    masks = np.stack([found[name] for name in REFUSALS])
    refused = masks.any(axis=0)
    names = pa.array(list(REFUSALS), pa.string())
    reason = pa.DictionaryArray.from_arrays(pa.array(masks.argmax(axis=0).astype(np.int32), mask=~refused), names)
    return Leaves(pa.array(~refused), reason)
