"""`make run` and `make serve`: the whole line through Airflow on this machine, and nothing left running."""

import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from deploy import jobs
from deploy.instance import Instance, running
from pipelines.contracts.rhythm import feed_ids
from pipelines.errors import MineralsError
from pipelines.settings import Settings

USUAL_PORT = 8080
FIRST_QUESTION = (
    "SELECT commodity, count(*) AS sites FROM (SELECT unnest(commodities) AS commodity FROM mineral_occurrence) "
    "GROUP BY ALL ORDER BY sites DESC"
)
COLOURS = {"success": "green", "failed": "red", "running": "cyan"}

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
console = Console(highlight=False)


@app.command()
def run(deadline_minutes: Annotated[float, typer.Option(help="Give up after this long.")] = 90.0) -> None:
    """Ingest every feed, publish a release, show the ledger, and stop Airflow."""
    settings = Settings.from_environment()
    begun = time.monotonic()
    console.print(f"[bold]Ingesting[/] {settings.drop} [dim]into {settings.home}[/]", soft_wrap=True)
    try:
        with running(settings) as (instance, client):
            console.print(f"[dim]{time.monotonic() - begun:7.1f} s  Airflow is up at {instance.address}[/]")
            reasons, released = _ingest_and_release(instance, client, settings, begun, deadline_minutes)
    except KeyboardInterrupt:
        console.print("[yellow]interrupted; Airflow is stopped[/]")
        raise typer.Exit(130) from None
    except MineralsError as error:
        _complain(str(error))
        raise typer.Exit(error.exit_code) from None
    _show(settings, released)
    for reason in reasons:
        _complain(reason)
    console.print(f"[dim]{time.monotonic() - begun:.0f} s in all[/]")
    raise typer.Exit(1 if reasons else 0)


@app.command()
def serve() -> None:
    """Keep Airflow and its pages up until Ctrl-C."""
    try:
        with running(Settings.from_environment(), port=USUAL_PORT) as (instance, _):
            console.print(f"Airflow is up at [bold]{instance.address}[/]; Ctrl-C stops it")
            while True:
                instance.check_alive()
                time.sleep(1)
    except KeyboardInterrupt:
        console.print("Airflow is stopped")
    except MineralsError as error:
        _complain(str(error))
        raise typer.Exit(error.exit_code) from None


def _ingest_and_release(
    instance: Instance, client: httpx.Client, settings: Settings, begun: float, deadline_minutes: float
) -> tuple[list[str], Any]:
    """Run every feed and then the release; give the reasons of what failed, and what the release says of itself."""
    until = begun + deadline_minutes * 60

    def say(dag_id: str, state: str) -> None:
        console.print(f"{time.monotonic() - begun:7.1f} s  {dag_id:40} [{COLOURS.get(state, 'dim')}]{state}[/]")

    dag_ids = jobs.wait_for_dags(instance, client, feed_ids(settings.schemas), until=until)
    jobs.settle_leftovers(instance, client)
    run_id = f"make-run-{instance.started:%Y%m%dT%H%M%S}"
    jobs.trigger(client, dag_ids, run_id)
    states = jobs.follow(instance, client, run_id, count=len(dag_ids), until=until, say=say)
    reasons = [jobs.failure(client, dag_id, run_id) for dag_id, state in sorted(states.items()) if state == "failed"]
    try:
        release = jobs.follow_release(instance, client, run_id, dag_ids, until=until, say=say)
    except MineralsError as error:
        return [*reasons, str(error)], None
    if release["state"] == "failed":
        reasons.append(jobs.failure(client, "release", release["dag_run_id"]))
    return reasons, jobs.result(client, "release", release["dag_run_id"], "publish")


def _show(settings: Settings, released: Any) -> None:
    """Print the ledger, the release and what to try next."""
    minerals = Path(sys.executable).parent / "minerals"
    sys.stdout.flush()
    subprocess.run([minerals, "status"], check=False)  # noqa: S603 - our own program, without a shell
    if released:
        console.print(f"\n{escape(released['said'])}", soft_wrap=True)
    console.print("Try next:")
    console.print(f'  .venv/bin/minerals query "{FIRST_QUESTION}" --limit 5', soft_wrap=True)
    console.print("  make serve")


def _complain(reason: str) -> None:
    """Print why something failed, whole and as it was said."""
    console.print(f"\n[bold red]✗[/] {escape(reason)}", soft_wrap=True)


if __name__ == "__main__":
    logging.getLogger("httpx").setLevel(logging.WARNING)
    app()
