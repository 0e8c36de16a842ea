"""What published pages keep to themselves: ids, small groups, secrets."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import CHROMIUM
from hypothesis import given, settings
from hypothesis import strategies as st
from report_project import ORDERS, write_notebook, write_orders, write_plan

import cxlib as cx
from cxlib._checks import check_number
from cxlib._guard import AS_TEXT, guard
from cxlib._published import fit_to_show
from cxlib.cli import main
from cxlib.report import privacy, secrets
from cxlib.report.jobs import ReadyPlan

SECRET = "postgresql://report:s3cr%40t-&-pass@db.internal:5432/shop"


@pytest.fixture
def for_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CX_MIN_GROUP", "10")


def sizes(**columns: list) -> pd.DataFrame:
    return pd.DataFrame(columns)


# Small groups


def test_in_jupyterlab_nothing_is_hidden() -> None:
    table = sizes(country=["DE", "GB"], n=[40, 3], rate=[0.5, 0.3])
    assert fit_to_show(table).table is table
    assert "3" in repr(cx.show(table))


def test_numbers_of_small_groups_are_hidden_and_it_is_said(for_readers: None) -> None:
    table = sizes(country=list("abcd"), n=[40, 3, 30, 8], rate=[0.5, 0.3, 0.2, 0.1])
    shown = cx.show(table)
    assert shown._table["n"].tolist() == ["40", "*", "30", "*"]
    assert shown._table["rate"].tolist() == ["50.0%", "*", "20.0%", "*"]
    assert "2 of 4 rows, of fewer than 10 people" in shown._repr_html_()


def test_nobody_is_a_count_that_may_be_shown(for_readers: None) -> None:
    assert not fit_to_show(sizes(week=["a", "b"], n=[0, 12])).hidden.any(axis=None)


def test_one_small_group_takes_the_next_smallest_along(for_readers: None) -> None:
    # with a total of 75 known, 40 + 30 shown would tell that the third holds 5
    fit = fit_to_show(sizes(country=["a", "b", "c"], n=[40, 5, 30]))
    assert fit.table["n"].isna().tolist() == [False, True, True]


def test_a_cohort_is_hidden_along_all_its_ages(for_readers: None) -> None:
    table = sizes(
        cohort=pd.to_datetime(["2024-01-01"] * 2 + ["2024-02-01"] * 2 + ["2024-03-01"] * 2),
        age=[0, 1] * 3,
        n=[50, 50, 4, 4, 20, 20],
        n_active=[50, 20, 4, 1, 20, 12],
        net_revenue=[1.0] * 6,
    )
    fit = fit_to_show(table)
    assert fit.small.tolist() == [False, False, True, True, True, True]
    assert fit.table["age"].tolist() == [0, 1] * 3, "where a row stands is no secret"


def test_money_of_few_payers_is_hidden_though_the_group_is_large(for_readers: None) -> None:
    table = sizes(age=[0, 1], n=[100, 100], n_active=[100, 2], net_revenue=[900.0, 17.0])
    fit = fit_to_show(table)
    assert fit.table["net_revenue"].isna().tolist() == [False, True]
    assert fit.table["n_active"].tolist() == [100, 2]
    assert "the money in 1 row, paid" in fit.note


def test_a_funnel_does_not_tell_by_whom_it_lost_how_few_it_kept(for_readers: None) -> None:
    table = sizes(step=[1, 2, 3], event=list("abc"), n=[100, 20, 4], n_dropped=[80, 16, None])
    fit = fit_to_show(table)
    assert fit.table["n"].isna().tolist() == [False, False, True]
    assert fit.table["n_dropped"].isna().tolist() == [False, True, True], "20 - 16 is 4"


def test_bins_of_a_histogram_are_joined_until_none_is_small(for_readers: None) -> None:
    edges = list(range(6))
    table = sizes(
        metric="m", variant=["a"] * 6 + ["b"] * 6, low=edges * 2, high=[low + 1 for low in edges] * 2,
        n_units=[90, 20, 3, 15, 2, 12, 80, 30, 12, 9, 11, 0],
        share=[0.1] * 12,
    )  # fmt: skip
    fit = fit_to_show(table)
    assert fit.table.groupby("variant")["n_units"].sum().to_dict() == {"a": 142, "b": 142}
    assert ((fit.table["n_units"] == 0) | (fit.table["n_units"] >= 10)).all()
    assert fit.table.groupby("variant")["low"].min().tolist() == [0, 0]
    assert fit.table.groupby("variant")["high"].max().tolist() == [6, 6]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(2, 15))
@settings(max_examples=150, deadline=None)
def test_what_is_hidden_cannot_be_told_from_the_total(counts: list[int], least: int) -> None:
    """The rule itself, by brute force: hidden people are none, many enough, or all there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CX_MIN_GROUP", str(least))
        table = pd.DataFrame({"group": [f"g{at}" for at in range(len(counts))], "n": counts})
        fit = fit_to_show(table)
    hidden = [count for count, out in zip(counts, fit.table["n"].isna(), strict=True) if out]
    seen = [count for count, out in zip(counts, fit.table["n"].isna(), strict=True) if not out]
    assert all(count == 0 or count >= least for count in seen)
    assert sum(hidden) == 0 or sum(hidden) >= least or not any(seen)


