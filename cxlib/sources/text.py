"""What the bytes of a text file are: its encoding, whole or cut short; made UTF-8 where they are not."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from cxlib._checks import DataError, ParameterError
from cxlib.sources.messages import ANOTHER_ENCODING

HEAD = 2**20
"""Bytes of a file that are looked at before its engine reads it."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LOOKED_THROUGH: set[tuple[str, int, int, str]] = set()
"""Files, each in one of its states, of which all bytes have been seen."""
UTF8 = ("utf-8", "utf-8-sig", "ascii")
OTHER_KINDS = (
    (
        b"PK\x03\x04",
        "a zip archive or an Excel workbook; unpack it, or save the sheet as CSV UTF-8",
    ),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV UTF-8"),
    (b"PAR1", "a Parquet file; let its name end in .parquet"),
    (b"\x1f\x8b", "compressed by gzip; let its name end in .gz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; let its name end in .zst"),
    (b"%PDF", "a PDF; export the table as CSV"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
)


@dataclass(frozen=True)
class Text:
    """A text file that an engine can read: ``path`` is UTF-8, ``head`` its beginning."""

    path: Path
    head: str
    is_whole: bool
    notes: tuple[str, ...] = ()


def examine(path: Path, shown: str, encoding: str | None = None) -> Text:
    """Return ``path``, or a copy of it in UTF-8, once its bytes are known to be text.

    Raises
    ------
    DataError
        It is empty, of another kind, cut short, or not in the encoding that it should be in.
    ParameterError
        ``encoding`` is none that is known.
    """
    wanted = _known(encoding)
    with _bytes(path, shown) as stream:
        head = stream.read(HEAD)
        is_whole = len(head) < HEAD
        _check_kind(head, shown)
        found, notes = _encoding(head, wanted, shown)
        text = _decoded(head, found, is_whole, shown, is_said=wanted is not None)
        if not text.strip("\ufeff\r\n\t ,;|"):
            raise DataError(f"source {shown!r}: it is empty")
        if re.match(
            r"\s*<(!doctype html|html|\?xml)\b", text.removeprefix("\ufeff"), re.IGNORECASE
        ):
            raise DataError(
                f"source {shown!r}: it is no export but a web page or XML, perhaps that of a login or "
                "of an error; open it in a browser, and download the export again"
            )
        state = (str(path), path.stat().st_mtime_ns, path.stat().st_size, found)
        if state not in LOOKED_THROUGH:
            _check_nul(stream, head, found, shown)
            LOOKED_THROUGH.add(state)
    is_mixed = "\r\n" in text and "\n" in text.replace("\r\n", "")
    if found not in UTF8 or is_mixed:
        path = _in_utf8(path, found, shown)
        text = "\n".join(text.replace("\r\n", "\n").split("\r"))
    return Text(path, text.removeprefix("\ufeff"), is_whole, notes)


def _known(encoding: str | None) -> str | None:
    """Return the name by which Python knows an encoding of text."""
    if encoding is None:
        return None
    try:
        "".encode(encoding)  # codecs that are none of text say so here
        return codecs.lookup(encoding).name
    except (LookupError, TypeError, ValueError):
        raise ParameterError(
            f"encoding={encoding!r} is not known; write one such as 'utf-8', 'cp1252', 'cp1255' or "
            "'utf-16'"
        ) from None


@contextmanager
def _bytes(path: Path, shown: str) -> Iterator[BinaryIO]:
    """Open a file, unpacked where its name says that it is packed; say where it is damaged."""
    suffix = path.suffix.lower()
    stream: BinaryIO
    try:
        if suffix == ".gz":
            stream = gzip.open(path, "rb")  # type: ignore[assignment]  # noqa: SIM115
        elif suffix == ".zst":
            stream = pa.input_stream(str(path), compression="zstd")
        else:
            stream = path.open("rb")
        with stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        is_gzip = "Not a gzipped" not in str(error)
        fault = "is cut short or damaged" if is_gzip else "is no gzip file, though its name says so"
        raise DataError(f"source {shown!r}: {fault} ({error}); copy it again") from None
    except OSError as error:
        if suffix != ".zst" or isinstance(error, PermissionError):
            raise
        raise DataError(
            f"source {shown!r}: is cut short, damaged or no zstd file; copy it again"
        ) from None


def _check_kind(head: bytes, shown: str) -> None:
    for mark, kind in OTHER_KINDS:
        if head.startswith(mark):
            raise DataError(f"source {shown!r}: it is no text but {kind}")


def _encoding(head: bytes, wanted: str | None, shown: str) -> tuple[str, tuple[str, ...]]:
    """Return the encoding to read in, and what to say of it."""
    for mark, found in MARKS:
        if head.startswith(mark):
            other = "" if wanted is None or wanted.startswith(found[:5]) else f", not as {wanted}"
            is_plain = found in UTF8 and not other
            return found, () if is_plain else (f"read as {found}, as its first bytes say{other}",)
    if wanted is None:
        return "utf-8", ()
    if wanted not in UTF8 and not head.isascii() and _is_utf8(head):
        raise DataError(
            f"source {shown!r}: its bytes are UTF-8, not {wanted}: read so, accents would turn to "
            "rubbish; leave encoding= out"
        )
    return wanted, () if wanted in UTF8 else (f"read as {wanted}",)


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(head: bytes, encoding: str, is_whole: bool, shown: str, *, is_said: bool) -> str:
    if encoding == "utf-8" and head[:4000].count(0) > len(head[:4000]) // 4:
        order = "le" if head[1:2] == b"\0" else "be"
        raise DataError(
            f"source {shown!r}: every other byte is zero, as in UTF-16; give "
            f"encoding='utf-16-{order}' in cx.read"
        )
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, final=is_whole)
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = head[:at].count(b"\n") + 1
        remedy = "mend the file" if is_said else _likely(head, at)
        raise DataError(
            f"source {shown!r}: line {line:,} is not {encoding.upper()} (byte {at + 1:,}); {remedy}"
        ) from None


