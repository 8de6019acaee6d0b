"""A feed: one declared source of one partner, and how its rows become records."""

from typing import Any, Literal

from pydantic import Field as Option
from pydantic import field_validator, model_validator

from pipelines.contracts.datasets import Scalar
from pipelines.contracts.model import Model

Severity = Literal["error", "warning", "info"]


class Table(Model):
    """One table that the partner delivers: where it lies and how it is opened."""

    connector: str = "drop"
    path: str | None = None
    """Path under the drop root, or under the root that a server's url names."""
    url: str | None = None
    """Address, for every connector but `drop`."""
    credentials: str | None = Option(None, pattern="^[A-Z][A-Z0-9_]*$")
    """Name of what the server is shown; the values are in MINERALS_SECRET_<name>_... of the environment."""
    parts: tuple[str, ...] = ()
    """Sibling files that belong to it, as the .dbf, .shx and .prj of a shapefile."""
    reader: str
    options: dict[str, Any] = {}
    lookup: bool = False
    """Whether its rows only explain another table's, so that one which nothing refers to is no loss."""

    @model_validator(mode="after")
    def _has_a_place(self) -> "Table":
        if self.path is None and self.url is None:
            raise ValueError("give either path or url, or both where the path is below the url")
        if self.connector == "drop" and self.url is not None:
            raise ValueError("give either path or url: the connector drop takes a path, the others an url")
        return self

    @property
    def place(self) -> str:
        """Where the table is fetched from, for people: path, address, or a path below an address."""
        return "/".join(part.rstrip("/") for part in (self.url, self.path) if part)

    @property
    def file(self) -> str:
        """Name of the table's main file, as the partner calls it."""
        return (self.path or self.url or "").rstrip("/").rsplit("/", 1)[-1]


class Key(Model):
    """What names a record: the authority, its register, and the source's own key."""

    authority: str
    register_: str = Option(alias="register")
    columns: tuple[str, ...]
    stability: Literal["source-key", "composite", "position-and-content"] = "source-key"


class Column(Model):
    """How one harmonised column is filled from the partner's columns."""

    source: str | None = Option(None, alias="from")
    const: Scalar | None = None
    codes: dict[str, str] = {}
    """Partner's spelling to our code, for this feed only; general ones go into the vocabulary."""
    split: str | None = None
    """Regular expression between the terms of a list."""
    unit: str | None = None
    unit_from: str | None = None
    units: dict[str, str] = {}
    """Partner's unit spelling to our unit code, for this feed only."""
    format: tuple[str, ...] = ()
    """Date layouts in strptime's words, tried in order."""
    nulls: tuple[str, ...] = ()
    """Words by which the partner says that there is no value."""
    encoding: str = "plain"
    """How results beyond detection limits are written: a name of the detection-limit encodings."""
    decimal: str = "."
    sentinel: float | None = None
    qualifier_from: str | None = None
    """Column that says beside the result whether it is a bound, for the encoding `qualifier-column`."""
    limit_from: str | None = None
    """Column that gives the detection limit beside the result."""
    key: tuple[str, ...] = ()
    """Columns that make up another record's key, for a reference."""
    of: str | None = None
    """The dataset of this feed whose key the reference uses."""
    authority: str | None = None
    register_: str | None = Option(None, alias="register")

    @model_validator(mode="after")
    def _has_one_origin(self) -> "Column":
        origins = [self.source is not None, self.const is not None, bool(self.key)]
        if sum(origins) != 1:
            raise ValueError("give exactly one of from, const or key")
        if (self.encoding == "qualifier-column") != (self.qualifier_from is not None):
            raise ValueError("qualifier_from goes with the encoding qualifier-column, and with no other")
        if (self.encoding == "sentinel") != (self.sentinel is not None):
            raise ValueError("sentinel goes with the encoding sentinel, and with no other")
        return self


class SourceCrs(Model):
    """A coordinate reference system named by a column."""

    source: str = Option(alias="from")
    codes: dict[str, str]


class Corners(Model):
    """A polygon given as parallel lists of corner coordinates."""

    x: str
    y: str
    check_x: str | None = None
    """The same corners in degrees, minutes and seconds, to compare with."""
    check_y: str | None = None


class Correction(Model):
    """A mistake in the partner's coordinates that is known and mended; the coordinates as received stay beside it."""

    do: Literal["swap_xy", "negate_x", "negate_y"]
    where: str | None = None
    """SQL condition over the shaped rows; without one every row is corrected."""
    reason: str


