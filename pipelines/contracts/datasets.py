"""A dataset's contract: its columns, their meaning, and the rules that follow from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field as Option

from pipelines.contracts.model import Model

Scalar = str | int | float | bool


class Constraints(Model):
    """What a column's values must be, in the words of Frictionless Table Schema."""

    required: bool = False
    unique: bool = False
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    enum: tuple[str, ...] | None = None
    min_length: int | None = Option(None, alias="minLength")
    max_length: int | None = Option(None, alias="maxLength")


class Field(Model):
    """One column of a dataset."""

    name: str
    type: Literal["string", "number", "integer", "boolean", "date", "list", "numbers", "geometry"]
    description: str
    unit: str | None = None
    vocabulary: str | None = None
    tier: Literal["open", "partner", "restricted"] = "open"
    personal: bool = False
    repeats: bool = False
    """Values come from a small set, so that dictionary encoding pays."""
    constraints: Constraints = Constraints()
    plausible: Constraints = Constraints()
    """Like constraints, but a breach is a warning and the row stands."""
    text_of: str | None = None
    """This column keeps another column's text as received."""
    unit_of: str | None = None
    qualifier_of: str | None = None
    limit_of: str | None = None
    converted_from: str | None = None
    """This column is another one's value in this column's unit."""
    element_of: str | None = None
    """This column is about the element in another column's compound: its symbol, or its share of the value."""
    broader_of: str | None = None
    """This column is the term above another column's, of the level that `broader_level` names in their vocabulary."""
    broader_level: str | None = None
    class_of: str | None = None
    """This column is what another column's estimate category corresponds to, or how surely."""
    class_as: Literal["crirsco", "unfc_e", "unfc_f", "unfc_g", "strength"] | None = None
    restricts: bool = False
    """A record of which this boolean is true is restricted, whatever its feed says."""
    off_map: str | None = None
    """A record whose term has something in this column of the vocabulary gets no geometry: it is no data on a map."""
    hint: str | None = None


class Reference(Model):
    """Where a foreign key points."""

    resource: str
    fields: tuple[str, ...] = ("record_id",)


class ForeignKey(Model):
    """Columns that must name a record of another dataset, where the same feed fills that dataset."""

    fields: tuple[str, ...]
    reference: Reference


class Order(Model):
    """Two columns of which the first may not exceed the second."""

    first: str
    second: str
    severity: Literal["error", "warning"] = "error"
    hint: str = ""


class TableRule(Model):
    """A rule that one row cannot break by itself, as an SQL condition over the dataset's `table_view`."""

    rule: str
    column: str
    """The column whose value is shown, and which a row must have to be judged."""
    where: str
    severity: Literal["error", "warning", "info"] = "warning"
    hint: str


@dataclass(frozen=True)
class Rule:
    """One row rule derived from a contract: the same rule for the masks and for Great Expectations."""

    id: str
    dataset: str
    column: str
    kind: str
    severity: str
    value: object = None
    other: str | None = None
    hint: str = ""


