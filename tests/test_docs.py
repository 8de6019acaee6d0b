"""The documentation says what is true: its names exist, its links lead somewhere, and its examples run."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import duckdb
import pytest
import typer
import yaml
from typer.testing import CliRunner

from pipelines import chemistry, errors, flow
from pipelines.cli import app
from pipelines.connectors import CONNECTORS, problems
from pipelines.connectors import OPTIONS as CONNECTOR_OPTIONS
from pipelines.connectors.credentials import PREFIX
from pipelines.contracts import Schemas, load_datasets, load_feed
from pipelines.contracts import feeds as words
from pipelines.contracts.model import Model
from pipelines.flow.status import release_folder
from pipelines.readers import OPTIONS as READER_OPTIONS
from pipelines.readers import READERS
from pipelines.settings import Settings
from tests.conftest import PROJECT

README = PROJECT / "README.md"
ENGINEER, GEOLOGIST = PROJECT / "docs" / "engineer.md", PROJECT / "docs" / "geologist.md"
PAGES = [README, PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").glob("*.md"))]
MODELS: dict[str, type[Model]] = {
    "Feed": words.Feed,
    "Table": words.Table,
    "Known file": words.KnownFile,
    "Rights": words.Rights,
    "Note": words.Note,
    "Dataset": words.DatasetMapping,
    "Key": words.Key,
    "Column": words.Column,
    "Position": words.Position,
    "Correction": words.Correction,
    "Corners": words.Corners,
    "CRS column": words.SourceCrs,
    "Filter": words.Filter,
    "Check": words.Check,
}
"""The tables of docs/engineer.md by their headings, and what each explains."""
COMPUTED = {"fingerprint"}
EXAMPLE = "norland_deposits"
QUESTION = re.compile(r'\$ minerals query "([^"]*)"\n?([^$]*)')


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Give the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.MULTILINE | re.DOTALL)


def table(page: Path, first: str) -> dict[str, str]:
    """Give the rows of the tables whose header begins so: first cell to the rest, without backticks around it."""
    found: dict[str, str] = {}
    for rows in re.findall(rf"^\| {re.escape(first)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text(page), re.MULTILINE):
        for row in rows.splitlines():
            name, rest = row.strip("| ").split(" | ", 1)
            found[name.strip("`")] = rest
    return found


def section(heading: str) -> dict[str, str]:
    """Give the words that docs/engineer.md explains under a heading."""
    body = text(ENGINEER).split(f"\n### {heading}\n", 1)[1].split("\n#", 1)[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", body, re.MULTILINE))


def commands(group: click.Command, path: str = "minerals") -> Iterator[str]:
    """Walk the command line and give every command's words."""
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as readers of Markdown make them."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def plain(line: str) -> str:
    return " ".join(line.split())


def missing_lines(wanted: str, said: str) -> list[str]:
    """Give the lines that are wanted and were not said; blanks do not count."""
    have = {plain(line) for line in said.splitlines()}
    return [line for line in map(plain, wanted.splitlines()) if line and line not in have]


def test_every_command_is_in_the_readme() -> None:
    told = {" ".join(re.findall(r"^[a-z ]+", name)[0].split()) for name in table(README, "command")}
    assert told == set(commands(typer.main.get_command(app)))


def test_every_setting_is_in_the_readme() -> None:
    read = set(re.findall(r'environ\.get\("(\w+)"\)', text(PROJECT / "pipelines" / "settings.py")))
    secret = f"{PREFIX}<credentials>_<part>"
    assert set(table(README, "variable")) == {*read, secret}
    named = {name for page in PAGES for name in re.findall(r"MINERALS_[A-Z_]+", text(page))}
    assert named == {*read, PREFIX}


def test_every_make_target_is_in_the_readme() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", text(PROJECT / "Makefile"), re.MULTILINE)
    assert phony is not None
    assert set(table(README, "`make` target")) == {f"make {name}" for name in phony.group(1).split()}


def test_every_exit_code_is_in_the_readme() -> None:
    kinds = {errors.ContractError, errors.SourceError, errors.RejectedError}
    assert set(table(README, "exit code")) == {"0", *(str(kind.exit_code) for kind in kinds)}
    told = {name: row.split(" | ", 1)[0] for name, row in table(ENGINEER, "error").items()}
    assert told == {kind.__name__: str(kind.exit_code) for kind in kinds}


def test_every_dataset_is_explained_with_its_grain(schemas: Schemas) -> None:
    assert table(GEOLOGIST, "dataset") == {name: dataset.grain for name, dataset in schemas.datasets.items()}


def test_the_changelog_has_the_version_of_every_contract(schemas: Schemas) -> None:
    assert table(PROJECT / "CHANGELOG.md", "dataset") == {
        name: dataset.version for name, dataset in schemas.datasets.items()
    }


def test_every_reader_and_its_options_are_explained() -> None:
    told = table(ENGINEER, "reader")
    assert set(told) == set(READERS)
    for name, row in told.items():
        assert set(re.findall(r"`(\w+)`", row)) == set(READER_OPTIONS[name]), name


def test_every_connector_and_its_options_are_explained() -> None:
    told = table(ENGINEER, "connector")
    assert set(told) == set(CONNECTORS)
    for name, row in told.items():
        assert set(re.findall(r"`(\w+)`", row)) == set(CONNECTOR_OPTIONS[name]), name


