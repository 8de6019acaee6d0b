"""The release: cut when every feed that is due has reported, or at the deadline of schemas/release.yml."""

from typing import Any

from airflow.sdk import DAG, Asset, AssetAll, AssetOrTimeSchedule, CronTriggerTimetable, task

from pipelines.contracts.rhythm import feeds_due, load_rhythm
from pipelines.settings import Settings

SCHEMAS = Settings.from_environment().schemas
RHYTHM = load_rhythm(SCHEMAS)
RELEASE = Asset(name="release", uri="minerals://release", group="releases")
DUE = [Asset(name=feed_id, uri=f"minerals://feed/{feed_id}", group="feeds") for feed_id in feeds_due(SCHEMAS)]

with DAG(
    dag_id="release",
    dag_display_name=RHYTHM.title,
    description="Cut a release of all datasets from what has been accepted",
    doc_md=f"## {RHYTHM.title}\n\n{RHYTHM.description}\n\n**Deadline** `{RHYTHM.deadline}` {RHYTHM.timezone}\n\n"
    + f"**Waits for** {', '.join(asset.name for asset in DUE)}",
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(RHYTHM.deadline, timezone=RHYTHM.timezone), assets=AssetAll(*DUE)
    ),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["release"],
    default_args={"owner": RHYTHM.owner},
):

    @task(outlets=[RELEASE])
    def publish(*, outlet_events: Any) -> dict[str, Any]:
        """Build, verify and commit the next release, or find that there is nothing new."""
        from pipelines import flow  # the line is loaded by the worker, never while DAGs are parsed

        made = flow.release(Settings.from_environment())
        if made["new"]:
            outlet_events[RELEASE].extra = made
        return made

    publish()
