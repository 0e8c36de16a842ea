"""Secrets stay in the environment: refused in plans, and masked in whatever a run writes or says."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from cxlib._checks import PlanError

NAME = re.compile(
    r"(^|_)(password|passwd|pwd|passphrase|token|secret|secrets|api_?key|access_?key|private_?key"
    r"|credential|credentials|connection_string|dsn)(_|$)",
    re.IGNORECASE,
)
"""Names of parameters that would hold a secret."""
CREDENTIALS = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
VARIABLE = re.compile(r"\$\{(\w+)\}")
WRITTEN = (".html", ".ipynb", ".json", ".jsonl", ".csv", ".txt")
SHORTEST = 4
"""Letters of a password below which it cannot be told from ordinary words by itself."""

ADVICE = (
    "it would stand in the notebook, on the page and in the record; keep it in an environment "
    "variable and name that in the source: ${WAREHOUSE_URL}"
)


def refuse(name: str, value: Any = None) -> None:
    """Raise `PlanError` where a parameter would hold a secret; the message does not repeat it.

    Examples
    --------
    >>> refuse("country", "GB")
    >>> refuse("api_key")
    Traceback (most recent call last):
    cxlib._checks.PlanError: parameter 'api_key' sounds like a secret: it would stand ...
    """
    if NAME.search(name):
        raise PlanError(f"parameter {name!r} sounds like a secret: {ADVICE}")
    if any(CREDENTIALS.search(text) for text in _texts(value)):
        raise PlanError(f"parameter {name!r} holds an address with a password in it: {ADVICE}")


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [text for text in values if isinstance(text, str)]


def known(values: Iterable[Any]) -> dict[str, str]:
    """Return what must not be told, and what to say instead: secret → ``${NAME}``.

    ``values`` are those of parameters; each ``${NAME}`` in them is a secret, and so are its
    password and its address, as they stand, in quotes of JSON, HTML or an address.
    """
    names = {name for value in values for text in _texts(value) for name in VARIABLE.findall(text)}
    found: dict[str, str] = {}
    for name in sorted(names):
        for part in _parts(os.environ.get(name, "")):
            for form in _forms(part):
                found.setdefault(form, f"${{{name}}}")
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def _parts(secret: str) -> list[str]:
    """Return a secret, and of an address its password and what stands after its scheme."""
    try:
        address = urlsplit(secret)
        password, where = address.password or "", address.netloc if address.password else ""
    except ValueError:
        password = where = ""
    rest = secret.partition("://")[2]
    parts = [secret, rest, where, password if len(password) >= SHORTEST else ""]
    return [part for part in parts if len(part) >= SHORTEST]


def _forms(part: str) -> set[str]:
    plain = {part, unquote(part)}
    return plain | {
        form
        for text in plain
        for form in (
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            html.escape(text),
            str(html.escape(text)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
            repr(text)[1:-1],
            quote(text),
            quote(text, safe=""),
        )
    }


def masked(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return text, or texts within lists and mappings, without secrets."""
    if isinstance(value, str):
        for secret, instead in secrets.items():
            value = value.replace(secret, instead)
        return value
    if isinstance(value, Mapping):
        return {masked(key, secrets): masked(inner, secrets) for key, inner in value.items()}
    return [masked(inner, secrets) for inner in value] if isinstance(value, list) else value


def scrub(folder: Path, secrets: Mapping[str, str]) -> None:
    """Mask secrets in every file of a folder, before it is published."""
    if not secrets:
        return
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix in WRITTEN:
            text = file.read_bytes()
            clean = text
            for secret, instead in secrets.items():
                clean = clean.replace(secret.encode(), instead.encode())
            if clean != text:
                file.unlink()  # it may be a second name of a file published before
                file.write_bytes(clean)
