"""GML: features as rows, their ways as columns, and x before y whatever the server's habit."""

import json
import socket
from pathlib import Path

import pytest
import shapely

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of
from tests.readers.peaks import peak_kib

ER = "http://xmlns.earthresourceml.org/earthresourceml-lite/2.0"
HEAD = (
    f'<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs/2.0" xmlns:gml="http://www.opengis.net/gml/3.2" '
    f'xmlns:erl="{ER}" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
STRICT = Limits(deadline_s=10, cpu_s=5, memory_bytes=1 << 30, output_bytes=256 << 20)
LITE = {
    "CommodityResourceView": ("oreMeasure", "800 Mt @ 2.9 g/t Au"),
    "MineView": ("status", "operating"),
    "MineralOccurrenceView": ("hostGeologicUnit", "Killi Killi Formation"),
    "MiningActivityView": ("activityType_uri", None),
    "MiningWasteView": ("wasteType_uri", None),
    "ProcessingPlantView": ("processingPlantType_uri", None),
}


def collection(*features: str, counts: str = "") -> str:
    """Write a WFS 2.0 answer."""
    members = "".join(f"<wfs:member>{feature}</wfs:member>" for feature in features)
    return f"{HEAD} {counts}>{members}</wfs:FeatureCollection>"


def mine(body: str, name: str = "MineView") -> str:
    """Write a feature."""
    return f'<erl:{name} gml:id="m">{body}</erl:{name}>'


def placed(shape: str, srs: str = "http://www.opengis.net/def/crs/EPSG/0/28355") -> str:
    """Write a feature that has nothing but a shape."""
    kind, _, rest = shape.partition(" ")
    return mine(f'<erl:shape><gml:{kind} srsName="{srs}" {rest}</erl:shape>')


def shapes(outcome: object) -> list[str | None]:
    """Give the shapes of rows as well-known text."""
    wkb = rows_of(outcome)["_wkb"].to_pylist()  # type: ignore[arg-type]
    return [each and shapely.to_wkt(shapely.from_wkb(each), rounding_precision=3, trim=True) for each in wkb]


def test_a_feature_is_a_row_and_its_ways_are_columns(tmp_path: Path) -> None:
    text = collection(
        mine(
            "<gml:name>official</gml:name><erl:name> Hill\n</erl:name><erl:owner><erl:Party><erl:who>A</erl:who>"
            '</erl:Party></erl:owner><erl:mined uom="t">5</erl:mined>'
        ),
        mine('<erl:name/><erl:owner xlink:href="#p"/><erl:endDate xsi:nil="true" nilReason="unknown"/>'),
    )
    outcome = opened(text, "gml", tmp_path)
    first, second = rows_of(outcome).to_pylist()
    assert outcome.issues == ()
    assert {key: value for key, value in first.items() if value} == {
        "@id": "m",
        "gml:name": "official",
        "name": "Hill",
        "owner.Party.who": "A",
        "mined": "5",
        "mined@uom": "t",
        "_row": 1,
    }
    assert (second["name"], second["owner@href"], second["_row"]) == (None, "#p", 2)
    assert (second["endDate@nil"], second["endDate@nilReason"]) == ("true", "unknown")


def test_what_any_feature_repeats_is_a_list_of_equal_length_in_every_row(tmp_path: Path) -> None:
    one = mine("<erl:c><erl:what>gold</erl:what><erl:rank>1</erl:rank></erl:c>")
    two = mine("<erl:c><erl:what>tin</erl:what></erl:c><erl:c><erl:what>zinc</erl:what><erl:rank>2</erl:rank></erl:c>")
    rows = rows_of(opened(collection(one, two), "gml", tmp_path)).to_pylist()
    assert [json.loads(row["c.what"]) for row in rows] == [["gold"], ["tin", "zinc"]]
    assert [json.loads(row["c.rank"]) for row in rows] == [["1"], [None, "2"]]
    alone = rows_of(opened(collection(one), "gml", tmp_path, lists=["c"])).to_pylist()
    assert (alone[0]["c.what"], alone[0]["c.rank"]) == ('["gold"]', '["1"]')


def test_the_columns_can_be_named_and_the_others_are_told(tmp_path: Path) -> None:
    text = collection(mine("<erl:name>A</erl:name><erl:owner>B</erl:owner>"))
    outcome = opened(text, "gml", tmp_path, columns=["status", "name"])
    assert rows_of(outcome).to_pylist() == [{"status": None, "name": "A", "_row": 1}]
    assert [(issue["rule"], issue["found"]) for issue in outcome.issues] == [("read.columns_left", "@id, owner")]


def test_features_of_several_kinds_must_be_chosen_from(tmp_path: Path) -> None:
    text = collection(mine("<erl:a>1</erl:a>"), mine("<erl:b>2</erl:b>", "MiningWasteView"))
    outcome = opened(text, "gml", tmp_path)
    assert rules_of(outcome) == [("read.feature_missing", "error", None)]
    assert "'MiningWasteView': 1" in outcome.issues[0]["found"]
    chosen = opened(text, "gml", tmp_path, feature="MiningWasteView")
    assert (rows_of(chosen)["b"].to_pylist(), rules_of(chosen)) == (["2"], [("read.other_features", "info", None)])
    assert rules_of(opened(text, "gml", tmp_path, feature="Mine"))[0][0] == "read.feature_missing"


@pytest.mark.parametrize(
    ("srs", "options", "east", "rules"),
    [
        ("urn:ogc:def:crs:EPSG::4326", {}, 40.0, []),
        ("urn:x-ogc:def:crs:EPSG:6.9:4326", {}, 40.0, []),
        ("http://www.opengis.net/def/crs/EPSG/0/4326", {}, 40.0, []),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", {}, 10.0, []),
        ("http://www.opengis.net/gml/srs/epsg.xml#4326", {}, 10.0, []),
        ("EPSG:4326", {}, 10.0, ["read.axis_order"]),
        ("EPSG:4326", {"axis_order": "yx"}, 40.0, []),
        ("urn:ogc:def:crs:EPSG::4326", {"axis_order": "xy"}, 10.0, []),
        ("EPSG:28355", {}, 10.0, []),
        ("urn:ogc:def:crs:EPSG::27700", {}, 10.0, []),
        ("urn:ogc:def:crs:EPSG::2193", {}, 40.0, []),
        ("urn:ogc:def:crs:EPSG::999999", {}, 10.0, ["read.crs_unknown"]),
        ("local grid", {}, 10.0, ["read.crs_unknown"]),
    ],
)
def test_the_order_of_axes_follows_the_form_of_the_srs_name(
    tmp_path: Path, srs: str, options: dict[str, str], east: float, rules: list[str]
) -> None:
    outcome = opened(collection(placed("Point ><gml:pos>10 40</gml:pos></gml:Point>", srs)), "gml", tmp_path, **options)
    assert shapely.from_wkb(rows_of(outcome)["_wkb"][0].as_py()).x == east
    assert [rule for rule, _severity, _row in rules_of(outcome)] == rules


def test_gml2_has_x_first_under_a_short_name(tmp_path: Path) -> None:
    shape = 'Point ><gml:coordinates decimal="." cs="," ts=" ">10.5,40</gml:coordinates></gml:Point>'
    outcome = opened(collection(placed(shape, "EPSG:4326")), "gml", tmp_path)
    assert (shapes(outcome), outcome.crs, outcome.issues) == (["POINT (10.5 40)"], "EPSG:4326", ())


def test_a_latitude_beyond_the_pole_is_told_and_not_mended(tmp_path: Path) -> None:
    good = placed("Point ><gml:pos>148 -24</gml:pos></gml:Point>", "urn:ogc:def:crs:OGC:1.3:CRS84")
    bad = good.replace("148 -24", "-24 148")
    outcome = opened(collection(good, bad, bad), "gml", tmp_path)
    assert shapes(outcome) == ["POINT (148 -24)", "POINT (-24 148)", "POINT (-24 148)"]
    assert rules_of(outcome) == [("read.latitude_impossible", "warning", 2)]
    assert "2 of 3 shapes" in outcome.issues[0]["found"]


RING = "0 0 4 0 4 4 0 4 0 0"
HOLE = "1 1 2 1 2 2 1 2 1 1"
POLYGON = (
    f"<gml:exterior><gml:LinearRing><gml:posList>{RING}</gml:posList></gml:LinearRing></gml:exterior>"
    f"<gml:interior><gml:LinearRing><gml:posList>{HOLE}</gml:posList></gml:LinearRing></gml:interior>"
)
WKT = "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))"
SHAPES = {
    "point_z": ("Point ><gml:pos>1 2 3</gml:pos></gml:Point>", "POINT Z (1 2 3)"),
    "coord": ("Point ><gml:coord><gml:X>1</gml:X><gml:Y>2</gml:Y></gml:coord></gml:Point>", "POINT (1 2)"),
    "line": ("LineString ><gml:posList>1 2 3 4</gml:posList></gml:LineString>", "LINESTRING (1 2, 3 4)"),
    "line_of_pos": (
        "LineString ><gml:pos>1 2</gml:pos><gml:pos>3 4</gml:pos></gml:LineString>",
        "LINESTRING (1 2, 3 4)",
    ),
    "line_z": (
        'LineString srsDimension="3"><gml:posList>1 2 9 3 4 8</gml:posList></gml:LineString>',
        "LINESTRING Z (1 2 9, 3 4 8)",
    ),
    "polygon": (f"Polygon >{POLYGON}</gml:Polygon>", WKT),
    "polygon_gml2": (
        "Polygon ><gml:outerBoundaryIs><gml:LinearRing><gml:coordinates>0,0 4,0 4,4 0,0</gml:coordinates>"
        "</gml:LinearRing></gml:outerBoundaryIs></gml:Polygon>",
        "POLYGON ((0 0, 4 0, 4 4, 0 0))",
    ),
    "surface": (
        f"Surface ><gml:patches><gml:PolygonPatch>{POLYGON}</gml:PolygonPatch></gml:patches></gml:Surface>",
        WKT,
    ),
    "multi_surface": (
        f"MultiSurface ><gml:surfaceMember><gml:Polygon>{POLYGON}</gml:Polygon></gml:surfaceMember></gml:MultiSurface>",
        WKT.replace("POLYGON (", "MULTIPOLYGON (((").replace("((((", "(((") + ")",
    ),
    "multi_point": (
        "MultiPoint ><gml:pointMember><gml:Point><gml:pos>1 2</gml:pos></gml:Point></gml:pointMember></gml:MultiPoint>",
        "MULTIPOINT ((1 2))",
    ),
    "multi_curve": (
        "MultiCurve ><gml:curveMember><gml:Curve><gml:segments><gml:LineStringSegment><gml:posList>0 0 1 1"
        "</gml:posList></gml:LineStringSegment><gml:LineStringSegment><gml:posList>1 1 2 0</gml:posList>"
        "</gml:LineStringSegment></gml:segments></gml:Curve></gml:curveMember></gml:MultiCurve>",
        "MULTILINESTRING ((0 0, 1 1, 2 0))",
    ),
}


def test_shapes_come_as_well_known_binary(tmp_path: Path) -> None:
    outcome = opened(collection(*(placed(written) for written, _expected in SHAPES.values())), "gml", tmp_path)
    expected = [shapely.to_wkt(shapely.from_wkt(each), trim=True) for _written, each in SHAPES.values()]
    assert (shapes(outcome), outcome.issues) == (expected, ())


def test_a_shape_that_cannot_be_read_is_told_and_its_row_goes_on(tmp_path: Path) -> None:
    unreadable = [
        "Point ><gml:pos>1 x</gml:pos></gml:Point>",
        "Point ><gml:pos>1 NaN</gml:pos></gml:Point>",
        "Point ><gml:pos/></gml:Point>",
        "LineString ><gml:posList>1 2 3</gml:posList></gml:LineString>",
        "Polygon ></gml:Polygon>",
        "Curve ><gml:segments><gml:Arc><gml:posList>0 0 1 1 2 0</gml:posList></gml:Arc></gml:segments></gml:Curve>",
    ]
    outcome = opened(collection(*map(placed, unreadable)), "gml", tmp_path)
    assert shapes(outcome) == [None] * len(unreadable)
    assert rules_of(outcome) == [("read.geometry", "error", row) for row in range(1, len(unreadable) + 1)]


def test_a_second_geometry_is_told_and_kept_as_text(tmp_path: Path) -> None:
    point = '<gml:Point srsName="EPSG:28355"><gml:pos>{}</gml:pos></gml:Point>'
    text = collection(mine(f"<erl:at>{point.format('1 2')}</erl:at><erl:label>{point.format('3 4')}</erl:label>"))
    outcome = opened(text, "gml", tmp_path)
    assert (shapes(outcome), rules_of(outcome)) == (["POINT (1 2)"], [("read.several_geometries", "warning", None)])
    assert rows_of(outcome)["label.Point.pos"].to_pylist() == ["3 4"]
    chosen = opened(text, "gml", tmp_path, geometry="label")
    assert (shapes(chosen), chosen.issues) == (["POINT (3 4)"], ())
    assert rules_of(opened(text, "gml", tmp_path, geometry="there"))[0][0] == "read.geometry_missing"


def test_rows_of_several_systems_say_which(tmp_path: Path) -> None:
    point = "Point ><gml:pos>1 2</gml:pos></gml:Point>"
    outcome = opened(collection(placed(point, "EPSG:28355"), placed(point, "EPSG:28354")), "gml", tmp_path)
    assert rows_of(outcome)["shape@srsName"].to_pylist() == ["EPSG:28355", "EPSG:28354"]
    assert (outcome.crs, rules_of(outcome)) == (None, [("read.mixed_crs", "warning", None)])


@pytest.mark.parametrize(
    ("counts", "rule"),
    [
        ('numberMatched="9" numberReturned="1"', "read.features_missing"),
        ('numberMatched="unknown" numberReturned="2"', "read.features_missing"),
        ('numberMatched="1" numberReturned="1"', "read.features_told"),
    ],
)
def test_the_server_s_count_is_compared(tmp_path: Path, counts: str, rule: str) -> None:
    outcome = opened(collection(mine("<erl:a>1</erl:a>"), counts=counts), "gml", tmp_path)
    assert (outcome.rows, outcome.issues[0]["rule"]) == (1, rule)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("<html><body>Service unavailable</body></html>", "read.not_gml"),
        ('{"type":"FeatureCollection"}', "read.not_gml"),
        ("<kml><Document/></kml>", "read.not_gml"),
        (collection(mine("<erl:a>1</erl:a>"))[:-30], "read.malformed"),
        (f"{HEAD}><wfs:member>{mine('<erl:a>1</erl:b>')}</wfs:member></wfs:FeatureCollection>", "read.malformed"),
        (collection(mine("<erl:a>" * 200 + "</erl:a>" * 200)), "read.too_deep"),
        (collection(mine("".join(f"<erl:a{at}/>" for at in range(17_000)))), "read.too_many_columns"),
        (
            '<ServiceExceptionReport><ServiceException code="X"> no layer </ServiceException></ServiceExceptionReport>',
            "read.server_error",
        ),
        (
            f"{HEAD}><wfs:member>{mine('<erl:a>1</erl:a>')}</wfs:member><wfs:truncatedResponse><ows:ExceptionReport "
            'xmlns:ows="o"><ows:Exception/></ows:ExceptionReport></wfs:truncatedResponse></wfs:FeatureCollection>',
            "read.server_error",
        ),
    ],
    ids=["html", "json", "kml", "cut", "mismatch", "deep", "wide", "exception_1_0", "exception_at_the_end"],
)
def test_what_is_no_sound_answer_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    outcome = opened(text, "gml", tmp_path, limits=STRICT)
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])


