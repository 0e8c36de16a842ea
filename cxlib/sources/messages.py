"""What an engine says while it reads becomes one clear message; no message holds a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from ibis.common.exceptions import IbisError

from cxlib._checks import DataError

SECRET = re.compile(r"\$\{(\w+)\}")
LOGIN = re.compile(r"://[^\s]*@")
WORDS_OF_SECRETS = re.compile(r"(?i)\b(password|passwd|pwd|token|secret|api_?key)=[^&\s;]+")

HIDDEN: dict[str, str] = {}
"""Secrets met in addresses, each with what stands for it in every message from then on."""

ANOTHER_ENCODING = (
    "if the whole file is in another encoding, ask who exported it which, and say so with encoding= "
    "in cx.read"
)
SAYINGS = (
    (
        r"CSV Error on Line: (\d+).*Expected Number of Columns: (\d+) Found: (\d+)",
        r"line \1 holds \3 fields, its header \2; mend that line, or export again",
    ),
    (
        r"CSV Error on Line: (\d+).*not utf-8 encoded",
        rf"line \1 is not UTF-8; {ANOTHER_ENCODING}",
    ),
    (
        r"CSV Error on Line: (\d+).*unterminated quote",
        r"line \1 opens a quote that is not closed, or holds one that is not doubled; mend that line",
    ),
    (
        r"CSV Error on Line: (\d+).*[Mm]aximum line size",
        r"line \1 is longer than 2 MB: a quote before it may not be closed; mend that line",
    ),
    (
        r"state machine reached an invalid state",
        r"its lines end in different ways, or a quote in it is not closed; export again",
    ),
    (
        r"Malformed JSON.* at byte (\d+) in (line|record)(?:/value)? (\d+): ([^.]*)",
        r"\2 \3 is no JSON (byte \1: \4); mend that line, or export again",
    ),
    (
        r"Could not set lock on file.*\(PID (\d+)\)",
        r"another process (number \1) has it open for writing; close it there, or read a copy",
    ),
    (r"Could not set lock on file", "another process has it open for writing; read a copy"),
    (
        r"not a valid DuckDB database file|[Cc]orrupt database|checksum.*mismatch",
        "it is no DuckDB file, or it is damaged; copy it again",
    ),
    (
        r"too small to be a Parquet file|not a Parquet file|No magic bytes|[Ff]ooter length|\bthrift\b|TProtocol"
        r"|[Pp]arquet.*(corrupt|Invalid|unexpected)|Snappy|ZSTD|[Dd]ecompress",
        "it is no Parquet file, or it is cut short or damaged; copy or export it again",
    ),
    (r"[Pp]ermission denied|Errno 13", "this user may not read it; ask for the right to"),
    (r"PATH_NOT_FOUND\].*?: (?:file:)?(.*?)\. ", r"there is no file \1 where Spark looks"),
    (
        r"JAVA_GATEWAY_EXITED|JAVA_HOME",
        "Spark needs Java, and found none that runs; install Java 17 or later, or set JAVA_HOME",
    ),
    (r"No such file|No files found|Cannot open file", "it was there and is there no longer"),
)
UNSAID = ("Original Line", "LINE ", "^", "Possible", "* ", "file =", "delimiter =")


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what an engine says while it reads the source into one clear `DataError`."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, IbisError, OSError) as error:
        raise DataError(f"source {name!r}: cannot be read: {reason(error)}") from None
    except RecursionError:
        raise DataError(f"source {name!r}: cannot be read: it is nested too deep") from None


def reason(error: Exception) -> str:
    """Return an engine's message in our words, or its first lines; no secrets, no rows."""
    text = str(error)
    for pattern, words in SAYINGS:
        found = re.search(pattern, text, re.DOTALL)
        if found:
            number = re.search(r"(?<=line )\d+|(?<=record )\d+", found.expand(words))
            if number is None:
                return without_secrets(found.expand(words))
            place = int(number[0]) - (" is no JSON" in words)  # DuckDB says the one behind it
            before, after = number.string[: number.start()], number.string[number.end() :]
            return without_secrets(f"{before}{place:,}{after}")
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(UNSAID)]
    short = "; ".join(said[:2])[:400] or type(error).__name__
    return without_secrets(re.sub(r"\"?\bibis_\w+\"?", "the table", short))


def without_secrets(text: str) -> str:
    """Return ``text`` with each secret that an address held replaced by its name."""
    for secret in sorted(HIDDEN, key=len, reverse=True):
        text = text.replace(secret, HIDDEN[secret])
    return WORDS_OF_SECRETS.sub(r"\1=***", LOGIN.sub("://***@", text))


def revealed(address: str) -> tuple[str, str]:
    """Return an address with ``${NAME}`` filled in, and the form of it that messages may show."""
    shown = address
    for login in re.findall(r"://[^\s/@:]*:([^\s@]+)@", address):
        HIDDEN[login] = "***"
    for name in SECRET.findall(address):
        value = os.environ[name]
        if value:
            HIDDEN[value] = f"${{{name}}}"
            for login in re.findall(r"://[^\s/@:]*:([^\s@]+)@", value):
                HIDDEN[login] = "***"
    if not address.startswith("duckdb://"):
        shown = LOGIN.sub("://***@", shown)
    filled = SECRET.sub(lambda match: os.environ[match[1]], address)
    return filled, WORDS_OF_SECRETS.sub(r"\1=***", shown)


def absence(path: Path) -> str:
    """Say why ``path`` is no file that can be read."""
    try:
        if path.is_dir():
            return "it is a folder; write 'folder/*.parquet' for all files in it"
        there = path.exists() or path.is_symlink()
    except PermissionError:
        return "this user may not look into its folder; ask for the right to"
    except (OSError, ValueError):
        return "it is no name that a file can have"
    kind = "it is not a regular file" if there else "no such file"
    return f"{kind} (looked from {Path.cwd().name}/)"
