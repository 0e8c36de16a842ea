"""A path, a URL or a frame becomes an ibis table; the only place that reads data."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib._checks import ColumnError, DataError, ParameterError, check_columns, listed, suggest
from cxlib.tables import Contract, check_rows, check_types

Source = Any
"""A path, a ``duckdb://`` address, or a frame: ibis, pandas, polars, pyarrow."""


@dataclass(frozen=True, eq=False)
class Preset:
    """One export format: its column names in ours, and the rules its rows need."""

    name: str
    title: str
    table: str
    columns: Mapping[str, str]
    keep: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Raw:
    """A source as read, its columns under our names and nothing else changed.

    Attributes
    ----------
    table : ibis table
        The raw rows, lazily.
    name : str
        What messages call the source; never holds a password.
    preset : Preset or None
        The export format whose rules cleaning follows.
    """

    table: ir.Table
    name: str
    preset: Preset | None = None

    def __repr__(self) -> str:
        return f"Raw({self.name!r}, columns: {listed(self.table.columns)})"


def presets() -> list[str]:
    """Return the names of the presets that `read` knows.

    Examples
    --------
    >>> import cxlib as cx
    >>> "shopify" in cx.presets()
    True
    """
    folder = files("cxlib") / "presets"
    return sorted(
        item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")
    )


@cache
def load_preset(name: str) -> Preset:
    """Return the preset of that name, or of a TOML file of one's own."""
    own = Path(name)
    if own.suffix == ".toml" and own.is_file():
        text = own.read_text(encoding="utf-8")
    elif name in presets():
        text = (files("cxlib") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise ParameterError(
            f"preset={name!r} is not known; known are {listed(presets())}, or the path of a TOML file "
            f"of your own.{suggest(name, presets())}"
        )
    return Preset(name=own.stem, **tomllib.loads(text))


def read(
    source: Source, preset: str | None = None, columns: Mapping[str, str] | None = None
) -> Raw:
    """Read an export and give its columns our names.

    Parameters
    ----------
    source : path, address or frame
        ``"x.csv"``, ``"x.parquet"`` (or ``"folder/*.parquet"``), ``"duckdb://f.db::orders"``,
        or an ibis, pandas, polars or pyarrow table. ``${NAME}`` in an address is taken from
        the environment.
    preset : str, optional
        Name of a known export format (see `presets`), or the path of a TOML file of one's own.
    columns : dict, optional
        Our name to the source's: ``{"order_id": "Name"}``. Wins over the preset.

    Returns
    -------
    Raw
        Same rows and grain as the source; columns that neither the preset nor ``columns``
        names keep their own names. CSV columns are all text: cleaning gives them types, so
        that no id loses its leading zeros.

    Raises
    ------
    DataError
        The source is missing, cannot be read, or is empty of columns.
    ColumnError
        A column that ``columns`` names is not in the source.
    ParameterError
        The preset is unknown.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> frame = pd.DataFrame({"nr": ["A1"], "who": ["ann"], "day": ["2024-05-01"], "eur": [12.5]})
    >>> raw = cx.read(frame, columns={"order_id": "nr", "customer_id": "who",
    ...                               "ordered_at": "day", "net_revenue": "eur"})
    >>> raw.table.columns
    ('order_id', 'customer_id', 'ordered_at', 'net_revenue')
    """
    if isinstance(source, Raw):
        source = source.table
    table, name = _open(source)
    known = load_preset(preset) if preset is not None else None
    return Raw(_rename(table, name, known, dict(columns or {})), name, known)


def as_table(data: Source) -> ir.Table:
    """Return any source, or anything with a ``.table``, as an ibis table."""
    if isinstance(data, ir.Table):
        return data
    inner = getattr(data, "table", None)
    return inner if isinstance(inner, ir.Table) else _open(data)[0]


def load(data: Source, contract: Contract) -> ir.Table:
    """Return ``data`` as an ibis table that keeps the contract: the door of every analysis.

    What cleaning has made (`Cleaned`) is trusted; anything else is checked in its engine.
    """
    table = check_types(as_table(data), contract)
    if not hasattr(data, "losses"):
        check_rows(table, contract)
    return table


def _open(source: Source) -> tuple[ir.Table, str]:
    if isinstance(source, ir.Table):
        return source, "table"
    if isinstance(source, (str, os.PathLike)):
        address = os.fspath(source)
        if address.startswith("duckdb://"):
            return _open_duckdb(_fill_secrets(address.removeprefix("duckdb://")), address)
        return _open_file(address), Path(address).name
    try:
        return ibis.memtable(source), type(source).__module__.split(".")[0] + " frame"
    except (TypeError, ValueError, NotImplementedError) as error:
        raise DataError(
            f"cannot read a {type(source).__name__} as a table ({_first_line(error)}); give a path, "
            "or an ibis, pandas, polars or pyarrow table"
        ) from None


def _fill_secrets(address: str) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ParameterError(
                f"the environment has no variable {match[1]!r}, which the source names"
            )
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, address)


def _open_duckdb(address: str, shown: str) -> tuple[ir.Table, str]:
    path, _, name = address.partition("::")
    if not name:
        raise ParameterError(f"source={shown!r} names no table; write 'duckdb://file.db::table'")
    if not Path(path).is_file():
        raise DataError(f"source {shown!r}: no such file")
    try:
        engine = ibis.duckdb.connect(path, read_only=True)
        schema, _, table = name.rpartition(".")
        return engine.table(table, database=schema or None), shown
    except Exception as error:
        raise DataError(f"source {shown!r}: cannot be read: {_first_line(error)}") from None


def _open_file(address: str) -> ir.Table:
    path = Path(address)
    if not any(sign in address for sign in "*?[") and not path.is_file():
        reason = "it is a folder, not a file" if path.is_dir() else "no such file"
        raise DataError(f"source {address!r}: {reason} (looked from {Path.cwd().name}/)")
    suffixes = {suffix.lower() for suffix in path.suffixes}
    engine = ibis.get_backend()
    try:
        if ".parquet" in suffixes:
            table = engine.read_parquet(address)
        elif suffixes & {".csv", ".tsv", ".txt"}:
            table = engine.read_csv(address, all_varchar=True, header=True)
        else:
            raise ParameterError(
                f"source {address!r}: unknown kind of file; known are .csv, .tsv, .parquet and duckdb://file.db::table"
            )
    except ParameterError:
        raise
    except Exception as error:
        raise DataError(f"source {address!r}: cannot be read: {_first_line(error)}") from None
    return table


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _rename(table: ir.Table, name: str, preset: Preset | None, columns: dict[str, str]) -> ir.Table:
    for ours, theirs in columns.items():
        if theirs not in table.columns:
            raise ColumnError(
                f"{name}: columns={{{ours!r}: {theirs!r}}} names a column that is not there; "
                f"it has {listed(table.columns, 30)}.{suggest(theirs, table.columns)}"
            )
    if preset is not None:
        check_columns(
            f"{name} as {preset.name}",
            table.columns,
            [theirs for ours, theirs in preset.columns.items() if ours not in columns],
        )
        optional = {ours: theirs for ours, theirs in preset.keep.items() if theirs in table.columns}
        columns = {**preset.columns, **optional, **columns}
    taken = set(columns.values())
    rest = {
        column: column for column in table.columns if column not in taken and column not in columns
    }
    return table.select(**{ours: table[theirs] for ours, theirs in {**columns, **rest}.items()})
