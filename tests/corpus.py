"""The corpus of bad exports: each file as it is found in the wild, and what must come of it.

``Case.said`` is a piece of the one error that it must end in; ``Case.kept`` are the counts
``(raw rows, kept rows, net revenue)`` of one that can be read rightly.
"""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

HEADER = "order_id,customer_id,ordered_at,net_revenue,city"
ROWS = (
    "007,ann@shop.com,2024-05-01 10:00:00,10.00,London",
    "008,bob@shop.com,2024-05-02 11:00:00,20.50,Paris",
    "009,cem@shop.com,2024-05-03 12:00:00,30.00,Rome",
)
GOOD = "\n".join((HEADER, *ROWS)) + "\n"
WHOLE = (3, 3, 60.5)


@dataclass(frozen=True)
class Case:
    """One bad export: how to make it, how to read it, and what must come of it."""

    name: str
    make: Callable[[Path], Any]
    said: str | None = None
    kept: tuple[int, int, float] | None = None
    read: dict[str, Any] = field(default_factory=dict)
    clean: dict[str, Any] = field(default_factory=dict)


def named(*cities: str) -> str:
    """The good export with other cities."""
    rows = [row.rsplit(",", 1)[0] + f",{city}" for row, city in zip(ROWS, cities, strict=True)]
    return "\n".join((HEADER, *rows)) + "\n"


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def text(content: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    return _bytes(content.encode(encoding))


def encodings() -> Iterator[Case]:
    cyrillic = named("Москва", "Санкт-Петербург", "Казань")
    hebrew = named("תל אביב", "ירושלים", "חיפה")
    arabic = named("القاهرة", "الإسكندرية", "الرياض")
    german = named("Köln", "München", "Düsseldorf")
    for encoding, content in (
        ("cp1251", cyrillic), ("cp1255", hebrew), ("cp1256", arabic), ("cp1252", german),
    ):  # fmt: skip
        said = f"give encoding='{encoding}' in cx.read"
        yield Case(f"{encoding}.csv", text(content, encoding), said=said)
        told = {"encoding": encoding}
        yield Case(f"{encoding} told.csv", text(content, encoding), kept=WHOLE, read=told)
    japanese = named("東京", "テスト", "神戸のパン")
    yield Case(
        "shift_jis, which none of the known is.csv", text(japanese, "shift_jis"),
        said="ask who exported it which, and say so with encoding= in cx.read",
    )  # fmt: skip
    yield Case("utf-8-sig.csv", text(GOOD, "utf-8-sig"), kept=WHOLE)
    yield Case("utf-16.csv", text(german, "utf-16"), kept=WHOLE)
    yield Case(
        "utf-16-be with mark.csv", _bytes(b"\xfe\xff" + german.encode("utf-16-be")), kept=WHOLE
    )
    yield Case("utf-32.csv", text(german, "utf-32"), kept=WHOLE)
    yield Case(
        "utf-16-le without mark.csv", text(GOOD, "utf-16-le"), said="give encoding='utf-16-le'"
    )
    yield Case(
        "utf-16-be without mark.csv", text(GOOD, "utf-16-be"), said="give encoding='utf-16-be'"
    )
    yield Case(
        "utf-16 told.csv", text(GOOD, "utf-16-le"), kept=WHOLE, read={"encoding": "utf-16-le"}
    )
    mixed = named("Köln", "Bonn", "Ulm").encode() + "010,dan@shop.com,2024-05-04,1,Köln\n".encode(
        "cp1252"
    )
    yield Case("utf-8 and latin-1 mixed.csv", _bytes(mixed), said="line 5 is not UTF-8")
    yield Case(
        "utf-8 told as latin-1.csv", text(german), said="its bytes are UTF-8, not iso8859-1",
        read={"encoding": "latin-1"},
    )  # fmt: skip
    yield Case(
        "utf-8 told as no encoding.csv", text(german), said="encoding='utf-9' is not known",
        read={"encoding": "utf-9"},
    )  # fmt: skip
    yield Case(
        "told a codec that is none of text.csv", text(german), said="encoding='base64' is not known",
        read={"encoding": "base64"},
    )  # fmt: skip
    yield Case(
        "utf-8 cut in a letter.csv",
        _bytes(german.encode()[:-1] + b"\xc3"),
        said="line 4 is not UTF-8",
    )
    late = GOOD.encode() + b"".join(b"%d,x@y.z,2024-05-01,1,Rome\n" % n for n in range(50_000))
    yield Case(
        "latin-1 far behind.csv", _bytes(late + "1,x@y.z,2024-05-01,1,Köln\n".encode("latin-1")),
        said="line 50,005 is not UTF-8; if the whole file is in another encoding",
    )  # fmt: skip


def packed() -> Iterator[Case]:
    many = (
        GOOD + "".join(f"{n},x@y.z,2024-05-01,{n % 7}.5,Rome\n" for n in range(20_000))
    ).encode()
    whole = gzip.compress(many)
    sums = (20_003, 20_003, 60.5 + sum(n % 7 + 0.5 for n in range(20_000)))
    yield Case("whole.csv.gz", _bytes(whole), kept=sums)
    yield Case(
        "cut in the middle.csv.gz", _bytes(whole[: len(whole) // 2]), said="is cut short or damaged"
    )
    yield Case("cut before its sum.csv.gz", _bytes(whole[:-8]), said="is cut short or damaged")
    yield Case("cut in its length.csv.gz", _bytes(whole[:-2]), said="is cut short or damaged")
    yield Case(
        "wrong sum.csv.gz",
        _bytes(whole[:-8] + b"abcd" + whole[-4:]),
        said="is cut short or damaged",
    )
    yield Case(
        "a byte flipped.csv.gz",
        _bytes(whole[:3000] + bytes([whole[3000] ^ 255]) + whole[3001:]),
        said="line|is cut short or damaged",
    )
    yield Case("not packed.csv.gz", text(GOOD), said="is no gzip file, though its name says so")
    yield Case("empty.csv.gz", _bytes(b""), said="it is empty")
    yield Case("packed twice.csv.gz", _bytes(gzip.compress(whole)), said="compressed by gzip")
    yield Case(
        "packed without saying so.csv",
        _bytes(whole),
        said="compressed by gzip; let its name end in .gz",
    )
    squeezed = bytes(pa.compress(many, "zstd", asbytes=True))
    yield Case("whole.csv.zst", _bytes(squeezed), kept=sums)
    yield Case(
        "cut.csv.zst",
        _bytes(squeezed[: len(squeezed) // 2]),
        said="is cut short, damaged or no zstd file",
    )
    yield Case("not packed.csv.zst", text(GOOD), said="is cut short, damaged or no zstd file")
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        archive.writestr("orders.csv", GOOD)
    yield Case("zipped.csv", _bytes(box.getvalue()), said="a zip archive or an Excel workbook")
    yield Case("workbook.xlsx", _bytes(box.getvalue()), said="save the sheet as CSV UTF-8")
    yield Case("archive.zip", _bytes(box.getvalue()), said="unpack it first")


def shapes() -> Iterator[Case]:
    yield Case("empty.csv", _bytes(b""), said="it is empty")
    yield Case("blanks.csv", text("\n \n\n"), said="it is empty")
    yield Case("only a mark.csv", _bytes(b"\xef\xbb\xbf"), said="it is empty")
    yield Case("header only.csv", text(HEADER + "\n"), said="orders: the source has no rows")
    yield Case("header without end.csv", text(HEADER), said="orders: the source has no rows")
    yield Case(
        "no header.csv",
        text("\n".join(ROWS) + "\n"),
        said="there seems to be no header, for a column is called '2024-05-01 10:00:00'",
    )
    yield Case(
        "short row.csv",
        text(GOOD + "010,dan@shop.com\n"),
        said="line 5 holds 2 fields, its header 5",
    )
    yield Case(
        "long row.csv",
        text(GOOD + "1,d,2024-05-04,1,Rome,x\n"),
        said="line 5 holds 6 fields, its header 5",
    )
    yield Case(
        "comma in a name.csv",
        text(GOOD.replace("London", "London, UK")),
        said="line 2 holds 6 fields",
    )
    yield Case("comma at each end.csv", text(GOOD.replace("\n", ",\n")), kept=WHOLE)
    late = GOOD + "1,x@y.z,2024-05-01,1,Rome\n" * 60_000 + "2,x@y.z\n"
    yield Case(
        "short row far behind.csv", text(late), said="line 60,005 holds 2 fields, its header 5"
    )
    yield Case(
        "title, period and a blank line above.csv",
        text("Orders of May, June\nFrom 2024-05-01\n\n" + GOOD),
        said="its header seems to be in line 4, of 5 fields; remove what stands above it",
    )
    yield Case(
        "a web page.csv",
        text("\n<!DOCTYPE html><html><body>Please sign in</body></html>\n"),
        said="it is no export but a web page or XML",
    )
    yield Case(
        "title above.csv",
        text("Orders of May\n" + GOOD),
        said="its header seems to be in line 2, of 5 fields; remove what stands above it",
    )
    yield Case("blank lines above.csv", text("\n\n" + GOOD), kept=WHOLE)
    yield Case("blank lines between.csv", text(GOOD.replace("\n", "\n\n")), kept=WHOLE)
    yield Case("spreadsheet's own line.csv", text("sep=;\n" + GOOD.replace(",", ";")), kept=WHOLE)
    yield Case("semicolons.csv", text(GOOD.replace(",", ";")), kept=WHOLE)
    yield Case("tabs.tsv", text(GOOD.replace(",", "\t")), kept=WHOLE)
    yield Case(
        "quote never closed.csv",
        text(GOOD.replace("London", '"London')),
        said="line 2 opens a quote that is not closed",
    )
    yield Case(
        "quote never closed in the header.csv",
        text('order_id,"' + GOOD),
        said="line 1 opens a quote that is not closed",
    )
    yield Case(
        "quote not doubled.csv",
        text(GOOD.replace("London", '"5" pipe"')),
        said="line 2 opens a quote that is not closed, or holds one that is not doubled",
    )
    yield Case("quote within.csv", text(GOOD.replace("London", '5" pipe')), kept=WHOLE)
    far = GOOD + "1,x@y.z,2024-05-01,1,Rome\n" * 60_000 + '2,x@y.z,2024-05-01,1,"Rome\n'
    yield Case(
        "quote never closed far behind.csv",
        text(far),
        said="line 60,005 opens a quote that is not closed",
    )
    yield Case("line in a quote.csv", text(GOOD.replace("London", '"Lon\ndon"')), kept=WHOLE)
    yield Case("lines of Windows.csv", text(GOOD.replace("\n", "\r\n")), kept=WHOLE)
    yield Case("lines of an old Mac.csv", text(GOOD.replace("\n", "\r")), kept=WHOLE)
    yield Case("lines of both.csv", text(GOOD.replace("\n", "\r\n", 2)), kept=WHOLE)
    yield Case("hash in front.csv", text(GOOD.replace("007", "#007")), kept=WHOLE)
    yield Case("zero byte.csv", text(GOOD.replace("bob", "b\0b")), said="line 3 holds a zero byte")
    yield Case(
        "zero byte far behind.csv",
        text(late[:-8] + "\0,,,,\n"),
        said="line 60,005 holds a zero byte",
    )
    yield Case("zeros only.csv", _bytes(b"\0" * 5000), said="every other byte is zero|zero byte")
    yield Case(
        "random bytes.csv",
        _bytes(bytes(range(256)) * 20),
        said="line 1 holds a zero byte|is not UTF-8",
    )
    yield Case(
        "JSON under another name.csv", text('{"a": 1}\n{"a": 2}\n'), said="no columns 'order_id'"
    )
    yield Case(
        "HTML under another name.csv",
        text("<!doctype html><p>Sign in\n"),
        said="it is no export but a web page",
    )
    yield Case(
        "Parquet under another name.csv",
        lambda path: _parquet(path),
        said="a Parquet file; let its name end in .parquet",
    )


def headers() -> Iterator[Case]:
    wide = [f"note {n}" for n in range(9_995)]
    yield Case(
        "10,000 columns.csv",
        text(",".join((HEADER, *wide)) + "\n" + ROWS[0] + "," * 9_995 + "\n"),
        said="it has 10,000 columns, of which at most 2,000 can be read",
    )
    yield Case(
        "300 columns.csv",
        text(
            "\n".join([HEADER + "," + ",".join(wide[:295]), *[row + "," * 295 for row in ROWS]])
            + "\n"
        ),
        kept=WHOLE,
    )
    yield Case(
        "a column twice.csv",
        text(GOOD.replace("city", "net_revenue")),
        said="'net_revenue' (our net_revenue) stands more than once in the header",
    )
    yield Case(
        "a column twice, other case.csv",
        text(GOOD.replace("city", "Net_Revenue")),
        said="stands more than once in the header",
    )
    yield Case(
        "a column twice that nobody needs.csv",
        text(GOOD.replace("\n", ",\n").replace(",\n", ",city\n", 1)),
        kept=WHOLE,
    )
    yield Case("blank names.csv", text(GOOD.replace(",city", ",")), kept=WHOLE)
    yield Case(
        "marks of direction.csv",
        text(
            GOOD.replace("net_revenue", "\u200fnet_revenue\u200e").replace(
                "order_id", "\u2068order_id\u2069"
            )
        ),
        kept=WHOLE,
    )
    yield Case(
        "blanks around.csv", text(GOOD.replace("net_revenue", " net_revenue\u00a0")), kept=WHOLE
    )
    yield Case("other case.csv", text(GOOD.replace("net_revenue", "Net_Revenue")), kept=WHOLE)
    yield Case("emoji.csv", text(GOOD.replace("city", "🏙️ city")), kept=WHOLE)
    yield Case(
        "quotes in a name.csv",
        text(GOOD.replace("city", '"ci""ty\'; drop table x; --"')),
        kept=WHOLE,
    )
    yield Case("a very long name.csv", text(GOOD.replace("city", "c" * 100_000)), kept=WHOLE)
    yield Case(
        "misspelt.csv",
        text(GOOD.replace("customer_id", "custmer_id")),
        said="Give perhaps columns={'customer_id': 'custmer_id'} in cx.read.",
    )
    yield Case(
        "columns of two exports.csv",
        text(
            "Name,Email,Created at,Total,InvoiceNo,CustomerID,InvoiceDate,StockCode,Quantity,UnitPrice\n"
            + "1," * 9
            + "1\n"
        ),
        said="its columns are those of online_retail and of shopify",
    )


def values() -> Iterator[Case]:
    def one(old: str, new: str) -> Callable[[Path], None]:
        return text(GOOD.replace(old, new))

    yield Case(
        "both separators.csv",
        text(GOOD.replace("10.00", '"1,234.56"').replace("20.50", '"1.234,56"')),
        said="'net_revenue' holds 1 value that is no number (first: '1.234,56', row 2); the "
        "column mixes 1 with a decimal comma and 2 with a decimal point: export all in one form",
    )
    mixes = "mixes 1 with a decimal comma and 2 with a decimal point"
    yield Case("one decimal comma.csv", text(GOOD.replace("10.00", '"10,50"')), said=mixes)
    yield Case(
        "one decimal comma, told.csv", text(GOOD.replace("10.00", '"10,50"')), said=mixes,
        clean={"decimal": ","},
    )  # fmt: skip
    in_india = GOOD.replace("10.00", '"12,34,567.50"').replace("20.50", '"12,34,567"')
    yield Case("thousands as in India.csv", text(in_india), kept=(3, 3, 2 * 1234567 + 30.5))
    in_bern = GOOD.replace("10.00", "1'234'567.50").replace("20.50", "1’234")
    yield Case("thousands as in Switzerland.csv", text(in_bern), kept=(3, 3, 1234567.5 + 1234 + 30))
    comma = (
        GOOD.replace("10.00", '"1.010,00"').replace("20.50", '"20,50"').replace("30.00", '"30,00"')
    )
    yield Case("decimal comma.csv", text(comma), said="give decimal=',' or fix them")
    yield Case("decimal comma told.csv", text(comma), kept=(3, 3, 1060.5), clean={"decimal": ","})
    yield Case(
        "currency sign.csv",
        one("10.00", "€10.00"),
        said="holds 1 value that is no number (first: '€10.00', row 1); export numbers without a "
        "currency's sign",
    )
    yield Case(
        "not a number.csv",
        one("10.00", "n/a"),
        said="holds 1 value that is no number (first: 'n/a', row 1); fix it",
    )
    yield Case(
        "infinity.csv",
        one("10.00", "inf"),
        said="holds 1 value that is no number (first: 'inf', row 1)",
    )
    yield Case(
        "a number too large.csv", one("10.00", "1e999"), said="holds 1 value that is no number"
    )
    yield Case("blank money.csv", one("10.00", ""), kept=(3, 2, 50.5))
    yield Case("eastern digits.csv", one("10.00", "١٠٫٠٠"), kept=WHOLE)
    orders = ("2024-05-01", "05/02/2024", "3.5.2024")
    dates = (
        GOOD.replace("2024-05-01 10:00:00", orders[0])
        .replace("2024-05-02 11:00:00", orders[1])
        .replace("2024-05-03 12:00:00", orders[2])
    )
    yield Case(
        "dates in three orders.csv",
        text(dates),
        said="'ordered_at' holds 2 values that are no date (first: '05/02/2024', row 2); give date_format=",
    )
    yield Case(
        "dates in three orders told one.csv",
        text(dates),
        said="2 values that do not fit date_format='%d/%m/%Y'",
        clean={"date_format": "%d/%m/%Y"},
    )
    yield Case(
        "no such day.csv",
        one("2024-05-01", "2024-02-30"),
        said="holds 1 value that is no date (first: '2024-02-30 10:00:00', row 1)",
    )
    yield Case(
        "seconds since 1970.csv",
        one("2024-05-01 10:00:00", "1714557600"),
        said="no date (first: '1714557600', row 1)",
    )
    yield Case(
        "offsets and none.csv",
        one("2024-05-01 10:00:00", "2024-05-01T10:00:00Z"),
        said="mixes 1 stamp with an offset from UTC (first: '2024-05-01T10:00:00Z', row 1) and 2 without (first: ",
    )
    for year in ("0001", "1900", "9999"):
        yield Case(f"year {year}.csv", one("2024-05-01", f"{year}-01-01"), kept=(3, 2, 50.5))
    yield Case("ids with leading zeros.csv", text(GOOD), kept=WHOLE)
    yield Case("blank customers.csv", one("bob@shop.com", ""), kept=(3, 2, 40.0))
    yield Case(
        "all customers blank.csv",
        text("\n".join((HEADER, *["1,,2024-05-01,1,x"] * 3)) + "\n"),
        said="nothing is left to analyse",
    )
    yield Case(
        "names of tables as values.csv", one("ann@shop.com", "'; drop table orders; --"), kept=WHOLE
    )


def _parquet(path: Path) -> bytes:
    columns = list(zip(*[row.split(",") for row in ROWS], strict=True))
    table = pa.table(dict(zip(HEADER.split(","), map(list, columns), strict=True)))
    pq.write_table(table, path)
    return path.read_bytes()


def _without_footer(data: bytes) -> bytes:
    length = int.from_bytes(data[-8:-4], "little")
    return data[: -8 - length] + b"\0" * length + data[-8:]


def _cut(keep: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(keep(_parquet(path))) and None


def other_kinds() -> Iterator[Case]:
    yield Case("whole.parquet", lambda path: _parquet(path), kept=WHOLE)
    damaged = "it is no Parquet file, or it is cut short or damaged"
    yield Case("empty.parquet", _bytes(b""), said="it is empty")
    yield Case("cut in half.parquet", _cut(lambda data: data[: len(data) // 2]), said=damaged)
    yield Case("cut at its end.parquet", _cut(lambda data: data[:-4]), said=damaged)
    yield Case(
        "footer of zeros.parquet",
        _cut(_without_footer),
        said=damaged,
    )
    yield Case("CSV under another name.parquet", text(GOOD), said=damaged)
    yield Case(
        "pages of zeros.parquet",
        _cut(lambda data: data[:4] + b"\0" * 200 + data[204:]),
        said="cannot be read",
    )
    line = '{"order_id": "007", "customer_id": "a", "ordered_at": "2024-05-01", "net_revenue": 5}\n'
    yield Case("whole.jsonl", text(line), kept=(1, 1, 5.0))
    yield Case("cut.jsonl", text(line + line[:40]), said="line 2 is no JSON")
    yield Case("one line bad.jsonl", text(line * 2 + "{x}\n" + line), said="line 3 is no JSON")
    yield Case("no objects.jsonl", text("1\n2\n"), said="line 1 is no JSON object")
    yield Case("empty.jsonl", _bytes(b""), said="it is empty")
    yield Case(
        "nested without end.jsonl",
        text('{"a":' * 3000 + "1" + "}" * 3000),
        said="nested too deep|cannot be read",
    )
    yield Case(
        "late key.jsonl",
        text(line.replace('"net_revenue": 5', '"note": 1') * 3 + line),
        kept=(4, 1, 5.0),
    )
    yield Case("no DuckDB file.db", text("hello"), said="unknown kind of file; known are .csv")
    yield Case(
        "a folder.csv", lambda path: path.mkdir(), said="it is a folder; write 'folder/*.parquet'"
    )
    yield Case("a pipe.csv", lambda path: os.mkfifo(path), said="it is not a regular file")
    yield Case(
        "a link to nothing.csv",
        lambda path: path.symlink_to("gone.csv"),
        said="it is not a regular file",
    )
    yield Case(
        "a link to itself.csv",
        lambda path: path.symlink_to(path),
        said="not a regular file|no name that a file can have|no such file",
    )
    yield Case("not there.csv", lambda path: None, said="no such file")
    yield Case("a pattern of nothing*.csv", lambda path: None, said="no file fits this pattern")
    yield Case("quote ' and \" in its name.csv", text(GOOD), kept=WHOLE)
    yield Case("wild [1] card.csv", _beside("wild 1 card.csv"), kept=WHOLE)
    yield Case("wild ca* card.csv", _beside("wild card card.csv"), kept=WHOLE)
    yield Case("'); drop table x; --.csv", text(GOOD), kept=WHOLE)
    yield Case("ends in a word that is none.orders", text(GOOD), said="unknown kind of file")


def _beside(other: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_text(GOOD)
        (path.parent / other).write_text(GOOD.replace("30.00", "9999"))

    return make


def databases() -> Iterator[Case]:
    def database(path: Path, table: str = "orders") -> None:
        with duckdb.connect(str(path)) as engine:
            rows = ", ".join(
                "(" + ", ".join(f"'{cell}'" for cell in row.split(",")) + ")" for row in ROWS
            )
            engine.execute(f'create table "{table}" as select * from (values {rows}) v ({HEADER})')

    def damaged(keep: Callable[[bytes], bytes]) -> Callable[[Path], None]:
        def make(path: Path) -> None:
            database(path)
            path.write_bytes(keep(path.read_bytes()))

        return make

    quoted = 'or""ders\'; drop table x; --'
    real = quoted.replace('""', '"')
    yield Case("whole.db::orders", database, kept=WHOLE)
    yield Case(f"quoted.db::{real}", lambda path: database(path, quoted), kept=WHOLE)
    yield Case("quote ' in its name.db::orders", database, kept=WHOLE)
    yield Case(
        "other table.db::'; drop table orders; --",
        database,
        said="no table \"'; drop table orders; --\" in schema 'main'; it has orders",
    )
    yield Case("no table.db", database, said="names no table; write 'duckdb://file.db::table'")
    yield Case("cut.db::orders", damaged(lambda data: data[:5000]), said="cannot be read")
    yield Case(
        "zeros.db::orders",
        damaged(lambda data: data[:4096] + b"\0" * (len(data) - 4096)),
        said="cannot be read",
    )
    yield Case(
        "no database.db::orders", text("hello"), said="it is no DuckDB file, or it is damaged"
    )
    yield Case("empty.db::orders", _bytes(b""), said="no table 'orders'|it is no DuckDB file")
    yield Case("gone.db::orders", lambda path: None, said="no such file")


CASES = [
    *encodings(), *packed(), *shapes(), *headers(), *values(), *other_kinds(), *databases(),
]  # fmt: skip


def address(case: Case, folder: Path) -> str:
    """Make the file of a case and return the address by which it is read."""
    file, sign, table = case.name.partition("::")
    path = folder / file
    case.make(path)
    if sign or case.name == "no table.db":
        return f"duckdb://{path}{sign}{table}"
    return str(path)
