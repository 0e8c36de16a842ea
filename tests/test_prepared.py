"""What a run has cleaned once is what cleaning gives, and is found by whoever cleans the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_project import write_notebook, write_orders, write_plan

import cxlib as cx
from cxlib import clean
from cxlib.clean import prepared
from cxlib.report.check import prepare

SAMPLE = Path(__file__).parents[1] / "data" / "sample"
SOURCES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("orders", "orders.csv", {"preset": "shopify"}, {"timezone": "Europe/London"}),
    ("events", "events.parquet", {}, {"timezone": "Europe/London"}),
    ("exposures", "exposures.csv", {}, {"timezone": "UTC"}),
]


def rows(cleaned: cx.Cleaned) -> pd.DataFrame:
    frame = cleaned.table.execute()
    return frame.sort_values(list(frame.columns), ignore_index=True)


def ways(timezone: str) -> dict[str, Any]:
    """Return all that `clean_orders` is told where it is told a time zone alone."""
    told = {"timezone": timezone, "currency": None, "date_format": None, "naive": None}
    return told | {"decimal": None, "exclude": [], "skip_rules": []}


@pytest.mark.parametrize(("table", "file", "read", "ways"), SOURCES)
def test_it_is_what_cleaning_gives(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    file: str,
    read: dict[str, Any],
    ways: dict[str, Any],
) -> None:
    cleaner = getattr(cx, f"clean_{table}")
    source = str(SAMPLE / file)
    own = cleaner(cx.read(source, **read), **ways)
    write_notebook(
        tmp_path,
        "reads",
        'as_of: str = "2024-12-31"\nsource: str = ""\nn: int = 0',
        "# Reads",
        f"x = cx.clean_{table}(cx.read(source, {_words(read)}), {_words(ways)})",
    )
    plan = write_plan(
        tmp_path,
        f"defaults: {{source: {source}}}\nreports: [{{notebook: reads, for_each: {{n: [1, 2, 3]}}}}]",
    )
    kept = tmp_path / "kept"
    prepare(plan, keep=kept)
    assert len(list(kept.glob("*.parquet"))) == 1, "cleaned once for three reports"
    monkeypatch.setenv(prepared.FOLDER, str(kept))
    monkeypatch.setattr(clean.orders, "check_clock", None)
    monkeypatch.setattr(clean.others, "check_clock", None)
    found = cleaner(cx.read(source, **read), **ways)
    pd.testing.assert_frame_equal(rows(found), rows(own))
    pd.testing.assert_frame_equal(found.losses, own.losses)
    assert found.table.schema() == own.table.schema()
    for name in ("raw_rows", "kept_rows", "contract", "origin"):
        assert getattr(found, name) == getattr(own, name), name
    for name in ("raw_revenue", "kept_revenue"):  # sums of floats, added in any order
        assert getattr(found, name) == pytest.approx(getattr(own, name)), name
    with pytest.raises(TypeError):
        cleaner(cx.read(source, **read), **ways, naive="utc")
    with pytest.raises(TypeError):
        cleaner(pd.read_parquet(source) if file.endswith("t") else pd.read_csv(source), **ways)


def _words(given: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def test_how_much_may_be_lost_is_checked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "order_id,customer_id,ordered_at,net_revenue\n1,ann,2024-01-03,20\n2,,2024-01-05,35\n3,bob,2024-01-05,3\n"
    source = str(write_orders(tmp_path, text))
    raw = cx.read(source)
    prepared.remember(tmp_path, cx.clean_orders(raw, timezone="UTC", max_loss=1), raw, ways("UTC"))
    monkeypatch.setenv(prepared.FOLDER, str(tmp_path))
    monkeypatch.setattr(clean.orders, "check_clock", None)
    assert cx.clean_orders(cx.read(source), timezone="UTC", max_loss=1).kept_rows == 2
    with pytest.raises(cx.DataError, match="cleaning drops 33.3% of 3 rows"):
        cx.clean_orders(cx.read(source), timezone="UTC", max_loss=0.3)


def test_what_was_filtered_after_it_was_read_is_cleaned_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = cx.read(str(SAMPLE / "orders.csv"), preset="shopify")
    whole = cx.clean_orders(raw, timezone="Europe/London")
    prepared.remember(tmp_path, whole, raw, ways("Europe/London"))
    monkeypatch.setenv(prepared.FOLDER, str(tmp_path))
    german = replace(raw, table=raw.table.filter(raw.table["country"] == "DE"))
    own = cx.clean_orders(german, timezone="Europe/London")
    assert set(own.table["country"].execute()) == {"DE"}
    monkeypatch.setattr(clean.orders, "check_clock", None)
    again = cx.clean_orders(cx.read(raw), timezone="Europe/London")
    assert own.raw_rows < again.raw_rows == whole.raw_rows, "and what was not is found again"
