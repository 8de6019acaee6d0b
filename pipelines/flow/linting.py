"""Looks behind the words of the schemas: that every vocabulary, unit, reader, system and schedule they name exists."""

import re
from collections.abc import Iterator

from pipelines import chemistry, geodesy, tablewise, terms, units
from pipelines.connectors import CONNECTORS
from pipelines.contracts import Dataset, Feed, Table, load_datasets
from pipelines.contracts.feeds import Column, Position
from pipelines.derive import DERIVATIONS
from pipelines.derive.members import one_select
from pipelines.errors import MineralsError
from pipelines.harmonise.position import crs_codes
from pipelines.read import reader_options
from pipelines.readers import check_options
from pipelines.settings import Settings

CRON = re.compile(r"^(\S+\s+){4}\S+$|^@\w+$")


def lint_schemas(settings: Settings, feeds: list[Feed]) -> list[str]:
    """List what the schemas name and nothing provides, one line each."""
    errors = [f"{name}: {problem}" for name, problem in _dataset_problems(settings)]
    for feed in feeds:
        errors += [f"{feed.id}.yml: {problem}" for problem in _feed_problems(feed, settings)]
    return errors


def _dataset_problems(settings: Settings) -> Iterator[tuple[str, str]]:
    datasets = load_datasets(settings.schemas)
    for dataset in datasets.values():
        yield from ((f"{dataset.name}.yml", problem) for problem in _making_problems(dataset, settings))
        names = dataset.names()
        yield from ((f"{dataset.name}.yml", problem) for problem in _table_rule_problems(dataset, datasets, settings))
        for field in dataset.fields:
            if field.vocabulary and not (settings.schemas / "vocabularies" / f"{field.vocabulary}.csv").is_file():
                yield f"{dataset.name}.yml", f"{field.name}: no vocabulary {field.vocabulary!r}"
            for other in (
                field.text_of,
                field.unit_of,
                field.qualifier_of,
                field.limit_of,
                field.converted_from,
                field.element_of,
                field.class_of,
                field.broader_of,
            ):
                if other is not None and other not in names:
                    yield f"{dataset.name}.yml", f"{field.name}: no column {other!r}"
            if field.off_map and not _has_column(settings, field.vocabulary, field.off_map):
                yield f"{dataset.name}.yml", f"{field.name}: {field.vocabulary}.csv has no column {field.off_map!r}"


def _has_column(settings: Settings, vocabulary: str | None, column: str) -> bool:
    path = settings.schemas / "vocabularies" / f"{vocabulary}.csv"
    return path.is_file() and any(column in term.more for term in terms.load_vocabulary(path).terms.values())


def _table_rule_problems(dataset: Dataset, datasets: dict[str, Dataset], settings: Settings) -> Iterator[str]:
    folder = settings.schemas / "vocabularies"
    words = {field.vocabulary for field in dataset.fields if field.vocabulary}
    files = {word: folder / f"{word}.csv" for word in words}
    lists = {word: terms.load_vocabulary(path) for word, path in files.items() if path.is_file()}
    return tablewise.problems(dataset, datasets, lists)


def _making_problems(dataset: Dataset, settings: Settings) -> Iterator[str]:
    """Say why a dataset that is to be computed cannot be."""
    for name in dataset.vocabularies:
        if not (settings.schemas / "vocabularies" / f"{name}.csv").is_file():
            yield f"vocabularies: no vocabulary {name!r}"
    if dataset.select is None:
        if dataset.derived and dataset.name not in DERIVATIONS:
            yield f"no select, and no derivation of its name; known: {sorted(DERIVATIONS)}"
        return
    if not dataset.derived:
        yield "select: say in derived_from or vocabularies what it is computed from"
    try:
        one_select(dataset)
    except MineralsError as error:
        yield str(error).removeprefix(f"{dataset.name}.yml: ")


def _feed_problems(feed: Feed, settings: Settings) -> Iterator[str]:
    if not CRON.match(feed.schedule):
        yield f"schedule {feed.schedule!r} is no cron expression"
    licences = terms.load_vocabulary(settings.schemas / "vocabularies" / "licence.csv")
    if feed.rights.licence not in licences.codes:
        yield f"licence {feed.rights.licence!r} is not known: {terms.hint(licences, feed.rights.licence)}"
    for name, table in feed.tables.items():
        yield from (f"table {name}: {problem}" for problem in _table_problems(table))
    datasets = load_datasets(settings.schemas)
    for name, mapping in feed.datasets.items():
        for column, how in mapping.columns.items():
            word = datasets[name].field(column).vocabulary
            yield from (f"{name}.{column}: {problem}" for problem in _column_problems(how, word, settings))
        if mapping.position is not None:
            yield from (f"{name}.position: {problem}" for problem in _position_problems(mapping.position, settings))


def _position_problems(position: Position, settings: Settings) -> Iterator[str]:
    for code in crs_codes(position):
        try:
            geodesy.operation(code, position.area)
        except MineralsError as error:
            yield str(error)
    countries, datums = (
        terms.load_vocabulary(settings.schemas / "vocabularies" / f"{word}.csv")
        for word in ("country", "vertical_datum")
    )
    if position.country is not None and position.country not in countries.codes:
        yield f"no country {position.country!r}: {terms.hint(countries, position.country)}"
    datum, kind = position.elevation_datum, position.elevation_kind
    if datum is not None and datum not in datums.codes:
        yield f"no vertical datum {datum!r}: {terms.hint(datums, datum)}"
    elif datum is not None and kind not in (None, datums.more(datum, "kind")):
        yield f"elevation_kind {kind!r} is not that of {datum}, which is {datums.more(datum, 'kind')}"
    if position.z_unit is not None:
        try:
            units.factor(position.z_unit, "m")
        except MineralsError as error:
            yield str(error)


def _table_problems(table: Table) -> Iterator[str]:
    if table.connector not in CONNECTORS:
        yield f"no connector {table.connector!r}; known: {', '.join(sorted(CONNECTORS))}"
    try:
        check_options(table.reader, reader_options(table))
    except MineralsError as error:
        yield str(error)


def _column_problems(column: Column, vocabulary: str | None, settings: Settings) -> Iterator[str]:
    known = set(terms.load_vocabulary(settings.schemas / "vocabularies" / "unit.csv").codes)
    for unit in (column.unit, *column.units.values()):
        if unit is None:
            continue
        if unit not in known:
            yield f"no unit {unit!r}"
            continue
        try:
            units.dimension(unit)
        except MineralsError as error:
            yield str(error)
    if column.encoding not in chemistry.ENCODINGS:
        yield f"no encoding {column.encoding!r}; known: {', '.join(sorted(chemistry.ENCODINGS))}"
    path = settings.schemas / "vocabularies" / f"{vocabulary}.csv"
    if vocabulary and path.is_file():
        codes = terms.load_vocabulary(path).codes
        const = [str(column.const)] if column.const is not None else []
        yield from (
            f"no code {code!r} in {vocabulary}.csv" for code in [*column.codes.values(), *const] if code not in codes
        )
