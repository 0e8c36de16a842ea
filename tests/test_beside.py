"""Tables taken along as CSV: exact, and harmless in a spreadsheet."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxlib as cx
from cxlib._csv import to_csv
from cxlib.show import TABLE_MIME

# what a cell may start with, after OWASP "CSV Injection", with the wide forms of the signs
FORMULAS = ["=1+1", "+1+cmd", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1", "－2+3x", "-", "=", "--1"]  # fmt: skip


def back(table: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(to_csv(table)), keep_default_na=False)


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_made_a_word_in_cells_and_headings(text: str) -> None:
    (head, cell) = back(pd.DataFrame({text: [text]})).pipe(lambda t: (t.columns[0], t.iloc[0, 0]))
    assert head.startswith("'")
    assert cell.startswith("'")
    assert cell[1:].replace("\r\n", "\n") == text.replace("\r\n", "\n")


@pytest.mark.parametrize("text", ["shoes", "a=b", "1-2", "'quoted'", "-12.5", "+3", "-1e-5", "כוס", "", "a,b", 'say "x"', "two\nlines"])  # fmt: skip
def test_other_words_and_numbers_in_words_stay_as_they_are(text: str) -> None:
    assert back(pd.DataFrame({"a": [text], "b": 1}, dtype=object))["a"].astype(str)[0] in (
        text,
        text.lstrip("+"),
        str(float(text)) if text[:1] in "+-" and text else text,
    )


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_numbers_are_exact(values: list[float]) -> None:
    table = pd.DataFrame({"lift": values})
    read = pd.read_csv(io.StringIO(to_csv(table)), dtype=str)
    assert [float(text) for text in read["lift"]] == values


def test_dates_nulls_flags_and_indexes() -> None:
    table = pd.DataFrame(
        {
            "day": pd.to_datetime(["2024-01-31", None]),
            "at": pd.to_datetime(["2024-01-31 10:30", "2024-02-01 00:00"]),
            "n": pd.array([3, None], "Int64"),
            "yes": [True, False],
        },
        index=pd.Index(["a", "b"], name="country"),
    )
    assert to_csv(table).splitlines() == [
        "country,day,at,n,yes",
        "a,2024-01-31,2024-01-31T10:30:00,3,True",
        "b,,2024-02-01,,False",
    ]


def test_only_named_tables_of_published_runs_are_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame(
        {"country": ["DE", "GB", "IL"], "n": [40, 12, 30], "rate": [1 / 3, 0.1, 0.2]}
    )
    assert TABLE_MIME not in cx.show(table, name="countries")._repr_mimebundle_()
    monkeypatch.setenv("CX_MIN_GROUP", "20")
    carried = cx.show(table, rows=1, name="countries")._repr_mimebundle_()[TABLE_MIME]
    assert carried["rows"] == 3, "all rows, though one is shown"
    assert carried["csv"].splitlines()[1:] == ["DE,40,0.3333333333333333", "GB,,", "IL,,"]
    assert TABLE_MIME not in cx.show(table)._repr_mimebundle_()


@pytest.mark.parametrize("name", ["", "../x", "A B", "x.csv", "é", "a" * 61, "/etc"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(cx.ParameterError, match="becomes a file's name"):
        cx.show(pd.DataFrame({"n": [1]}), name=name)
