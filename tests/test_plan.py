"""Plans: values reach the notebook in its own types, and every mistake is found before a run."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import math
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_project import ORDERS, write_notebook, write_orders, write_plan

import cxlib as cx
from cxlib.report import inputs
from cxlib.report.check import prepare
from cxlib.report.inputs import fingerprint, readings
from cxlib.report.jobs import Job, Limits
from cxlib.report.limits import fair_share, of_command
from cxlib.report.parameters import Parameter, check_day, declared
from cxlib.report.plan import find_root, read_plan

PARAMETERS = """from typing import Literal
as_of: str = "2024-03-31"
timezone: str = "UTC"
preset: str | None = None
code: str = "x"
top: int = 10
rate: float = 0.1
deep: bool = False
steps: list[str] = ["view"]
ranks: list[int] = [1]
many: str | list[str] = "a"
period: Literal["day", "month"] = "month"
size: Literal[7, 30] = 7
plain = 3
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_orders(tmp_path)
    write_notebook(tmp_path, "01_types", PARAMETERS, "# Types", "x = 1")
    write_notebook(
        tmp_path,
        "02_orders",
        'source: str = "../data/orders.csv"\nas_of: str = "2024-03-31"\ntimezone: str = "UTC"',
        "# Orders",
        "import cxlib as cx\nraw = cx.read(source)\norders = cx.clean_orders(raw, timezone=timezone)",
    )
    return tmp_path


def one_job(project: Path, plan: str, **sets: str) -> Job:
    (job,) = prepare(write_plan(project, plan), sets).jobs
    return job


def mistakes(project: Path, plan: str, only: tuple[str, ...] = (), **sets: str) -> str:
    with pytest.raises(cx.PlanError) as caught:
        prepare(write_plan(project, plan), sets, only)
    return str(caught.value)


TYPED = """
reports:
  - notebook: 01_types
    parameters: {{as_of: 2024-12-31, {}}}
"""


@pytest.mark.parametrize(
    ("written", "name", "value"),
    [
        ("as_of: 2024-12-31", "as_of", "2024-12-31"),
        ("code: 0012", "code", "0012"),
        ("code: no", "code", "no"),
        ("code: 12:30", "code", "12:30"),
        ("code: 1e5", "code", "1e5"),
        ("code: null", "code", "null"),
        ("preset: null", "preset", None),
        ("preset: ", "preset", None),
        ("preset: shopify", "preset", "shopify"),
        ("top: 0012", "top", 12),
        ("rate: 1e-1", "rate", 0.1),
        ("rate: 2", "rate", 2.0),
        ("deep: yes", "deep", True),
        ("deep: no", "deep", False),
        ("steps: [view, no, 012]", "steps", ["view", "no", "012"]),
        ("steps: 'view, cart'", "steps", ["view", "cart"]),
        ("steps: '[view, cart]'", "steps", ["view", "cart"]),
        ("steps: [view]", "steps", ["view"]),
        ("steps: '[view]'", "steps", ["view"]),
        ("many: a", "many", "a"),
        ("many: 'a, b'", "many", ["a", "b"]),
        ("ranks: [1, 2]", "ranks", [1, 2]),
        ("top: 007", "top", 7),
        ("top: 9223372036854775807", "top", 2**63 - 1),
        ("top: -9223372036854775808", "top", -(2**63)),
        ("period: day", "period", "day"),
        ("size: 30", "size", 30),
        ("plain: 4", "plain", 4),
    ],
)
def test_yaml_reaches_the_notebook_in_the_type_it_declares(
    project: Path, written: str, name: str, value: Any
) -> None:
    plan = TYPED.format(written).replace("{as_of: 2024-12-31, as_of", "{as_of")
    got = one_job(project, plan).given[name]
    assert got == value
    assert type(got) is type(value)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8")))
def test_text_stays_the_text_it_is(text: str) -> None:
    assert Parameter("code", "str", str).convert(text) == text