def test_pictures_show_no_small_group_either(for_readers: None) -> None:
    table = sizes(
        step=[1, 2, 3], event=["view", "cart", "gift"], n=[100, 50, 7], rate=[1.0, 0.5, 0.07],
        ci_low=[1.0, 0.4, 0.03], ci_high=[1.0, 0.6, 0.14], step_rate=[1.0, 0.5, 0.14],
        step_ci_low=[1.0, 0.4, 0.05], step_ci_high=[1.0, 0.6, 0.3], n_dropped=[50, 43, None],
        median_seconds=[np.nan, 1.0, 1.0], n_open=0,
    )  # fmt: skip
    figure = cx.plot.funnel(table).figure
    words = " ".join(text.get_text() for text in figure.findobj(lambda it: hasattr(it, "get_text")))
    assert "view" in words
    assert "gift" not in words
    assert "gift" not in figure.alt
    assert "fewer than 10 people" in figure.reading
    nothing = cx.plot.funnel(table.assign(n=3)).figure
    assert "fewer than 10 people" in nothing.alt


def test_a_sentence_that_adds_hidden_rows_up_is_taken_back(for_readers: None) -> None:
    table = sizes(
        step=[1, 1, 1, 1], event=["view", "view", "buy", "buy"], n_visits=[200] * 4,
        next_event=["cart", "(ended)", "(ended)", "view"], n=[100, 68, 25, 7],
    )  # fmt: skip
    figure = cx.plot.flow(table).figure
    assert "end after their first event" not in figure.reading + figure.alt  # 34%, where it is 46%
    assert figure.reading.startswith(
        "The broadest way on is from view to cart, 50% of all visits. *"
    )
    assert "(ended) 34% to 50%" in [text.get_text() for text in figure.axes[0].texts]
    whole = cx.plot.flow(table.assign(n=10 * table["n"], n_visits=2000)).figure
    assert whole.reading.startswith("Of 2,000 visits 46% end after their first event. The")


def test_sums_and_sizes_of_pictures_hold_where_rows_are_hidden(for_readers: None) -> None:
    moves = sizes(
        from_segment=["new"] * 3, to_segment=["new", "lost", "loyal"], n=[60, 33, 7],
        share=[0.6, 0.33, 0.07],
    )  # fmt: skip
    figure = cx.plot.rfm_movement(moves).figure
    assert "customers stayed" not in figure.reading
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["new   100"]
    tenths = pd.DataFrame({"decile": range(1, 11), "n_customers": [10, 10, 9] + [10] * 7,
                           "ltv_share": [0.3, 0.2, 0.1, 0.1, 0.1, *[0.04] * 5]})  # fmt: skip
    figure = cx.plot.ltv(tenths).figure
    assert figure.reading.startswith("* Hidden")
    assert "three tenths" not in figure.alt
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.5]  # not past the hidden tenth


