"""`minerals run`, `check` and `status`: one feed through the line, without Airflow."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.output import Json, show_json, show_ledger, show_table
from pipelines.errors import MineralsError
from pipelines.settings import Settings

UNCLAIMED_SHOWN = 4
SEVERITIES = ("error", "warning", "info")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("run")(run)
    app.command("check")(check)
    app.command("status")(status)
    app.command("migrate", help="Bring the catalogue's tables up to date.")(migrate)


def run(
    feed: Annotated[str, typer.Argument(help="Feed to ingest, or `all`.")],
    confirmed: Annotated[
        str | None,
        typer.Option("--confirm", help="Id of the delivery whose change a person has confirmed."),
    ] = None,
    json: Json = False,
) -> None:
    """Ingest a feed from its source up to its accepted share."""
    from pipelines import flow  # heavy: the whole line
    from pipelines.flow.recording import ledger_rows  # heavy: DuckDB and Arrow

    settings = Settings.from_environment()
    names = sorted(path.stem for path in (settings.schemas / "feeds").glob("*.yml")) if feed == "all" else [feed]
    records, worst = [], 0
    for name in names:
        try:
            records.append(flow.ingest(name, settings, confirmed))
        except MineralsError as error:
            if len(names) == 1:
                raise
            typer.echo(f"{name}: {error}", err=True)
            worst = max(worst, error.exit_code)
    if json:
        show_json(records)
    else:
        for record in records:
            typer.echo(f"{record['feed']}: {record['state']}, delivery {record['delivery'][:12]}, run {record['run']}")
            typer.echo(f"  quality page: {record['page']}")
        show_ledger([row for record in records for row in ledger_rows(record)])
    raise typer.Exit(worst)


def check(
    file: Annotated[Path, typer.Argument(help="One of the feed's files, or a folder laid out like the drop root.")],
    feed: Annotated[str, typer.Option("--feed", "-f", help="Feed that the file is for.")],
    report: Annotated[Path | None, typer.Option(help="Write the quality page here.")] = None,
    json: Json = False,
) -> None:
    """Say what would become of a file, without recording or publishing anything."""
    from pipelines.flow.checking import check as try_file  # heavy: the whole line
    from pipelines.flow.recording import ledger_rows  # heavy: DuckDB and Arrow

    checked = try_file(feed, file, Settings.from_environment(), report)
    issues = [
        {
            "severity": one.severity,
            "rule": one.rule,
            "column": one.column_name,
            "count": one.count,
            "rows": _rows(one.examples),
            "hint": one.hint,
        }
        for one in sorted(checked.issues, key=lambda one: (SEVERITIES.index(one.severity), -one.count))
    ]
    if json:
        show_json({"clean": checked.clean, "record": checked.record, "issues": issues})
    else:
        show_ledger(ledger_rows(checked.record))
        show_table("Found", issues, ["severity", "rule", "column", "count", "rows", "hint"])
    raise typer.Exit(0 if checked.clean else 1)


def status(json: Json = False) -> None:
    """Show the ledger of every feed's current share, and the newest release."""
    from pipelines.flow.status import shares  # heavy: the catalogue and the release store

    told = shares(Settings.from_environment())
    if json:
        show_json(told)
        return
    show_ledger(told["ledger"])
    for feed, error in told["failed"].items():
        typer.echo(f"failed: {feed}: {error}", err=True)
    if told["unclaimed"]:
        shown = ", ".join(told["unclaimed"][:UNCLAIMED_SHOWN])
        more = " ..." if len(told["unclaimed"]) > UNCLAIMED_SHOWN else ""
        typer.echo(f"Files in the drop that belong to no feed, {len(told['unclaimed'])} in all: {shown}{more}")
    release = told["release"]
    typer.echo(f"Release {release['number']}: {release['folder']}" if release else "No release yet.")


def migrate() -> None:
    """Bring the catalogue's tables up to date."""
    from pipelines.flow.installation import catalogue_of  # heavy: SQLAlchemy and Alembic

    catalogue_of(Settings.from_environment())
    typer.echo("the catalogue is up to date")


def _rows(examples: Any) -> str:
    return ", ".join(str(one.row) for one in examples if one.row is not None)
