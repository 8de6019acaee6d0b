"""Controlled vocabularies: partners' spellings to our codes, on distinct values only."""

import csv
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process

from pipelines.errors import ContractError

VOCABULARIES = Path(__file__).resolve().parents[1] / "schemas" / "vocabularies"
COLUMNS = ("code", "label", "uri", "aliases", "broader", "source")

REMEMBERED = 65_536
"""Spellings of which the meaning is kept in memory."""

_GAPS = re.compile(r"[\s\-_\u2010-\u2015]+")
_PLUS_OR_MINUS = re.compile(r"\+\s*/\s*-")
_AROUND_PLUS_OR_MINUS = re.compile(r" *± *")


def fold(text: str) -> str:
    """Give the form in which spellings are compared.

    Unicode compatibility forms, case, blanks, hyphens and underscores do not count; ``+/-`` is ``±``.

    >>> fold(" Lithium +/-  Tantalum ")
    'lithium ± tantalum'
    >>> fold("Bimodal-felsic VMS") == fold("bimodal felsic vms")
    True
    """
    plain = _PLUS_OR_MINUS.sub("±", unicodedata.normalize("NFKC", text).casefold())
    return _AROUND_PLUS_OR_MINUS.sub(" ± ", _GAPS.sub(" ", plain)).strip()


@dataclass(frozen=True)
class Term:
    """One row of a vocabulary; ``more`` holds the columns that only this vocabulary has."""

    code: str
    label: str
    uri: str
    aliases: tuple[str, ...]
    broader: tuple[str, ...]
    source: str
    more: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A list of codes with their labels, URIs and the spellings that mean them.

    Parameters
    ----------
    name : the file's name without its ending.
    terms : the rows by code, in the file's order.
    exact : spellings that are matched with their case, URIs among them.
    folded : folded spellings, matched after ``exact``.
    """

    name: str
    terms: Mapping[str, Term]
    exact: Mapping[str, str]
    folded: Mapping[str, str]

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes, in the file's order."""
        return tuple(self.terms)

    def label(self, code: str) -> str:
        """Give a code's label in plain words."""
        return self._term(code).label

    def uri(self, code: str) -> str | None:
        """Give a code's URI where the vocabulary that it comes from has one."""
        return self._term(code).uri or None

    def broader(self, code: str) -> tuple[str, ...]:
        """Give the codes one step up: usually one, sometimes two."""
        return self._term(code).broader

    def source(self, code: str) -> str:
        """Give where a code's row comes from."""
        return self._term(code).source

    def above(self, code: str, level: str) -> str | None:
        """Give the term of a level that a code is or lies under; None where it lies under none.

        >>> load_vocabulary(VOCABULARIES / "deposit_type.csv").above("abyssal-pegmatite-ree", "group")
        'pegmatite'
        """
        pending = [code]
        while pending:
            here = pending.pop(0)
            if self.more(here, "level") == level:
                return here
            pending.extend(self.broader(here))
        return None

    def more(self, code: str, column: str) -> str:
        """Give the text of a column that only this vocabulary has."""
        return self._term(code).more[column]

    def find(self, text: str) -> str | None:
        """Give the code that a spelling means, or None where the vocabulary does not know it.

        >>> load_vocabulary(VOCABULARIES / "commodity.csv").find("rare earth  elements")
        'rare-earth-element'
        """
        return self.exact.get(unicodedata.normalize("NFKC", text).strip()) or self.folded.get(fold(text))

    def nearest(self, text: str, n: int = 3) -> list[str]:
        """Give up to n codes whose spellings are nearest to an unknown one, best first."""
        return list(_nearest(self, text, n))

    def _term(self, code: str) -> Term:
        try:
            return self.terms[code]
        except KeyError:
            raise ContractError(f"{self.name}.csv has no code {code!r}; {hint(self, code)}") from None