def test_a_headline_of_few_people_is_withheld(for_readers: None) -> None:
    card = cx.headline("bought", 0.123456, 0.1, 0.2, unit="share", n=7)
    assert (card.value, card.withheld) == (None, "fewer than 10 people")
    assert "123456" not in repr(card._repr_mimebundle_())
    assert cx.headline("bought", 0.5, unit="share", n=10).value == 0.5


# Ids


@pytest.mark.parametrize(
    "name",
    ["customer_id", "user_id", "order_id", "Customer ID", "email", "E-mail", "id", "session_id"],
)
def test_rows_of_single_persons_are_not_shown(for_readers: None, name: str) -> None:
    for frame in (
        pd.DataFrame({name: ["C-17"], "n": [90]}),
        pd.DataFrame({"n": [90]}, index=pd.Index(["C-17"], name=name)),
    ):
        shown = cx.show(frame)
        assert "C-17" not in repr(shown) + shown._repr_html_()
        assert "show_ids: bool = True" in repr(shown)


def test_a_table_of_single_persons_stays_one_without_its_ids(for_readers: None) -> None:
    orders = pd.DataFrame(
        {"order_id": ["1", "2"], "customer_id": ["ann", "bob"], "net_revenue": [20.5, 35.0],
         "ordered_at": pd.to_datetime(["2024-01-01", "2024-01-16"])}
    )  # fmt: skip
    shown = cx.show(cx.busiest(orders).drop(columns="customer_id"), rows=1)
    assert "20.5" not in repr(shown)
    assert "2 rows, each of one customer" in repr(shown)


@pytest.mark.parametrize("name", ["paid", "n_orders", "video", "idle", "kids", "median_seconds"])
def test_other_names_are_no_ids(for_readers: None, name: str) -> None:
    assert fit_to_show(pd.DataFrame({name: [3]})).persons == 0


