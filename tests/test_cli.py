"""The command line: words for people, JSON for programs, and an exit code that says whose turn it is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli import app, run
from pipelines.settings import Settings
from tests import norland


@pytest.fixture
def norway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = norland.installation(tmp_path / "norland")
    monkeypatch.setenv("MINERALS_HOME", str(settings.home))
    monkeypatch.setenv("MINERALS_DROP", str(settings.drop))
    monkeypatch.setenv("MINERALS_SCHEMAS", str(settings.schemas))
    monkeypatch.setenv("MINERALS_CATALOGUE_URL", settings.catalogue_url)
    monkeypatch.setenv("COLUMNS", "200")
    return settings


def said(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_feed_goes_from_its_file_to_an_answered_question(norway: Settings) -> None:
    assert "norland_sites" in said("feeds", "list").stdout
    ran = said("run", "norland_sites")
    assert ran.exit_code == 0, ran.output
    assert "fresh" in ran.stdout
    built = said("release", "build")
    assert "Release 1 published" in built.stdout
    assert "Nothing new" in said("release", "build").stdout
    assert "files hold" in said("release", "verify").stdout
    answer = said("query", "SELECT name FROM mineral_occurrence ORDER BY name", "--json")
    assert [row["name"] for row in json.loads(answer.stdout)] == ["Aas", "Store Berg"]
    shown = json.loads(said("release", "show", "--json").stdout)
    assert shown["datasets"]["mineral_occurrence"]["rows"] == 2
    assert json.loads(said("release", "list", "--json").stdout)[0]["number"] == 1
    status = json.loads(said("status", "--json").stdout)
    assert status["release"]["number"] == 1


def test_the_quarantine_is_listed_shown_and_replayed(norway: Settings) -> None:
    said("run", "norland_sites")
    counts = json.loads(said("quarantine", "list", "--json").stdout)
    assert {(one["dataset"], one["rows"]) for one in counts} == {("mineral_occurrence", 4), ("_source", 1)}
    shown = json.loads(said("quarantine", "show", "norland_sites", "--json").stdout)
    assert len(shown) == 5
    nothing = said("quarantine", "replay", "norland_sites")
    assert nothing.exit_code == 1
    assert "0 records accepted" in nothing.stdout


def test_checking_a_file_that_loses_rows_exits_with_1(norway: Settings) -> None:
    done = said("check", str(norway.drop / "norland" / "sites.csv"), "--feed", "norland_sites")
    assert done.exit_code == 1
    assert "mineral_occurrence.position.missing" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "norland_sitse"], 2, "no feed 'norland_sitse'"),
        (["query", "SELECT 1"], 1, "no release has been published"),
        (["quarantine", "replay", "norland_sites"], 1, "nothing was accepted yet"),
    ],
)
def test_an_error_is_one_message_and_its_exit_code(
    norway: Settings,
    words: list[str],
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr("sys.argv", ["minerals", *words])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == code
    assert message in capsys.readouterr().err


def test_a_partner_that_does_not_deliver_exits_with_3(norway: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    (norway.drop / "norland" / "sites.csv").unlink()
    monkeypatch.setattr("sys.argv", ["minerals", "run", "norland_sites"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 3


def test_the_repositorys_own_schemas_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINERALS_SCHEMAS", raising=False)
    done = said("feeds", "lint")
    assert done.exit_code == 0, done.output
    assert "0 mistakes" in done.stdout


def test_lint_tells_what_nothing_provides(norway: Settings) -> None:
    path = norway.schemas / "feeds" / "norland_sites.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("GRUVE: mine", "GRUVE: mnie").replace("reader: delimited", "reader: delimted"), encoding="utf-8"
    )
    done = said("feeds", "lint")
    assert done.exit_code == 2
    assert "'mnie'" in done.output
    assert "delimted" in done.output
