"""What a file's first bytes say that it is, whatever its name says."""

import re

MAGIC = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xd0\xcf\x11\xe0", "an old binary Office file"),
    (b"%PDF", "a PDF file"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite or GeoPackage file"),
    (b"\x00\x00\x27\x0a", "a shapefile"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"{\\rtf", "a rich text file"),
)
HTML = re.compile(rb"\s*(<!--.{0,2000}?-->\s*)*<(!doctype\s+html|html|head|body|table|title|script)\b", re.I | re.S)
XML = re.compile(rb"\s*<(\?xml|[A-Za-z!])")


READERS = {"an old binary Office file": "xls", "a shapefile": "shapefile", "an HTML page": "html_table"}
"""The reader of a kind, where it has one only."""
SIGNS = {"a zip archive": (b"[Content_Types].xml", "xlsx"), "an XML document": (b"opengis.net/gml", "gml")}
"""What must stand in a file of a wider kind to be one that a reader takes."""
TEXT = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]+")
DELIMITERS = (b",", b";", b"\t", b"|")


def declare(head: bytes) -> str | None:
    r"""Say which reader a file's first bytes ask for, or give None.

    >>> declare(b"id;name\n1;Hill")
    'declare the reader delimited, since that is what the file is'
    """
    found = kind(head)
    reader = READERS.get(found or "")
    sign, by_sign = SIGNS.get(found or "", (b"", None))
    lines = head.splitlines()
    if by_sign and sign in head:
        reader = by_sign
    elif found is None and lines and TEXT.fullmatch(head) and any(each in lines[0] for each in DELIMITERS):
        reader = "json" if head.lstrip()[:1] in (b"{", b"[") else "delimited"
    return f"declare the reader {reader}, since that is what the file is" if reader else None


def kind(head: bytes) -> str | None:
    """Name the kind of a file from its first bytes, or give None where they tell nothing.

    >>> kind(b"<table border='2px'><tr>")
    'an HTML page'
    >>> kind(b"id,name")
    """
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    if head[257:262] == b"ustar":
        return "a tar archive"
    text = head.removeprefix(b"\xef\xbb\xbf")
    if HTML.match(text):
        return "an HTML page"
    if XML.match(text):
        return "an XML document"
    return None
