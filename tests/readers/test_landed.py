"""Files of several parts and of several tables go from a drop through landing to rows."""

from pathlib import Path

from pipelines.connectors.endings import ending
from pipelines.land import land
from pipelines.read import read
from tests.partners import QUICK, dropped, feed_of, settings_in
from tests.readers.test_aseg_gdf2 import DEFINITIONS, LINE
from tests.readers.test_gml import collection, mine


def test_a_survey_comes_with_its_definitions_and_an_answer_with_its_features(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    dropped(settings, "norland/survey.dat", LINE + "\n")
    dropped(settings, "norland/survey.dfn", DEFINITIONS)
    dropped(settings, "norland/mines.xml", collection(mine("<erl:name>Hill</erl:name>")))
    feed = feed_of(
        survey={"path": "norland/survey.dat", "parts": ["survey.dfn"], "reader": "aseg_gdf2"},
        mines={"path": "norland/mines.xml", "reader": "gml", "options": {"feature": "MineView"}},
    )
    report = read(land(feed, settings), feed.tables, tmp_path / "run", limits=QUICK)
    assert report.refused == ()
    assert {name: table.rows for name, table in report.tables.items()} == {"survey": 1, "mines": 1}
    assert report.tables["survey"].units == {"East": "m", "Con": "mS/m"}


def test_an_answer_cut_short_is_seen_by_its_end(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.gml", tmp_path / "cut.gml"
    text = collection(mine("<erl:name>Hill</erl:name>"))
    whole.write_bytes((text + "\r\n").encode("utf-16"))
    cut.write_text(text[:-5], encoding="utf-8")
    judge = ending("gml")
    assert judge is not None
    assert (judge(whole), judge(cut)) == (None, "the last closing tag is missing")
