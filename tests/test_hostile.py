"""Hostile files: one clear finding that names the file, soon, with nothing leaked and nobody asked over the network.

The corpus and its expected outcomes are in badinputs/generated.tsv beside the partners' real files. Whether good
rows go on or the file as a whole is kept back follows that list.
"""

import csv
import socket
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from pipelines.readers import READERS, Limits
from tests.partners import opened, rows_of, rules_of

STRICT = Limits(deadline_s=10, cpu_s=5, memory_bytes=1 << 30, output_bytes=256 << 20)
SECRET = "canary-e7a1c5"  # noqa: S105 - what must not come out
PLANTED = b"/tmp/rw/secret.txt"  # noqa: S108 - as the corpus has it
ASKED = b"127.0.0.1:9"

WHOLE = {
    "csv/cols_20000.csv": ("delimited", "read.too_many_columns"),
    "csv/dup_header.csv": ("delimited", "read.duplicate_header"),
    "csv/field_50MB_in_gz.csv.gz": ("delimited", "read.not_text"),
    "gz/bomb.csv.gz": ("delimited", "read.not_text"),
    "tar/slip.tar": ("delimited", "read.not_text"),
    "tar/fifo.tar": ("delimited", "read.not_text"),
    "parquet/dict_bomb_500MB.parquet": ("delimited", "read.not_text"),
    "gpkg/view_cpu_bomb.gpkg": ("delimited", "read.not_text"),
    "xml/billion_laughs.gml": ("delimited", "read.not_text"),
    "xlsx/billion_laughs.xlsx": ("xlsx", "read.malformed"),
    "xlsx/xxe.xlsx": ("xlsx", "read.malformed"),
    "xlsx/sheet_bomb.xlsx": ("xlsx", "read.too_large"),
    "xlsx/huge_dimension.xlsx": ("xlsx", "read.too_large"),
    "zip/bomb_200MiB_1000to1.zip": ("xlsx", "read.too_large"),
    "zip/truncated.zip": ("xlsx", "read.malformed"),
    "zip/many_entries_70000.zip": ("xlsx", "read.not_xlsx"),
    "zip/nested_bomb.zip": ("xlsx", "read.not_xlsx"),
    "zip/lying_size.zip": ("xlsx", "read.not_xlsx"),
    "zip/bad_crc.zip": ("xlsx", "read.not_xlsx"),
    "zip/dup_names.zip": ("xlsx", "read.not_xlsx"),
    "zip/slip_dotdot.zip": ("xlsx", "read.not_xlsx"),
    "zip/symlink.zip": ("xlsx", "read.not_xlsx"),
    "geojson/deep_100k.geojson": ("json", "read.too_deep"),
    "geojson/nested_geometrycollection.geojson": ("json", "read.too_deep"),
    "geojson/nan_inf.geojson": ("json", "read.malformed"),
    "geojson/dup_keys.geojson": ("json", "read.malformed"),
    "geojson/crs_injection.geojson": ("json", "read.no_rows"),
    "vrt/masquerade.geojson": ("json", "read.malformed"),
    "vrt/read_other_file.vrt": ("json", "read.malformed"),
    "vrt/ssrf.vrt": ("json", "read.malformed"),
}
LAYERS = {
    "shapefile": {
        "zip/bomb_200MiB_1000to1.zip": "read.too_large",
        "zip/many_entries_70000.zip": "read.too_large",
        "zip/nested_bomb.zip": "read.bad_archive",
        "zip/slip_dotdot.zip": "read.bad_archive",
        "zip/slip_abs.zip": "read.bad_archive",
        "zip/slip_backslash.zip": "read.bad_archive",
        "zip/symlink.zip": "read.bad_archive",
        "zip/dup_names.zip": "read.bad_archive",
        "zip/case_collide.zip": "read.bad_archive",
        "zip/bidi_name.zip": "read.bad_archive",
        "zip/truncated.zip": "read.malformed",
        "zip/lying_size.zip": "read.not_shapefile",
        "gz/bomb.csv.gz": "read.not_shapefile",
    },
    "filegdb": {"zip/slip_dotdot.zip": "read.bad_archive", "zip/bad_crc.zip": "read.not_filegdb"},
    "geojson": {
        "geojson/deep_100k.geojson": "read.too_deep",
        "geojson/nested_geometrycollection.geojson": "read.too_deep",
        "geojson/nan_inf.geojson": "read.malformed",
        "geojson/dup_keys.geojson": "read.malformed",
        "geojson/crs_injection.geojson": "read.crs_unknown",
        "vrt/masquerade.geojson": "read.not_geojson",
        "vrt/ssrf.vrt": "read.not_geojson",
    },
    "geojsonseq": {"vrt/masquerade.geojson": "read.not_geojson"},
    "geopackage": {
        "gpkg/trigger_load_extension.gpkg": "read.refused",
        "gpkg/view_cpu_bomb.gpkg": "read.refused",
        "gpkg/view_attach_readfile.gpkg": "read.refused",
        "gpkg/ogr_geocode_view.gpkg": "read.refused",
        "vrt/read_other_file.vrt": "read.not_geopackage",
    },
    "flatgeobuf": {"vrt/read_other_file.vrt": "read.not_flatgeobuf", "gpkg/ok.gpkg": "read.not_flatgeobuf"},
    "geoparquet": {
        "parquet/dict_bomb_500MB.parquet": "read.too_large",
        "parquet/200M_null_rows.parquet": "read.too_large",
        "parquet/5000_cols.parquet": "read.too_many_columns",
        "parquet/geo_not_json.parquet": "read.malformed",
        "parquet/geo_no_primary.parquet": "read.malformed",
        "parquet/truncated_file.parquet": "read.malformed",
        "parquet/footer_len_huge.parquet": "read.malformed",
        "parquet/not_parquet.parquet": "read.not_parquet",
    },
    "kml": {
        "xml/deep_200000.kml": "read.too_deep",
        "xml/billion_laughs.gml": "read.refused",
        "xml/utf16_billion_laughs.gml": "read.refused",
        "xml/xxe_file.gml": "read.refused",
        "xml/xxe_http.gml": "read.refused",
        "xml/xxe_paramdtd.gml": "read.refused",
        "vrt/masquerade.geojson": "read.not_kml",
        "zip/slip_dotdot.zip": "read.bad_archive",
    },
}
CASES = [(name, reader, rule) for name, (reader, rule) in WHOLE.items()]
CASES += [(name, reader, rule) for reader, names in LAYERS.items() for name, rule in names.items()]
LAYER_ROWS = {
    "gpkg/ok.gpkg": ("geopackage", 1, []),
    "gpkg/quoted_table_name.gpkg": ("geopackage", 1, []),
    "gpkg/bad_blob.gpkg": ("geopackage", 0, [("read.bad_shape", 1)]),
    "geojson/bowtie_unclosed_empty.geojson": ("geojson", 3, [("read.bad_shape", 2)]),
    "geojson/foreign_crs.geojson": ("geojson", 1, []),
    "geojson/out_of_range.geojson": ("geojson", 5, []),
    "parquet/truncated_wkb.parquet": ("geoparquet", 0, [("read.bad_shape", 1)]),
    "parquet/wkb_huge_count.parquet": ("geoparquet", 0, [("read.bad_shape", 1)]),
    "parquet/wkb_deep_collection.parquet": ("geoparquet", 0, [("read.bad_shape", 1)]),
    "xml/networklink.kml": ("kml", 1, []),
}
ROWS = {
    "csv/mixed_encoding.csv": (["2"], [("read.encoding", 2)]),
    "csv/nul.csv": ([], [("read.nul", 2)]),
    "csv/decimal_comma.csv": (["1", "2"], [("read.delimiter_detected", None), ("read.decimal_comma", None)]),
    "csv/utf16.csv": (["1"], [("read.encoding_assumed", None)]),
    "csv/precision_ids.csv": (["9007199254740993", "00012", "1e5"], []),
    "csv/formula.csv": (["1", "2", "3", "4", "5", "6", "7"], []),
    "csv/bidi.csv": (["1", "2", "3", "4"], []),
    "csv/excel_dates.csv": (["1", "2", "3", "4"], []),
}


