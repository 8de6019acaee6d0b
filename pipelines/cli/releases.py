"""`minerals release` and `query`: what was published, and answers from it."""

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from pipelines.cli.output import Json, show_json, show_rows, show_table
from pipelines.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Published releases.")
Number = Annotated[int | None, typer.Argument(help="Number of the release; the newest if none is given.")]


def add_to(root: typer.Typer) -> None:
    """Add `query` to the command line."""
    root.command("query")(query)


def _readable(found: pa.Table) -> pa.Table:
    """Show geometries as well-known text."""
    import shapely  # heavy: GEOS

    for index, field in enumerate(found.schema):
        kind = getattr(field.type, "storage_type", field.type)
        if pa.types.is_binary(kind):
            column = found.column(index).cast(pa.binary())
            words = shapely.to_wkt(shapely.from_wkb(column.to_numpy(zero_copy_only=False)), rounding_precision=6)
            found = found.set_column(index, field.name, pa.array(words, pa.string()))
    return found


@app.command("build")
def build(json: Json = False) -> None:
    """Cut a release from the accepted share of every feed, if anything changed."""
    from pipelines import flow  # heavy: the whole line

    told = flow.release(Settings.from_environment())
    show_json(told) if json else typer.echo(told["said"])


@app.command("list")
def list_releases(json: Json = False) -> None:
    """List the releases, newest first."""
    from pipelines.flow.status import releases  # heavy: the release store

    rows = releases(Settings.from_environment())
    show_json(rows) if json else show_table("Releases", rows, ["number", "committed_at", "rows", "content_hash"])


@app.command("show")
def show(number: Number = None, json: Json = False) -> None:
    """Show a release: its datasets, feeds and ledger."""
    from pipelines.flow.status import release_shown  # heavy: the release store

    told = release_shown(Settings.from_environment(), number)
    if json:
        show_json(told["manifest"])
        return
    typer.echo(f"Release {told['number']} in {told['folder']}\ncontent {told['manifest']['content_hash']}")
    show_table("Datasets", told["datasets"], ["dataset", "rows", "files", "bytes"])
    show_table("Feeds", told["feeds"], ["feed", "state", "delivery", "rows"])
    show_table("Ledger", told["ledger"], ["feed", "dataset", "accepted", "published", "superseded", "withheld"])


@app.command("verify")
def verify(number: Number = None, json: Json = False) -> None:
    """Check every file of a release against its checksums."""
    from pipelines.flow.status import verified  # heavy: the release store

    told = verified(Settings.from_environment(), number)
    show_json(told) if json else typer.echo(f"release {told['number']}: {told['files']} files hold")


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over the datasets of the release.")],
    release: Annotated[int | None, typer.Option(help="Number of the release; the newest if none is given.")] = None,
    limit: Annotated[int, typer.Option(help="Print at most so many rows.")] = 50,
    json: Json = False,
) -> None:
    """Answer one SQL SELECT from a release."""
    from pipelines.flow.status import release_folder  # heavy: the release store
    from pipelines.query import query as ask  # heavy: DuckDB

    found = ask(sql, Path(release_folder(Settings.from_environment(), release)))
    rows = _readable(found.slice(0, limit)).to_pylist()
    if json:
        show_json(rows)
        return
    show_rows(rows, found.column_names)
    if found.num_rows > limit:
        typer.echo(f"... {found.num_rows - limit} more rows; raise --limit to see them")
