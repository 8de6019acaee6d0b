"""Reads schemas/ and explains each mistake with its file, its line and the nearest valid word."""

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from pipelines.contracts.datasets import Dataset
from pipelines.contracts.feeds import Feed
from pipelines.contracts.model import Model
from pipelines.errors import ContractError

LARGEST_YAML = 200_000
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML was built with it: a DAG file loads every schema whenever it is parsed."""
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Schemas:
    """All contracts and feeds of an installation."""

    datasets: dict[str, Dataset]
    feeds: dict[str, Feed]
    vocabularies: Path


def load_schemas(folder: Path) -> Schemas:
    """Load every contract and feed under a folder; the first mistake raises ContractError."""
    datasets = load_datasets(folder)
    feeds = {path.stem: load_feed(path, datasets) for path in feed_files(folder)}
    return Schemas(datasets=datasets, feeds=feeds, vocabularies=folder / "vocabularies")


def feed_files(folder: Path) -> list[Path]:
    """List the feeds' files in a stable order."""
    return sorted((folder / "feeds").glob("*.yml"))


def load_datasets(folder: Path) -> dict[str, Dataset]:
    """Load every dataset's contract with the shared column groups put in their places."""
    if not (folder / "columns.yml").is_file():
        raise ContractError(f"{folder}: no schemas here (columns.yml is missing); see MINERALS_SCHEMAS")
    groups = read_yaml(folder / "columns.yml")
    loaded = [_load_dataset(path, groups) for path in sorted((folder / "datasets").glob("*.yml"))]
    datasets = {dataset.name: dataset for dataset in loaded}
    in_order_of_making(datasets)
    return datasets


def in_order_of_making(datasets: Mapping[str, Dataset]) -> list[Dataset]:
    """Order datasets by name, and those that are computed after those that they are computed from.

    Raises
    ------
    ContractError
        If one is computed from a dataset that does not exist, or from itself by way of others.
    """
    before: dict[str, tuple[str, ...]] = {}
    for name, dataset in sorted(datasets.items()):
        before[name] = dataset.derived_from
        for other in dataset.derived_from:
            if other not in datasets:
                raise ContractError(f"{name}.yml: unknown dataset {other!r}{nearest(other, datasets)}")
    try:
        return [datasets[name] for name in TopologicalSorter(before).static_order()]
    except CycleError as error:
        raise ContractError(f"datasets are computed from each other: {' <- '.join(error.args[1])}") from error