def test_ids_are_shown_where_a_parameter_asks(
    for_readers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CX_SHOW_IDS", "1")
    assert "C-17" in repr(cx.show(pd.DataFrame({"customer_id": ["C-17"]})))


def test_addresses_in_any_words_are_hidden(for_readers: None) -> None:
    assert "ann@" not in repr(cx.show(pd.DataFrame({"said": ["write to ann@shop.example now"]})))
    assert "ann@" not in repr(cx.show(pd.DataFrame([["ann@shop.example"]])))
    assert privacy.masked(["KeyError: ann@shop.example, customer_id='C-17'"]) == [
        "KeyError: (address hidden), customer_id='…'"
    ]


# Secrets


@pytest.mark.parametrize(
    "name", ["password", "db_password", "token", "api_key", "apikey", "client_secret", "PWD", "dsn"]
)
def test_parameters_that_sound_like_secrets_are_refused(tmp_path: Path, name: str) -> None:
    write_notebook(tmp_path, "01_one", f'as_of: str = "2024-12-31"\n{name}: str = ""')
    plan = write_plan(
        tmp_path, f"reports:\n  - notebook: 01_one\n    parameters: {{{name}: hunter2}}"
    )
    with pytest.raises(
        cx.PlanError, match=f"'{name}' sounds like a secret: .* environment"
    ) as refused:
        cx_check(plan)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", ["author", "keyword", "passed", "pwda", "turnover"])
def test_other_parameters_are_not(tmp_path: Path, name: str) -> None:
    secrets.refuse(name, "x")
    write_notebook(tmp_path, "01_one", f'as_of: str = "2024-12-31"\n{name}: str = ""')
    parameters = f"reports:\n  - notebook: 01_one\n    parameters: {{{name}: hunter2}}"
    (job,) = cx_check(write_plan(tmp_path, parameters)).jobs
    assert job.given[name] == "hunter2"


def test_an_address_with_its_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    write_notebook(tmp_path, "01_one", 'as_of: str = "2024-12-31"\nsource: str = ""')
    plan = write_plan(
        tmp_path, f"defaults: {{source: '{SECRET}::orders'}}\nreports: [{{notebook: 01_one}}]"
    )
    with pytest.raises(cx.PlanError, match="holds an address with a password") as refused:
        cx_check(plan)
    assert "s3cr" not in str(refused.value)


def cx_check(plan: Path) -> ReadyPlan:
    from cxlib.report.check import prepare

    return prepare(plan)


CLEAN = "orders = cx.clean_orders(cx.read(source), timezone='UTC')"
WHO = "who = orders.table.to_pandas()['customer_id'].min()"


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is published of notebooks that do what they should not: every file, and the terminal.

    They print, show, draw, raise, and carry a secret, an address and ids.
    """
    from click.testing import CliRunner

    project = tmp_path_factory.mktemp("leaky")
    write_orders(project, ORDERS + "4,CUST-00017,2024-12-01,20.0\n")
    head = (
        "import os, cxlib as cx, pandas as pd\nsecret = os.environ['SHOP_DB']\n"
        f"mail = 'ann' + '@shop.example'\n{CLEAN}\n{WHO}"
    )
    frame = 'pd.DataFrame({"customer_id": [who], "email": [mail], "n": [40]})'
    unnamed = 'pd.DataFrame({"who": [who], "n": [40]})'
    leaks = [
        "print(secret, secret.split('@')[0])",
        f"{frame}",
        *(f"print({frame}{way})" for way in ("", ".to_string()", ".to_html()", ".iloc[0]")),
        f"cx.show({frame}, name='people')",
        f"{frame}.style",
        f"print({unnamed}.to_string(), who, [who])",
        f"{unnamed}",
        "cx.headline('orders of ' + who, 3)",
        "cx.show(pd.DataFrame({'said': [secret, '=1+1'], 'n': [40, 50]}), name='said')",
        "cx.headline('connected to ' + secret, 3)",
        "pd.DataFrame({'a': [secret]}).style",
    ]
    parameters = (
        'as_of: str = "2024-12-31"\naddress: str = "${SHOP_DB}"\nsource: str = "../data/orders.csv"'
    )
    write_notebook(project, "01_good", parameters, "# Good", head, *leaks)
    ends = {
        "02_bad": "raise RuntimeError(f'no answer from {secret}, customer_id={who}, {mail}')",
        "03_bare": "raise ValueError(f'cannot compare {who} with ' + repr(who))",
        "04_key": "{}[who]",
        "05_own": "{}[who.replace('17', '99')]",
    }
    for name, end in ends.items():
        write_notebook(project, name, parameters, "# Bad", head, end)
    names = ["01_good", *ends]
    plan = write_plan(project, "reports:\n" + "".join(f"  - notebook: {one}\n" for one in names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_DB", SECRET)
        done = CliRunner().invoke(main, ["run", str(plan), "--code", *["--pdf"] * prints])
    assert done.exit_code == 1, done.output
    assert "succeeded   01_good" in done.output, done.output
    folder = project / "reports" / "runs"
    told = {
        file.relative_to(folder).as_posix(): read(file)
        for file in folder.rglob("*")
        if file.is_file()
    }
    return told | {"terminal": done.output.encode()}


prints = bool(CHROMIUM and shutil.which("pdftotext"))


def read(file: Path) -> bytes:
    """Return the bytes of a file; of a PDF its words too, which are packed in it."""
    if file.suffix != ".pdf":
        return file.read_bytes()
    words = subprocess.run(["pdftotext", file, "-"], capture_output=True, check=True).stdout
    assert b"Good" in words
    return file.read_bytes() + words


@pytest.mark.parametrize("planted", ["s3cr", "db.internal", "CUST-00017", "CUST-00099", "ann@shop"])
def test_what_is_planted_is_in_no_byte_that_is_published(
    leaky: dict[str, bytes], planted: str
) -> None:
    for form in (planted.encode(), base64.b64encode(planted.encode())):
        assert [name for name, data in leaky.items() if form in data] == []


def test_what_stood_there_is_named_and_the_rest_is_told(leaky: dict[str, bytes]) -> None:
    day = "weekly/2024-12-31"
    kinds = [
        "01_good.html",
        "notebooks/02_bad.ipynb",
        "run.json",
        "index.html",
        "tables/01_good-said.csv",
    ]
    assert {f"{day}/{name}" for name in kinds} <= set(leaky)
    assert (f"{day}/01_good.pdf" in leaky) is prints
    page = leaky[f"{day}/01_good.html"].decode()
    assert "${SHOP_DB}" in page
    assert "show_ids" in page
    executed = nbformat.reads(leaky[f"{day}/notebooks/03_bare.ipynb"].decode(), 4)
    errors = [out for cell in executed.cells for out in cell.get("outputs", []) if "ename" in out]
    assert [error.evalue for error in errors] == ["cannot compare … with '…'"]
    ended = {one["name"]: one["error"] for one in json.loads(leaky[f"{day}/run.json"])["reports"]}
    assert (ended["04_key"]["name"], ended["04_key"]["message"]) == ("KeyError", "'…'")


def test_a_word_of_the_notebook_itself_is_no_id(tmp_path: Path) -> None:
    said = ["KeyError: 'net_revenue_2'"]
    assert privacy.ids_in(said, None) == {"net_revenue_2"}
    assert privacy.ids_in(said, None, own_words="table['net_revenue_2']") == set()
    assert privacy.ids_in(["KeyError: 'revenu'", "ValueError: 'C-17'"], None) == set()


@pytest.mark.parametrize("text", [pa.string(), pa.large_string()])
def test_a_limit_that_is_somebodys_number_is_told(tmp_path: Path, text: pa.DataType) -> None:
    ids = pa.table({"customer_id": pa.array(["3653", "3654"], text)})
    pq.write_table(ids, tmp_path / "orders.parquet")
    with pytest.raises(cx.ParameterError) as caught:
        check_number("horizon_days", 0, 0, 3653, open_low=True)
    told = f"{caught.value}, customer 3654"
    assert privacy.masked(told, privacy.ids_in(told, tmp_path)) == (
        "horizon_days=0 is out of range; give one above 0 to 3,653, customer …"
    )


@pytest.mark.parametrize("way", ["to_string", "to_html", "__repr__", "_repr_html_"])
def test_small_groups_are_hidden_also_where_pandas_shows_them(
    for_readers: None, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for name in (*AS_TEXT, "to_html", "_repr_html_", "style"):
        for kind in (pd.DataFrame, pd.Series):
            if hasattr(kind, name):  # the test puts back what is replaced
                monkeypatch.setattr(kind, name, getattr(kind, name))
    guard()
    table = sizes(country=list("abc"), n=[40, 3, 300], net_revenue=[7.125, 9.125, 5.25])
    said = getattr(table, way)()
    assert "9.125" not in said
    assert "5.25" in said
    assert said.count("Hidden to protect customers") == 1
    assert "9.125" not in table.style.to_html()
    assert "9.125" not in repr(table.set_index("country")["n"])
    assert "9.125" not in repr(cx.show(table))


def test_masks_know_a_secret_in_every_dress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DB", SECRET)
    known = secrets.known(["${SHOP_DB}::orders", 3, None])
    for dress in (
        SECRET,
        "s3cr@t-&-pass",
        "s3cr%40t-&amp;-pass",
        "s3cr@t-&amp;-pass",
        "report:s3cr%40t-&-pass@db.internal:5432",
    ):
        assert not re.search("s3cr", secrets.masked({"a": [f"x {dress} y"]}, known)["a"][0]), dress
    assert secrets.known(["no variable"]) == {}
