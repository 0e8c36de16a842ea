"""A path, an address or a frame becomes an ibis table; the only place that reads data."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import ibis.expr.types as ir

from cxlib._checks import ColumnError, ParameterError, listed
from cxlib.sources.engine import Opened, give_back, set_engine
from cxlib.sources.files import SOURCE_FILE
from cxlib.sources.formats import Preset, Rules, load_preset, new_preset, preset_text, presets
from cxlib.sources.joining import held
from cxlib.sources.messages import reading
from cxlib.sources.naming import named, tidied
from cxlib.sources.opening import Source, open_source
from cxlib.sources.recognise import check_needed, guessed, recognised
from cxlib.sources.written import Way, fetched, joined, kept
from cxlib.tables import Contract, check_rows, check_types, keeps, with_typed_nulls

__all__ = [
    "SOURCE_FILE",
    "Loaded",
    "Preset",
    "Raw",
    "Rules",
    "Source",
    "as_table",
    "check_needed",
    "fetched",
    "guessed",
    "held",
    "is_cleaned",
    "joined",
    "load",
    "load_columns",
    "load_preset",
    "new_preset",
    "preset_text",
    "presets",
    "read",
    "reading",
    "set_engine",
]

LOG = logging.getLogger("cxlib")


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
    origin : str
        Which export it was taken for, and why; empty where it is none that is known.
    taken : dict
        Our name to the source's, for each column that was renamed.
    notes : tuple of str
        What else a reader should know: an encoding, headers that were mended, rows left out.
    read_as : tuple or None
        The address and all that `read` was given with it; None where it was no address.
    whole : tuple or None
        The table and the preset as `read` gave them.
    """

    table: ir.Table
    name: str
    preset: Preset | None = None
    origin: str = ""
    taken: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    read_as: tuple[Any, ...] | None = None
    whole: tuple[ir.Table, Preset | None] | None = field(default=None, repr=False)

    def is_as_read(self) -> bool:
        """Say whether this is what `read` made of an address: no row filtered, no rule changed."""
        if self.read_as is None or self.whole is None:
            return False
        table, preset = self.whole
        return self.table.equals(table) and self.preset == preset

    def __repr__(self) -> str:
        origin = f"{self.origin}; " if self.origin else ""
        return f"Raw({self.name!r}, {origin}columns: {listed(self.table.columns)})"

    def _repr_html_(self) -> str:
        said = [self.origin] if self.origin else ["no known export: columns keep their names"]
        facts = "".join(f"<li>{escape(one)}</li>" for one in (*said, *self.notes))
        names = listed(self.table.columns, 30)
        return f"<p><b>{escape(self.name)}</b></p><ul>{facts}<li>columns: {escape(names)}</li></ul>"