def load_feed(path: Path, datasets: dict[str, Dataset]) -> Feed:
    """Load one feed and check its words against the contracts.

    Raises
    ------
    ContractError
        With file, line and the nearest valid word.
    """
    raw = read_yaml(path)
    feed = _parse(Feed, raw, path)
    if feed.feed != path.stem:
        raise ContractError(
            f"{path.name}:{line_of(path, ('feed',))}: feed is {feed.feed!r}; it must be the file's name"
        )
    _check_words(feed, datasets, path)
    fingerprint = _fingerprint(feed, datasets, path.parent.parent)
    return feed.model_copy(update={"fingerprint": fingerprint})


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping; aliases, unknown tags and oversized files are refused."""
    text = path.read_text(encoding="utf-8")
    if len(text) > LARGEST_YAML:
        raise ContractError(f"{path.name}: {len(text)} characters; at most {LARGEST_YAML} are read")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=LOADER)):
            raise ContractError(f"{path.name}: YAML aliases are not used here; write the value out")
        loaded = yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe loader either way
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise ContractError(f"{path.name}{where}: not readable as YAML: {getattr(error, 'problem', error)}") from error
    if not isinstance(loaded, dict):
        raise ContractError(f"{path.name}: a mapping is wanted, found {type(loaded).__name__}")
    return loaded


def _load_dataset(path: Path, groups: dict[str, Any]) -> Dataset:
    raw = read_yaml(path)
    before: list[Any] = []
    after: list[Any] = []
    for group in raw.get("shared", ()):
        if group not in groups:
            raise ContractError(f"{path.name}: no column group {group!r}{nearest(group, groups)}")
        (before if group == "identity" else after).extend(groups[group])
    raw = {**raw, "fields": before + list(raw.get("fields", ())) + after}
    dataset = _parse(Dataset, raw, path)
    names = dataset.names()
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or dataset.name != path.stem:
        raise ContractError(f"{path.name}: name {dataset.name!r} must be the file's, columns given twice: {repeated}")
    return dataset


def _parse(model: type[M], raw: dict[str, Any], path: Path) -> M:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        found = error.errors()
        first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
        place = tuple(first["loc"])
        words = first["msg"]
        if first["type"] == "extra_forbidden":
            words = f"unknown key {place[-1]!r}{nearest(str(place[-1]), _siblings(model, place))}"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        dotted = ".".join(str(part) for part in place)
        raise ContractError(f"{path.name}:{line_of(path, place)}: {dotted}: {words}{more}") from error


def _siblings(model: type[Model], place: tuple[Any, ...]) -> list[str]:
    """List the valid keys near a wrong one, as far as the models tell."""
    words: set[str] = set()
    pending: list[type[Model]] = [model]
    seen: set[type[Model]] = set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        for name, info in current.model_fields.items():
            words.add(info.alias or name)
            pending.extend(_models_in(info.annotation))
    return sorted(words)


def _models_in(annotation: Any) -> list[type[Model]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, Model) else []
    return [found for argument in getattr(annotation, "__args__", ()) for found in _models_in(argument)]


def _check_words(feed: Feed, datasets: dict[str, Dataset], path: Path) -> None:
    for name, mapping in feed.datasets.items():
        if name not in datasets:
            raise ContractError(_wrong(path, ("datasets", name), "dataset", name, datasets))
        if datasets[name].derived:
            line = line_of(path, ("datasets", name))
            raise ContractError(f"{path.name}:{line}: {name} is computed at each release; no feed fills it")
        columns = datasets[name].names()
        for column in mapping.columns:
            if column not in columns:
                raise ContractError(_wrong(path, ("datasets", name, "columns", column), "column", column, columns))
        if mapping.main is not None and mapping.main not in feed.tables:
            raise ContractError(_wrong(path, ("datasets", name, "main"), "table", mapping.main, feed.tables))
        if len(feed.tables) > 1 and mapping.main is None:
            line = line_of(path, ("datasets", name))
            raise ContractError(
                f"{path.name}:{line}: {name}: several tables, so say which is main: {list(feed.tables)}"
            )
        if mapping.position is not None and not datasets[name].geometry:
            raise ContractError(
                f"{path.name}:{line_of(path, ('datasets', name))}: {name} has no position in its contract"
            )


def _wrong(path: Path, place: tuple[Any, ...], kind: str, word: str, known: Any) -> str:
    return f"{path.name}:{line_of(path, place)}: unknown {kind} {word!r}{nearest(word, known)}"


def nearest(word: str, known: Any) -> str:
    """End a message about a wrong word with the nearest right one, or with all that there are."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else f"; known: {', '.join(sorted(known)[:40])}"


def line_of(path: Path, place: tuple[Any, ...]) -> int:
    """Find the line on which a key of the file stands, counted from 1."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _fingerprint(feed: Feed, datasets: dict[str, Dataset], folder: Path) -> str:
    """Digest of everything but data and code that decides what a delivery becomes."""
    used = {name: datasets[name].model_dump(mode="json") for name in sorted(feed.datasets)}
    words = {field.vocabulary for name in feed.datasets for field in datasets[name].fields if field.vocabulary}
    lists = {
        name: _file_digest(folder / "vocabularies" / f"{name}.csv")
        for name in sorted(words | {"estimate_crosswalk", "unit"})
    }
    whole = {"feed": feed.model_dump(mode="json"), "datasets": used, "vocabularies": lists}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
