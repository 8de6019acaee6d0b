"""A register of sites behind four kinds of services, which can misbehave in every way that real ones do.

The sites are made up: number, name, and a place in Norland.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

XML = '<?xml version="1.0" encoding="UTF-8"?>'
NAMES = (
    'xmlns:wfs="http://www.opengis.net/wfs/2.0" xmlns:gml="http://www.opengis.net/gml/3.2" '
    'xmlns:nor="http://norland.example/sites"'
)
OLD_NAMES = NAMES.replace("wfs/2.0", "wfs").replace("gml/3.2", "gml")
Answer = tuple[int, str, bytes]


class Register:
    """So many sites, and what the server does wrong.

    Parameters
    ----------
    sites : how many there are.
    fault : one word; what it means stands where pages are made.
    cap : features to a page at most.
    breaks_at : after so many features nothing more is given.
    """

    def __init__(self, sites: int = 25, fault: str = "", cap: int = 1000) -> None:
        self.sites, self.fault, self.cap = sites, fault, cap
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.breaks_at: int | None = None

    @property
    def pages(self) -> list[str]:
        """Give the questions for features, without those that prepare them."""
        others = ("hits", "returnCountOnly", "returnIdsOnly", "package_show", "?f=json")
        return [asked for asked in self.asked if not any(word in asked for word in others)]

    def numbers(self, start: int, count: int) -> list[int]:
        """Give the numbers of a page's sites, from 1."""
        count = min(count, self.cap)
        if self.fault == "larger pages fail" and count > 5:
            raise TimeoutError
        if self.fault == "larger pages hang" and count > 5:
            time.sleep(2)
        if self.breaks_at is not None and start >= self.breaks_at:
            raise ConnectionError
        if start and self.fault == "same page":
            start = 0
        page = list(range(start + 1, min(start + count, self.sites) + 1))
        if start and self.fault == "short":
            return page[:-1]
        if start and self.fault == "twice":
            return [1, *page[1:]]
        return page[: -1 if self.fault == "fewer" and page and page[-1] == self.sites else None]

    def total(self, start: int) -> int:
        """Give the number of sites that a page declares."""
        return self.sites + (1 if start and self.fault == "total changes" else 0)

    def answer(self, target: str) -> Answer:
        """Answer one question."""
        self.asked.append(target)
        parts = urlsplit(target)
        words = {name.lower(): values[0] for name, values in parse_qs(parts.query, True).items()}
        services = {"wfs": self.wfs, "arcgis": self.arcgis, "ckan": self.ckan, "ogc": self.ogc}
        service = services[parts.path.split("/")[1]]
        try:
            status, kind, body = service(parts.path, words)
        except TimeoutError:
            return 500, "text/plain", b"too much"
        except ConnectionError:
            return 429, "text/plain", b"later"
        if self._later(words) and self.fault == "page for people":
            return 200, "text/html", b"<!DOCTYPE html><html><body>Service down</body></html>"
        if self._later(words) and self.fault == "cut":
            return status, kind, body[: len(body) // 2]
        if self._later(words) and self.fault == "other kind":
            return 200, "text/plain", b"[1, 2]" if body[:1] == b"{" else b"OK"
        return status, kind, body

    def _later(self, words: dict[str, str]) -> bool:
        """Tell whether this is a question for a page that is not the first."""
        start = max(words.get(name, "0") for name in ("startindex", "resultoffset", "offset"))
        return start != "0" or ">= " in words.get("where", "") and ">= 1 " not in words["where"]

    # --- WFS ---

    def wfs(self, _path: str, words: dict[str, str]) -> Answer:
        """Answer as a WFS does."""
        if words.get("resulttype") == "hits":
            return self._hits(words)
        start, version = int(words.get("startindex", 0)), words["version"]
        if words.get("typenames" if version[0] == "2" else "typename") != "nor:Site":
            return 200, "text/xml", _report("InvalidParameterValue", "no such type")
        if start and self.fault == "error":
            return 200, "text/xml", _report("NoApplicableCode", "java.lang.OutOfMemoryError")
        page = self.numbers(start, int(words.get("count", words.get("maxfeatures", 1000))))
        if "json" in words.get("outputformat", ""):
            return _json({**_features(page), "numberMatched": self.total(start), "numberReturned": len(page)})
        return 200, "text/xml", self._collection(page, self.total(start), version)

    def _hits(self, words: dict[str, str]) -> Answer:
        if self.fault == "no count":
            return 200, "text/xml", _root(NAMES, 'numberMatched="unknown" numberReturned="0"', "")
        name = "numberMatched" if words["version"][0] == "2" else "numberOfFeatures"
        zero = ' numberReturned="0"' if words["version"][0] == "2" else ""
        return 200, "text/xml", _root(NAMES, f'{name}="{self.sites}"{zero}', "")

    def _collection(self, page: list[int], total: int, version: str) -> bytes:
        if version[0] == "2":
            members = "".join(f"<wfs:member>{_gml(number, 'gml:id')}</wfs:member>" for number in page)
            matched = "unknown" if self.fault == "no count" else total
            return _root(NAMES, f'numberMatched="{matched}" numberReturned="{len(page)}"', members)
        name = "fid" if version == "1.0.0" else "gml:id"
        if version == "1.0.0":
            members = "".join(f"<gml:featureMember>{_gml(number, name)}</gml:featureMember>" for number in page)
            return _root(OLD_NAMES, "", members)
        members = "".join(_gml(number, name) for number in page)
        return _root(
            OLD_NAMES, f'numberOfFeatures="{len(page)}"', f"<gml:featureMembers>{members}</gml:featureMembers>"
        )

    # --- ArcGIS ---

    def arcgis(self, path: str, words: dict[str, str]) -> Answer:
        """Answer as ArcGIS Server does; below /arcgis/old it cannot page by counting."""
        old = path.startswith("/arcgis/old")
        if not path.endswith("/query"):
            able = {} if old else {"advancedQueryCapabilities": {"supportsPagination": True}}
            return _json({"objectIdField": "OBJECTID", "maxRecordCount": self.cap, **able})
        if words.get("returncountonly"):
            return _json({"count": self.sites})
        if words.get("returnidsonly"):
            return _json({"objectIds": list(range(self.sites, 0, -1))})
        if words["where"] not in ("1=1",) and not old:
            return _json({"error": {"code": 400, "message": "Invalid query", "details": ["near 'x'"]}})
        start, count = self._span(words, old)
        if start and self.fault == "error":
            return _json({"error": {"code": 999, "message": "Error performing query operation", "details": []}})
        page = self.numbers(start, count)
        more = {"exceededTransferLimit": True} if not old and page and page[-1] < self.sites else {}
        if words["f"] == "geojson":
            return _json({**_features(page), **({"properties": more} if more else {})})
        features = [{"attributes": {"OBJECTID": n, "NAME": f"Site {n}"}, "geometry": {"x": 10, "y": 60}} for n in page]
        return _json({"objectIdFieldName": "OBJECTID", "features": features, **more})

    def _span(self, words: dict[str, str], old: bool) -> tuple[int, int]:
        if not old:
            return int(words["resultoffset"]), int(words["resultrecordcount"])
        numbers = [int(each) for each in words["where"].replace("=", " ").split() if each.isdigit()]
        first, last = numbers[-2:]
        return first - 1, last - first + 1

    # --- CKAN ---

    def ckan(self, path: str, words: dict[str, str]) -> Answer:
        """Answer as a CKAN catalogue does."""
        action = path.rpartition("/")[2]
        if action == "sites.csv":
            return 200, "text/csv", b"id,name\n1,Site 1\n"
        if action == "package_show":
            if words["id"] != "sites":
                return _json({"success": False, "error": {"message": "Not found", "__type": "Not Found Error"}})
            away = "http://elsewhere.example/sites.csv"
            names = {"csv": f"{self.url}/ckan/sites.csv", "rows": away, "page": away}
            listed = [
                {"id": f"r-{name}", "name": name, "format": name.upper(), "url": url} for name, url in names.items()
            ]
            return _json({"success": True, "result": {"resources": listed}})
        start = int(words["offset"])
        if start and self.fault == "error":
            return _json({"success": False, "error": {"message": "Search failed"}})
        page = self.numbers(start, int(words["limit"]))
        records = [{"_id": n, "name": f"{words.get('q', 'Site')} {n}", "x": "10.5"} for n in page]
        total = {} if self.fault == "no count" else {"total": self.total(start)}
        return _json({"success": True, "result": {"records": records, **total}})

    # --- OGC API Features ---

    def ogc(self, path: str, words: dict[str, str]) -> Answer:
        """Answer as an OGC API does."""
        start, count = int(words.get("offset", 0)), int(words["limit"])
        if start and self.fault == "error":
            return _json({"code": "InvalidParameterValue", "description": "offset too deep"})
        page = self.numbers(start, count)
        following = f"{self.url}{path}?offset={start + min(count, self.cap)}&limit={min(count, self.cap)}"
        if self.fault == "link away":
            following = following.replace("127.0.0.1", "localhost")
        more = start + min(count, self.cap) < self.sites or self.fault == "same page"
        links = [{"rel": "next", "href": following}] if more else []
        total = {} if self.fault == "no count" else {"numberMatched": self.total(start)}
        stamp = {"timeStamp": f"2026-01-01T00:00:{len(self.asked):02d}Z"}
        return _json({**_features(page), **total, **stamp, "numberReturned": len(page), "links": links})


def _gml(number: int, name: str) -> str:
    inside = f"<nor:number>{number}</nor:number><nor:name>Site {number}</nor:name>"
    return f'<nor:Site {name}="Site.{number}">{inside}</nor:Site>'


def _root(names: str, attributes: str, members: str) -> bytes:
    return f"{XML}<wfs:FeatureCollection {names} {attributes}>{members}</wfs:FeatureCollection>".encode()


def _report(code: str, text: str) -> bytes:
    inside = f'<ows:Exception exceptionCode="{code}"><ows:ExceptionText>{text}</ows:ExceptionText></ows:Exception>'
    return (
        f'{XML}<ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows/1.1">{inside}</ows:ExceptionReport>'.encode()
    )


def _features(page: list[int]) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "id": number,
            "geometry": {"type": "Point", "coordinates": [10.0 + number / 100, 60.0]},
            "properties": {"number": number, "name": f"Site {number}"},
        }
        for number in page
    ]
    return {"type": "FeatureCollection", "features": features}


def _json(document: dict[str, Any]) -> Answer:
    return 200, "application/json", json.dumps(document).encode()


@contextmanager
def serving(register: Register) -> Iterator[Register]:
    """Serve a register on a free port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - the library's word
            register.headers.append(dict(self.headers))
            status, kind, body = register.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    register.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield register
    finally:
        server.shutdown()
        server.server_close()