@pytest.mark.parametrize(
    "name", ["billion_laughs", "utf16_billion_laughs", "xxe_file", "xxe_http", "xxe_paramdtd", "deep_5000"]
)
def test_a_hostile_document_is_refused_and_nobody_is_asked(tmp_path: Path, shared: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        content = (shared / f"badinputs/generated/xml/{name}.gml").read_bytes()
        port = server.getsockname()[1]
        outcome = opened(content.replace(b"127.0.0.1:9", f"127.0.0.1:{port}".encode()), "gml", tmp_path, limits=STRICT)
        with pytest.raises(BlockingIOError):
            server.accept()
    rule = "read.too_deep" if name.startswith("deep") else "read.refused"
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])


@pytest.mark.parametrize("name", ["ok", "schema_location", "xlink_href"])
def test_a_harmless_document_is_read(tmp_path: Path, shared: Path, name: str) -> None:
    outcome = opened(shared / f"badinputs/generated/xml/{name}.gml", "gml", tmp_path, limits=STRICT)
    assert (outcome.rows, outcome.rejected) == (1, 0)


@pytest.mark.parametrize("view", LITE)
def test_each_view_of_earthresourceml_lite_is_read(tmp_path: Path, shared: Path, view: str) -> None:
    file = shared / f"data/cgi-earthresourceml/{view}_v2.0.1.xml"
    outcome = opened(file, "gml", tmp_path, feature=view, axis_order="xy")
    column, value = LITE[view]
    (row,) = rows_of(outcome).to_pylist()
    assert (outcome.crs, outcome.issues, shapes(outcome)) == ("EPSG:4283", (), ["POINT (138.234 -26.747)"])
    assert row[column] == value or (value is None and row[column].startswith("http"))


