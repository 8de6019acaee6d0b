"""GML: EarthResourceML, GeoSciML, INSPIRE and what else a feature service answers.

A file is gone through twice, once for its columns and once for its rows, so that memory does not grow with it.
"""

import json
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.formats import kind
from pipelines.readers.gml_features import Element, Facts, features, local
from pipelines.readers.gml_shapes import GML, Shaped, ShapeError, axes, is_shape, problems, shape, srs_name
from pipelines.readers.report import Report
from pipelines.readers.tables import column_names, empty, raw_schema

OPTIONS: dict[str, tuple[type, ...]] = {
    "feature": (str,),
    "columns": (list, tuple),
    "lists": (list, tuple),
    "geometry": (str,),
    "axis_order": (str,),
}
UTF16 = (b"\xff\xfe", b"\xfe\xff")
STANDARD = frozenset({"name", "description", "identifier", "descriptionReference", "metaDataProperty"})
"""Properties of every GML object, which may stand beside the feature's own of the same name."""
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
BATCH_BYTES = 16 << 20
BATCH_ROWS = 2048
ABSENT = -1
"""The way to a column that no feature has."""

Value = Any  # text, a shape, nothing, or a list of these
Row = dict[int, Value]


@dataclass
class _Paths:
    """Ways from a feature to its values, each with a number; 0 is the feature itself.

    Parameters
    ----------
    report : is told when there are too many.
    lists : names of ways that are to be lists in any case.
    names, parents : by number, as columns are called, and the way before.
    taken : the names as a set.
    repeated : ways that come several times in some feature: what lies below them is a list in every row.
    valued : ways that end at a text or an attribute.
    systems : srsNames by the way that holds a shape.
    shape : the way whose shape is the row's, once it is chosen; what lies below it is then no column.
    """

    report: Report
    lists: frozenset[str] = frozenset()
    names: list[str] = field(default_factory=lambda: [""])
    parents: list[int] = field(default_factory=lambda: [0])
    steps: dict[tuple[int, str], int] = field(default_factory=dict)
    repeated: set[int] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    valued: dict[int, None] = field(default_factory=dict)
    systems: dict[int, Counter[str]] = field(default_factory=dict)
    shape: int | None = None

    def step(self, at: int, tag: str, element: Element | None = None) -> int:
        """Give the number of the way on from `at` by an element's tag, or by an attribute, which begins with @."""
        known = self.steps.get((at, tag))
        if known is None:
            known = self.steps[at, tag] = self._new(at, tag, None if element is None else element.prefix)
        return known

    def _new(self, at: int, tag: str, prefix: str | None) -> int:
        most = 4 * self.report.limits.columns
        if len(self.names) > most:
            hint = "name the feature's element in the table's options, or ask for simple features"
            self.report.refuse("read.too_many_columns", f"more than {most} ways to a value", hint)
        word = tag.rpartition("}")[2]
        joint = "" if tag.startswith("@") or not at else "."
        name = self.names[at] + joint + (f"gml:{word}" if word in STANDARD and GML.match(tag) else word)
        if name in self.taken and prefix:
            name = f"{self.names[at]}{joint}{prefix}:{word}"
        self.names.append(name)
        self.taken.add(name)
        self.parents.append(at)
        if name in self.lists:
            self.repeated.add(len(self.names) - 1)
        return len(self.names) - 1

    def columns(self) -> dict[str, int]:
        """Give the ways that are columns, by name and in the order in which they were met."""
        inner = {at: self._is_below(at, {self.shape}) for at in sorted(self.valued)}
        shown = self.steps.get((self.shape or 0, "@srsName"))
        return {self.names[at]: at for at, is_inner in inner.items() if not is_inner or at == shown}

    def is_in_shape(self, at: int) -> bool:
        """Tell whether a way leads into a shape, whose parts may be shapes too."""
        return self._is_below(at, self.systems)

    def _is_below(self, at: int, others: Container[int | None]) -> bool:
        while at:
            at = self.parents[at]
            if at in others:
                return True
        return False


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the features of a GML document.

    Parameters
    ----------
    path : the document.
    options : `feature` (name of the features' element, needed where there are several kinds), `columns` (the columns
        wanted, in order; others are told), `lists` (columns that are lists even where no feature repeats them),
        `geometry` (the column whose shape is the row's), `axis_order` (`auto` by the srsName, `xy` or `yx`).
    report : where findings go; its `crs` becomes the authority code of the shapes.

    Notes
    -----
    A feature's row is its place in the document, from 1. A column is the way to a value by local names with dots
    between; an attribute comes as `<way>@<name>`, as `@href`, `@nilReason` or `@uom`; the properties that every GML
    object may have keep a prefix (`gml:name`). What some feature repeats is a JSON list in every row, and lists below
    one repeated element have the same length. Blanks around a text are left out, and so are envelopes. Shapes come as
    WKB with x before y; a shape that cannot be read (an arc) is told with its row, which goes on without it.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    found = kind(head)
    if found != "an XML document" and not head.startswith(UTF16):
        report.refuse("read.not_gml", found or "no XML document", "deliver GML, or declare the reader of this format")
    facts = Facts()
    paths = _surveyed(path, options, facts, report)
    columns = _columns(paths, options, report)
    schema = raw_schema(column_names([name for name, _at in columns], report), geometry=paths.shape is not None)
    yield empty(schema)
    shaped = Shaped(options.get("axis_order", "auto"))
    rows = _rows(path, options, paths, facts.srs, shaped)
    yield from _batches(rows, [at for _name, at in columns], schema, report)
    for rule, text, hint, number in problems(shaped):
        report.issue(rule, text, hint, row=number)


def _surveyed(path: Path, options: dict[str, Any], facts: Facts, report: Report) -> _Paths:
    """Go through the document for its ways and its coordinate systems, and tell what it says of itself."""
    paths = _Paths(report, frozenset(options.get("lists", ())))
    number = 0
    for number, element in enumerate(features(path, options.get("feature"), report, facts), start=1):  # noqa: B007
        _values(element, 0, paths, facts.srs)
    _check_kinds(facts, options.get("feature"), number, report)
    _compare(facts, number, report)
    _choose_shape(paths, options.get("geometry"), report)
    systems = paths.systems.get(paths.shape or 0, Counter())
    if len(systems) > 1:
        name = f"{paths.names[paths.shape or 0]}@srsName"
        paths.valued[paths.step(paths.shape or 0, "@srsName")] = None
        report.issue("read.mixed_crs", json.dumps(systems), f"the column {name} tells which row is in which")
    elif (one := axes(next(iter(systems), ""))).is_known:
        report.crs = one.crs
    return paths


def _check_kinds(facts: Facts, feature: str | None, number: int, report: Report) -> None:
    have = dict(facts.kinds)
    if feature is None and len(have) > 1:
        report.refuse("read.feature_missing", f"features of {have}", "name one of them in the option feature")
    if feature and have and not number:
        report.refuse("read.feature_missing", f"no {feature}; have {have}", "correct the option feature")
    others = {name: count for name, count in have.items() if name != feature}
    if feature in have and others:
        report.issue("read.other_features", json.dumps(others), "this table leaves them out", severity="info")


def _compare(facts: Facts, number: int, report: Report) -> None:
    """Tell how many features the server speaks of, and whether they are there."""
    if facts.references:
        found = f"{facts.references} members that only point elsewhere"
        report.issue("read.features_missing", found, "ask for the features themselves")
    if not facts.counts:
        return
    have = sum(facts.kinds.values()) or number
    found = ", ".join([*(f"{name} {count}" for name, count in facts.counts.items()), f"{have} are here"])
    if max(facts.counts.values()) > have:
        report.issue("read.features_missing", found, "ask for the pages that follow, or for the answer again")
    else:
        report.issue("read.features_told", found, "nothing is missing", severity="info")


def _choose_shape(paths: _Paths, wanted: str | None, report: Report) -> None:
    named = {paths.names[at]: at for at in paths.systems}
    if wanted is not None and wanted not in named and len(paths.names) > 1:
        found = f"no shape at {wanted!r}; have {sorted(named)}"
        report.refuse("read.geometry_missing", found, "correct the option geometry")
    first = next(iter(named), None)
    paths.shape = named.get(wanted or first or "")
    if wanted is None and len(named) > 1:
        hint = f"{first} is the geometry and the others come as text; say which in the option geometry"
        report.issue("read.several_geometries", ", ".join(named), hint)


def _columns(paths: _Paths, options: dict[str, Any], report: Report) -> list[tuple[str, int]]:
    """Give the columns with their ways, or with ABSENT where no feature has what is wanted."""
    found = paths.columns()
    wanted = list(options.get("columns", found))
    left = [name for name in found if name not in wanted]
    if left:
        report.issue("read.columns_left", ", ".join(left), "the option columns does not name them", severity="info")
    return [(name, found.get(name, ABSENT)) for name in wanted]


def _values(element: Element, at: int, paths: _Paths, srs: str | None) -> Row:
    """Give the values of an element by their ways; a shape is given as its element where it is the row's."""
    found: Row = {}
    for name, value in element.items():
        if not name.startswith(XSI) or name == f"{XSI}nil":
            found[paths.step(at, f"@{name.rpartition('}')[2]}")] = value
    groups: dict[str, list[Element]] = {}
    for child in element:
        groups.setdefault(child.tag, []).append(child)
    text = (element.text or "").strip()
    if text or not (groups or found):
        found[at] = text or None
    paths.valued.update(dict.fromkeys(found))
    for tag, members in groups.items():
        if is_shape(tag):
            _note_shape(members[0], at, paths, srs)
            if at == paths.shape:
                found[at] = list(members) if len(members) > 1 else members[0]
                continue
        if not tag.endswith("}boundedBy"):
            found.update(_group(members, paths.step(at, tag, members[0]), paths, srs))
    return found


def _note_shape(element: Element, at: int, paths: _Paths, srs: str | None) -> None:
    if paths.shape is None and not paths.is_in_shape(at):
        paths.systems.setdefault(at, Counter())[_system(element, srs) or ""] += 1


def _system(element: Element, srs: str | None) -> str | None:
    """Give the srsName of a shape, of an envelope around it, or of the collection's."""
    name = srs_name(element)
    above = element.getparent()
    while name is None and above is not None:
        name = next((srs_name(each) for each in above if local(each) == "boundedBy"), None)
        above = above.getparent()
    return name or srs


def _group(members: list[Element], step: int, paths: _Paths, srs: str | None) -> Row:
    """Give the values of elements of one name; lists of equal length where some feature repeats it."""
    first = members[0]
    if len(members) == 1 and not len(first) and not first.keys() and step not in paths.repeated:
        paths.valued[step] = None
        return {step: (first.text or "").strip() or None}
    if len(members) > 1 and paths.shape is None:
        paths.repeated.add(step)
    each = [_values(member, step, paths, srs) for member in members]
    if step not in paths.repeated:
        return each[0]
    return {at: [one.get(at) for one in each] for at in dict.fromkeys(at for one in each for at in one)}


def _rows(
    path: Path, options: dict[str, Any], paths: _Paths, srs: str | None, shaped: Shaped
) -> Iterator[tuple[int, Row, bytes | None]]:
    """Give each feature's number, values and shape."""
    for number, element in enumerate(features(path, options.get("feature"), paths.report, Facts()), start=1):
        row = _values(element, 0, paths, srs)
        yield number, row, _shape(number, row, paths, srs, shaped) if paths.shape is not None else None


def _shape(number: int, row: Row, paths: _Paths, srs: str | None, shaped: Shaped) -> bytes | None:
    """Take the shape out of a row as well-known binary, and leave the name of its system."""
    given = _flat(row.pop(paths.shape or 0, None))
    name = paths.names[paths.shape or 0]
    if len(given) > 1:
        hint = "the first is taken; name a feature that has one each"
        paths.report.issue("read.several_geometries", f"{len(given)} shapes", hint, row=number, column=name)
    if not given:
        return None
    system = _system(given[0], srs)
    row[paths.step(paths.shape or 0, "@srsName")] = system
    try:
        return shape(given[0], system, number, shaped)
    except ShapeError as error:
        hint = "the row goes on without its shape; deliver points, straight lines or polygons of them"
        text = f"{error}: {' '.join(' '.join(given[0].itertext()).split())}"
        paths.report.issue("read.geometry", text, hint, row=number, column=name, severity="error")
        return None


def _flat(value: Value) -> list[Element]:
    if isinstance(value, list):
        return [each for one in value for each in _flat(one)]
    return [] if value is None else [value]


def _batches(
    rows: Iterator[tuple[int, Row, bytes | None]], columns: list[int], schema: pa.Schema, report: Report
) -> Iterator[pa.RecordBatch]:
    held: list[tuple[int, Row, bytes | None]] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row[2] or b"")
        if len(held) == BATCH_ROWS or size > BATCH_BYTES:
            report.check()
            yield _batch(held, columns, schema)
            held, size = [], 0
    if held:
        yield _batch(held, columns, schema)


def _batch(rows: list[tuple[int, Row, bytes | None]], columns: list[int], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array([_text(row.get(at)) for _n, row, _s in rows], pa.string()) for at in columns]
    if len(schema) > len(columns) + 1:
        arrays.append(pa.array([well_known for _n, _r, well_known in rows], pa.binary()))
    return pa.record_batch([*arrays, pa.array([number for number, _r, _s in rows], pa.int64())], schema=schema)


def _text(value: Value) -> str | None:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