@lru_cache(maxsize=4096)
def _nearest(vocabulary: Vocabulary, text: str, n: int) -> tuple[str, ...]:
    spellings = [spelling for spelling in vocabulary.folded if len(spelling) > 2]
    close = process.extract(fold(text), spellings, scorer=fuzz.WRatio, score_cutoff=70, limit=4 * n)
    return tuple(dict.fromkeys(vocabulary.folded[spelling] for spelling, _, _ in close))[:n]


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary; the same file is read once until it changes.

    A vocabulary with a ``symbols`` column has codes and symbols that are matched with their case (``Mt`` is not
    ``mt``); everything else is matched folded, see `fold`.

    Raises
    ------
    ContractError
        If the file or one of its columns is missing, a code is repeated, or a spelling would mean two codes.
    """
    try:
        stamp = path.stat()
    except OSError as error:
        raise ContractError(f"vocabulary {path.name} cannot be read: {error.strerror}") from error
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=256)
def _read(path: Path, _modified: int, _size: int) -> Vocabulary:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise ContractError(f"{path.name}: columns missing: {missing}; have {reader.fieldnames}")
        rows = [_term_of(row) for row in reader]
    terms = {term.code: term for term in rows}
    if len(terms) < len(rows):
        repeated = sorted({term.code for term in rows if sum(other.code == term.code for other in rows) > 1})
        raise ContractError(f"{path.name}: codes repeated: {repeated}")
    exact: dict[str, str] = {}
    folded: dict[str, str] = {}
    keeps_case = "symbols" in (reader.fieldnames or ())
    for term in rows:
        symbols = [term.code, *_split(term.more.get("symbols", ""))] if keeps_case else [term.code]
        for spelling in symbols:
            _claim(exact, spelling, term.code, path)
        for spelling in (*(() if keeps_case else (term.code,)), term.label, *term.aliases):
            _claim(folded, fold(spelling), term.code, path)
    exact.update(_uris(rows))
    return Vocabulary(path.stem, terms, exact, folded)


def _uris(rows: Sequence[Term]) -> dict[str, str]:
    """Give the codes that URIs mean; one that several codes share means none of them."""
    owners: dict[str, set[str]] = {}
    for term in rows:
        for uri in (term.uri, term.more.get("inspire_uri", "")):
            owners.setdefault(uri, set()).add(term.code)
    return {uri: codes.pop() for uri, codes in owners.items() if uri and len(codes) == 1}


def _term_of(row: dict[str, str]) -> Term:
    more = {name: value for name, value in row.items() if name not in COLUMNS}
    aliases, broader = _split(row["aliases"]), _split(row["broader"])
    return Term(row["code"], row["label"], row["uri"], aliases, broader, row["source"], more)


def _split(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split("|") if part.strip())


def _claim(spellings: dict[str, str], spelling: str, code: str, path: Path) -> None:
    owner = spellings.setdefault(spelling, code)
    if owner != code:
        raise ContractError(f"{path.name}: {spelling!r} would mean both {owner} and {code}")


def hint(vocabulary: Vocabulary, term: str) -> str:
    """Say what would make an unknown term known.

    >>> hint(load_vocabulary(VOCABULARIES / "azimuth_reference.csv"), "grid nort")
    "nearest known terms: 'grid', 'local'"
    """
    near = vocabulary.nearest(term)
    if not near:
        return f"no term of {vocabulary.name}.csv is near; add an alias there, or a code in the feed"
    return "nearest known terms: " + ", ".join(repr(code) for code in near)


def map_terms(
    column: pa.Array, vocabulary: Vocabulary, codes: Mapping[str, str] | None = None
) -> tuple[pa.DictionaryArray, pa.BooleanArray]:
    """Map a column of spellings to codes.

    Parameters
    ----------
    column : text, plain or dictionary-encoded; a blank counts as absent.
    vocabulary : where the codes come from.
    codes : the feed's own spellings; they win over the vocabulary.

    Returns
    -------
    The codes as ``dictionary<int32, string>``, and a mask of the rows whose term is present but unknown.

    Raises
    ------
    ContractError
        If a code of the feed is not in the vocabulary.
    """
    lookup = _lookup(vocabulary, _pairs(codes))
    encoded = _encode(column)
    texts = encoded.dictionary.to_pylist()
    found = [lookup(text) if text and text.strip() else None for text in texts]
    unknown = [bool(text and text.strip()) and code is None for text, code in zip(texts, found, strict=True)]
    known = pa.array(sorted({code for code in found if code}), pa.string())
    place = {code: at for at, code in enumerate(known.to_pylist())}
    places = pa.array([place.get(code) for code in found], pa.int32()).take(encoded.indices)
    return pa.DictionaryArray.from_arrays(places, known), _spread(unknown, encoded.indices)


def map_term_lists(
    column: pa.Array, vocabulary: Vocabulary, codes: Mapping[str, str] | None, split: str
) -> tuple[pa.ListArray, pa.BooleanArray, list[str]]:
    """Map a column of texts that hold several terms each to lists of codes.

    A text that is a term as a whole is not split (``Sand and Gravel, Construction``). Order is kept, repeats are
    dropped; a row keeps the terms that are known, and is null where none is.

    Parameters
    ----------
    split : regular expression between the terms.

    Returns
    -------
    The lists, a mask of the rows that hold an unknown term, and the distinct unknown terms, sorted.
    """
    lookup = _lookup(vocabulary, _pairs(codes))
    between = _pattern(split)
    encoded = _encode(column)
    lists: list[tuple[str, ...] | None] = []
    strange: list[bool] = []
    unknown: set[str] = set()
    for text in encoded.dictionary.to_pylist():
        known, others = _terms_in(text or "", lookup, between)
        lists.append(known or None)
        strange.append(bool(others))
        unknown.update(others)
    mapped = pa.array(lists, pa.list_(pa.string())).take(encoded.indices)
    return mapped, _spread(strange, encoded.indices), sorted(unknown)


@lru_cache(maxsize=REMEMBERED)
def _terms_in(
    text: str, lookup: Callable[[str], str | None], between: re.Pattern[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the known codes and the unknown terms of one text."""
    whole = lookup(text) if text.strip() else None
    if whole:
        return (whole,), ()
    parts = [part.strip() for part in between.split(text) if part and part.strip()]
    found = {part: lookup(part) for part in parts}
    known = tuple(dict.fromkeys(code for code in found.values() if code))
    return known, tuple(part for part in found if not found[part])


