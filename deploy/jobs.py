"""What is asked of a running Airflow: trigger every feed, follow the runs, follow the release that they cause."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx

from deploy.instance import Instance
from pipelines.errors import MineralsError

API = "/api/v2"
ENDED = ("success", "failed")
POLL_S = 0.5
RELEASE_STARTS_WITHIN_S = 30.0
LOG_TAIL = 12
Say = Callable[[str, str], None]


def ticks(instance: Instance, until: float, waiting_for: str) -> Iterator[None]:
    """Tick twice a second until a moment of the monotonic clock; raise MineralsError then, or when Airflow ends."""
    while time.monotonic() < until:
        instance.check_alive()
        yield
        time.sleep(POLL_S)
    raise MineralsError(f"the deadline passed while waiting for {waiting_for}")


def ask(client: httpx.Client, method: str, path: str, **rest: Any) -> Any:
    """Call Airflow's API and give its answer; raise MineralsError with what it refused."""
    try:
        answer = client.request(method, f"{API}{path}", **rest)
    except httpx.TransportError as error:
        raise MineralsError(f"Airflow did not answer {method} {path}: {error!r}") from error
    if answer.is_error:
        raise MineralsError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:300]}")
    return answer.json() if answer.content else None


def wait_for_dags(instance: Instance, client: httpx.Client, feeds: list[str], *, until: float) -> list[str]:
    """Wait until this instance has read every feed's DAG and the release's; give the feeds' DAG ids.

    Raises
    ------
    MineralsError
        When a DAG file cannot be imported, with Airflow's words.
    """
    for _ in ticks(instance, until, "the DAGs to be listed"):
        errors = ask(client, "GET", "/importErrors")["import_errors"]
        wrong = [error for error in errors if datetime.fromisoformat(error["timestamp"]) >= instance.started]
        if wrong:
            raise MineralsError("\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in wrong))
        listed = {dag["dag_id"] for dag in _dags(client) if _parsed_after(dag, instance.started)}
        found = [name for feed in feeds for name in (f"ingest_{feed}", f"feed_{feed}") if name in listed]
        if "release" in listed and len(found) == len(feeds):
            return found
    return []


def settle_leftovers(instance: Instance, client: httpx.Client) -> None:
    """Close what an interrupted session left open, so that it holds up nothing now."""
    for state in ("running", "queued"):
        runs = ask(client, "GET", "/dags/~/dagRuns", params={"state": state, "limit": 100})["dag_runs"]
        for run in runs:
            if datetime.fromisoformat(run["queued_at"] or run["run_after"]) < instance.started:
                ask(client, "PATCH", f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})
    answer = client.delete(f"{API}/dags/release/assets/queuedEvents")
    if answer.is_error and answer.status_code != httpx.codes.NOT_FOUND:
        raise MineralsError(f"Airflow refused to forget queued reports: {answer.status_code} {answer.text[:300]}")


def trigger(client: httpx.Client, dag_ids: list[str], run_id: str) -> None:
    """Start one run of each DAG under the same run id."""
    for dag_id in dag_ids:
        ask(client, "PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        ask(client, "POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "dag_run_id": run_id})


def follow(
    instance: Instance, client: httpx.Client, run_id: str, *, count: int, until: float, say: Say
) -> dict[str, str]:
    """Report each run's changes of state until all have ended; give the state of each DAG's run."""
    states: dict[str, str] = {}
    for _ in ticks(instance, until, "the feeds' runs"):
        for run in _pages(client, "/dags/~/dagRuns", "dag_runs", run_id_prefix_pattern=run_id):
            if states.get(run["dag_id"]) != run["state"]:
                states[run["dag_id"]] = run["state"]
                say(run["dag_id"], run["state"])
        if len(states) == count and all(state in ENDED for state in states.values()):
            break
    return states


def follow_release(
    instance: Instance, client: httpx.Client, run_id: str, dag_ids: list[str], *, until: float, say: Say
) -> dict[str, Any]:
    """Wait for the release run that has heard every feed's run; give that run.

    Raises
    ------
    MineralsError
        When no such run begins in time, which means that a feed has not reported.
    """
    begun = time.monotonic()
    told: dict[str, str] = {}
    for _ in ticks(instance, until, "the release"):
        heard: set[str] = set()
        for run in ask(client, "GET", "/dags/release/dagRuns", params={"order_by": "-run_after", "limit": 5})[
            "dag_runs"
        ]:
            mine = _heard(client, run, run_id)
            if mine and told.get(run["dag_run_id"]) != run["state"]:
                told[run["dag_run_id"]] = run["state"]
                say("release", run["state"])
            heard |= mine
            if heard >= set(dag_ids) and told and all(state in ENDED for state in told.values()):
                return max((run for run in [run] if mine), key=lambda one: str(one["end_date"]))
        if not told and time.monotonic() - begun > RELEASE_STARTS_WITHIN_S:
            missing = ", ".join(sorted(set(dag_ids) - heard))
            raise MineralsError(f"the release did not begin: no report from {missing}")
    return {}


def failure(client: httpx.Client, dag_id: str, run_id: str) -> str:
    """Give the end of the log of a run's first failed task."""
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
    failed = ask(client, "GET", path, params={"state": "failed", "limit": 1})["task_instances"]
    if not failed:
        return f"{dag_id}: no task failed; see its run in `make serve`"
    found = failed[0]
    where = f"{path}/{found['task_id']}/logs/{found['try_number']}"
    lines = ask(client, "GET", where, params={"map_index": found["map_index"], "full_content": True})["content"]
    text = [line for entry in lines for line in _words(entry)]
    return f"{dag_id}.{found['task_id']} failed\n" + "\n".join(f"  {line}" for line in text[-LOG_TAIL:])


def result(client: httpx.Client, dag_id: str, run_id: str, task_id: str) -> Any:
    """Give what a task returned, as the JSON says it, or None when it returned nothing."""
    path = f"{API}/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
    answer = client.get(path, params={"deserialize": False})
    found = answer.json()["value"] if answer.is_success else None
    return json.loads(found) if isinstance(found, str) else found


def _pages(client: httpx.Client, path: str, key: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Give every row of a listing, a hundred at a time."""
    offset = 0
    while True:
        page = ask(client, "GET", path, params={**params, "limit": 100, "offset": offset})
        yield from page[key]
        offset += len(page[key])
        if not page[key] or offset >= page["total_entries"]:
            return


def _dags(client: httpx.Client) -> Iterator[dict[str, Any]]:
    return _pages(client, "/dags", "dags", exclude_stale=False)


def _parsed_after(dag: dict[str, Any], since: datetime) -> bool:
    return bool(dag["last_parsed_time"]) and datetime.fromisoformat(dag["last_parsed_time"]) >= since


def _heard(client: httpx.Client, run: dict[str, Any], run_id: str) -> set[str]:
    """DAGs whose run under this id had reported when a release run began."""
    if not run["start_date"]:  # Airflow cannot tell before the run has started
        return set()
    events = ask(client, "GET", f"/dags/release/dagRuns/{run['dag_run_id']}/upstreamAssetEvents")["asset_events"]
    return {event["source_dag_id"] for event in events if event["source_run_id"] == run_id}


def _words(entry: Any) -> list[str]:
    """Lines of one entry of a task's log: what failed and what the line said; Airflow's own remarks are left out."""
    if isinstance(entry, str):
        return [entry]
    if errors := entry.get("error_detail"):
        return [f"{error['exc_type']}: {error['exc_value']}" for error in errors]
    logger = str(entry.get("logger") or "airflow")
    return [] if logger.startswith(("airflow", "task")) else [str(entry.get("event", ""))]
