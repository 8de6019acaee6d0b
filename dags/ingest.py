"""One DAG per feed: land what the partner delivered, conform it, audit each dataset, accept it, and report.

The DAGs are made from schemas/feeds/*.yml; a new feed needs no edit here. Tasks pass ids only. Two leaves end each run:
`complete` makes it red when anything failed, `report` tells the release how it went, whatever happened.
"""

import re
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    DAG,
    Asset,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    TriggerRule,
    get_current_context,
    get_parsing_context,
    task,
)
from airflow.sdk.exceptions import AirflowFailException

from pipelines.contracts import Dataset, Feed, feed_files, load_datasets, load_feed
from pipelines.errors import SourceError
from pipelines.settings import Settings

TRIES_AGAIN = 2
# How long is waited between tries is Airflow's own setting, core.default_task_retry_delay.
MENDABLE = ExceptionRetryPolicy(
    rules=[RetryRule(exception=SourceError, action=RetryAction.RETRY, reason="the source may answer the next time")],
    default=RetryAction.FAIL,
)
STEPS = ["land", "conform", "audit", "accept"]


def remember_error(context: Any) -> None:
    """Keep a failed task's message for the report."""
    context["ti"].xcom_push(key="error", value=f"{context['ti'].task_id}: {context.get('exception')}")


STEP: dict[str, Any] = {"retries": TRIES_AGAIN, "retry_policy": MENDABLE, "on_failure_callback": remember_error}


@task(**STEP)
def land(feed_id: str) -> str:
    """Fetch the feed's files untouched and give the delivery's id."""
    from pipelines import flow  # the line is loaded by the worker, never while DAGs are parsed

    return flow.land_feed(feed_id, Settings.from_environment())


@task(**STEP)
def conform(feed_id: str, delivery: str) -> int:
    """Read, harmonise and validate a delivery and give the run's id."""
    from pipelines import flow  # the line is loaded by the worker, never while DAGs are parsed

    return flow.conform(feed_id, delivery, Settings.from_environment())


@task(map_index_template="{{ dataset }}", **STEP)
def audit(run: int, dataset: str) -> None:
    """Let Great Expectations judge one dataset of a run."""
    get_current_context()["dataset"] = dataset  # type: ignore[typeddict-unknown-key]
    from pipelines import flow  # the line is loaded by the worker, never while DAGs are parsed

    flow.audit(run, dataset, Settings.from_environment())


@task(**STEP)
def accept(run: int) -> None:
    """Make a run the feed's accepted state, from which the next release is built."""
    from pipelines import flow  # the line is loaded by the worker, never while DAGs are parsed

    flow.accept(run, Settings.from_environment())


@task(trigger_rule=TriggerRule.ALL_DONE)
def report(feed_id: str, *, ti: Any, dag_run: Any, outlet_events: Any) -> dict[str, Any]:
    """Tell the release how the feed's run ended, also when it failed."""
    from pipelines import flow  # the line is loaded by the worker, never while DAGs are parsed

    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[dag_run.run_id])[dag_run.run_id]
    failed = [name for name, state in states.items() if state in ("failed", "upstream_failed")]
    errors = ti.xcom_pull(task_ids=STEPS, key="error") if failed else []
    told = flow.report(feed_id, Settings.from_environment(), failed=bool(failed), error="\n".join(_flat(errors)))
    outlet_events[feed_asset(feed_id)].extra = told
    return told


def _flat(errors: Any) -> list[str]:
    """Messages of plain and mapped tasks in one list."""
    if isinstance(errors, str):
        return [errors]
    return [message for part in errors or () if part for message in _flat(part)]


def feed_asset(feed_id: str) -> Asset:
    """Name the asset by which a feed's reports reach the release."""
    return Asset(name=feed_id, uri=f"minerals://feed/{feed_id}", group="feeds")


def ingest_dag(feed: Feed) -> DAG:
    """Build a feed's DAG."""
    with DAG(
        dag_id=f"ingest_{feed.id}",
        auto_register=False,
        dag_display_name=feed.title,
        description=feed.description.split("\n", 1)[0],
        doc_md=feed_page(feed),
        schedule=feed.schedule,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        tags=sorted({feed.partner, *feed.datasets, *feed.tags}),
        default_args={"owner": feed.owner},
    ) as dag:
        run = conform(feed.id, land(feed.id))
        accepted = accept(run)
        audit.partial(run=run).expand(dataset=list(feed.datasets)) >> accepted
        accepted >> EmptyOperator(task_id="complete")
        accepted >> report.override(outlets=[feed_asset(feed.id)])(feed.id)
    dag.timetable.validate()  # else Airflow would drop the DAG when it checks the schedule, and nothing would report
    return dag


def feed_page(feed: Feed) -> str:
    """Describe a feed on its DAG's page."""
    places = [f"- `{table.place}` ({name}, {table.reader})" for name, table in feed.tables.items()]
    parts = [
        f"## {feed.title}",
        feed.description,
        f"[{feed.homepage}]({feed.homepage})" if feed.homepage else "",
        "**Files**\n\n" + "\n".join(places),
        f"**Fills** {', '.join(feed.datasets)}",
        f"**Rights** {feed.rights.licence} ({feed.rights.basis}: {feed.rights.document}); tier {feed.rights.tier}",
        f"**Delivery** {feed.delivery_mode}, expected every {feed.cadence}",
    ]
    return "\n\n".join(part for part in parts if part)


def broken_dag(name: str, error: str) -> DAG:
    """Stand in for a feed whose file cannot be loaded: red whenever it runs, and it still reports."""
    with DAG(
        dag_id=f"feed_{dag_word(name)}",
        auto_register=False,
        dag_display_name=f"{name}: its file cannot be loaded",
        doc_md=f"## {name}.yml cannot be loaded\n\n```\n{error}\n```\n\nCorrect it; the feed's own DAG then returns.",
        schedule="@daily",
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        tags=["BROKEN"],
        default_args={"owner": "data-engineering"},
    ) as dag:

        @task
        def load() -> None:
            raise AirflowFailException(error)

        @task(trigger_rule=TriggerRule.ALL_DONE, outlets=[feed_asset(name)])
        def report(*, outlet_events: Any) -> None:
            outlet_events[feed_asset(name)].extra = {"state": "failed", "error": error}

        loaded = load()
        loaded >> EmptyOperator(task_id="complete")
        loaded >> report()
    return dag


def dag_word(name: str) -> str:
    """Make a file's name fit for a DAG's id."""
    return re.sub(r"[^\w.-]", "_", name)


def feed_dag(path: Path, datasets: dict[str, Dataset]) -> DAG:
    """Build the DAG of one feed's file, or its stand-in."""
    try:
        return ingest_dag(load_feed(path, datasets))
    except Exception as error:  # one unreadable feed must not hide the others, whatever is wrong with it
        return broken_dag(path.stem, str(error) or repr(error))


def wanted(path: Path) -> bool:
    """Tell whether a feed's DAG is asked for: a worker asks for one, the DAG processor for all."""
    return get_parsing_context().dag_id in (None, f"ingest_{path.stem}", f"feed_{dag_word(path.stem)}")


def feed_dags(folder: Path) -> dict[str, DAG]:
    """Build the DAGs that are asked for."""
    files = [path for path in feed_files(folder) if wanted(path)]
    if not files:
        return {}
    datasets = load_datasets(folder)
    return {dag.dag_id: dag for dag in (feed_dag(path, datasets) for path in files)}


globals().update(feed_dags(Settings.from_environment().schemas))