class Dataset(Model):
    """One harmonised product, its grain and its columns with the shared groups expanded."""

    name: str
    title: str
    description: str
    grain: str
    version: str
    shared: tuple[str, ...]
    primary_key: tuple[str, ...] = Option(("record_id",), alias="primaryKey")
    foreign_keys: tuple[ForeignKey, ...] = Option((), alias="foreignKeys")
    order: tuple[Order, ...] = ()
    table_view: str = "SELECT * FROM rows"
    """One SELECT over `rows`, the datasets that it refers to and its vocabularies; it gives each of `rows` once."""
    table_rules: tuple[TableRule, ...] = ()
    derived_from: tuple[str, ...] = ()
    """Datasets that it is computed from at each release; no feed fills it."""
    vocabularies: tuple[str, ...] = ()
    """Vocabularies that it is computed from, read as tables of text."""
    select: str | None = None
    """One SQL SELECT that computes it; without one, the derivation of its name does."""
    fields: tuple[Field, ...]

    @property
    def derived(self) -> bool:
        """Whether it is computed from other datasets or from vocabularies."""
        return bool(self.derived_from or self.vocabularies)

    @property
    def geometry(self) -> bool:
        """Whether a record has a position."""
        return any(field.type == "geometry" for field in self.fields)

    def field(self, name: str) -> Field:
        """Give one column by name; KeyError if the contract has none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def names(self) -> tuple[str, ...]:
        """Give the column names in published order."""
        return tuple(field.name for field in self.fields)

    def companion(self, relation: str, column: str) -> Field | None:
        """Give the column that keeps another's text, unit, qualifier or limit, if the contract has one."""
        return next((field for field in self.fields if getattr(field, relation) == column), None)

    def rules(self) -> tuple[Rule, ...]:
        """Derive the rules of one row, of the table's keys, and of rows together, from the contract."""
        return (*self._column_rules(), *self._order_rules(), *self._key_rules(), *self._table_rules())

    def _column_rules(self) -> Iterator[Rule]:
        for field in self.fields:
            for severity, wanted in (("error", field.constraints), ("warning", field.plausible)):
                yield from _constraint_rules(self.name, field, severity, wanted)
            if field.vocabulary:
                yield Rule(
                    id=f"{self.name}.{field.name}.vocabulary",
                    dataset=self.name,
                    column=field.name,
                    kind="vocabulary",
                    severity="error",
                    value=field.vocabulary,
                    hint=f"use a code of schemas/vocabularies/{field.vocabulary}.csv",
                )

    def _order_rules(self) -> Iterator[Rule]:
        for pair in self.order:
            yield Rule(
                id=f"{self.name}.{pair.first}.order",
                dataset=self.name,
                column=pair.first,
                kind="order",
                severity=pair.severity,
                other=pair.second,
                hint=pair.hint or f"{pair.first} must not exceed {pair.second}",
            )

    def _key_rules(self) -> Iterator[Rule]:
        for key in self.foreign_keys:
            yield Rule(
                id=f"{self.name}.{key.fields[0]}.foreign_key",
                dataset=self.name,
                column=key.fields[0],
                kind="foreign_key",
                severity="error",
                value=key.reference.resource,
                hint=f"the {key.reference.resource} it belongs to is missing or was quarantined itself",
            )

    def _table_rules(self) -> Iterator[Rule]:
        for given in self.table_rules:
            yield Rule(
                id=f"{self.name}.{given.column}.{given.rule}",
                dataset=self.name,
                column=given.column,
                kind="table",
                severity=given.severity,
                value=given.where,
                hint=given.hint,
            )


def _constraint_rules(dataset: str, field: Field, severity: str, wanted: Constraints) -> Iterator[Rule]:
    for kind in ("required", "unique", "minimum", "maximum", "pattern", "enum", "min_length", "max_length"):
        value = getattr(wanted, kind)
        if value is None or value is False:
            continue
        suffix = "" if severity == "error" else ".plausible"
        yield Rule(
            id=f"{dataset}.{field.name}.{kind}{suffix}",
            dataset=dataset,
            column=field.name,
            kind=kind,
            severity=severity,
            value=value,
            hint=field.hint or _constraint_hint(field, kind, value),
        )


def _constraint_hint(field: Field, kind: str, value: object) -> str:
    unit = f" {field.unit}" if field.unit and field.unit != "year" else ""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    words = {
        "required": f"give {field.name} on every row",
        "unique": f"{field.name} must name one record only",
        "minimum": f"{field.name} must be at least {value}{unit}",
        "maximum": f"{field.name} must be at most {value}{unit}",
        "pattern": f"{field.name} must match {value}",
        "enum": f"{field.name} must be one of {value}",
        "min_length": f"{field.name} must have at least {value} characters",
        "max_length": f"{field.name} must have at most {value} characters",
    }
    return words[kind]
