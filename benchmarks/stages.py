"""The processes that are compared: a plain conversion, the line, and the audit; each is run by name.

The line's stages are timed by clocks set in front of its functions, so that it runs the very code of an ingest.
"""

import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from pipelines.settings import PROJECT, Settings

FEED = "bench_occurrences"
DATASET = "bench_occurrence"
OWN = Path(__file__).parent / "schemas"
CLOCKED = {
    "read": ("pipelines.flow.conform", "read"),
    "harmonise": ("pipelines.flow.split", "harmonise"),
    "validate": ("pipelines.flow.split", "validate"),
    "write quarantine": ("pipelines.flow.split", "write_quarantine"),
    "record in the catalogue": ("pipelines.flow", "record_run"),
    "verify": ("pipelines.publish", "verify_landed"),
}
"""Stage, and the module and name under which the line calls it."""


def installation(home: Path, drop: Path) -> Settings:
    """Give an installation whose contracts are the benchmark's and whose vocabularies are the project's."""
    schemas = home / "schemas"
    shutil.copytree(PROJECT / "schemas" / "vocabularies", schemas / "vocabularies", dirs_exist_ok=True)
    shutil.copytree(OWN, schemas, dirs_exist_ok=True)
    for name in ("columns.yml", "release.yml"):
        shutil.copyfile(PROJECT / "schemas" / name, schemas / name)
    return Settings(home=home, drop=drop, schemas=schemas, catalogue_url=f"sqlite:///{home / 'catalogue.db'}")


def convert(source: Path, home: Path) -> dict[str, Any]:
    """Convert the file to Parquet with DuckDB, every column as text: the floor."""
    import duckdb  # each process loads only what it measures

    target = home / "plain.parquet"
    duckdb.sql(
        f"COPY (SELECT * FROM read_csv('{source}', all_varchar=true)) "  # noqa: S608 - both paths are ours
        f"TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
    )
    return {"bytes": target.stat().st_size}


def line(source: Path, home: Path, twin_rows: int = 0) -> dict[str, Any]:
    """Take the file through land, read, harmonise, validate, split, publish and verify.

    Parameters
    ----------
    twin_rows : the release gets a GeoPackage too if it has no more rows than this.

    Returns
    -------
    The ledger, the counts of the rules, the issues, and the seconds of every stage.
    """
    from pipelines import flow  # each process loads only what it measures
    from pipelines.flow.installation import catalogue_of
    from pipelines.flow.recording import read_record

    settings = installation(home, source.parent)
    stages: dict[str, list[float]] = {}
    with _clocked(stages):
        delivery = _timed(stages, "land", flow.land_feed)(FEED, settings)
        run = _timed(stages, "conform", flow.conform)(FEED, delivery, settings)
        folder = Path(catalogue_of(settings).run(run).folder)
        _timed(stages, "publish", _publish)(settings, folder, delivery, twin_rows)
    figures = read_record(folder)["datasets"][DATASET]
    inner = ("read", "harmonise", "validate", "write quarantine", "record in the catalogue")
    split = [total - sum(stages[name][at] for name in inner) for at, total in enumerate(stages.pop("conform"))]
    stages["split, count, write accepted"] = split
    stages["publish"] = [total - stages["verify"][at] for at, total in enumerate(stages["publish"])]
    return {
        "folder": str(folder),
        "ledger": {word: figures[word] for word in ("shaped", "accepted", "quarantined", "duplicates")},
        "rules": len(figures["rules"]),
        "issues": sum(rule["failed"] for rule in figures["rules"]),
        "stages": stages,
    }


def audit(source: Path, home: Path) -> dict[str, Any]:
    """Have Great Expectations judge the rows that the line accepted, as Airflow's task does."""
    from pipelines.audit import audit as judge  # each process loads only what it measures
    from pipelines.contracts import load_schemas
    from pipelines.flow.installation import codes_of

    schemas = load_schemas(installation(home, source.parent).schemas)
    dataset = schemas.datasets[DATASET]
    folder = next(home.glob(f"work/{FEED}/*"))
    verdict = judge(folder, dataset, codes_of(dataset, schemas), previous=None, seed=1)
    return {"success": verdict.success, "expectations": len(verdict.expectations)}


def _publish(settings: Settings, folder: Path, delivery: str, twin_rows: int) -> None:
    from pipelines.contracts import load_datasets
    from pipelines.publish import Options, Rights, Share, publish
    from pipelines.store import LocalStore

    accepted = {DATASET: [folder / DATASET / "accepted.arrow"]}
    share = Share(FEED, "fresh", Rights("CC0-1.0"), delivery, accepted=accepted)
    store = LocalStore(settings.releases)
    publish([share], load_datasets(settings.schemas), store, settings.work / "_release", Options(twin_rows=twin_rows))


@contextmanager
def _clocked(stages: dict[str, list[float]]) -> Iterator[None]:
    """Set a clock in front of the functions that the stages consist of."""
    for stage, (module, name) in CLOCKED.items():
        place = importlib.import_module(module)
        setattr(place, name, _timed(stages, stage, getattr(place, name)))
    yield


def _timed(stages: dict[str, list[float]], stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """Add the processor time and the clock's time of every call, in seconds, to a stage."""

    @wraps(work)
    def timed(*arguments: Any, **named: Any) -> Any:
        cpu, wall = _cpu_s(), time.perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            spent = stages.setdefault(stage, [0.0, 0.0])
            spent[0] += _cpu_s() - cpu
            spent[1] += time.perf_counter() - wall

    return timed


def _cpu_s() -> float:
    """Processor time of this process and of the children that it has waited for."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


PROCESSES: dict[str, Callable[..., dict[str, Any]]] = {"convert": convert, "line": line, "audit": audit}

if __name__ == "__main__":
    name, source, home, *more = sys.argv[1:]
    told = PROCESSES[name](Path(source), Path(home), *(int(word) for word in more))
    json.dump(told, sys.stdout)