INSPIRE = """<base:SpatialDataSet xmlns:base="http://inspire.ec.europa.eu/schemas/base/3.3" gml:id="d"
 xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:mr="http://inspire.ec.europa.eu/schemas/mr-core/4.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<base:member><mr:Mine gml:id="m1">
 <mr:inspireId><base:Identifier><base:localId>17</base:localId><base:namespace>NO.X</base:namespace></base:Identifier>
 </mr:inspireId>
 <mr:mineName><mr:MineName><mr:isPreferred>true</mr:isPreferred><mr:mineName>Gruve A</mr:mineName></mr:MineName>
 </mr:mineName>
 <mr:mineName><mr:MineName><mr:isPreferred>false</mr:isPreferred><mr:mineName>Mine A</mr:mineName></mr:MineName>
 </mr:mineName>
 <mr:status xlink:href="http://inspire.ec.europa.eu/codelist/MineStatusValue/operating"/>
 <mr:startDate xsi:nil="true" nilReason="other:unpopulated"/>
 <mr:endDate><gml:TimeInstant gml:id="t"><gml:timePosition>1994-05</gml:timePosition></gml:TimeInstant></mr:endDate>
</mr:Mine></base:member>
<base:member><mr:MineralOccurrence gml:id="o1">
 <mr:commodityDescription><mr:Commodity gml:id="c1"><mr:commodityImportance nilReason="unknown" xsi:nil="true"/>
  <mr:commodity xlink:href="http://inspire.ec.europa.eu/codelist/CommodityCodeValue/lithium" xlink:title="Li"/>
 </mr:Commodity></mr:commodityDescription>
 <mr:oreAmount><mr:Reserve><mr:ore><gml:value uom="Mt">2.5</gml:value></mr:ore><mr:category xlink:href="x/proved"/>
 </mr:Reserve></mr:oreAmount>
 <mr:oreAmount><mr:Resource><mr:ore><gml:value uom="Mt">7</gml:value></mr:ore></mr:Resource></mr:oreAmount>
</mr:MineralOccurrence></base:member></base:SpatialDataSet>"""