def _pairs(codes: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((codes or {}).items())


@lru_cache(maxsize=256)
def _lookup(vocabulary: Vocabulary, codes: tuple[tuple[str, str], ...]) -> Callable[[str], str | None]:
    """Give the function from a spelling to its code; it remembers, since batch after batch has the same spellings."""
    strange = sorted({code for _, code in codes} - set(vocabulary.terms))
    if strange:
        raise ContractError(f"codes that are not in {vocabulary.name}.csv: {strange}; {hint(vocabulary, strange[0])}")
    own = {text.strip(): code for text, code in codes}
    loose = {fold(text): code for text, code in codes}

    @lru_cache(maxsize=REMEMBERED)
    def lookup(text: str) -> str | None:
        return own.get(text.strip()) or loose.get(fold(text)) or vocabulary.find(text)

    return lookup


def _pattern(split: str) -> re.Pattern[str]:
    try:
        return re.compile(split)
    except re.error as error:
        raise ContractError(f"split is not a regular expression: {split!r}: {error}") from error


def _encode(column: pa.Array) -> pa.DictionaryArray:
    return column if isinstance(column, pa.DictionaryArray) else pc.dictionary_encode(column)


def _spread(flags: list[bool], indices: pa.Array) -> pa.BooleanArray:
    return pc.fill_null(pa.array(flags, pa.bool_()).take(indices), False)
