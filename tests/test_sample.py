"""The committed sample is what the seed makes, and cleaning loses exactly what was planted."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cxlib as cx

COMMITTED = Path(__file__).parents[1] / "data" / "sample"
CLEAN = {
    "orders": ("orders.csv", cx.clean_orders, "shopify"),
    "events": ("events.parquet", cx.clean_events, None),
    "exposures": ("exposures.csv", cx.clean_exposures, None),
    "responses": ("responses.csv", cx.clean_responses, None),
}
RESERVED = r"@(?:example\.(?:com|org|net)|[a-z]+\.example)$"  # RFC 2606


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample") / "made"


@pytest.fixture(scope="module")
def made(folder: Path) -> cx.simulate.Sample:
    return cx.simulate.sample(folder)


@pytest.fixture(scope="module")
def cleaned() -> dict[str, cx.Cleaned]:
    return {
        name: clean(cx.read(COMMITTED / file, preset=preset), timezone="Europe/London")
        for name, (file, clean, preset) in CLEAN.items()
    }


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """The orders export as text, each row once."""
    frame = pd.read_csv(COMMITTED / "orders.csv", dtype=str, keep_default_na=False)
    return frame.drop_duplicates(ignore_index=True)


@pytest.fixture(scope="module")
def heads(rows: pd.DataFrame) -> pd.DataFrame:
    """The first row of each order."""
    return rows[rows["Total"] != ""]


# --- the files -----------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["orders.csv", "exposures.csv", "responses.csv", "README.md"])
def test_the_seed_makes_the_committed_bytes(
    made: cx.simulate.Sample, folder: Path, file: str
) -> None:
    assert (folder / file).read_bytes() == (COMMITTED / file).read_bytes()


def test_the_seed_makes_the_committed_events(made: cx.simulate.Sample, folder: Path) -> None:
    again, committed = (pd.read_parquet(place / "events.parquet") for place in (folder, COMMITTED))
    pd.testing.assert_frame_equal(again, committed)


def test_the_sample_holds_five_files_of_five_megabytes_at_most() -> None:
    sizes = {path.name: path.stat().st_size for path in COMMITTED.iterdir()}
    assert sorted(sizes) == sorted([*(file for file, *_ in CLEAN.values()), "README.md"])
    assert sum(sizes.values()) <= 5_000_000


@pytest.mark.parametrize("file", ["orders.csv", "exposures.csv", "responses.csv", "README.md"])
def test_text_is_utf8_with_plain_line_ends(file: str) -> None:
    content = (COMMITTED / file).read_bytes()
    assert b"\r" not in content
    assert not content.startswith(b"\xef\xbb\xbf")
    content.decode("utf-8")


def test_the_command_makes_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cxlib.simulate", str(tmp_path / "new")])
    runpy.run_module("cxlib.simulate", run_name="__main__")
    assert "refunded_in_full" in capsys.readouterr().out
    assert len(list((tmp_path / "new").iterdir())) == 5
    monkeypatch.setattr(sys, "argv", ["cxlib.simulate"])
    with pytest.raises(SystemExit, match="usage"):
        runpy.run_module("cxlib.simulate", run_name="__main__")


def test_a_seed_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(cx.ParameterError, match="seed=-1 is not a whole number from 0"):
        cx.simulate.sample(tmp_path, seed=-1)


# --- the account ---------------------------------------------------------------------------


def test_the_readme_lists_what_was_planted(made: cx.simulate.Sample) -> None:
    text = (COMMITTED / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\S+)` \| (.+?) \| (\S+) \| ([\d,]+) \| (\S*) ?\|$", text, re.M)
    listed = [
        (file, fault, rule.strip("`"), int(rows.replace(",", "")), money.replace(",", ""))
        for file, fault, rule, rows, money in table
    ]
    planted = [
        (row.file, row.fault, row.rule or "kept", row.rows,
         "" if np.isnan(row.revenue) else f"{row.revenue:.2f}")
        for row in made.faults.itertuples()
    ]  # fmt: skip
    assert listed == planted
    assert f"seed {2025}" in text


@pytest.mark.parametrize("name", list(CLEAN))
def test_losses_are_the_planted_faults_rule_by_rule(
    made: cx.simulate.Sample, cleaned: dict[str, cx.Cleaned], name: str
) -> None:
    planted = made.faults[(made.faults["file"] == CLEAN[name][0]) & (made.faults["rule"] != "")]
    found = cleaned[name].losses.set_index("rule")
    assert found["rows"].to_dict() == planted.groupby("rule")["rows"].sum().to_dict()
    if name == "orders":
        assert found["revenue"].to_dict() == pytest.approx(
            planted.groupby("rule")["revenue"].sum().to_dict(), abs=1e-6
        )


@pytest.mark.parametrize("name", list(CLEAN))
def test_cleaning_gives_back_the_truth(
    made: cx.simulate.Sample, cleaned: dict[str, cx.Cleaned], name: str
) -> None:
    truth = getattr(made, name)
    columns = list(truth.columns)
    found = cleaned[name].table.execute()[columns]
    pd.testing.assert_frame_equal(
        found.sort_values(columns, ignore_index=True),
        truth.sort_values(columns, ignore_index=True),
        check_dtype=False,
    )


def test_raw_is_kept_and_lost_and_the_loss_is_bearable(cleaned: dict[str, cx.Cleaned]) -> None:
    for result in cleaned.values():
        assert result.raw_rows == result.kept_rows + result.losses["rows"].sum()
        assert result.losses["rows_share"].sum() < 0.3
    orders = cleaned["orders"]
    total = orders.kept_revenue + orders.losses["revenue"].sum()
    assert orders.raw_revenue == pytest.approx(total)


# --- what is planted in orders.csv, counted by hand ----------------------------------------


def _planted(made: cx.simulate.Sample, fault: str) -> int:
    return int(made.faults.set_index("fault")["rows"].loc[fault])


def _rows_of(rows: pd.DataFrame, names: pd.Series) -> int:
    return int(rows["Name"].isin(names).sum())


def test_repaired_faults_stand_in_the_file_as_often_as_listed(
    made: cx.simulate.Sample, rows: pd.DataFrame, heads: pd.DataFrame
) -> None:
    email = rows["Email"]
    odd = (email != email.str.strip()) | (email != email.str.lower())
    counted = {
        "e-mail in capitals or padded with spaces": odd.sum(),
        "e-mail with an invisible direction mark": email.str.contains("\u200f").sum(),
        "tag that only looks like a test (contest)": _rows_of(
            rows, heads.loc[heads["Tags"].str.contains("contest"), "Name"]
        ),
        "refunded in part": _rows_of(
            rows, heads.loc[heads["Financial Status"] == "partially_refunded", "Name"]
        ),
        "further line of the same order": (rows["Total"] == "").sum(),
        "zip with a spreadsheet's apostrophe": rows["Shipping Zip"].str.startswith("'").sum(),
        "note with a line break": rows["Notes"].str.contains("\n").sum(),
    }
    assert counted == {fault: _planted(made, fault) for fault in counted}


def test_the_readme_tells_refunded_orders_from_their_rows(
    heads: pd.DataFrame, cleaned: dict[str, cx.Cleaned]
) -> None:
    text = (COMMITTED / "README.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"refunded in part are of (\d+) orders", text)
    notes = cleaned["orders"].notes.set_index("note")["rows"]
    in_part = (heads["Financial Status"] == "partially_refunded").sum()
    assert int(said) == in_part == notes["refund_netted"]


def test_wrong_conversions_would_move_the_day_as_often_as_listed(
    made: cx.simulate.Sample, rows: pd.DataFrame
) -> None:
    kept = rows.merge(made.orders, left_on="Name", right_on="order_id")
    as_written = pd.to_datetime(kept["Created at"].str[:19])
    in_utc = as_written - pd.to_timedelta(kept["Created at"].str[-4:-2].astype(int), "h")
    clock = kept["ordered_at"]
    assert (
        in_utc.dt.tz_localize("UTC").dt.tz_convert("Europe/London").dt.tz_localize(None) == clock
    ).all()
    moved = as_written.dt.date != clock.dt.date
    assert moved.sum() == _planted(made, "summer order stamped +0000, on the shop's next day")
    hour_only = (as_written != clock) & ~moved
    assert hour_only.sum() == _planted(made, "summer order stamped +0000, on the same day")
    to_utc = (in_utc.dt.date != clock.dt.date) & ~moved
    first_hour = "summer order in the first hour of the shop's day, stamped +0100"
    assert to_utc.sum() == _planted(made, first_hour)


def test_order_totals_reconcile_with_their_lines(rows: pd.DataFrame, heads: pd.DataFrame) -> None:
    money = ["Subtotal", "Shipping", "Total", "Discount Amount", "Refunded Amount", "Taxes"]
    pence = (heads.set_index("Name")[money].astype(float) * 100).round()
    line = rows["Lineitem quantity"].astype(int) * (rows["Lineitem price"].astype(float) * 100)
    lines = line.round().groupby(rows["Name"]).sum()
    assert (lines.reindex(pence.index) - pence["Discount Amount"] == pence["Subtotal"]).all()
    assert (pence["Subtotal"] + pence["Shipping"] == pence["Total"]).all()
    assert (pence["Refunded Amount"] <= pence["Total"]).all()
    assert ((pence["Taxes"] - pence["Total"] / 6).abs() <= 0.5).all()
    assert not rows.duplicated(["Name", "Lineitem sku"]).any()


def test_the_export_has_shopifys_columns_and_nobodys_address(
    rows: pd.DataFrame, heads: pd.DataFrame
) -> None:
    # First, last and number of columns as public documentation of the export lists them.
    assert (len(rows.columns), rows.columns[0], rows.columns[-1]) == (73, "Name", "Duties")
    emails = rows.loc[rows["Email"] != "", "Email"].str.strip("\u200f ").str.lower()
    assert emails.str.contains(RESERVED).all()
    personal = [name for name in rows if re.search(r"Street|Address|Phone|Company", name)]
    assert len(personal) == 11
    assert (rows[personal] == "").all().all()
    assert {"GB", "DE", "FR", "IL", "IR", "EG", "RU", "US"} == set(heads["Shipping Country"])


@pytest.mark.parametrize(
    ("script", "letters"),
    [("Hebrew", "[א-ת]"), ("Arabic", "[يةك]"), ("Persian", "[یپک]"), ("Cyrillic", "[а-я]")],
)
def test_every_script_stands_in_names_products_and_notes(
    rows: pd.DataFrame, script: str, letters: str
) -> None:
    for column in ("Shipping Name", "Lineitem name", "Notes"):
        assert rows[column].str.contains(letters).any(), (script, column)


# --- the truth behind it -------------------------------------------------------------------


def _outcomes(made: cx.simulate.Sample) -> pd.DataFrame:
    first = made.exposures.sort_values("exposed_at").drop_duplicates("user_id")
    orders = made.orders.merge(first, left_on="customer_id", right_on="user_id")
    wait = orders["ordered_at"] - orders["exposed_at"]
    inside = orders[wait.between(pd.Timedelta(0), pd.Timedelta(days=14))]
    revenue = first["user_id"].map(inside.groupby("user_id")["net_revenue"].sum())
    return first.assign(revenue=revenue.fillna(0.0), converted=revenue.notna())


def test_the_experiment_shows_its_true_effect(made: cx.simulate.Sample) -> None:
    # Truth as planted: 5.7 points of conversion and 2.88 pounds a user, as the README says.
    text = (COMMITTED / "README.md").read_text(encoding="utf-8")
    assert "5.7 percentage points" in text
    assert "2.88 pounds a user" in text
    groups = _outcomes(made).groupby("variant")
    for column, truth in (("converted", 0.057), ("revenue", 2.88)):
        mean, error = groups[column].mean(), groups[column].sem()
        difference, spread = mean["treatment"] - mean["control"], np.hypot(*error)
        assert abs(difference - truth) < 1.96 * spread
        assert difference > 1.96 * spread
    assert stats.binomtest(int(groups.size()["control"]), 2_400).pvalue > 0.01


def test_some_users_saw_both_variants_and_many_more_than_one_exposure(
    made: cx.simulate.Sample,
) -> None:
    by = made.exposures.groupby("user_id")["variant"]
    both = "user shown the other variant two hours later"
    assert (by.nunique() == 2).sum() == _planted(made, both)
    again = len(made.exposures) - by.ngroups - _planted(made, both)
    assert again == _planted(made, "exposure of a user seen before")
    assert made.exposures["user_id"].isin(made.orders["customer_id"]).all()


def test_the_funnel_reaches_as_deep_as_the_readme_says(made: cx.simulate.Sample) -> None:
    text = (COMMITTED / "README.md").read_text(encoding="utf-8")
    told = [float(share) / 100 for share in re.findall(r"([\d.]+)%", text.split("so that ")[1])[:3]]
    log = made.events.sort_values("occurred_at", kind="stable")
    started = log[log["event"] == "view"].drop_duplicates("session_id").set_index("session_id")
    inside = log[log["occurred_at"] >= log["session_id"].map(started["occurred_at"])]
    for step, share in zip(("cart", "checkout", "purchase"), told, strict=True):
        users = inside.loc[inside["event"] == step, "user_id"].nunique()
        error = np.sqrt(share * (1 - share) / 20_000)
        assert abs(users / 20_000 - share) < 4 * error + 0.0005  # the README rounds to 0.1 %


def test_answers_score_as_the_readme_says(made: cx.simulate.Sample) -> None:
    score = {kind: group["score"] for kind, group in made.responses.groupby("kind")}
    nps = (score["nps"] >= 9).mean() - (score["nps"] <= 6).mean()
    assert abs(nps - 0.30) < 4 * np.sqrt((0.7 - 0.3**2) / len(score["nps"]))
    satisfied = (score["csat"] >= 4).mean()
    assert abs(satisfied - 0.80) < 4 * np.sqrt(0.8 * 0.2 / len(score["csat"]))
    assert abs(score["ces"].mean() - 5.2) < 4 * np.sqrt(6 * 0.7 * 0.3 / len(score["ces"]))
