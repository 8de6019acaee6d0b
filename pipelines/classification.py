"""Resource classification: what a category means in the CRIRSCO family and in UNFC 2019, and how surely."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ContractError
from pipelines.terms import VOCABULARIES, Vocabulary, load_vocabulary

STRENGTHS = ("exact", "close", "competent-person", "none")


@dataclass(frozen=True)
class Category:
    """What one estimate category corresponds to.

    Parameters
    ----------
    code : code of ``estimate_category.csv``.
    crirsco : class of the CRIRSCO family, a sum of classes joined by ``+``, or None where there is none.
    unfc_e, unfc_f, unfc_g : UNFC 2019 axes, or None.
    strength : how surely: ``exact``; ``close``; ``competent-person``, a conversion that is no statement before a
        Competent Person has made it; ``none``, no correspondence.
    is_resource : a Mineral Resource in the sense of the CRIRSCO family; never true of India's 211, 221, 222 and 334.
    is_reserve : a Mineral Reserve in that sense.
    unfc_1997 : axes of India's three-digit code, in the order E F G; not those of UNFC 2019.
    source : where the correspondence comes from.
    """

    code: str
    crirsco: str | None
    unfc_e: str | None
    unfc_f: str | None
    unfc_g: str | None
    strength: str
    is_resource: bool
    is_reserve: bool
    unfc_1997: str | None
    source: str

    @property
    def is_derived(self) -> bool:
        """Whether the correspondence is a conversion, not the statement of a Competent Person."""
        return self.strength == "competent-person"

    @property
    def is_aggregate(self) -> bool:
        """Whether the category is a sum of others, never to be added to them."""
        return self.crirsco is not None and "+" in self.crirsco


def classify(code: str, folder: Path = VOCABULARIES) -> Category:
    """Give what an estimate category corresponds to; nothing is silently equated.

    Parameters
    ----------
    code : code of ``estimate_category.csv``.
    folder : the vocabularies.

    Raises
    ------
    ContractError
        If the code is unknown, or its row states a strength or a flag that does not exist.

    >>> classify("unfc1997-221").crirsco is None
    True
    >>> classify("unfc1997-331").strength
    'competent-person'
    """
    vocabulary = load_vocabulary(folder / "estimate_category.csv")
    strength = vocabulary.more(code, "strength")
    if strength not in STRENGTHS:
        raise ContractError(f"{vocabulary.name}.csv: {code} has strength {strength!r}; want one of {STRENGTHS}")
    return Category(
        code=code,
        crirsco=vocabulary.more(code, "crirsco") or None,
        unfc_e=vocabulary.more(code, "unfc_e") or None,
        unfc_f=vocabulary.more(code, "unfc_f") or None,
        unfc_g=vocabulary.more(code, "unfc_g") or None,
        strength=strength,
        is_resource=_flag(vocabulary, code, "is_resource"),
        is_reserve=_flag(vocabulary, code, "is_reserve"),
        unfc_1997=vocabulary.more(code, "unfc_1997") or None,
        source=vocabulary.terms[code].source,
    )


def _flag(vocabulary: Vocabulary, code: str, column: str) -> bool:
    text = vocabulary.more(code, column)
    if text not in ("yes", "no"):
        raise ContractError(f"{vocabulary.name}.csv: {code} has {column} {text!r}; want yes or no")
    return text == "yes"
