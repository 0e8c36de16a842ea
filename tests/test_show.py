"""Tables as people read them; each expected text is what the style in the docstring says."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup

import cxlib as cx
from cxlib.show import told


def shown(**columns: list) -> list[list[str]]:
    table = pd.DataFrame(columns)
    before = table.copy(deep=True)
    html = pd.DataFrame(cx.show(table)._table)
    pd.testing.assert_frame_equal(table, before)
    return html.values.T.tolist()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("retention_rate", 0.1234, "12.3%"),
        ("rows_share", 1.0, "100.0%"),
        ("lift", -0.0512, "-5.1%"),
        ("naive_total_error", 0.5257, "+52.6%"),
        ("net_revenue", 1234567.891, "1,234,567.89"),
        ("p_value", 0.00004, "<0.001"),
        ("p_adjusted", 0.04321, "0.043"),
        ("p_alive", 0.5, "50.0%"),
        ("p_alive_low", 0.5, "50.0%"),
        ("expected_alive", 1901.775, "1,902"),
        ("n", 12345, "12,345"),
        ("alpha", 0.0123456, "0.0123"),
        ("median_seconds", 98765.4321, "98,765"),
        ("zero", 0.0, "0"),
        ("usual_rows", 13.0, "13"),
        ("hours", 0.6550, "0.655"),
        ("revenue", -0.0, "0.00"),
        ("rate_difference", -0.0159, "-1.6\u00a0points"),
        ("is_complete", True, "yes"),
        ("cohort", pd.Timestamp("2024-02-01"), "2024-02-01"),
        ("ordered_at", pd.Timestamp("2024-02-01 10:30"), "2024-02-01 10:30"),
        ("event", "view", "view"),
    ],
)
def test_a_value_reads_by_the_name_of_its_column(name: str, value: object, text: str) -> None:
    assert shown(**{name: [value]}) == [[text]]


def test_bounds_follow_what_they_bound_in_one_column() -> None:
    table = pd.DataFrame({"rate": [0.5], "ci_low": [0.4], "ci_high": [0.6]})
    assert cx.show(table)._table["95% interval"].tolist() == ["40.0%\u00a0to\u00a060.0%"]
    table = pd.DataFrame(
        {"rate": [0.5], "rate_difference": [0.01], "ci_low": [-0.04], "ci_high": [0.06]}
    )
    assert cx.show(table)._table.iloc[0].tolist() == [
        "50.0%", "+1.0\u00a0points", "-4.0\u00a0to\u00a0+6.0\u00a0points"
    ]  # fmt: skip
    table = pd.DataFrame({"difference": [5.0], "ci_low": [0.4], "ci_high": [9.0]})
    assert cx.show(table)._table["95% interval"].tolist() == ["0.400\u00a0to\u00a09.00"]
    table = pd.DataFrame(
        {"lift": [0.1], "lift_low": [-0.1], "lift_high": [0.3], "step_ci_low": 1.0}
    )
    assert list(cx.show(table)._table) == ["lift", "lift 95% interval", "step ci low"]
    assert list(cx.show(table.assign(step_ci_high=2.0))._table)[2:] == ["step 95% interval"]
    table = pd.DataFrame({"rate": [0.5, None], "ci_low": [0.4, None], "ci_high": [0.6, None]})
    assert cx.show(table)._table["95% interval"].tolist()[1] == "–"


def test_a_result_tells_its_verdict_before_its_tables() -> None:
    table = pd.DataFrame({"rate": [0.5], "ci_low": [0.4], "ci_high": [0.6]})
    page = told("No <b>difference</b>.", table, beside="as of 2024 & later")
    assert page.startswith(
        "<p><strong>No &lt;b&gt;difference&lt;/b&gt;.</strong><br>as of 2024 &amp; later</p><table"
    )
    assert "95% interval" in page
    assert set(re.findall('style="(.+?)"', page)) == {"text-align: right;"}, "the theme's colours"


def test_words_stand_at_the_start_of_their_column() -> None:
    table = pd.DataFrame(
        {"event_name": ["view\n<td>", "cart"], "n": [1, 2], "ci_low": 0.1, "ci_high": 0.2}
    )
    soup = BeautifulSoup(cx.show(table)._repr_html_(), "html.parser")
    for row in soup.find_all("tr"):
        cells = [cell.get("style") for cell in row.find_all(["td", "th"])]
        assert cells == ["text-align: start;", None, None]


def test_what_is_not_known_is_a_dash() -> None:
    assert shown(rate=[None, 0.5], cohort=[pd.NaT, pd.Timestamp("2024-01-01")]) == [
        ["–", "50.0%"],
        ["–", "2024-01-01"],
    ]
    assert shown(n_active=pd.array([None, 3], "Int64")) == [["–", "3"]]


def test_rows_from_either_end_and_headings_in_words() -> None:
    table = pd.DataFrame({"n_active": [1, 2, 3], "alpha": [0.1, 0.2, 0.3]})
    assert cx.show(table, rows=1)._table["n active"].tolist() == ["1"]
    assert cx.show(table, rows=-1)._table["alpha"].tolist() == ["0.300"]
    assert "<th>n active</th>" in cx.show(table)._repr_html_()


def test_text_from_data_cannot_become_markup() -> None:
    assert (
        "<script>"
        not in cx.show(pd.DataFrame({"event": ["<script>alert(1)</script>"]}))._repr_html_()
    )


def test_a_time_span_is_written_in_the_unit_that_suits_it() -> None:
    spans = pd.to_timedelta([0.5, 60, 376, 3600, 604_800], unit="s")
    table = pd.DataFrame({"within": spans, "n": 20})
    lines = repr(cx.show(table)).splitlines()[1:]
    assert [" ".join(line.split()[:-1]) for line in lines] == [
        "0.5 seconds", "1 minute", "6.27 minutes", "1 hour", "7 days"
    ]  # fmt: skip
    unknown = table.assign(within=[*spans[:4], pd.NaT])
    assert repr(cx.show(unknown)).splitlines()[-1].split() == ["–", "20"]
