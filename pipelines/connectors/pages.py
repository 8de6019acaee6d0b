"""What a page of a service holds: features counted and named, or an error that came in their place.

A page is looked through, never turned into rows: that is the readers' work, in a process of their own. Pages are capped
before they come here; documents with a document type, by which XML grows and reaches out, are refused.
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lxml import etree

from pipelines.connectors.exchange import Late
from pipelines.connectors.paging import Page
from pipelines.errors import RejectedError, SourceError

MESSAGE = 300
MEMBERS = frozenset({"member", "featureMember"})
IDENTIFIERS = ("{http://www.opengis.net/gml/3.2}id", "{http://www.opengis.net/gml}id", "fid")
EXCEPTIONS = frozenset({"ExceptionReport", "ServiceExceptionReport", "ServiceException"})
OURS = re.compile(
    r"InvalidParameterValue|MissingParameterValue|OperationNotSupported|VersionNegotiation|LayerNotDefined"
)
"""Codes of exceptions that the same question meets again."""
PARSER: dict[str, Any] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}


def json_page(path: Path, name: Callable[[dict[str, Any]], Any]) -> tuple[Page, dict[str, Any]]:
    """Look through a JSON page whose features stand in a list, and give the document beside it.

    Parameters
    ----------
    name : gives a feature's own name, or None.

    Raises
    ------
    SourceError
        If it is no JSON, as where it is cut short, or says itself that it holds another number of features.
    """
    document = json_document(path)
    records = document.get("features")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise SourceError(f"no list of features came, but an object with {sorted(document)[:20]}")
    _check_returned(document.get("numberReturned"), len(records))
    return Page(marks=marks_of(records), ids=ids_of([name(record) for record in records])), document


def json_document(path: Path) -> dict[str, Any]:
    """Read a JSON object; an XML exception in its place is told in its own words."""
    content = path.read_bytes()
    if content.lstrip()[:1] == b"<":
        root = _root(path)
        raise SourceError(f"XML came instead of JSON, with the root {etree.QName(root).localname!r}")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"no JSON came, or only a part of it ({error})") from error
    if not isinstance(document, dict):
        raise SourceError(f"a JSON object is wanted, a {type(document).__name__} came")
    return document


def xml_page(path: Path) -> tuple[Page, dict[str, str]]:
    """Look through a feature collection of a WFS, and give the attributes of its root beside it.

    Features are the children of `member`, `featureMember` and `featureMembers`; what stands under `additionalObjects`
    is referred to by features and is none.

    Raises
    ------
    SourceError
        If it is cut short, is an exception that may pass, or holds another number of features than it says.
    RejectedError
        If it is an exception that will not pass, or has a document type.
    Late
        If the server says that it stopped before the end.
    """
    root = _root(path)
    features: list[Any] = []
    for child in root.iterchildren(tag=etree.Element):
        local = etree.QName(child).localname
        if local == "truncatedResponse":
            raise Late("the server says that it stopped before the end (truncatedResponse)")
        if local in MEMBERS:
            features += list(child.iterchildren(tag=etree.Element))[:1]
        elif local == "featureMembers":
            features += list(child.iterchildren(tag=etree.Element))
    said = {str(name): str(value) for name, value in root.attrib.items()}
    _check_returned(said.get("numberReturned") or said.get("numberOfFeatures"), len(features))
    marks = tuple(hashlib.sha256(etree.tostring(feature, method="c14n")).digest() for feature in features)
    named = [next((feature.get(name) for name in IDENTIFIERS if feature.get(name)), None) for feature in features]
    return Page(marks=marks, ids=ids_of(named)), said


def xml_hits(path: Path) -> int | None:
    """Give the number of features that a WFS declares when asked for nothing else; None where it does not know."""
    root = _root(path)
    said = root.get("numberMatched") or root.get("numberOfFeatures") or ""
    return int(said) if said.isdigit() else None


def marks_of(records: list[dict[str, Any]]) -> tuple[bytes, ...]:
    """Give the digest of each record, whatever the order and the layout of its members."""
    texts = (json.dumps(record, sort_keys=True, separators=(",", ":")) for record in records)
    return tuple(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts)


def ids_of(names: list[Any]) -> tuple[str, ...]:
    """Give features' names as text; nothing where one has none, since then none is told apart by it."""
    return () if any(name is None for name in names) else tuple(str(name) for name in names)


def _check_returned(said: Any, count: int) -> None:  # noqa: ANN401 - as the page says it
    if said is not None and str(said).isdigit() and int(said) != count:
        raise SourceError(f"short page: it says that it holds {said} features, and holds {count}")


def _root(path: Path) -> Any:  # noqa: ANN401 - lxml's elements
    """Parse a document and give its root, unless it is an exception."""
    try:
        tree = etree.parse(path, etree.XMLParser(**PARSER))
    except etree.XMLSyntaxError as error:
        raise SourceError(f"no XML came, or only a part of it ({error.msg})") from error
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise RejectedError("the XML has a document type, which is not read")
    root = tree.getroot()
    if etree.QName(root).localname in EXCEPTIONS:
        text = " ".join(" ".join(root.itertext()).split())[:MESSAGE]
        codes = " ".join(str(value) for each in root.iter() for value in each.attrib.values())
        kind = RejectedError if OURS.search(codes) else SourceError
        raise kind(f"an exception came instead of features: {text}")
    return root
