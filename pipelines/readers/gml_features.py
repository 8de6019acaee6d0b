"""Features of a GML document one by one, with nothing of the document kept behind them.

What GML may say is believed as far as it is harmless: no document type, no entities, no network, and caps on depth and
on the size of one feature.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.readers.report import Report

MEMBERS = frozenset({"member", "featureMember", "featureMembers"})
FAULTS = frozenset({"ExceptionReport", "ServiceExceptionReport"})
COUNTS = ("numberMatched", "numberReturned", "numberOfFeatures")
COLLECTION = "FeatureCollection"
GML = "http://www.opengis.net/gml"
HREF = "{http://www.w3.org/1999/xlink}href"
DEPTH = 100
ELEMENTS = 1_000_000
"""Elements of one feature, which is held in memory as a whole."""

Element = Any  # lxml's types are not told to the type checker


@dataclass
class Facts:
    """What a document says beside its features.

    Parameters
    ----------
    root : its first element's name.
    counts : how many features the server tells of, by its own word.
    kinds : members of the collection by name.
    references : members that only point elsewhere.
    srs : coordinate system of the collection's envelope.
    """

    root: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    references: int = 0
    srs: str | None = None


def local(element: Element) -> str:
    """Give an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def features(path: Path, feature: str | None, report: Report, facts: Facts) -> Iterator[Element]:
    """Give each feature as an element; it is emptied before the next one comes.

    Parameters
    ----------
    path : the document.
    feature : name of the features' element, wherever it stands; None for the members of the collection, or the
        document's own element where it is no collection.
    report : takes the reason where the document is refused.
    facts : is filled on the way.
    """
    from lxml import etree  # native code that only this reader's process loads

    try:
        yield from _Walk(feature, report, facts).over(_events(etree, path))
    except etree.XMLSyntaxError as error:
        hint = "ask for the document again; it may be cut short"
        report.refuse("read.malformed", f"line {error.lineno}: {error.msg}", hint)


def _events(etree: Any, path: Path) -> Iterator[tuple[str, Element]]:  # noqa: ANN401 - a module
    with path.open("rb") as file:
        yield from etree.iterparse(
            file,
            events=("start", "end"),
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )


@dataclass
class _Walk:
    """A way through one document: how deep it is, and at which depth the open feature began."""

    feature: str | None
    report: Report
    facts: Facts
    depth: int = 0
    began: int = 0
    elements: int = 0

    def over(self, events: Iterator[tuple[str, Element]]) -> Iterator[Element]:
        for event, element in events:
            if event == "start":
                self.depth += 1
                if self.depth > DEPTH:
                    found = f"more than {DEPTH} elements within each other"
                    self.report.refuse("read.too_deep", found, "deliver plain GML")
                if self.began:
                    self._inside(element)
                else:
                    self._outside(element)
                continue
            if self.depth == self.began:
                if local(element) in FAULTS:
                    _refuse_fault(element, self.report)
                yield element
                self.began = self.elements = 0
            if not self.began:
                self._envelope(element)
                _forget(element)
            self.depth -= 1

    def _inside(self, element: Element) -> None:
        self.elements += 1
        if self.elements > ELEMENTS:
            hint = "check that the feature's element is the one meant, or deliver it in parts"
            self.report.refuse("read.too_large", f"a feature of more than {ELEMENTS} elements", hint)
        if self.depth == 2 and self.feature is None and local(element) in MEMBERS:
            self._is_collection_after_all()
            self._outside(element)

    def _root(self, element: Element) -> None:
        if element.getroottree().docinfo.internalDTD is not None:
            hint = "deliver GML without a document type and without entities of its own"
            self.report.refuse("read.refused", "the document declares a document type", hint)
        self.facts.root = local(element)
        speaks = any((uri or "").startswith(GML) for uri in element.nsmap.values())
        if not speaks and not self.facts.root.endswith(COLLECTION) and self.facts.root not in FAULTS:
            hint = "deliver GML, or declare the reader of this format"
            self.report.refuse("read.not_gml", f"an XML document that begins with {self.facts.root}", hint)

    def _is_collection_after_all(self) -> None:
        """Take back that the document is one feature: collections go by many names, but all have members."""
        self.began = self.elements = 0
        self.facts.kinds.clear()

    def _outside(self, element: Element) -> None:
        if self.depth == 1:
            self._root(element)
        name, parent = local(element), element.getparent()
        is_member = parent is not None and local(parent) in MEMBERS and not name.endswith(COLLECTION)
        if name.endswith(COLLECTION):
            self._count(element)
        elif name in FAULTS or name == self.feature or self.feature is None and (is_member or self.depth == 1):
            self.began = self.depth
        if name in MEMBERS and element.get(HREF):
            self.facts.references += 1
        if (is_member or (self.depth == 1 and not name.endswith(COLLECTION))) and name not in FAULTS:
            self.facts.kinds[name] += 1

    def _count(self, element: Element) -> None:
        for name in COUNTS:
            said = element.get(name, "")
            if said.isdecimal() and (self.depth == 1 or name not in self.facts.counts):
                self.facts.counts[name] = int(said)

    def _envelope(self, element: Element) -> None:
        if local(element) in ("Envelope", "Box"):
            self.facts.srs = self.facts.srs or element.get("srsName")


def _forget(element: Element) -> None:
    """Empty an element that is done with, and take the ones before it off the tree."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _refuse_fault(element: Element, report: Report) -> None:
    text = " ".join(" ".join(element.itertext()).split())
    codes = [each.get("exceptionCode") or each.get("code") for each in element]
    found = ": ".join(filter(None, [", ".join(filter(None, codes)), text])) or "no text"
    report.refuse("read.server_error", found, "this is the server's refusal and no data; correct the request")