@settings(max_examples=60, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**62), 2**62))
def test_numbers_survive_being_written(real: float, whole: int) -> None:
    assert Parameter("x", "float", float).convert(repr(real)) == real
    assert Parameter("x", "int", int).convert(str(whole)) == whole


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("top: many", "top='many' is no int"),
        ("top: 1.5", "top='1.5' is no int"),
        ("rate: nan", "finite"),
        ("deep: maybe", "is no bool"),
        ("period: monht", "Did you mean 'month'?"),
        ("size: 31", "is not one of 7, 30"),
        ("ranks: [1, x]", "is no list"),
        ("steps: '[view'", "is no list"),
        ("steps: 3", "steps='3' is no list; write [3]"),
        ("steps:", "steps='' is no list; write []"),
        ("top: 1_000", "top='1_000' is no int: it must be written in digits, without _"),
        ("plain: 1_000", "without _"),
        ("ranks: [1_0]", "without _"),
        ("rate: 1_0.5", "without _"),
        ("top: 9223372036854775808", "must be at most 9223372036854775807"),
        ("top: -9223372036854775809", "must be at least -9223372036854775808"),
        ("code: [a, b]", "is no str"),
        ("timezone: Europe/Lodnon", "is not a time zone"),
        ("preset: shopfy", "Did you mean 'shopify'?"),
        ("cod: x", "Did you mean 'code'?"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_mistake(project: Path, written: str, message: str) -> None:
    assert message in mistakes(project, TYPED.format(written))


def test_defaults_reach_every_notebook_that_declares_them(project: Path) -> None:
    plan = prepare(
        write_plan(
            project,
            "title: Both\ndefaults: {as_of: 2024-02-29, top: 5}\n"
            "reports: [{notebook: 01_types}, {notebook: 02_orders.ipynb}]",
        ),
        {"timezone": "Europe/London"},
    )
    types, orders = plan.jobs
    assert types.given == {"as_of": "2024-02-29", "top": 5, "timezone": "Europe/London"}
    assert orders.given == {
        "as_of": "2024-02-29",
        "timezone": "Europe/London",
        "source": "data/orders.csv",  # the notebook's own, as seen from where it will run
    }
    assert (plan.title, plan.name, plan.as_of) == ("Both", "weekly", dt.date(2024, 2, 29))
    assert plan.names == ("01_types", "02_orders")


def test_a_report_s_own_value_stays_over_the_default_and_the_command_line_over_both(
    project: Path,
) -> None:
    text = """
defaults: {as_of: 2024-02-29, top: 5}
reports:
  - notebook: 01_types
    parameters: {top: 7}
  - notebook: 01_types
  - notebook: 01_types
    for_each: {top: [1, 2], code: [a, b]}
"""
    path = write_plan(project, text)
    assert [job.given["top"] for job in prepare(path).jobs] == [7, 5, 1, 1, 2, 2]
    jobs = prepare(path, {"top": "9"}).jobs
    assert [job.given["top"] for job in jobs] == [9] * 4
    assert [job.name for job in jobs] == ["01_types", "01_types-2", "01_types-9-a", "01_types-9-b"]


def test_a_sweep_is_the_product_of_its_lists(project: Path) -> None:
    text = """
reports:
  - notebook: 01_types
    for_each: {code: [GB, "../no", תל אביב], top: [1, 2]}
"""
    jobs = prepare(write_plan(project, text)).jobs
    assert [(job.sweep["code"], job.sweep["top"]) for job in jobs] == [
        ("GB", 1), ("GB", 2), ("../no", 1), ("../no", 2), ("תל אביב", 1), ("תל אביב", 2)
    ]  # fmt: skip
    assert [job.name for job in jobs] == [
        "01_types-gb-1", "01_types-gb-2", "01_types-no-1",
        "01_types-no-2", "01_types-תל-אביב-1", "01_types-תל-אביב-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reports", "messages"),
    [
        (
            "{notebook: 02_orders}, {notebook: 01_types}, {notebook: 01_types.ipynb, retries: 1}",
            ["reports 2 and 3 are the same: 01_types with the same parameters"],
        ),
        (
            "{notebook: 01_types, parameters: {top: 010}}, {notebook: 01_types}",
            ["reports 1 and 2 are the same"],
        ),
        (
            "{notebook: 01_types, for_each: {top: [007, 7, 8]}}",
            ["01_types: for_each makes 01_types-007 and 01_types-7, which are the same"],
        ),
        (
            "{notebook: 01_types, for_each: {code: [a, a]}}, {notebook: 01_types, parameters: {code: a}}",
            ["01_types-a and 01_types-a-2, which are the same", "reports 1 and 2 are the same"],
        ),
        (
            "{notebok: x}, {notebook: 02_orders}, {notebook: 02_orders}",
            ["reports.1.notebok", "reports.1.notebook", "reports 2 and 3 are the same"],
        ),
        (  # what is wrong in one may have set it apart
            "{notebook: 01_types}, {notebook: 01_types, paramters: {top: 3}}, "
            "{notebook: 01_types, parameters: {tpo: 3}}, {notebook: 01_types, parameters: {top: x}}",
            ["paramters", "tpo", "top='x'"],
        ),
    ],
)
def test_the_same_report_twice_is_a_mistake(
    project: Path, reports: str, messages: list[str]
) -> None:
    told = mistakes(project, f"reports: [{reports}]")
    assert [message for message in messages if message not in told] == []
    assert told.count("\n  - ") == len(messages)


