"""Takes feeds through the line, and looks a defect up where the table of defects says that a run tells it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from pipelines import flow
from pipelines.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = "_source"
Run = tuple[dict[str, Any], Path]


def once_each(home: Path, drop: Path) -> Callable[[str], Run]:
    """Give a function that takes a feed through the line once, and gives its run record and the run's folder."""
    url = f"sqlite:///{home / 'catalogue.db'}"
    settings = Settings(home=home, drop=drop, schemas=PROJECT / "schemas", catalogue_url=url)
    runs: dict[str, Run] = {}

    def run_of(feed: str) -> Run:
        if feed not in runs:
            flow.ingest(feed, settings)
            (path,) = (settings.work / feed).glob("*/run.json")
            runs[feed] = json.loads(path.read_text(encoding="utf-8")), path.parent
        return runs[feed]

    return run_of


def defects() -> list[dict[str, Any]]:
    """Read the table of defects."""
    table = yaml.safe_load(Path(__file__).with_name("defects.yml").read_text(encoding="utf-8"))
    return list(table["defects"])


def measured(record: dict[str, Any], folder: Path, found: dict[str, Any]) -> int:
    """Count what a run says in one place.

    Parameters
    ----------
    record : content of run.json.
    folder : the run's folder.
    found : the place, in the words of defects.yml.
    """
    if "accepted" in found:
        return _accepted(folder / found["accepted"] / "accepted.arrow", found["column"], found["value"])
    if "known_file" in found:
        issues = pq.read_table(folder / SOURCE / "issues.parquet").filter(pc.field("rule") == "source.known_file")
        return issues["found"].to_pylist().count(found["known_file"])
    if "file_rule" in found:
        issues = pq.read_table(folder / SOURCE / "issues.parquet")
        issues = issues.filter(pc.equal(issues["rule"].cast(pa.string()), found["file_rule"]))
        return issues.num_rows if "row" not in found else issues["row"].to_pylist().count(found["row"])
    if "figure" in found:
        return int(record["datasets"][found["dataset"]][found["figure"]])
    if "record" in found:
        issues = pq.read_table(folder / found["dataset"] / "issues.parquet")
        issues = issues.filter(pc.equal(issues["rule"].cast(pa.string()), found["rule"]))
        return int(pc.sum(pc.match_substring_regex(issues["record_id"], found["record"])).as_py() or 0)
    rules = {rule["rule"]: rule["failed"] for rule in record["datasets"][found["dataset"]]["rules"]}
    return int(rules.get(found["rule"], 0))


def _accepted(path: Path, column: str, value: str) -> int:
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        batches = [pc.equal(batch.column(column).cast(pa.string()), value) for batch in reader]
    return sum(int(pc.sum(batch).as_py() or 0) for batch in batches)
