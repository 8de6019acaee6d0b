"""Text files as a stream of UTF-8, in which bytes that are no text stay recognisable."""

import codecs
import io
import re
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

MARK = 0x10FF00
"""A byte b that is no text becomes the character MARK + b: the last private ones, which no partner assigns."""
MARKED = "[\U0010ff80-\U0010ffff]"
_TO_MARK = {0xDC80 + offset: MARK + 0x80 + offset for offset in range(0x80)}
TAIL_BYTES = 4096
LINE_BYTES = 8 << 20
AHEAD = 2
PATIENCE_S = 0.25
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def byte_order_mark(head: bytes) -> str | None:
    """Give the encoding that a byte order mark tells, or None."""
    return next((name for mark, name in BOMS if head.startswith(mark)), None)


def show(text: str) -> str:
    r"""Write marked bytes as ``\xNN``.

    >>> show("caf\U0010ffe9")
    'caf\\xe9'
    """
    return re.sub(MARKED, lambda found: f"\\x{ord(found.group()) - MARK:02x}", text)


def decoded(value: bytes, encoding: str) -> str:
    """Decode a text, with the bytes that are none marked."""
    return value.decode(encoding, "surrogateescape").translate(_TO_MARK)


class Utf8Stream(io.RawIOBase):
    """A file of any encoding, read as UTF-8 without its byte order mark.

    Parameters
    ----------
    path : the file.
    encoding : as declared; UTF-8 passes through untouched after a check that costs next to nothing.
    edit : what is done to whole lines, as bytes of UTF-8, before they are given.

    Attributes
    ----------
    undecodable, nul : whether any byte so far was no text in this encoding, or was NUL.
    tail : the last bytes given.
    """

    def __init__(self, path: Path, encoding: str, edit: Callable[[bytes], bytes] | None = None) -> None:
        self._file = path.open("rb")
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
        self._plain = codecs.lookup(encoding).name == "utf-8"
        self._carried = b""
        self._given_back = b""
        self._edit = edit
        self._line = b""
        self._started = False
        self.undecodable = False
        self.nul = False
        self.tail = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give at most `size` bytes of UTF-8, in whole characters; nothing at the end."""
        size = size if size > 0 else 1 << 20
        if self._given_back:
            block, self._given_back = self._given_back, b""
        else:
            block = self._fresh(size)
        if len(block) > size:
            block, rest = block[:size], block[size:]
            self.give_back(rest)
        return block

    def give_back(self, block: bytes) -> None:
        """Have these bytes read again first."""
        self._given_back = block + self._given_back

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _fresh(self, size: int) -> bytes:
        text = b""
        while not text:
            block = self._file.read(max(1, size - len(self._carried)))
            text = self._plain_block(block) if self._plain else self._decoded(block)
            if not self._started:
                text = text.removeprefix(codecs.BOM_UTF8)
                self._started = bool(text)
            if self._edit:
                text = self._edited(text, ended=not block)
            if not block:
                break
        self.nul = self.nul or b"\x00" in text
        self.tail = (self.tail + text[-TAIL_BYTES:])[-TAIL_BYTES:]
        return text

    def _edited(self, text: bytes, *, ended: bool) -> bytes:
        """Edit the lines that are whole, and keep the last one until its end has come."""
        whole = self._line + text
        cut = len(whole) if ended or len(whole) > LINE_BYTES else whole.rfind(b"\n") + 1
        self._line = whole[cut:]
        return self._edit(whole[:cut]) if self._edit and cut else b""

    def _plain_block(self, block: bytes) -> bytes:
        whole = self._carried + block
        cut = len(whole) - (_incomplete(whole) if block else 0)
        whole, self._carried = whole[:cut], whole[cut:]
        return whole if _is_utf8(whole) else self._marked(whole.decode("utf-8", "surrogateescape"))

    def _decoded(self, block: bytes) -> bytes:
        text = self._decoder.decode(block, final=not block)
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError:
            return self._marked(text)

    def _marked(self, text: str) -> bytes:
        self.undecodable = True
        return text.translate(_TO_MARK).encode("utf-8", "replace")


class Paced(io.RawIOBase):
    """A stream that is read at most AHEAD blocks ahead of whoever uses what was read.

    Arrow's parser of CSV reads some thirty blocks ahead, which is memory. A block may give no batch, so that nobody
    says that it was used; then reading goes on after PATIENCE_S.
    """

    def __init__(self, stream: Utf8Stream) -> None:
        self._stream = stream
        self._room = threading.Semaphore(AHEAD)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give what the stream gives, when there is room for it."""
        self._room.acquire(timeout=PATIENCE_S)
        return self._stream.read(size)

    def used(self) -> None:
        """Make room for one more block."""
        self._room.release()


def _is_utf8(block: bytes) -> bool:
    """Check a block the way Arrow checks a column: vectorised, without a copy."""
    offsets = struct.pack("<2q", 0, len(block))
    array = pa.LargeStringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(block))
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _incomplete(block: bytes) -> int:
    """Count the last bytes that begin a character without ending it."""
    for back in range(1, min(4, len(block)) + 1):
        byte = block[-back]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < wanted else 0
    return 0
