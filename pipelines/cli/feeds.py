"""`minerals feeds`: what is declared, and whether it holds."""

import typer

from pipelines.cli.output import Json, show_json, show_table
from pipelines.contracts import Feed, feed_files, load_datasets, load_feed
from pipelines.errors import ContractError
from pipelines.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The declared feeds.")


def loaded(settings: Settings) -> tuple[list[Feed], list[str]]:
    """Load every feed that can be loaded, and the errors of those that cannot."""
    datasets = load_datasets(settings.schemas)
    feeds, errors = [], []
    for path in feed_files(settings.schemas):
        try:
            feeds.append(load_feed(path, datasets))
        except ContractError as error:
            errors.append(str(error))
    return feeds, errors


@app.command("list")
def list_feeds(json: Json = False) -> None:
    """List the feeds, what they fill, and what they deliver from."""
    feeds, errors = loaded(Settings.from_environment())
    rows = [
        {
            "feed": feed.id,
            "partner": feed.partner,
            "fills": ", ".join(feed.datasets),
            "files": ", ".join(sorted({table.place for table in feed.tables.values()})),
            "schedule": feed.schedule,
            "licence": feed.rights.licence,
        }
        for feed in feeds
    ]
    if json:
        show_json({"feeds": rows, "errors": errors})
    else:
        show_table("Feeds", rows, ["feed", "partner", "fills", "schedule", "licence"])
        for error in errors:
            typer.echo(error, err=True)
    raise typer.Exit(2 if errors else 0)


@app.command("lint")
def lint(json: Json = False) -> None:
    """Check every contract, feed, vocabulary, unit and coordinate system that the schemas name."""
    from pipelines.flow.linting import lint_schemas  # heavy: loads units and coordinate systems

    settings = Settings.from_environment()
    feeds, errors = loaded(settings)
    errors += lint_schemas(settings, feeds)
    if json:
        show_json({"feeds": len(feeds), "errors": errors})
    else:
        for error in errors:
            typer.echo(error, err=True)
        typer.echo(f"{len(feeds)} feeds hold, {len(errors)} mistakes")
    raise typer.Exit(2 if errors else 0)
