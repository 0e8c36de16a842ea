"""What headlines were before: one point a day, like with like, limits that mean what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from report_project import write_notebook, write_plan

import cxlib as cx
from cxlib import cli
from cxlib.headline import HEADLINE_MIME
from cxlib.report import history, told

NOW = "2025-06-30", "2025-07-01T03:00:00Z"


def card(value: float, name: str = "kept", **more: Any) -> dict[str, Any]:
    return dict(cx.headline(name, value, **more)._repr_mimebundle_()[HEADLINE_MIME])


def run(as_of: str, value: float, started: str = "", **changed: Any) -> dict[str, Any]:
    report = {
        "name": "01_one",
        "title": "One",
        "status": "succeeded",
        "parameters": {"as_of": as_of, "country": "GB"},
        "page_from": None,
        "headlines": [card(value)],
        "inputs": [],
    }
    return {
        "schema": 1,
        "plan": "weekly",
        "title": "Weekly",
        "as_of": as_of,
        "started": started or f"{as_of}T03:00:00Z",
        "finished": f"{as_of}T03:01:00Z",
        "status": "succeeded",
        "reports": [report | changed],
    }


def publish(folder: Path, record: dict[str, Any]) -> Path:
    day = folder / record["as_of"]
    day.mkdir(parents=True, exist_ok=True)
    (day / "run.json").write_text(json.dumps(record))
    return day


def values(known: list[dict[str, Any]], **given: Any) -> list[float]:
    parameters = {"as_of": NOW[0], "country": "GB"} | given
    found = history.past(known, "01_one", parameters, NOW[0])
    return [point["value"] for point in found.get("kept", [])]


def test_every_run_is_kept_also_when_its_day_was_run_again(tmp_path: Path) -> None:
    publish(tmp_path, run("2025-01-31", 1))
    day = publish(tmp_path, run("2025-02-28", 2))
    for hour, value in (("04", 3), ("05", 4)):
        history.keep(day)
        publish(tmp_path, run("2025-02-28", value, f"2025-02-28T{hour}:00:00Z"))
    kept = history.runs(tmp_path)
    assert [(one["as_of"], one["reports"][0]["headlines"][0]["value"]) for one in kept] == [
        ("2025-01-31", 1), ("2025-02-28", 2), ("2025-02-28", 3), ("2025-02-28", 4)
    ]  # fmt: skip
    assert values(kept) == [1, 4], "a day counts once, by its last run"


def test_a_run_kept_but_not_yet_replaced_counts_once(tmp_path: Path) -> None:
    history.keep(publish(tmp_path, run("2025-01-31", 1)))
    assert len(history.runs(tmp_path)) == 1


def test_a_torn_line_loses_neither_the_lines_before_nor_those_after(tmp_path: Path) -> None:
    first = publish(tmp_path, run("2025-01-31", 1))
    history.keep(first)
    with (tmp_path / history.REPLACED).open("a") as stream:
        stream.write('{"schema": 1, "pl')  # the power went
    publish(tmp_path, run("2025-01-31", 2, "2025-01-31T04:00:00Z"))
    history.keep(first)
    publish(tmp_path, run("2025-01-31", 3, "2025-01-31T05:00:00Z"))
    (tmp_path / "2025-02-28").mkdir()
    (tmp_path / "2025-02-28" / "run.json").write_text("[]")
    assert [one["reports"][0]["headlines"][0]["value"] for one in history.runs(tmp_path)] == [
        1,
        2,
        3,
    ]
    history.keep(tmp_path / "no such day")


def test_only_like_is_compared_with_like() -> None:
    known = [
        run("2025-01-31", 1),
        run("2025-02-28", 2, parameters={"as_of": "2025-02-28", "country": "DE"}),
        run("2025-03-31", 3, status="failed"),
        run("2025-04-30", 4, name="02_two"),
        run("2025-05-31", 5, headlines=[card(5, withheld="did not settle")]),
        run("2025-06-30", 6),
        run("2025-07-31", 7),
    ]
    assert values(known) == [1], "neither another country, a failure, the same day nor a later one"
    assert values(known, country="DE") == [2]


def placed(before: list[float], new: float, **more: Any) -> dict[str, Any]:
    days = [f"2025-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(len(before))]
    known = [
        run(day, value, headlines=[card(value, **more)])
        for day, value in zip(days, before, strict=True)
    ]
    found = (
        history.past(known, "01_one", known[0]["reports"][0]["parameters"], NOW[0]) if known else {}
    )
    (one,) = history.placed([card(new, **more)], found, *NOW)
    return one


FLOW = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
"""NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2: flow rate of ten batches."""


def test_limits_are_those_of_the_nist_handbook() -> None:
    one = placed(FLOW, 50)
    assert one["mean"] == pytest.approx(50.81)
    assert one["upper_limit"] == pytest.approx(55.8041, abs=5e-5)
    assert one["lower_limit"] == pytest.approx(45.8159, abs=5e-5)
    assert (one["n_runs"], one["left"]) == (10, None)
    assert placed(FLOW, 55.81)["left"] == "above"
    assert placed(FLOW, 45.81)["left"] == "below"


def test_too_few_runs_have_a_change_and_no_limits() -> None:
    one = placed(FLOW[:9], 60)
    assert (one["mean"], one["upper_limit"], one["left"], one["n_runs"]) == (None, None, None, 9)
    assert one["change"] == pytest.approx(60 - 53.6)
    assert one["change_share"] == pytest.approx((60 - 53.6) / 53.6)
    assert [point["value"] for point in one["points"]] == [*FLOW[:9], 60]
    assert placed([-4.0], -2.0)["change_share"] == 0.5, "up is up, also below nought"
    assert placed([0.0], 2.0)["change_share"] is None
    first = placed([], 60)
    assert (first["change"], first["change_share"], first["n_runs"]) == (None, None, 0)


def test_limits_end_where_the_unit_ends() -> None:
    shares = [0.99, 0.9] * 5
    one = placed(shares, 1.0, unit="share")
    assert (one["upper_limit"], one["left"]) == (1.0, None)
    assert placed([1.0, 9.0] * 5, 0.0, unit="count")["lower_limit"] == 0.0
    assert placed([1.0, 9.0] * 5, 0.0)["lower_limit"] < 0


def test_runs_that_share_their_data_are_held_against_chance_too() -> None:
    """Shares of a sliding window of five days: one process, of which alarms would tell nothing."""
    days = np.random.default_rng(1).binomial(2000, 0.3, (300, 16)).cumsum(axis=1)
    shares = (days[:, 5:] - days[:, :-5]) / 10_000
    reach = 1.96 * np.sqrt(shares * (1 - shares) / 10_000)

    def alarms(reach: Any) -> float:
        left = []
        for values, ends in zip(shares, reach, strict=True):
            points = [
                card(value, unit="share", low=value - end, high=value + end) if end else card(value, unit="share")
                for value, end in zip(values, ends, strict=True)
            ]  # fmt: skip
            before = [history._point(one, str(n), "") for n, one in enumerate(points[:-1])]
            (one,) = history.placed(points[-1:], {"kept": before}, *NOW)
            left.append(one["left"] is not None)
        return float(np.mean(left))

    assert alarms(0 * reach) > 0.15, "from the moves alone"
    assert alarms(reach) < 0.02


@pytest.mark.parametrize("sign", [1, -1])
def test_a_total_that_runs_on_is_held_against_its_moves(sign: int) -> None:
    """The same ten flow rates added up: limits are those of the handbook, on the last total."""
    flow = pytest.approx(50.81), pytest.approx(45.8159, abs=5e-5), pytest.approx(55.8041, abs=5e-5)
    totals = [sign * total for total in np.cumsum([7.0, *FLOW])]
    one = placed(totals, totals[-1] + sign * 50)
    ends = ("mean", "lower_limit", "upper_limit")
    found = sorted(sign * (one[end] - totals[-1]) for end in ends)
    assert found == [flow[1], flow[0], flow[2]]
    assert one["left"] is None
    assert placed(totals, totals[-1] + sign * 55.81)["left"] == ("above" if sign > 0 else "below")
    assert placed(totals, totals[-1])["left"] == ("below" if sign > 0 else "above"), (
        "it stood still"
    )


def test_a_number_that_never_moved_and_does() -> None:
    assert placed([0.1 + 0.2] * 12, 0.3)["left"] is None
    assert placed([0.3] * 12, 0.31)["left"] == "above"


def test_a_headline_that_changed_its_unit_starts_anew() -> None:
    known = history.past([run("2025-01-31", 1)], "01_one", {"country": "GB"}, NOW[0])
    (one,) = history.placed([card(0.5, unit="share")], known, *NOW)
    assert one["change"] is None
    assert history.placed([card(1, withheld="no")], known, *NOW) == []


def test_numbers_of_one_process_leave_the_limits_as_rarely_as_is_said() -> None:
    chance = np.random.default_rng(1)
    left = [
        history._limits(list(chance.normal(size=10)), float(chance.normal()), "number")["left"]
        for _ in range(4000)
    ]
    share = np.mean([one is not None for one in left])
    assert share == pytest.approx(1 / 40, abs=4 * np.sqrt(0.025 * 0.975 / 4000))


def test_the_command_prints_runs_with_their_headlines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "01_one", 'as_of: str = "2024-12-31"', "# One")
    plan = str(write_plan(tmp_path, "reports: [{notebook: 01_one}]"))
    shown = CliRunner().invoke(cli.main, ["history", plan])
    assert shown.exit_code == cli.REFUSED
    assert "no run of plan 'weekly' is kept" in shown.stderr
    runs = tmp_path / "reports" / "runs" / "weekly"
    for number, value in enumerate([*FLOW, 55.81]):
        low_and_high = {"low": value - 1, "high": value + 1}
        one = run(f"2025-01-{number + 10}", value, headlines=[card(value, **low_and_high)])
        publish(runs, one)
    shown = CliRunner().invoke(cli.main, ["history", plan, "--last", "2"])
    assert shown.stdout.splitlines() == [
        "2025-01-20  succeeded, run 2025-01-20T03:00:00Z",
        "  01_one: succeeded",
        "    kept: 55.8 (54.8 to 56.8), was 52.1 on 2025-01-19  ! above its limits, 45.8 to 55.8",
        "2025-01-19  succeeded, run 2025-01-19T03:00:00Z",
        "  01_one: succeeded",
        "    kept: 52.1 (51.1 to 53.1), was 53.6 on 2025-01-18",
    ]


def test_the_command_prints_the_last_runs_whatever_their_day_and_unchanged_ones_in_a_line(
    tmp_path: Path,
) -> None:
    publish(tmp_path / "weekly", run("2025-03-31", 9.0, "2025-04-01T03:00:00Z"))
    for hour, status in enumerate(["succeeded", "skipped", "skipped"], 3):
        started = f"2025-05-01T0{hour}:00:00Z"
        day = publish(tmp_path / "weekly", run("2025-02-28", 8.0, started, status=status))
        history.keep(day)
    whole = [
        "2025-02-28  succeeded, run 2025-05-01T03:00:00Z",
        "  01_one: succeeded",
        "    kept: 8",
    ]
    unchanged = [
        f"2025-02-28  succeeded, run 2025-05-01T0{hour}:00:00Z: nothing had changed"
        for hour in (5, 4)
    ]
    assert list(told.lines(tmp_path, "weekly", 3)) == [*unchanged, *whole]
    alone = list(told.lines(tmp_path, "weekly", 1))
    assert [line.strip() for line in alone[1:]] == ["01_one: skipped", "kept: 8"]