def armed(file: Path, secret: Path, port: int) -> bytes:
    """Give a file that points at this test's secret and server instead of the corpus's."""
    content = file.read_bytes()
    if not zipfile.is_zipfile(file) or file.suffix != ".xlsx":
        return _pointed(content, secret, port)
    target = BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for member in source.infolist():
            copy.writestr(member.filename, _pointed(source.read(member), secret, port))
    return target.getvalue()


def _pointed(content: bytes, secret: Path, port: int) -> bytes:
    return content.replace(PLANTED, str(secret).encode()).replace(ASKED, f"127.0.0.1:{port}".encode())


@pytest.mark.parametrize(("name", "reader", "rule"), CASES, ids=[f"{name}-{reader}" for name, reader, _rule in CASES])
def test_a_hostile_file_is_one_finding_and_nothing_else(
    tmp_path: Path, shared: Path, name: str, reader: str, rule: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        content = armed(shared / "badinputs/generated" / name, secret, server.getsockname()[1])
        options = {"records": "features"} if name.startswith("geojson/") and reader == "json" else {}
        began = time.monotonic()
        outcome = opened(content, reader, tmp_path, limits=STRICT, **options)
        took = time.monotonic() - began
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])
    issue = outcome.issues[0]
    assert issue["file"].startswith("given.")
    assert issue["found"] and issue["hint"]
    assert SECRET not in str(outcome)
    assert str(tmp_path) not in str(outcome)
    assert took < STRICT.deadline_s
    assert not (tmp_path / "rows.arrow").exists()