def test_inspire_mines_keep_names_codes_and_why_a_value_is_missing(tmp_path: Path) -> None:
    (row,) = rows_of(opened(INSPIRE, "gml", tmp_path, feature="Mine")).to_pylist()
    assert json.loads(row["mineName.MineName.mineName"]) == ["Gruve A", "Mine A"]
    assert json.loads(row["mineName.MineName.isPreferred"]) == ["true", "false"]
    assert row["inspireId.Identifier.localId"] == "17"
    assert row["status@href"].endswith("/operating")
    assert (row["startDate@nil"], row["startDate@nilReason"]) == ("true", "other:unpopulated")
    assert (row["endDate.TimeInstant.timePosition"], row["_row"]) == ("1994-05", 1)


def test_inspire_occurrences_keep_each_amount_with_its_kind_and_unit(tmp_path: Path) -> None:
    outcome = opened(INSPIRE, "gml", tmp_path, feature="MineralOccurrence")
    (row,) = rows_of(outcome).to_pylist()
    assert row["commodityDescription.Commodity.commodity@title"] == "Li"
    assert row["commodityDescription.Commodity.commodityImportance@nilReason"] == "unknown"
    assert json.loads(row["oreAmount.Reserve.ore.value"]) == ["2.5", None]
    assert json.loads(row["oreAmount.Resource.ore.value"]) == [None, "7"]
    assert json.loads(row["oreAmount.Reserve.ore.value@uom"]) == ["Mt", None]
    assert rules_of(opened(INSPIRE, "gml", tmp_path)) == [("read.feature_missing", "error", None)]