def test_so_it_is_where_other_values_are_wrong(project: Path) -> None:
    text = (
        "defaults: {timezone: Mars}\nreports: [{notebook: 01_types, for_each: {top: [07, x, 7]}}]"
    )
    told = mistakes(project, text)
    assert "3 mistakes" in told
    assert "01_types-07 and 01_types-7, which are the same" in told


def test_what_the_command_line_made_alike_is_no_mistake(project: Path) -> None:
    text = "reports: [{notebook: 01_types, parameters: {top: 1}}, {notebook: 01_types}]"
    jobs = prepare(write_plan(project, text), {"top": "3"}).jobs
    assert [job.name for job in jobs] == ["01_types", "01_types-2"]


def test_every_mistake_stands_in_one_list(project: Path) -> None:
    write_notebook(project, "03_bad", "as_of: dt.date = None", "# Bad")
    (project / "notebooks" / "04_torn.ipynb").write_text("{")
    text = """
title: Wrong
defaults: {as_of: 31.12.2024, surce: x.csv, top: ten}
reports:
  - notebook: 01_type
  - notebook: 01_types
    parameters: {rate: high, stepz: [a]}
  - notebook: 02_orders
    parameters: {source: data/none.csv}
  - notebook: 03_bad
  - notebook: 04_torn
"""
    told = mistakes(project, text, code="1")
    assert "9 mistakes, nothing was run" in told
    for part in (
        "01_type: unknown notebook; notebooks/ has 01_types, 02_orders, 03_bad, 04_torn. Did you mean '01_types'?",
        "defaults: as_of='31.12.2024' is not a date; write YYYY-MM-DD",
        "defaults: no notebook of the plan declares 'surce'. Did you mean 'source'?",
        "defaults: top='ten' is no int",
        "01_types: rate='high' is no float",
        "01_types: unknown parameter 'stepz'",
        "Did you mean 'steps'?",
        "sources: source 'data/none.csv': no such file",
        "03_bad: 03_bad.ipynb: parameter 'as_of' is a dt.date, which no plan can give",
        "04_torn: 04_torn.ipynb cannot be read as a notebook",
    ):
        assert part in told


