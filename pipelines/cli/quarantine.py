"""`minerals quarantine`: what was kept back, why, and how it comes back."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.output import Json, show_json, show_table
from pipelines.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Rows that were kept back.")


@app.command("list")
def list_quarantine(
    feed: Annotated[str | None, typer.Argument(help="Only this feed.")] = None, json: Json = False
) -> None:
    """Count the rows kept back, by feed, dataset and state."""
    from pipelines.flow.installation import catalogue_of  # heavy: SQLAlchemy

    counts = catalogue_of(Settings.from_environment()).quarantine_counts(feed)
    rows = [vars(count) for count in counts]
    show_json(rows) if json else show_table("Quarantine", rows, ["feed", "dataset", "state", "rows"])


@app.command("show")
def show(
    feed: Annotated[str, typer.Argument(help="Feed whose rows to show.")],
    rule: Annotated[str | None, typer.Option(help="Only rows that broke this rule.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many rows.")] = 20,
    json: Json = False,
) -> None:
    """Show rows as received, with the rules that they broke and what would mend them."""
    from pipelines.flow.status import kept_back  # heavy: reads Parquet

    rows = kept_back(Settings.from_environment(), feed, rule, limit)
    if json:
        show_json(rows)
        return
    for row in rows:
        typer.secho(f"{row['file']} row {row['row']}  {row['record_id'] or ''}", bold=True)
        typer.echo(f"  breaks  {row['rules']}\n  mend    {row['hint']}\n  as received  {row['raw']}")
    typer.echo(f"{len(rows)} rows shown; `minerals quarantine list {feed}` counts them all")


@app.command("replay")
def replay(
    feed: Annotated[str, typer.Argument(help="Feed whose rows to take again.")],
    corrected: Annotated[
        Path | None,
        typer.Option("--with", help="Folder with the partner's corrected rows, laid out like the drop root."),
    ] = None,
    json: Json = False,
) -> None:
    """Take the kept-back rows again, after the feed, a vocabulary or the partner's rows were corrected."""
    from pipelines import flow  # heavy: the whole line

    done = flow.replay(feed, Settings.from_environment(), corrected=corrected)
    if json:
        show_json(vars(done))
    else:
        typer.echo(
            f"{feed}: {done.taken} rows taken again, {done.accepted} records accepted, "
            f"{done.released} rows released, {done.still_open} still kept back (run {done.run})"
        )
    raise typer.Exit(0 if done.accepted else 1)