class Position(Model):
    """Where a record is, in the partner's own coordinates."""

    x: str | None = None
    y: str | None = None
    z: str | None = None
    z_unit: str | None = None
    """Unit of ``z``; metres where none is given."""
    decimal: str = "."
    corners: Corners | None = None
    geometry: str | None = None
    """Column of the reader that holds the shape as WKB."""
    crs: str | SourceCrs
    crs_basis: Literal["stated", "assumed"] = "stated"
    crs_reason: str | None = None
    """Why this system is assumed, where the partner states none."""
    uncertainty_m: float | None = None
    uncertainty_from: str | None = None
    area: tuple[float, float, float, float] | None = None
    """West, south, east and north in degrees, within which this feed's records may lie."""
    area_severity: Literal["error", "warning"] = "error"
    country: str | None = None
    """Country that the records are in, where the dataset has no column that tells it."""
    sheet: str | None = None
    """Column with the number of the map sheet, or several of them."""
    sheet_series: Literal["india-and-adjacent-countries", "australia-250k"] | None = None
    corrections: tuple[Correction, ...] = ()
    epoch: float | None = None
    """Year that coordinates in a frame which is not fixed to a plate (WGS 84, ITRF) were observed in."""
    elevation_datum: str | None = None
    """Code of the vertical datums."""
    elevation_kind: Literal["orthometric", "ellipsoidal", "mine-level", "unknown"] | None = None
    required: bool = True

    @model_validator(mode="after")
    def _has_one_shape(self) -> "Position":
        if sum([self.x is not None and self.y is not None, self.corners is not None, self.geometry is not None]) != 1:
            raise ValueError("give x and y, or corners, or geometry")
        if self.crs_basis == "assumed" and not self.crs_reason:
            raise ValueError("an assumed crs needs a crs_reason")
        if (self.sheet is None) != (self.sheet_series is None):
            raise ValueError("give both sheet and sheet_series, or neither")
        if self.corrections and self.x is None:
            raise ValueError("corrections are of points that x and y give")
        return self


class Filter(Model):
    """Rows that are left out on purpose, with the reason that the ledger shows."""

    where: str
    reason: str


class Check(Model):
    """A finding that only this feed's owner can describe, as an SQL condition over the shaped rows."""

    rule: str
    where: str
    severity: Severity = "warning"
    column: str | None = None
    hint: str


class DatasetMapping(Model):
    """How the feed's tables become the rows of one dataset."""

    main: str | None = None
    """The table whose row a record is named after; the only table where there is one."""
    select: str | None = None
    """One SQL SELECT over the tables, when rows must be joined, unpivoted or exploded first."""
    key: Key
    columns: dict[str, Column] = {}
    position: Position | None = None
    filters: tuple[Filter, ...] = ()
    deleted: str | None = None
    """SQL condition over the shaped rows: such a row says that the record of its key is gone, and states none."""
    checks: tuple[Check, ...] = ()

    @field_validator("columns", mode="before")
    @classmethod
    def _shorthand(cls, columns: dict[str, Any]) -> dict[str, Any]:
        return {name: {"from": value} if isinstance(value, str) else value for name, value in columns.items()}


class Rights(Model):
    """On what ground the data may be used."""

    basis: Literal["licence", "agreement", "statute"]
    document: str
    licence: str = "LicenseRef-not-stated"
    tier: Literal["open", "partner", "restricted"] = "open"
    attribution: str | None = None


class Note(Model):
    """Something that was settled about this feed and that its readers should know."""

    rule: str
    severity: Severity = "info"
    text: str
    column: str | None = None


class KnownFile(Model):
    """A file of the drop that no table reads, and why."""

    path: str
    """Path under the drop root."""
    reason: str


class Feed(Model):
    """One declared source of one partner."""

    feed: str
    title: str
    partner: str
    description: str
    owner: str
    homepage: str | None = None
    schedule: str
    cadence: str = Option(pattern=r"^P(\d+[YMWD])+(T(\d+[HM])+)?$|^PT(\d+[HM])+$")
    """How often the partner publishes, as an ISO 8601 duration."""
    delivery_mode: Literal["snapshot", "delta", "append", "correction"] = "snapshot"
    tags: tuple[str, ...] = ()
    tables: dict[str, Table]
    known_files: tuple[KnownFile, ...] = ()
    """Files of the drop that belong to the source and are not read: field lists, sidecars, answer keys."""
    rights: Rights
    notes: tuple[Note, ...] = ()
    unused: dict[str, tuple[str, ...]] = {}
    """Per table, the partner's columns that are known and not mapped."""
    datasets: dict[str, DatasetMapping]
    fingerprint: str = ""

    @model_validator(mode="after")
    def _can_delete(self) -> "Feed":
        told = [name for name, mapping in self.datasets.items() if mapping.deleted]
        if told and self.delivery_mode in ("snapshot", "append"):
            way = (
                "what a snapshot lacks is gone" if self.delivery_mode == "snapshot" else "an append takes nothing away"
            )
            raise ValueError(f"{told[0]}: deleted goes with the delivery modes delta and correction; {way}")
        return self

    @property
    def id(self) -> str:
        """Name of the feed, which is its file's."""
        return self.feed

    def main_table(self, dataset: str) -> str:
        """Name of the table that a dataset's records come from."""
        return self.datasets[dataset].main or next(iter(self.tables))