def test_mistakes_of_form_hide_no_others(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CX_NO_SUCH", raising=False)
    text = """
titel: Wrong
defaults: {as_of: 31.12.2024, preset: shopfy, surce: x.csv, top: {a: b}, timezone: Europe/Lodnon}
reports:
  - notebok: 01_types
  - notebook: 01_type
    retries: lots
  - notebook: 02_orders
    parameters: {source: data/none.csv}
    paramters: {timezone: UTC}
  - notebook: 01_types
    parameters: {code: {x: y}, rate: high, stepz: [a]}
    for_each: {code: []}
  - notebook: 02_orders
    parameters: {source: "duckdb://${CX_NO_SUCH}::orders"}
  - notebook: 01_types
    parameters: {api_key: abc}
  - just words
  - notebook: [01_types]
"""
    told = mistakes(project, text)
    parts = (
        "titel: unknown; known are title",
        "defaults.top: must be text or a list of texts",
        "reports.1.notebook: is missing",
        "reports.1.notebok: unknown",
        "reports.2.retries: must be a whole number",
        "reports.3.paramters: unknown; known are notebook",
        "reports.4.parameters.code: must be text or a list of texts",
        "reports.4.for_each.code: must not be empty",
        "reports.6: parameter 'api_key' sounds like a secret",
        "reports.7: must be a table of names and values; write a report as '- notebook: just words'",
        "reports.8.notebook: must be text",
        "01_type: unknown notebook",
        "defaults: as_of='31.12.2024' is not a date",
        "defaults: timezone='Europe/Lodnon' is not a time zone",
        "defaults: preset='shopfy' is not known",
        "01_types: rate='high' is no float",
        "01_types: unknown parameter 'stepz'",
        "sources: source 'data/none.csv': no such file",
        "CX_NO_SUCH, which the environment",
    )
    assert [part for part in parts if part not in told] == []
    assert f"{len(parts)} mistakes, nothing was run" in told, "and nothing is told that is none"


def test_what_could_not_be_read_is_not_told_as_missing(project: Path) -> None:
    write_notebook(project, "03_asks", "as_of: str\nn: int", "# Asks")
    for rest in ("paramters: {n: 1, as_of: 2024-01-01}", "parameters: {n: {a: b}, as_of: {c: d}}"):
        told = mistakes(project, f"reports: [{{notebook: 03_asks, {rest}}}]")
        assert "default" not in told
        assert "as_of is missing" not in told
    told = mistakes(project, "defaults: {n: 1}\nreports: [{notebok: 03_asks}]", only=("03_asks",))
    assert "2 mistakes" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reports: [{notebook: ''}]", "reports.1.notebook: must not be empty"),
        ('{"\\ud800"}', "the plan: "),
        ('reports: [{notebook: 01_types, parameters: {"\\ud800": 1}}]', "unknown parameter"),
        ("reports: words", "reports: must be a list; write a report as '- notebook: words'"),
        ("reports: {a: b}", "must be a list; write a report as '- notebook: 01_cohort_retention'"),
        ("reports: [{notebook: a, for_each: {x: b}}]", "for_each.x: must be a list\n"),
        ("defaults: {as_of: soon}\ntitle: x", "defaults: as_of='soon' is not a date"),
        ("defaults: {token: soon}\nreports: [{notebook: 01_type}]", "Did you mean '01_types'?"),
        ("reports: []", "reports: must not be empty"),
        ("title: x", "reports: is missing"),
        ("- a", "the plan: must be a table of names and values, its list called reports:"),
        ("reports: [{notebok: x}]", "reports.1.notebok: unknown; known are notebook"),
        ("titel: x\nreports: [{notebook: 01_types}]", "Did you mean 'title'?"),
        ("reports: [{notebook: a, for_each: {x: []}}]", "must not be empty"),
        (
            "reports: [{notebook: a, parameters: {x: 1}, for_each: {x: [1]}}]",
            "x stands in parameters and in for_each",
        ),
        ("reports: [{notebook: a, parameters: {x: {y: 1}}}]", "reports.1.parameters.x"),
        ("a: [", "cannot be read as YAML"),
        ("title: a\ntitle: b\nreports: []", "'title' stands twice"),
        ("reports: [{notebook: 01_types}]\ndefaults: {unknown: 1}", "declares 'unknown'"),
    ],
)
def test_a_plan_of_another_shape_is_refused(project: Path, text: str, message: str) -> None:
    assert message in mistakes(project, text)


def test_a_plan_that_is_not_there(project: Path) -> None:
    path = write_plan(project, "reports: []")
    with pytest.raises(cx.PlanError, match=r"Did you mean 'weekly.yml'\?"):
        prepare(path.with_name("wekly.yml"))
    with pytest.raises(cx.PlanError, match="no plan"):
        prepare(project / "reports" / "plans" / "none.yml")
    with pytest.raises(cx.PlanError, match="is a folder; name a .yml file"):
        read_plan(project)
    torn = write_plan(project, "").with_name("torn.yml")
    torn.write_bytes(b"title: \xff")
    with pytest.raises(cx.PlanError, match="cannot be read"):
        read_plan(torn)
    with pytest.raises(cx.PlanError, match="no plan"):
        find_root(Path("/nowhere/plan.yml"))
    with pytest.raises(cx.PlanError, match="no folder 'notebooks'"):
        find_root(Path("/etc/passwd"))


BOUND = """from annotated_types import Ge, Interval, Le
from typing import Annotated
as_of: str = "2024-03-31"
since: str = "2024-01-01"
within: str = "90 days"
period: str = "month"
top: Annotated[int, Ge(1), Le(100)] = 10
share: Annotated[float, Interval(gt=0, le=1)] | None = None
code: Annotated[str, "any text"] = "x"
"""


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("as_of: 0001-01-01", "as_of='0001-01-01' is out of range; give a date from 1970 to 2100"),
        ("as_of: 2101-01-01", "give a date from 1970 to 2100"),
        ("since: 1969-12-31", "since='1969-12-31' is out of range"),
        ("since: 2024-02-30", "since='2024-02-30' is not a date; write YYYY-MM-DD"),
        ("within: 90 dyas", "within='90 dyas' is not a duration"),
        ("period: quater", "Did you mean 'quarter'?"),
        ("top: 0", "top='0' is no Annotated[int, Ge(1), Le(100)]: it must be at least 1"),
        ("top: 101", "must be at most 100"),
        ("share: 0", "must be more than 0"),
        ("share: 1.5", "must be at most 1"),
    ],
)
def test_dates_durations_periods_and_ranges_are_held(
    project: Path, written: str, message: str
) -> None:
    write_notebook(project, "03_bound", BOUND, "# Bound")
    assert message in mistakes(
        project, f"reports: [{{notebook: 03_bound, parameters: {{{written}}}}}]"
    )