REAL = {
    "mrds": ("usgs-mrds/mrds_sample.xml", 1, "POINT (-122.91 41.46)", {"axis_order": "yx"}),
    "borehole": ("cgi-geosciml/GSML4-Lite-BoreholeView.xml", 1, "POINT (148.317 -24.783)", {"axis_order": "yx"}),
    "victoria": ("cgi-earthresourceml/GSV_MineralOccurrence_V2.xml", 1, "POINT (578963 5904364)", {}),
    "auscope": ("wfs-responses/mineralOccurrenceNodeValid.xml", 1, "POINT (134.53 -30.708)", {"axis_order": "xy"}),
    "mines": ("wfs-responses/mineGetFeatureResponse.xml", 2, "POINT (135.107 -27.308)", {}),
}


@pytest.mark.parametrize("name", REAL)
def test_answers_of_real_services_are_read(tmp_path: Path, shared: Path, name: str) -> None:
    path, rows, first, options = REAL[name]
    outcome = opened(shared / "data" / path, "gml", tmp_path, **options)
    assert (outcome.rows, shapes(outcome)[0], outcome.rejected) == (rows, first, 0)


def test_complex_features_keep_names_commodities_and_links(tmp_path: Path, shared: Path) -> None:
    file = shared / "data/cgi-earthresourceml/GSV_MineralOccurrence_V2.xml"
    (row,) = rows_of(opened(file, "gml", tmp_path)).to_pylist()
    assert json.loads(row["gml:name"]) == ["Wilga", "urn:cgi:feature:GSV:Mine:SiteID_372429"]
    assert row["dimension.EarthResourceDimension.depth.CGI_NumericValue.principalValue"] == "240"
    assert row["dimension.EarthResourceDimension.depth.CGI_NumericValue.principalValue@uom"].endswith("UCUM:m")
    assert row["sourceReference@href"] == "urn:cgi:object:GSV:Reference:GSVCat_287"
    mines = opened(shared / "data/wfs-responses/mineGetFeatureResponse.xml", "gml", tmp_path, feature="Mine")
    assert rows_of(mines)["mineName.MineName.mineName"].to_pylist() == [
        "WOOLDRIDGE CREEK WORKINGS",
        "HALL MAGNESITE MINE",
    ]


def test_answers_without_features_say_so(tmp_path: Path, shared: Path) -> None:
    for name in ("EmptyWFSResponse", "mineralOccurrenceNoFeaturesResponse"):
        outcome = opened(shared / f"data/wfs-responses/{name}.xml", "gml", tmp_path)
        assert (outcome.rows, outcome.path is None) == (0, False)
        assert [rule for rule, _severity, _row in rules_of(outcome)] == ["read.features_told", "read.no_rows"]
    refusal = opened(shared / "data/wfs-responses/OWSExceptionSample1.xml", "gml", tmp_path)
    assert refusal.path is None
    assert "MissingParameterValue: The query should specify either typeName" in refusal.issues[0]["found"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_features(tmp_path: Path) -> None:
    feature = placed("Point ><gml:pos>1 2</gml:pos></gml:Point>").replace(
        "<erl:shape>", "".join(f"<erl:p{at}>value of {at}</erl:p{at}>" for at in range(20)) + "<erl:shape>"
    )
    ten, hundred = (peak_kib(collection(*[feature] * 300 * times), "gml", tmp_path) for times in (10, 100))
    assert hundred < 1.2 * ten