def _likely(head: bytes, at: int) -> str:
    """Name the encoding that the words with accents or other letters look like."""
    words = re.findall(rb"[A-Za-z]*[\x80-\xff]+[A-Za-z\x80-\xff]*", head[at : at + 100_000])
    with_latin = sum(re.search(rb"[A-Za-z]", word) is not None for word in words)
    signs = re.findall(rb"[\x80-\xff]", b"".join(words))
    n_letters = sum(sign >= b"\xc0" for sign in signs)  # where cp1252 has its letters with accents
    if with_latin > len(words) / 2 and n_letters > len(signs) / 2:
        name = "cp1252"
    else:
        shares = {name: _share(b"".join(words), name, often) for name, often in OFTEN.items()}
        name = max(shares, key=lambda name: shares[name])
        if shares[name] < 0.4:
            return ANOTHER_ENCODING
    example = b" ".join(words[:3]).decode(name, errors="replace")[:40]
    return f"it looks like {name} ({example!r}): if so give encoding={name!r} in cx.read"


OFTEN = {
    "cp1251": "оеаинтсрвл",
    "koi8-r": "оеаинтсрвл",
    "cp1253": "αοιετσνηυρ",
    "cp1255": "יוהלאמרתבש",
    "cp1256": "اليمنرتوبة",
}
"""The ten letters that make up two thirds of a text in the language of each encoding."""


def _share(letters: bytes, encoding: str, often: str) -> float:
    decoded = letters.decode(encoding, errors="replace")  # a wrong one mixes capitals in
    return sum(letter in often for letter in decoded) / max(len(decoded), 1)


def _check_nul(stream: BinaryIO, head: bytes, encoding: str, shown: str) -> None:
    """Read on to the end: a packed file must be whole, and text holds no zero byte."""
    wide = encoding.startswith(("utf-16", "utf-32"))
    line, chunk = 1, head
    while chunk:
        if not wide and b"\0" in chunk:
            line += chunk[: chunk.index(b"\0")].count(b"\n")
            raise DataError(
                f"source {shown!r}: line {line:,} holds a zero byte, which no text has: the file is "
                "damaged, or no text; export it again"
            )
        line += chunk.count(b"\n")
        chunk = stream.read(HEAD)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of copies in UTF-8, which goes when Python ends."""
    return tempfile.TemporaryDirectory(prefix="cx_utf8_", ignore_cleanup_errors=True)


def _in_utf8(path: Path, encoding: str, shown: str) -> Path:
    """Return a copy in UTF-8, its lines ending in one way; made once for each state of a file."""
    known = path.stat()
    state = f"{path}|{known.st_mtime_ns}|{known.st_size}|{encoding}"
    name = hashlib.sha256(state.encode(errors="surrogateescape")).hexdigest()[:24]
    copy = Path(_folder().name) / f"{name}.txt"
    if copy.exists():
        return copy
    draft = copy.with_suffix(".part")
    with _bytes(path, shown) as stream, draft.open("w", encoding="utf-8", newline="") as out:
        reader = io.TextIOWrapper(stream, encoding=encoding)  # any end of line becomes \n
        line = 1
        try:
            while piece := reader.read(HEAD):
                line += piece.count("\n")
                out.write(piece)
        except UnicodeError as error:
            raise DataError(
                f"source {shown!r}: from line {line:,} on it is not {encoding}: {error}; mend the file"
            ) from None
    draft.replace(copy)
    return copy