def test_what_is_within_its_range_reaches_the_notebook_as_written(project: Path) -> None:
    write_notebook(project, "03_bound", BOUND, "# Bound")
    text = "{since: 2024-02-29, within: 2 weeks, period: 28 days, top: 100, share: 1, code: 2024-02-30}"
    given = one_job(project, f"reports: [{{notebook: 03_bound, parameters: {text}}}]").given
    assert given == {
        "since": "2024-02-29", "within": "2 weeks", "period": "28 days",
        "top": 100, "share": 1.0, "code": "2024-02-30",
    }  # fmt: skip


def test_a_default_out_of_its_own_range_is_a_mistake(project: Path) -> None:
    write_notebook(
        project, "03_odd", "n: Annotated[int, Ge(1)] = 0\np: Literal['a'] = 'b'", "# Odd"
    )
    told = mistakes(project, "defaults: {as_of: 2024-01-01}\nreports: [{notebook: 03_odd}]")
    assert "n=0 is no Annotated[int, Ge(1)]" in told
    assert "p='b' is no Literal['a']" in told


def test_limits_are_the_command_s_over_the_report_s_over_the_plan_s(project: Path) -> None:
    text = """
cell_timeout: 90
memory_limit: 2 GB
retries: 1
reports:
  - notebook: 01_types
    cell_timeout: 10 minutes
    report_timeout: 2 hours
  - notebook: 01_types
    parameters: {top: 1}
"""
    path = write_plan(project, text)
    one, two = (job.limits for job in prepare(path).jobs)
    assert one == Limits(600, 7200, 2_000_000_000, 1)
    assert two == Limits(90, 4 * 3600, 2_000_000_000, 1)
    asked = of_command({"cell_timeout": "1 hour", "retries": "0"})
    assert {job.limits.cell_seconds for job in prepare(path, asked=asked).jobs} == {3600}
    assert {job.limits.retries for job in prepare(path, asked=asked).jobs} == {0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cell_timeout: soon",
            "cell_timeout: 'soon' is no time; write a number and a unit, such as '10 minutes'",
        ),
        ("cell_timeout: 0", "must be at least 1"),
        ("retries: -1", "retries: must be at least 0"),
        ("memory_limit: 4", "'4' is no size; write a number and a unit, such as '4 GB'"),
        ("memory_limit: 300 MB", "too little for a kernel; give at least 1 GB, such as '4 GB'"),
    ],
)
def test_a_limit_that_is_none_is_refused(project: Path, text: str, message: str) -> None:
    assert message in mistakes(project, f"{text}\nreports: [{{notebook: 01_types}}]")
    name, value = text.split(": ")
    with pytest.raises(cx.CxError) as caught:
        of_command({name: value})
    told = message.removeprefix(f"{name}: ")
    assert str(caught.value).startswith(f"--{name.replace('_', '-')}: ")
    assert str(caught.value).endswith(told)


def test_one_kernel_never_has_all_the_memory() -> None:
    whole = psutil.virtual_memory().total
    assert fair_share(1) == int(0.8 * whole)
    assert fair_share(1000) == min(int(0.8 * whole), 4 * 2**30)


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "2101-01-01", "9999-12-30"])
def test_a_day_that_stands_for_none_names_no_run(project: Path, day: str) -> None:
    write_notebook(project, "03_timeless", "n: int = 1", "# Timeless")
    for plan in (f"defaults: {{as_of: {day}}}\n", ""):
        sets = {} if plan else {"as_of": day}
        told = mistakes(project, f"{plan}reports: [{{notebook: 03_timeless}}]", **sets)
        assert "1 mistake," in told
        assert f"as_of='{day}' is out of range; give a date from 1970 to 2100" in told


