"""The DAGs that Airflow sees: one per feed, whatever is wrong with another, and a release that waits for them all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts import Schemas
from tests import norland
from tests.conftest import PROJECT

# Airflow reads its settings while it is imported, so each look at the DAGs takes a process of its own.
LOOK = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
told = {
    name: {
        "title": dag.dag_display_name,
        "tags": sorted(dag.tags),
        "page": dag.doc_md,
        "owner": dag.owner,
        "schedule": str(dag.timetable),
        "catchup": dag.catchup,
        "runs": dag.max_active_runs,
        "paused": dag.is_paused_upon_creation,
        "tasks": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
        "rules": {task.task_id: task.trigger_rule.value for task in dag.tasks},
        "outlets": {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets},
        "waits": sorted(asset.name for asset in dag.timetable.asset_condition.objects)
        if getattr(dag.timetable, "asset_condition", None) else [],
    }
    for name, dag in bag.dags.items()
}
heavy = [name for name in ("great_expectations", "geopandas", "duckdb", "pandas", "pyarrow") if name in sys.modules]
print("\\n" + json.dumps({"dags": told, "errors": bag.import_errors, "heavy": heavy}))
"""


def look(home: Path, schemas: Path = PROJECT / "schemas", **more: str) -> dict[str, Any]:
    """Have Airflow parse dags/ against a folder of schemas, and tell what it found."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    ours = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "MINERALS_SCHEMAS": str(schemas)}
    said = subprocess.run(
        [sys.executable, "-c", LOOK, str(PROJECT / "dags")],
        env=inherited | ours | more,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give what Airflow makes of the repository's own feeds."""
    return look(tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give what Airflow makes of three sound feeds beside three damaged files."""
    folder = tmp_path_factory.mktemp("schemas")
    schemas = Path(shutil.copytree(PROJECT / "schemas", folder / "schemas"))
    feeds = sorted((schemas / "feeds").glob("*.yml"))
    for path in feeds[3:]:
        path.unlink()
    text = feeds[0].read_text()
    (schemas / "feeds" / "zz_cut.yml").write_text("bad: [\n")
    (schemas / "feeds" / "zz other name.yml").write_text(text)
    schedule = next(line for line in text.splitlines() if line.startswith("schedule:"))
    late = text.replace(schedule, 'schedule: "61 25 * * *"').replace(f"feed: {feeds[0].stem}", "feed: zz_never")
    (schemas / "feeds" / "zz_never.yml").write_text(late)
    return look(folder, schemas) | {"sound": [path.stem for path in feeds[:3]]}


def test_every_feed_has_its_dag_and_nothing_else_is_there(seen: dict[str, Any], schemas: Schemas) -> None:
    assert seen["errors"] == {}
    assert set(seen["dags"]) == {f"ingest_{feed}" for feed in schemas.feeds} | {"release"}


def test_reading_the_dags_loads_nothing_heavy(seen: dict[str, Any]) -> None:
    assert seen["heavy"] == []


def test_a_feeds_page_says_what_it_is_and_whose(seen: dict[str, Any], schemas: Schemas) -> None:
    for feed in schemas.feeds.values():
        dag = seen["dags"][f"ingest_{feed.id}"]
        assert dag["title"] == feed.title
        assert dag["owner"] == feed.owner
        assert set(dag["tags"]) >= {feed.partner, *feed.datasets}
        assert feed.rights.licence in dag["page"]


def test_a_feed_runs_by_its_own_schedule_once_at_a_time(seen: dict[str, Any], schemas: Schemas) -> None:
    for feed in schemas.feeds.values():
        dag = seen["dags"][f"ingest_{feed.id}"]
        assert feed.schedule in dag["schedule"]
        assert (dag["catchup"], dag["runs"], dag["paused"]) == (False, 1, False)


def test_a_red_run_still_reports(seen: dict[str, Any], schemas: Schemas) -> None:
    for feed in schemas.feeds:
        dag = seen["dags"][f"ingest_{feed}"]
        leaves = {name for name, after in dag["tasks"].items() if not after}
        assert leaves == {"complete", "report"}
        assert (dag["rules"]["complete"], dag["rules"]["report"]) == ("all_success", "all_done")
        assert dag["outlets"] == {"report": [feed]}


def test_the_release_waits_for_every_feed_or_the_deadline(seen: dict[str, Any], schemas: Schemas) -> None:
    release = seen["dags"]["release"]
    assert release["waits"] == sorted(schemas.feeds)
    assert release["runs"] == 1
    assert release["outlets"] == {"publish": ["release"]}


def test_a_worker_builds_only_the_dag_that_it_runs(tmp_path: Path, schemas: Schemas) -> None:
    wanted = f"ingest_{next(iter(schemas.feeds))}"
    seen = look(tmp_path, _AIRFLOW_PARSING_CONTEXT_DAG_ID=wanted)
    assert [name for name in seen["dags"] if name.startswith("ingest_")] == [wanted]


def test_a_ninth_feed_is_a_dag_without_an_edit(tmp_path: Path, schemas: Schemas) -> None:
    nine = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
    (nine / "feeds" / "norland_sites.yml").write_text(norland.FEED, encoding="utf-8")
    told = look(tmp_path, nine)
    assert told["errors"] == {}
    assert set(told["dags"]) == {f"ingest_{name}" for name in schemas.feeds} | {"ingest_norland_sites", "release"}
    assert "norland_sites" in told["dags"]["release"]["waits"]


def test_a_damaged_feed_stands_out_and_hides_no_other(damaged: dict[str, Any]) -> None:
    broken = {name for name, dag in damaged["dags"].items() if dag["tags"] == ["BROKEN"]}
    assert broken == {"feed_zz_cut", "feed_zz_other_name", "feed_zz_never"}
    assert {f"ingest_{feed}" for feed in damaged["sound"]} <= set(damaged["dags"])
    assert len(damaged["dags"]) == len(damaged["sound"]) + len(broken) + 1


def test_a_damaged_feeds_page_is_the_error(damaged: dict[str, Any]) -> None:
    assert "zz_cut.yml:2" in damaged["dags"]["feed_zz_cut"]["page"]
    assert "must be the file's name" in damaged["dags"]["feed_zz_other_name"]["page"]


def test_a_damaged_feed_reports_too_so_the_release_does_not_wait_for_ever(damaged: dict[str, Any]) -> None:
    assert damaged["dags"]["feed_zz_cut"]["outlets"] == {"report": ["zz_cut"]}
    assert "zz_cut" in damaged["dags"]["release"]["waits"]