@pytest.mark.parametrize("name", ROWS)
def test_good_rows_go_on_beside_bad_ones(tmp_path: Path, shared: Path, name: str) -> None:
    ids, findings = ROWS[name]
    outcome = opened(shared / "badinputs/generated" / name, "delimited", tmp_path, limits=STRICT)
    assert rows_of(outcome).column(0).to_pylist() == ids
    assert [(rule, row) for rule, _severity, row in rules_of(outcome)] == findings


@pytest.mark.parametrize("name", LAYER_ROWS)
def test_hostile_shapes_reject_their_rows_and_ask_nobody(tmp_path: Path, shared: Path, name: str) -> None:
    reader, rows, findings = LAYER_ROWS[name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        content = armed(shared / "badinputs/generated" / name, tmp_path / "none", server.getsockname()[1])
        outcome = opened(content, reader, tmp_path, limits=STRICT)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert outcome.rows == rows
    assert [(rule, row) for rule, severity, row in rules_of(outcome) if severity == "error"] == findings


@pytest.mark.parametrize("name", ["csv/cols_20000.csv", "xlsx/xxe.xlsx", "vrt/masquerade.geojson", "zip/slip_abs.zip"])
@pytest.mark.parametrize("reader", sorted(READERS))
def test_no_reader_takes_what_is_not_its_own(tmp_path: Path, shared: Path, name: str, reader: str) -> None:
    options = {"group": "LOCA"} if reader == "ags" else {}
    outcome = opened(shared / "badinputs/generated" / name, reader, tmp_path, limits=STRICT, **options)
    assert outcome.path is None
    assert [severity for _rule, severity, _row in rules_of(outcome)] == ["error"]


def test_invalid_json_of_the_test_suite_is_refused(tmp_path: Path, shared: Path) -> None:
    files = sorted((shared / "badinputs/upstream/nst__JSONTestSuite").rglob("n_*.json"))
    for file in files[::12]:
        assert opened(file, "json", tmp_path, limits=STRICT).path is None, file.name


def test_awkward_but_sound_csv_is_read(tmp_path: Path, shared: Path) -> None:
    folder = shared / "badinputs/upstream/max-mapper__csv-spectrum"
    for file in sorted(folder.rglob("*.csv")):
        outcome = opened(file, "delimited", tmp_path, limits=STRICT)
        with file.open(encoding="utf-8", newline="") as text:
            expected = [row for row in csv.reader(text) if any(row)][1:]
        columns = rows_of(outcome).drop_columns("_row")
        got = [[value or "" for value in row.values()] for row in columns.to_pylist()]
        assert got == expected, file.name