def test_the_days_of_cleaning_are_days_of_plans(project: Path) -> None:
    text, tomorrow = "reports: [{notebook: 01_types}]", dt.date.today() + dt.timedelta(days=1)
    for day in ("1970-01-01", f"{tomorrow}"):
        assert prepare(write_plan(project, text), {"as_of": day})
    assert check_day("day", "2100-12-31").year == 2100
    for day in (f"{tomorrow + dt.timedelta(days=1)}", "2100-12-31"):
        assert f"as_of='{day}' has not been observed yet" in mistakes(project, text, as_of=day)
        with_default = f"defaults: {{as_of: {day}}}\n{text}"
        assert f"as_of='{day}' has not been observed yet" in mistakes(project, with_default)


def test_empty_mappings_are_empty(project: Path) -> None:
    assert (
        one_job(project, "defaults:\nreports:\n  - notebook: 01_types\n    parameters:").given == {}
    )


def test_a_parameter_without_default_must_be_given(project: Path) -> None:
    write_notebook(project, "03_asks", "as_of: str\nn: int = 1\nprint(1)", "# Asks")
    told = mistakes(project, "reports: [{notebook: 03_asks}]")
    assert "parameter 'as_of' has no default" in told


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("x: str = open('y').read()", "write a literal"),
        ("x = (", "its parameter cell is no Python"),
        ("x: dict[str, int] = {}", "which no plan can give"),
        ("x: list[", "no Python"),
        ("as_of: str = 'yesterday'", "is not a date"),
    ],
)
def test_parameter_cells_that_no_plan_can_fill(project: Path, cell: str, message: str) -> None:
    write_notebook(project, "03_odd", cell, "# Odd")
    assert message in mistakes(project, "reports: [{notebook: 03_odd}]")


def test_types_are_taken_from_the_default_where_none_is_declared(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path, "x", "a = 1\nb = None\nc = ['x']\nd, e = 1, 2", "# X", "%%time\n1"
    )
    found = declared(path).parameters
    assert {name: known.annotation for name, known in found.items()} == {
        "a": "int",
        "b": "str | None",
        "c": "list",
    }
    assert found["c"].convert("x,y") == ["x", "y"]


def test_a_notebook_without_parameter_cell(project: Path) -> None:
    path = write_notebook(project, "03_none", "", "# None")
    path.write_text(path.read_text().replace('"parameters"', '"other"'))
    told = mistakes(
        project, "reports: [{notebook: 03_none, parameters: {x: 1}}]\ndefaults: {as_of: 2024-01-01}"
    )
    assert "declares none (no cell is tagged 'parameters')" in told


def test_the_run_is_named_by_the_plan_s_day_or_the_latest_of_its_reports(project: Path) -> None:
    text = "reports: [{notebook: 01_types, for_each: {as_of: [2024-01-31, 2024-02-29]}}]"
    assert prepare(write_plan(project, text)).as_of == dt.date(2024, 2, 29)
    assert prepare(write_plan(project, text), {"as_of": "2024-05-01"}).as_of == dt.date(2024, 5, 1)
    write_notebook(project, "03_timeless", "n: int = 1", "# Timeless")
    assert "as_of is missing" in mistakes(project, "reports: [{notebook: 03_timeless}]")


def test_a_wrong_value_from_the_command_line_is_said_to_be_one(project: Path) -> None:
    text = "reports: [{notebook: 01_types, parameters: {top: 1}}]"
    told = mistakes(project, text, top="many", size="8", tpo="1")
    assert "3 mistakes" in told
    assert "--set: top='many' is no int" in told
    assert "--set: size='8' is not one of 7, 30" in told
    assert "--set: no notebook of the plan declares 'tpo'. Did you mean 'top'?" in told


def test_only_names_the_reports_that_there_are(project: Path) -> None:
    told = mistakes(project, "reports: [{notebook: 01_types}]", only=("nope",))
    assert "--only: the plan has no report 'nope'. It has 01_types." in told


def test_only_keeps_the_named_notebook_or_report(project: Path) -> None:
    text = "reports: [{notebook: 02_orders}, {notebook: 01_types, for_each: {top: [1, 2]}}]"
    path = write_plan(project, text)
    assert [job.name for job in prepare(path, only=["01_types"]).jobs] == [
        "01_types-1",
        "01_types-2",
    ]
    assert "--only: the plan has no report '01_type'. Did you mean '01_types'?" in mistakes(
        project, text, only=("01_type",)
    )
    ready = prepare(path, only=["01_types-2"])
    assert [job.name for job in ready.jobs] == ["01_types-2"]
    assert ready.names == ("02_orders", "01_types-1", "01_types-2")


