"""What the bytes of a text look like, to compare with the encoding that was declared."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SINGLE_BYTE = ("cp1252", "mac_roman", "cp850", "cp437", "cp1250", "cp1251", "cp1253", "cp1254")
"""Encodings that are told apart by what they make of the bytes; the first of equals is taken."""
EXCERPT_BYTES = 1 << 16
EVIDENCE = 4
"""Words beyond ASCII from which on one single-byte encoding may speak against another that was declared."""
WORD = re.compile(rb"[^\x00-\x20,;|\"']*[\x80-\xff][^\x00-\x20,;|\"']*")
UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
SIGNS = frozenset("°±µ²³–—‘’“”•…§©®½¼¾×€£ºª«»¿¡·№")
TIGHT = frozenset("²³°’‘µªº·–")
"""Signs that stand next to letters, as in m²."""
LOOSE = frozenset(" .,;:()[]/-+0123456789")
DOUBLED = re.compile("[\u00c2\u00c3\u00c5\u00e2][\u0080-\u00bf\u0152-\u0178\u2013-\u2122]")
"""What a character of UTF-8 becomes when its bytes are read one by one."""


@dataclass(frozen=True)
class Seen:
    """What was seen of bytes beyond ASCII.

    Parameters
    ----------
    words : the first words that hold such bytes, at most EXCERPT_BYTES of them.
    """

    words: tuple[bytes, ...] = ()

    @property
    def utf8(self) -> int:
        """Count the words that are sound UTF-8."""
        return sum(_is_utf8(word) for word in self.words)

    @property
    def other(self) -> int:
        """Count the words that are no UTF-8."""
        return len(self.words) - self.utf8

    def encoding(self) -> str | None:
        r"""Give the one encoding that all words speak for, or None where they are ASCII, mixed or tell nothing.

        >>> one, other = b"caf\xe9", b"caf\xc3\xa9"
        >>> Seen((one,)).encoding(), Seen((other,)).encoding(), Seen((one, other)).encoding()
        ('cp1252', 'utf-8', None)
        """
        if not self.words or (self.utf8 and self.other):
            return None
        if self.utf8:
            return "utf-8"
        best = max(SINGLE_BYTE, key=self.likeness)
        return best if self.likeness(best) >= 0.5 else None

    def likeness(self, encoding: str) -> float:
        """Say how much like words of a language these are in a single-byte encoding, at most 1."""
        if not self.words:
            return 0.0
        scores = [score for word in self.words[:2000] for score in _scores(word, encoding)]
        return sum(scores) / len(scores)

    def rivals(self, encoding: str) -> list[str]:
        """Give the other encodings that are as likely as this one, and read the words otherwise."""
        mine = self.likeness(encoding)
        alike = [name for name in SINGLE_BYTE if name != encoding and self.likeness(name) >= mine]
        return [name for name in alike if self.shown(name) != self.shown(encoding)]

    def shown(self, encoding: str, count: int = 3) -> str:
        """Give some of the words as they read in an encoding."""
        words = list(dict.fromkeys(self.words))[:count]
        return ", ".join(word.decode(encoding, "backslashreplace") for word in words)[:200]

    def reading(self, encoding: str) -> str:
        """Give words as they read in an encoding, and in others that are as likely."""
        others = [f"or {self.shown(name)} in {name}" for name in self.rivals(encoding)[:3]]
        return ", ".join([self.shown(encoding), *others])


def look(blocks: Iterable[bytes]) -> Seen:
    """See which words beyond ASCII a text holds, in one pass that costs next to nothing for ASCII."""
    words: list[bytes] = []
    size = 0
    for block in _whole(blocks):
        if size >= EXCERPT_BYTES:
            continue
        for word in WORD.findall(block):
            words.append(word[:200])
            size += len(word[:200])
            if size >= EXCERPT_BYTES:
                break
    return Seen(tuple(words))


def contradiction(seen: Seen, encoding: str) -> str | None:
    r"""Say why a text cannot well be in the encoding that was declared for it, or give None.

    >>> contradiction(Seen((b"caf\xc3\xa9",)), "cp1252")
    'every word beyond ASCII is sound UTF-8: café, not cafÃ©'
    """
    likely = seen.encoding()
    if likely is None or same(likely, encoding):
        doubled = same(encoding, "utf-8") and is_doubled(seen.shown("utf-8", 1000))
        return f"the text was made UTF-8 twice: {seen.shown('utf-8')}" if doubled else None
    if likely == "utf-8":
        return f"every word beyond ASCII is sound UTF-8: {seen.shown('utf-8')}, not {seen.shown(encoding)}"
    if same(encoding, "utf-8"):
        return f"no word beyond ASCII is UTF-8; in {likely} they read {seen.shown(likely)}"
    if len(set(seen.words)) < EVIDENCE or seen.likeness(likely) - seen.likeness(encoding) < 0.5:
        return None
    return f"the words read {seen.shown(encoding)}, and in {likely} {seen.shown(likely)}"


def same(one: str, other: str) -> bool:
    """Tell whether two names are those of one encoding."""
    return codecs.lookup(one).name == codecs.lookup(other).name


def wide(head: bytes) -> str | None:
    """Give the byte order of UTF-16 without a mark, which every other byte being NUL tells, or None.

    >>> wide("id,name".encode("utf-16-le")), wide(b"id,name")
    ('utf-16-le', None)
    """
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) / 2
    if half >= 2 and max(even, odd) > 0.7 * half and min(even, odd) < 0.1 * half:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def is_doubled(text: str) -> bool:
    """Tell whether a text looks like UTF-8 that was read byte by byte.

    >>> is_doubled("cafÃ©"), is_doubled("café")
    (True, False)
    """
    return DOUBLED.search(text) is not None


def _whole(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Give blocks beyond ASCII that do not end within a word."""
    carried = b""
    for block in blocks:
        if not carried and block.isascii():
            continue
        block = carried + block
        cut = max(block.rfind(b"\n"), block.rfind(b","), block.rfind(b" ")) + 1
        carried = b"" if cut == 0 else block[cut:][-4096:]
        yield block[:cut] if cut else block
    if carried:
        yield carried


def _is_utf8(word: bytes) -> bool:
    return UTF8.sub(b"", word).isascii()


def _scores(word: bytes, encoding: str) -> Iterator[float]:
    """Judge each byte beyond ASCII by the character that it becomes and by its neighbours."""
    text = word.decode(encoding, "replace")
    for place, character in enumerate(text):
        if character.isascii():
            continue
        before = text[place - 1] if place else " "
        after = text[place + 1] if place + 1 < len(text) else " "
        yield _likely(character, before, after)


def _likely(character: str, before: str, after: str) -> float:
    if character in SIGNS:
        loose = {before, after} <= LOOSE or (character in TIGHT and (before + after).isascii())
        return 0.9 if loose else 0.1
    if not character.isalpha() or unicodedata.category(character) not in ("Ll", "Lu"):
        return -1.0
    is_latin = unicodedata.name(character, "").startswith("LATIN")
    if not is_latin and (before + after).isascii():
        return -1.0 if (before + after).strip() else 0.8
    if is_latin and any(each.isalpha() and not each.isascii() for each in (before, after)):
        return 0.6  # in Latin script, two letters with marks seldom meet
    if character.islower():
        return 1.0 if not before.isupper() or before == " " else 0.3
    return 0.8 if not before.islower() and not after.islower() else 0.9 if not before.isalpha() else -0.5
