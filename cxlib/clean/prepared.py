"""What a run has cleaned once, for its reports to use instead of cleaning the same export again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from cxlib.clean.losses import ACCOUNT, Cleaned, check_budget
from cxlib.sources import Raw
from cxlib.tables import Contract, check_types

FOLDER = "CX_CLEANED"
"""The environment variable by which a run tells its reports where to look."""


def recalled(
    raw: Raw, contract: Contract, given: Mapping[str, Any], max_loss: float
) -> Cleaned | None:
    """Return what was cleaned from the same source in the same way, if a run has kept it.

    Parameters
    ----------
    raw : Raw
        The source; only what was read from an address, and is as it was read, can be found again.
    contract : Contract
        Of the table that is asked for.
    given : dict
        Every argument of the cleaning that changes its outcome.
    max_loss : float
        What may be lost; checked anew, for what was kept was kept whatever was lost.
    """
    folder = os.environ.get(FOLDER)
    if not folder or not raw.is_as_read():
        return None
    base = Path(folder) / _name(raw, contract, given)
    try:
        account = json.loads(base.with_suffix(".json").read_text(encoding="utf-8"))
        lost, notes = (pd.read_parquet(base.with_suffix(one)) for one in (".losses", ".notes"))
        table = ibis.read_parquet(base.with_suffix(".parquet"))
    except (OSError, ValueError):
        return None
    check_budget(lost, contract, account["raw_rows"], account["kept_rows"], max_loss)
    dropped = base.with_suffix(".dropped")
    return Cleaned(
        check_types(table, contract),
        lost,
        **account,
        contract=contract,
        notes=notes,
        dropped=ibis.read_parquet(dropped) if dropped.exists() else None,
    )


def remember(folder: Path, cleaned: Cleaned, raw: Raw, given: Mapping[str, Any]) -> None:
    """Keep a cleaned table and its account; what `recalled` will look for comes last.

    Only what DuckDB holds: the rows of a warehouse stay there.
    """
    contract = cleaned.contract
    if contract is None or not raw.is_as_read() or raw.table.get_backend().name != "duckdb":
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    base = folder / _name(raw, contract, given)
    cleaned.table.to_parquet(base.with_suffix(".parquet"))
    cleaned.losses.to_parquet(base.with_suffix(".losses"))
    cleaned.notes.to_parquet(base.with_suffix(".notes"))
    if cleaned.dropped is not None:
        cleaned.dropped.to_parquet(base.with_suffix(".dropped"))
    account = {name: getattr(cleaned, name) for name in (*ACCOUNT, "origin")}
    base.with_suffix(".json").write_text(json.dumps(account), encoding="utf-8")


def _name(raw: Raw, contract: Contract, given: Mapping[str, Any]) -> str:
    known = [contract.name, raw.read_as, sorted(given.items())]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