# Sources


BAD_ORDERS = {
    "empty table": (ORDERS.splitlines()[0] + "\n", "has no rows"),
    "a missing column": (ORDERS.replace("customer_id", "client"), "no column 'customer_id'"),
    "an unreadable date": (ORDERS.replace("2024-01-05", "31/31/2024"), "31/31/2024"),
    "one customer only": (ORDERS.replace("bob", "ann"), "one customer_id only"),
    "all guests": (ORDERS.replace("ann", "").replace("bob", ""), "nothing is left to analyse"),
}


@pytest.mark.parametrize("case", BAD_ORDERS)
def test_bad_input_is_found_before_anything_runs(project: Path, case: str) -> None:
    text, message = BAD_ORDERS[case]
    write_orders(project, text)
    told = mistakes(project, "reports: [{notebook: 02_orders}]")
    assert "1 mistake, nothing was run:\n  - sources: " in told
    assert message in told


PRESETS = {  # what the plan says: what is told of it
    "": "The preset 'shopify' is the notebook's own default (03_shop); set preset: null to let",
    "preset: woocommerce": "The preset 'woocommerce' is given; set preset: null",
    "preset: null": "In a plan, give preset: my_shop.toml for a format of your own",
}


@pytest.mark.parametrize("said", PRESETS)
def test_a_preset_that_does_not_fit_is_told_with_its_origin_and_what_a_plan_can_say(
    project: Path, said: str
) -> None:
    write_notebook(
        project,
        "03_shop",
        'source: str = "../data/orders.csv"\npreset: str | None = "shopify"',
        "# Shop",
        "orders = cx.clean_orders(cx.read(source, preset=preset), timezone='UTC')",
    )
    write_orders(project, ORDERS.replace("customer_id", "client"))
    told = mistakes(
        project,
        f"defaults: {{as_of: 2024-03-31}}\nreports: [{{notebook: 03_shop, parameters: {{{said}}}}}]",
    )
    assert "1 mistake, nothing was run:\n  - sources: " in told
    assert PRESETS[said] in told
    assert "(cx preset new my_shop.toml)" in told
    assert "in cx.read" not in told


def test_a_preset_that_the_notebook_s_code_fixes_is_not_the_plan_s_to_set(project: Path) -> None:
    write_notebook(
        project,
        "03_shop",
        'source: str = "../data/orders.csv"',
        "# Shop",
        "orders = cx.clean_orders(cx.read(source, preset='shopify'), timezone='UTC')",
    )
    told = mistakes(project, "defaults: {as_of: 2024-03-31}\nreports: [{notebook: 03_shop}]")
    assert "as shopify: no column" in told
    assert "preset: " not in told


GROUPED = {
    "a wrong column": ("contry", "", True),
    "a column": ("net_revenue", "", False),
    "none": ("null", "", False),
    "one that the notebook makes": ("size", "orders = orders.assign(size=1)", False),
    "another name for it": ("contry", "by = 'net_revenue'", False),
}


@pytest.mark.parametrize("case", GROUPED)
def test_a_column_to_group_by_is_looked_for_before_anything_runs(project: Path, case: str) -> None:
    by, between, is_wrong = GROUPED[case]
    cell = 'as_of: str = "2024-03-31"\nsource: str = "../data/orders.csv"\nby: str | None = None'
    clean = "orders = cx.clean_orders(cx.read(source), timezone='UTC')"
    write_notebook(
        project, "03_groups", cell, "# Groups", clean, between or "1", "cx.rfm(orders, by=by)"
    )
    write_orders(
        project,
        ORDERS.replace("net_revenue", "net_revenue,country")
        .replace(".0\n", ".0,DE\n")
        .replace(".5\n", ".5,DE\n"),
    )
    plan = f"reports: [{{notebook: 03_groups, parameters: {{by: {by}}}}}]"
    if not is_wrong:
        assert prepare(write_plan(project, plan)).jobs
        return
    told = mistakes(project, plan)
    assert "1 mistake, nothing was run:\n  - 03_groups: orders: no column 'contry'; it has " in told
    assert told.endswith("Did you mean 'country' for 'contry'?")


def test_how_much_may_be_lost_is_left_to_the_notebook(project: Path) -> None:
    write_orders(project, ORDERS + "4,,2024-01-03,20.0\n5,,2024-01-03,20.0\n6,,2024-01-03,20.0\n")
    assert prepare(write_plan(project, "reports: [{notebook: 02_orders}]")).jobs


