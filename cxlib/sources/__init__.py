"""A path, an address or a frame becomes an ibis table; the only place that reads data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir

from cxlib._checks import ColumnError, ParameterError, listed
from cxlib.sources.formats import Preset, Rules, load_preset, presets, rename
from cxlib.sources.opening import Source, open_source, reading
from cxlib.tables import Contract, check_rows, check_types, with_typed_nulls

__all__ = [
    "Preset",
    "Raw",
    "Rules",
    "Source",
    "as_table",
    "is_cleaned",
    "load",
    "load_preset",
    "presets",
    "read",
    "reading",
]


@dataclass(frozen=True, eq=False)
class Raw:
    """A source as read, its columns under our names and nothing else changed.

    Attributes
    ----------
    table : ibis table
        The raw rows, lazily.
    name : str
        What messages call the source; never holds a secret.
    preset : Preset or None
        The export format whose rules cleaning follows.
    """

    table: ir.Table
    name: str
    preset: Preset | None = None

    def __repr__(self) -> str:
        return f"Raw({self.name!r}, columns: {listed(self.table.columns)})"


def read(
    source: Source, preset: str | None = None, columns: Mapping[str, str] | None = None
) -> Raw:
    """Read an export and give its columns our names.

    Parameters
    ----------
    source : path, address or frame
        ``"x.csv"``, ``"x.csv.gz"``, ``"x.parquet"`` (or ``"folder/*.parquet"``),
        ``"duckdb://f.db::orders"`` (or ``::schema.orders``; the file is held open, read-only), or
        an ibis, pandas, polars or pyarrow table. ``${NAME}`` in an address is taken from the
        environment, and no message shows its value.
    preset : str, optional
        Name of a known export format (see `presets`), or the path of a TOML file of one's own.
    columns : dict, optional
        Our name to the source's: ``{"order_id": "Name"}``. Wins over the preset.

    Returns
    -------
    Raw
        Same rows and grain as the source; columns that neither the preset nor ``columns``
        names keep their own names (one that differs from ours only in case gives way). CSV
        columns are all text: cleaning gives them types, so that no id loses its leading zeros.

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
    if not isinstance(columns or {}, Mapping):
        raise ParameterError(f"columns={columns!r} is not a dict of our names to the source's")
    table, name = open_source(source)
    known = load_preset(preset) if preset is not None else None
    table = with_typed_nulls(rename(table, name, known, dict(columns or {})))
    if known is None and isinstance(source, Raw):
        known = source.preset
    return Raw(table, name, known)


def as_table(data: Source) -> ir.Table:
    """Return any source, or anything with an ibis table as its ``.table``, as an ibis table."""
    return open_source(data)[0]


def load(data: Source, contract: Contract, *, rows: bool = True) -> ir.Table:
    """Return ``data`` as an ibis table that keeps the contract: the door of every analysis.

    What cleaning has made for this contract (`Cleaned`) is trusted; anything else is checked
    in its engine, the columns always, the rows unless the caller counts what is wrong in them.
    """
    table, name = open_source(data)
    missing = [name for name in contract.required if name not in table.columns]
    if missing and isinstance(data, Raw):
        raise ColumnError(
            f"{contract.name}: {data!r} is as cx.read gave it, without {listed(map(repr, missing))}; "
            f"clean it first: cx.clean_{contract.name}(cx.read(...))"
        )
    table = check_types(table, contract)
    if rows and not is_cleaned(data, contract):
        with reading(name):
            check_rows(table, contract)
    return table


def is_cleaned(data: Source, contract: Contract) -> bool:
    """Say whether cleaning has made ``data`` for this contract."""
    return getattr(data, "contract", None) is contract
