"""What a feed says about its connectors is checked before anything is asked, and each mistake has its line."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from tests.conftest import PROJECT

FEED = """\
feed: norland_sites
title: Sites
partner: norland
description: Sites for a test.
owner: Survey of Norland
schedule: "0 3 * * 1"
cadence: P1M
tables:
  sites:
    connector: sftp
    url: sftp://files.norland.example/outgoing
    path: sites.csv
    credentials: NORLAND
    reader: delimited
    options:
      host_key: ssh-ed25519 AAAA
      settle_s: 5
      delimiter: ";"
rights: {basis: licence, document: A licence, licence: CC-BY-4.0}
datasets:
  mineral_occurrence:
    key: {authority: norland, register: sites, columns: [id]}
    columns:
      name: name
      occurrence_type: {const: occurrence}
    position: {x: lon, y: lat, crs: "EPSG:4326"}
"""


def linted(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lint the repository's schemas with this feed alone."""
    shutil.copytree(PROJECT / "schemas", folder / "schemas")
    shutil.rmtree(folder / "schemas" / "feeds")
    (folder / "schemas" / "feeds").mkdir()
    (folder / "schemas" / "feeds" / "norland_sites.yml").write_text(text)
    monkeypatch.setenv("MINERALS_SCHEMAS", str(folder / "schemas"))
    return CliRunner().invoke(app, ["feeds", "lint"]).output


MISTAKES = {
    "10: table sites: no connector 'stfp'; did you mean 'sftp'?": ("connector: sftp", "connector: stfp"),
    "14: table sites: no reader 'delimted'; did you mean 'delimited'?": ("reader: delimited", "reader: delimted"),
    "17: table sites: neither the connector sftp nor the reader delimited has an option 'setle_s'; "
    "did you mean 'settle_s'?": ("settle_s: 5", "setle_s: 5"),
    "17: table sites: option settle_s of sftp://files.norland.example/outgoing cannot be 'soon'": (
        "settle_s: 5",
        "settle_s: soon",
    ),
    "15: table sites: the connector sftp needs host_key": ("host_key: ssh-ed25519 AAAA", "max_bytes: 5"),
    "9: table sites: the connector sftp needs credentials": ("    credentials: NORLAND\n", ""),
    "12: table sites: the connector http has no use for path": ("connector: sftp", "connector: http"),
}


def test_a_feed_that_holds_has_no_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert linted(tmp_path, FEED, monkeypatch) == "1 feeds hold, 0 mistakes\n"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_the_nearest_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    right, wrong = MISTAKES[mistake]
    assert f"norland_sites.yml:{mistake}" in linted(tmp_path, FEED.replace(right, wrong), monkeypatch).splitlines()