def test_a_source_that_is_only_read_is_only_opened(project: Path) -> None:
    write_notebook(
        project, "03_reads", 'source: str = "../data/orders.csv"', "# Reads", "read(source)"
    )
    text = "defaults: {as_of: 2024-01-01}\nreports: [{notebook: 03_reads}]"
    write_orders(project, ORDERS.replace("customer_id", "client"))
    assert one_job(project, text).sources == {"source": "data/orders.csv"}


def test_a_shared_source_is_told_once(project: Path) -> None:
    (project / "data" / "orders.csv").unlink()
    text = "reports: [{notebook: 02_orders, for_each: {as_of: [2024-01-31, 2024-02-29]}}]"
    assert mistakes(project, text).count("no such file") == 1


def test_sources_of_the_plan_lie_beside_its_notebooks_those_of_the_user_where_they_stand(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "mine.csv").write_text(ORDERS)
    monkeypatch.chdir(project / "elsewhere")
    text = "reports: [{notebook: 02_orders}]"
    assert one_job(project, text).sources == {"source": "data/orders.csv"}
    assert one_job(project, text, source="mine.csv").sources == {"source": "elsewhere/mine.csv"}
    whole = str(project / "elsewhere" / "mine.csv")
    assert one_job(project, text, source=whole).sources == {"source": whole}
    assert "duckdb://elsewhere/x.db" in mistakes(project, text, source="duckdb://x.db::orders")
    assert "CX_NO_SUCH, which the environment" in mistakes(
        project, text, source="duckdb://${CX_NO_SUCH}::t"
    )
    monkeypatch.chdir(project)
    assert (
        one_job(project, text, source="elsewhere/mine.csv").sources["source"]
        == "elsewhere/mine.csv"
    )


def found(code: str, **parameters: Any) -> list[inputs.Reading]:
    return list(readings(ast.parse(code), parameters))


def test_what_a_notebook_reads_is_found_in_its_text() -> None:
    code = """
raw = cx.read(source, preset=preset, columns={"order_id": "nr"})
orders = cx.clean_orders(raw, timezone=timezone, decimal=",")
seen = clean_exposures(cx.read(exposures_source), timezone="UTC")
"""
    orders, seen = found(
        code, source="o.csv", exposures_source="e.csv", preset=None, timezone="Europe/London"
    )
    assert (orders.source, orders.table) == ("o.csv", "orders")
    assert dict(orders.read) == {"preset": None, "columns": {"order_id": "nr"}}
    assert dict(orders.cleaning) == {"timezone": "Europe/London", "decimal": ","}
    assert (seen.source, seen.table, dict(seen.cleaning)) == (
        "e.csv",
        "exposures",
        {"timezone": "UTC"},
    )


@pytest.mark.parametrize(
    "code",
    [
        "cx.retention(source)",
        "cx.clean_orders(cx.read(source), timezone=zone_of(shop))",
        "cx.clean_orders(cx.read(source), 'UTC')",
        "cx.clean_orders(raw=source)",
        "other = 3",
    ],
)
def test_what_the_text_does_not_tell_is_opened_and_no_more(code: str) -> None:
    reads = found(code, source="o.csv", other_source=None)
    assert {(reading.source, reading.table) for reading in reads} == {("o.csv", "")}


def test_fingerprints_say_what_they_are_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "a.csv", tmp_path / "b.csv"
    one.write_bytes(b"abc")
    two.write_bytes(b"")
    # FIPS 180-2, appendix B.1: the digest of "abc"
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    known = fingerprint(str(one))
    assert known == {"source": str(one), "method": "sha256", "value": abc, "bytes": 3}
    assert fingerprint(f"duckdb://{one}::orders")["value"] == abc
    both = fingerprint(str(tmp_path / "*.csv"))
    empty = hashlib.sha256(b"").hexdigest()
    assert both["value"] == hashlib.sha256(f"{abc}\n{empty}".encode()).hexdigest()
    assert fingerprint("duckdb://${SECRET}::t")["method"] == "none"
    assert fingerprint(str(tmp_path / "none.csv"))["value"] is None
    monkeypatch.setattr(inputs, "BIG", 2)
    big = fingerprint(str(one))
    assert big["method"] == "path, size and time"
    assert big["value"] not in (abc, None)
    assert math.isclose(big["bytes"], 3)
