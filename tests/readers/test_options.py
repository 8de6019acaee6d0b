"""Options of readers are judged before any file is opened."""

from typing import Any

import pytest

from pipelines import formats
from pipelines.errors import ContractError
from pipelines.readers import OPTIONS, READERS, SUFFIXES, check_options

WRONG = {
    "axis_order": ("gml", {"axis_order": "latlon"}, "must be one of"),
    "columns": ("gml", {"columns": "name"}, "cannot be 'name'"),
    "lists": ("gml", {"lists": ["name", 3]}, "must be a list of names"),
    "feature": ("gml", {"feature": 1}, "cannot be 1"),
    "section": ("las", {"section": "tops"}, "must be one of"),
    "header": ("las", {"header": [""]}, "must be a list of names"),
    "table": ("html_table", {"table": 0}, "must be at least 1"),
    "encoding": ("html_table", {"encoding": "latin-99"}, "no encoding"),
    "header_rows": ("xls", {"header_rows": 0}, "must be at least 1"),
    "sheet": ("xlsx", {"sheet": 1}, "cannot be 1"),
    "record": ("aseg_gdf2", {"records": "COMM"}, "no option 'records'"),
    "nested": ("json", {"nested": "paths"}, "must be one of ('text', 'columns')"),
    "explode": ("json", {"explode": True}, "cannot be True"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_refused_with_what_is_wanted(name: str) -> None:
    reader, options, message = WRONG[name]
    with pytest.raises(ContractError) as refused:
        check_options(reader, options)
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"reader {reader}: ")


@pytest.mark.parametrize(
    ("reader", "options"),
    [
        (
            "gml",
            {"feature": "MineView", "columns": ["name"], "lists": ["name"], "geometry": "shape", "axis_order": "yx"},
        ),
        ("las", {"section": "well", "header": ["UWI"], "encoding": "cp1252"}),
        ("html_table", {"table": 2, "header_row": 3, "encoding": "utf-8"}),
        ("xls", {"sheet": "Mines", "header_row": 2, "header_rows": 2}),
        ("aseg_gdf2", {"record": "COMM"}),
        ("json", {"records": "$", "nested": "columns", "explode": "a.b"}),
    ],
)
def test_options_that_fit_are_taken(reader: str, options: dict[str, Any]) -> None:
    check_options(reader, options)


def test_every_reader_has_options_and_a_suffix() -> None:
    assert set(READERS) == set(OPTIONS) == set(SUFFIXES)


def test_only_readers_that_there_are_are_proposed() -> None:
    proposed = {*formats.READERS.values(), *(reader for _sign, reader in formats.SIGNS.values())}
    assert proposed | {"delimited", "json"} <= set(READERS)
