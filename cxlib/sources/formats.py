"""Export formats: one TOML file each says its column names in ours, and what its rows mean."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal

import ibis.expr.types as ir
from pydantic import BaseModel, ConfigDict, ValidationError

from cxlib._checks import ColumnError, ParameterError, listed, suggest


class Rules(BaseModel):
    """What the rows of an export format mean, where formats differ; see ``presets/``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    timestamps: Literal["local", "utc", "offset"] = "local"
    date_format: str | None = None
    decimal: Literal[".", ","] = "."
    customer_is_email: bool = False
    unpaid: list[str] = []
    test_tags: list[str] = []
    test_payments: list[str] = []
    cancellation_prefix: str | None = None
    adjustment_prefix: str | None = None
    non_products: list[str] = []


class Preset(BaseModel):
    """One export format: its column names in ours, and the rules its rows need."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str
    title: str = ""
    table: Literal["orders", "events", "exposures", "responses"] = "orders"
    columns: dict[str, str]
    keep: dict[str, str] = {}
    rules: Rules = Rules()


def presets() -> list[str]:
    """Name the presets that `read` knows.

    Returns
    -------
    list of str
        Sorted names, each of an export format.

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


def load_preset(name: str) -> Preset:
    """Return the preset of that name, or of a TOML file of one's own."""
    own = Path(str(name))
    if own.suffix == ".toml" and own.is_file():
        text = own.read_text(encoding="utf-8")
    elif name in presets():
        text = (files("cxlib") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise ParameterError(
            f"preset={name!r} is not known; known are {listed(presets())}, or the path of a TOML file "
            f"of your own.{suggest(name, presets())}"
        )
    try:
        return Preset(name=own.stem, **tomllib.loads(text))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ParameterError(f"preset={name!r} is not a preset: {listed(faults)}") from None
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise ParameterError(f"preset={name!r} is not a preset: {error}") from None


def rename(
    table: ir.Table, name: str, preset: Preset | None, columns: Mapping[str, str]
) -> ir.Table:
    """Return ``table`` with our names for its columns: those of ``columns``, then of the preset.

    Raises
    ------
    ColumnError
        A named column is not there.
    """
    have = table.columns
    for ours, theirs in columns.items():
        if theirs not in have:
            raise ColumnError(
                f"{name}: columns={{{ours!r}: {theirs!r}}} names a column that is not there; "
                f"it has {listed(have, 30)}.{suggest(theirs, have)}"
            )
    if preset is not None:
        needed = {ours: theirs for ours, theirs in preset.columns.items() if ours not in columns}
        _check_preset(name, preset, needed, have)
        optional = {ours: theirs for ours, theirs in preset.keep.items() if theirs in have}
        columns = {**needed, **optional, **columns}
    # engines do not tell Country from country: where both would stand, ours does
    taken = {*columns.values()}
    named = {ours.lower() for ours in columns}
    rest = {
        column: column for column in have if column not in taken and column.lower() not in named
    }
    return table.select(**{ours: table[theirs] for ours, theirs in {**columns, **rest}.items()})


def _check_preset(
    name: str, preset: Preset, needed: Mapping[str, str], have: tuple[str, ...]
) -> None:
    missing = {ours: theirs for ours, theirs in needed.items() if theirs not in have}
    if missing:
        named = listed(f"{theirs!r} (our {ours})" for ours, theirs in missing.items())
        ours, theirs = next(iter(missing.items()))
        raise ColumnError(
            f"{name} as {preset.name}: no column {named}; it has {listed(have, 30)}."
            f"{suggest(theirs, have)} Give columns={{{ours!r}: 'your name'}} in cx.read."
        )