def read(
    source: Source,
    preset: str | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    encoding: str | None = None,
) -> Raw:
    """Read an export and give its columns our names.

    Parameters
    ----------
    source : path, address or frame
        ``"x.csv"``, ``"x.csv.gz"``, ``"x.jsonl"``, ``"x.parquet"`` (or ``"folder/*.parquet"``),
        ``"duckdb://f.db::orders"`` (or ``::schema.orders``; the file is held open, read-only), or
        an ibis, pandas, polars or pyarrow table. ``${NAME}`` in an address is taken from the
        environment, and no message shows its value.
    preset : str, optional
        Name of a known export format (see `presets`), or the path of a TOML file of one's own.
        Without it, and without ``columns``, the export is recognised by its columns; what was
        taken, and why, stands in ``Raw.origin`` and in the log ``cxlib``.
    columns : dict, optional
        Our name to the source's: ``{"order_id": "Name"}``. Wins over the preset. A name with a dot
        goes into a nested column: ``{"session_id": "event_params.ga_session_id"}``.
    encoding : str, optional
        Of a text file that is not UTF-8, such as ``"cp1252"``; the preset's word, or else UTF-8.
        A file in UTF-16 that says so in its first bytes is read without.

    Returns
    -------
    Raw
        Same rows and grain as the source, and for several files also ``source_file``; columns that neither the preset nor ``columns``
        names keep their own names (one that differs from ours only in case gives way), less
        outer blanks and unseen marks. CSV columns are all text: cleaning gives them types, so that
        no id loses its leading zeros.

    Raises
    ------
    DataError
        The source is missing, cannot be read, is in another encoding or cut short, is empty of
        columns, or has the columns of several known exports.
    ColumnError
        A column that ``columns`` or the preset names is not in the source, or is there twice.
    ParameterError
        The preset or the encoding is unknown.

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
    known = load_preset(preset) if preset is not None else None
    opened = tidied(
        open_source(
            source,
            encoding=encoding or (known.rules.encoding if known else None),
            layout=known.layout if known else None,
        )
    )
    origin = f"read as {known.name}" if known else ""
    is_read = isinstance(getattr(source, "table", None), ir.Table)
    if known is None and opened.preset is not None:
        known, origin = (
            load_preset(opened.preset),
            f"taken for {opened.preset}: its lines have that form",
        )
    elif known is None and not columns and not is_read and not isinstance(source, ir.Table):
        known, origin = _recognised(opened)
    found = named(opened, known, dict(columns or {}))
    if said := [one for one in (origin, *found.notes) if one]:
        LOG.info("%s: %s", opened.name, "; ".join(said))
    table = with_typed_nulls(found.table)
    if known is None and isinstance(source, Raw):
        whole = (table, source.preset) if source.is_as_read() else None
        return replace(source, table=table, name=opened.name, whole=whole)
    is_address = isinstance(source, (str, os.PathLike))
    read_as = (os.fspath(source), preset, dict(columns or {}), encoding) if is_address else None
    whole = (table, known)
    return Raw(table, opened.name, known, origin, found.taken, found.notes, read_as, whole)


def _recognised(opened: Opened) -> tuple[Preset | None, str]:
    """Return the preset that the columns tell, and why, in words."""
    found = recognised(opened.table, opened.name)
    if found is None:
        return None, ""
    preset, why = found
    return preset, f"taken for {preset.name}: {why}"


def as_table(data: Source) -> ir.Table:
    """Return any source, or anything with an ibis table as its ``.table``, as an ibis table."""
    return open_source(data).table


@dataclass(frozen=True, eq=False)
class Loaded:
    """A table whose columns keep the contract; its rows are still to be looked at.

    What cleaning has made for this contract (`Cleaned`) is trusted.
    """

    table: ir.Table
    contract: Contract
    name: str
    is_trusted: bool
    is_small: bool

    def check(self) -> ir.Table:
        """Return the table if its rows keep the contract."""
        if not self.is_trusted:
            with reading(self.name):
                check_rows(self.table, self.contract)
        return self.table

    def hold(self, way: Way, *how: Hashable) -> ir.Table:
        """Return ``way(table, *how)``, made once, and kept while it is used.

        One query looks at a small table and reduces it, side by side. Nothing comes of it if the
        table breaks the contract: who is left with nothing asks `check` why. A large table is
        looked at before, since both at once would take the memory of both.
        """
        with reading(self.name):
            if not self.is_trusted:
                if self.is_small:
                    return kept(_if_sound, self.table, self.contract, way, *how)
                if not keeps(self.table, self.contract).execute():
                    self.check()
            made = kept(way, self.table, *how)
            give_back(made)
            return made


def _if_sound(table: ir.Table, contract: Contract, way: Way, *how: Hashable) -> ir.Table:
    return way(table, *how).filter(keeps(table, contract).name("keeps").as_scalar())


def load(data: Source, contract: Contract, *, rows: bool = True) -> ir.Table:
    """Return ``data`` as an ibis table that keeps the contract: the door of every analysis.

    It is checked in its engine, the columns always, the rows unless the caller counts what is
    wrong in them.
    """
    loaded = load_columns(data, contract)
    return loaded.check() if rows else loaded.table


def load_columns(data: Source, contract: Contract) -> Loaded:
    """Return ``data`` as a table whose columns keep the contract, for who looks at rows later."""
    opened = open_source(data)
    table, name = opened.table, opened.name
    missing = [name for name in contract.required if name not in table.columns]
    if missing and isinstance(data, Raw):
        raise ColumnError(
            f"{contract.name}: {data!r} is as cx.read gave it, without {listed(map(repr, missing))}; "
            f"clean it first: cx.clean_{contract.name}(cx.read(...))"
        )
    table = check_types(table, contract)
    return Loaded(table, contract, name, is_cleaned(data, contract), opened.is_small)


def is_cleaned(data: Source, contract: Contract) -> bool:
    """Say whether cleaning has made ``data`` for this contract."""
    return getattr(data, "contract", None) is contract
