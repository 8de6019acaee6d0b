"""How the command line shows things: tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDEST = 8
"""Columns of an answer beyond which a table is not readable."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def show_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def show_table(title: str, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Print rows as a table; partners' text is never read as markup."""
    names = list(columns)
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in names))
    Console(soft_wrap=False).print(table)


def show_rows(rows: list[dict[str, Any]], columns: list[str]) -> None:
    """Print an answer: as a table while it is narrow enough to be read, else each row on lines of its own."""
    if len(columns) <= WIDEST:
        show_table("", [{name: _plain(row[name]) for name in columns} for row in rows], columns)
        return
    for number, row in enumerate(rows, 1):
        typer.secho(f"row {number}", bold=True)
        for name in columns:
            if row[name] is not None:
                typer.echo(f"  {name:24} {_plain(row[name])}")


def _plain(value: object) -> str | None:
    """Write a value of an answer as it is: no separators in years and numbers of licences."""
    if value is None or isinstance(value, str):
        return value
    return _cell(value) if isinstance(value, list) else str(value)


def show_ledger(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a ledger: under each feed's source rows, what became of the rows of every dataset."""
    figures = ("read", "accepted", "quarantined", "filtered", "duplicate")
    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("feed, and its datasets", no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        dataset = row.get("dataset")
        style = "bold" if dataset is None else ""
        name = f"  {dataset}" if dataset else str(row["feed"])
        table.add_row(Text(name, style=style), *(Text(_cell(row.get(word)), style=style) for word in figures))
    Console(soft_wrap=False).print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
