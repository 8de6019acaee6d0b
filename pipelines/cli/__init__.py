"""The command line `minerals`: for the engineer who runs feeds, and for the geologist who asks releases."""

import logging
import sys
from typing import Annotated

import typer

from pipelines.cli import feeds, quarantine, releases, running
from pipelines.errors import MineralsError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(feeds.app, name="feeds")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(releases.app, name="release")
running.add_to(app)
releases.add_to(app)


@app.callback()
def main(verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what each step did.")] = False) -> None:
    """Ingest, check, publish and ask critical-mineral data."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("great_expectations").setLevel(logging.WARNING)


def run() -> None:
    """Run the command line; an error of ours is one message and its exit code (1 data, 2 usage, 3 environment)."""
    try:
        app()
    except MineralsError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(error.exit_code) from None