def test_every_example_of_a_connector_is_a_table_that_it_can_fetch() -> None:
    examples = [yaml.safe_load(block) for block in blocks(ENGINEER, "yaml")]
    tables = [words.Table(**given) for example in examples if "feed" not in example for given in example.values()]
    assert {example.connector for example in tables} == set(CONNECTORS) - {"drop", "http"}
    for example in tables:
        assert list(problems(example)) == []
        assert set(example.options) <= set(CONNECTOR_OPTIONS[example.connector]), example.connector


def test_every_encoding_of_detection_limits_is_explained() -> None:
    assert set(table(ENGINEER, "encoding")) == set(chemistry.ENCODINGS)


@pytest.mark.parametrize("heading", MODELS)
def test_every_word_of_a_feed_is_explained(heading: str) -> None:
    fields = MODELS[heading].model_fields
    wanted = {field.alias or name for name, field in fields.items()} - COMPUTED
    assert set(section(heading)) == wanted


def test_no_part_of_a_feed_is_left_unexplained() -> None:
    parts = {part for part in vars(words).values() if isinstance(part, type) and issubclass(part, Model)}
    assert parts - {Model} == set(MODELS.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.fixture
def norland(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Set up an installation as docs/engineer.md tells it: its YAML and its sample, beside what is there."""
    schemas = Path(shutil.copytree(PROJECT / "schemas", tmp_path / "schemas"))
    (schemas / "feeds" / f"{EXAMPLE}.yml").write_text(blocks(ENGINEER, "yaml")[0], encoding="utf-8")
    sample = tmp_path / "samples" / "norland" / "deposits.csv"
    sample.parent.mkdir(parents=True)
    sample.write_text(blocks(ENGINEER, "csv")[0], encoding="utf-8")
    home = tmp_path / "home"
    made = Settings(home, tmp_path / "samples", schemas, f"sqlite:///{home / 'catalogue.db'}")
    for name, value in (("HOME", home), ("DROP", made.drop), ("SCHEMAS", schemas)):
        monkeypatch.setenv(f"MINERALS_{name}", str(value))
    monkeypatch.setenv("MINERALS_CATALOGUE_URL", made.catalogue_url)
    monkeypatch.setenv("COLUMNS", "160")
    return made


def test_the_worked_example_is_a_feed_that_holds(norland: Settings) -> None:
    feed = load_feed(norland.schemas / "feeds" / f"{EXAMPLE}.yml", load_datasets(norland.schemas))
    assert feed.id == EXAMPLE
    linted = CliRunner().invoke(app, ["feeds", "lint"])
    assert linted.exit_code == 0, linted.output


def test_the_worked_example_becomes_what_the_page_says(norland: Settings) -> None:
    figures = flow.ingest(EXAMPLE, norland)["datasets"]["mineral_occurrence"]
    counts = {name: figures[name] for name in ("accepted", "quarantined", "duplicates", "filtered")}
    assert counts == {"accepted": 3, "quarantined": 2, "duplicates": 1, "filtered": 1}
    shown = CliRunner().invoke(app, ["run", EXAMPLE]).stdout
    assert missing_lines(blocks(ENGINEER, "text")[0], shown) == []
    path = norland.schemas / "feeds" / f"{EXAMPLE}.yml"
    path.write_text(text(path).replace("SKJERP: prospect", "SKJERP: prospect, HULL: occurrence"), encoding="utf-8")
    again = flow.replay(EXAMPLE, norland)
    assert (again.taken, again.accepted, again.still_open) == (2, 1, 1)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Take every bundled sample through the line and publish a release."""
    home = tmp_path_factory.mktemp("docs") / "home"
    made = Settings(home, PROJECT / "samples", PROJECT / "schemas", f"sqlite:///{home / 'catalogue.db'}")
    for path in sorted((PROJECT / "schemas" / "feeds").glob("*.yml")):
        flow.ingest(path.stem, made)
    flow.release(made)
    return made


@pytest.fixture
def in_samples(samples: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Point the command line at the release of the samples."""
    for name in ("DROP", "SCHEMAS", "CATALOGUE_URL"):
        monkeypatch.delenv(f"MINERALS_{name}", raising=False)
    monkeypatch.setenv("MINERALS_HOME", str(samples.home))
    monkeypatch.setenv("COLUMNS", "160")
    return samples


@pytest.mark.slow
@pytest.mark.usefixtures("in_samples")
def test_every_question_to_a_release_is_answered_as_the_pages_say() -> None:
    asked = [found for block in blocks(GEOLOGIST, "console") for found in QUESTION.findall(block)]
    asked += [(sql, "") for sql in re.findall(r'minerals query "([^"]*)"', "".join(blocks(README, "sh")))]
    assert len(asked) > 10
    for sql, answer in asked:
        found = CliRunner().invoke(app, ["query", sql, "--json"])
        assert found.exit_code == 0, f"{sql}\n{found.output}"
        assert json.loads(found.stdout), sql
        shown = CliRunner().invoke(app, ["query", sql]).stdout
        assert missing_lines(answer, shown) == [], shown


@pytest.mark.slow
def test_a_release_opens_as_the_pages_say(in_samples: Settings) -> None:
    folder = release_folder(in_samples, None)
    script = "\n".join([*blocks(GEOLOGIST, "python"), "print(len(sites), len(assays), unit)"])
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert said.stdout.split() == ["37", "67", "ppm"], said.stderr
    for sql in blocks(GEOLOGIST, "sql"):
        assert duckdb.sql(sql.replace("'mineral", f"'{folder}/mineral")).fetchall()


@pytest.mark.slow
@pytest.mark.usefixtures("in_samples")
def test_the_readme_shows_the_ledger_that_is_printed() -> None:
    shown = CliRunner().invoke(app, ["status"]).stdout
    assert missing_lines(blocks(README, "text")[0], shown) == []
