"""Each mess of a real export by itself: its rule, its switch, its rows and revenue, its examples."""

from __future__ import annotations

import json
from pathlib import Path

import ibis
import pandas as pd
import pytest

import cxlib as cx
from cxlib.clean.lines import first_rule
from cxlib.clean.rules import LOSSES, NOTES

PAGE = Path(__file__).parent.parent / "docs" / "cleaning.md"
MARK = "<!-- from here on as cxlib/clean/rules.py says, held by tests/test_clean_rules.py -->"


def order(
    number: object, who: object = "ann", amount: object = 10.0, **more: object
) -> dict[str, object]:
    return {
        "order_id": number,
        "customer_id": who,
        "ordered_at": "2024-05-01",
        "amount": amount,
        **more,
    }


def clean(rows: list[dict[str, object]], **options: object) -> cx.Cleaned:
    return cx.clean_orders(pd.DataFrame(rows), **{"timezone": "UTC", "max_loss": 1.0, **options})  # type: ignore[arg-type]


def lost(cleaned: cx.Cleaned) -> dict[str, tuple[int, float]]:
    return {row.rule: (row.rows, round(row.revenue, 6)) for row in cleaned.losses.itertuples()}


def noted(cleaned: cx.Cleaned) -> dict[str, tuple[int, float]]:
    return {row.note: (row.rows, round(row.revenue, 6)) for row in cleaned.notes.itertuples()}


def net(cleaned: cx.Cleaned) -> dict[str, float]:
    table = cleaned.table.execute()
    return dict(zip(table["order_id"], table["net_revenue"].round(6), strict=True))


def with_rules(rows: list[dict[str, object]], tmp_path: Path, rules: str) -> cx.Raw:  # type: ignore[name-defined]
    own = tmp_path / "own.toml"
    own.write_text(f'[columns]\norder_id = "order_id"\n[rules]\n{rules}\n')
    return cx.read(pd.DataFrame(rows), preset=str(own))


MESSY = [
    order("1"),
    order("dup"), order("dup"),
    order("state"), order("state", amount=8.0),
    order("test", is_test="yes"),
    order("gone", cancelled_at="2024-05-02"),
    order("back", refunded=10.0),
    order("minus", amount=-3.0),
]  # fmt: skip


def test_every_rule_can_be_switched_off_and_its_rows_stay() -> None:
    everything = clean(MESSY)
    assert lost(everything) == {
        "duplicate_row": (1, 10), "duplicate_order": (1, 10), "refund_unmatched": (1, -3),
        "test_order": (1, 10), "cancelled": (1, 10), "refunded_in_full": (1, 0),
    }  # fmt: skip
    assert net(everything) == {"1": 10, "dup": 10, "state": 8}
    assert everything.examples == {
        "duplicate_row": ["dup"], "duplicate_order": ["state"], "refund_unmatched": ["minus"],
        "test_order": ["test"], "cancelled": ["gone"], "refunded_in_full": ["back"],
    }  # fmt: skip
    nothing = clean(MESSY, skip_rules=list(lost(everything)))
    assert nothing.losses.empty
    assert net(nothing) == {
        "1": 10, "dup": 20, "state": 18, "test": 10, "gone": 10, "back": 0, "minus": -3,
    }  # fmt: skip
    assert nothing.kept_rows == everything.raw_rows == len(MESSY)
    assert nothing.raw_revenue == everything.raw_revenue == nothing.kept_revenue


def test_a_preset_may_switch_rules_off_too(tmp_path: Path) -> None:
    raw = with_rules(MESSY, tmp_path, 'skip_rules = ["cancelled"]')
    cleaned = cx.clean_orders(raw, timezone="UTC", max_loss=1.0, skip_rules=["test_order"])
    assert {"gone", "test"} <= set(net(cleaned))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("canceled", r"'canceled', which is no rule; .* Did you mean 'cancelled'"),
        ("clock_gap", "'clock_gap', which drops and changes no row of its own: local stamps"),
        (
            "no_customer",
            "a guest: no customer id or e-mail; a table cannot hold such rows. Export",
        ),
    ],
)
def test_rules_that_are_none_or_that_must_hold(name: str, said: str) -> None:
    with pytest.raises(cx.ParameterError, match=said):
        clean(MESSY, skip_rules=[name])


def test_each_rule_says_what_it_means_and_what_to_do() -> None:
    cleaned = clean(MESSY)
    assert set(cleaned.advice) == {*cleaned.losses["rule"], *cleaned.notes["note"]}
    assert all(rule.meaning and rule.advice for rule in [*LOSSES.values(), *NOTES.values()])


def test_the_page_tells_every_rule() -> None:
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    assert PAGE.read_text(encoding="utf-8") == head + mark + "\n\n" + told_in_tables(), (
        "docs/cleaning.md tells other rules than cxlib/clean/rules.py"
    )
    assert head.count("cx.") > 5, "the page says how to ask for each part of the account"


def test_rules_act_in_the_order_in_which_they_are_listed() -> None:
    names = list(LOSSES)
    holds = [(ibis.literal(True), name) for name in reversed(names)]
    for place, name in enumerate(names):
        assert first_rule(holds, names[:place]).execute() == name


def test_an_order_with_every_fault_is_lost_under_each_in_turn(tmp_path: Path) -> None:
    """As the table of docs/cleaning.md lists them; a guest's postage is no product first of all."""
    rules = 'unpaid = ["pending"]\nnon_products = ["POST"]\nadjustment_prefix = "A"'
    faults = {
        "adjustment": {"order_id": "A1"},
        "not_a_product": {"item_id": "POST"},
        "test_order": {"is_test": "yes"},
        "cancelled": {"cancelled_at": "2024-05-02"},
        "unpaid": {"status": "pending"},
        "no_customer": {"customer_id": None},
        "no_amount": {"amount": None},
        "no_time": {"ordered_at": None},
    }
    assert [name for name in LOSSES if name in faults] == list(faults)
    good = order("1", is_test="no", cancelled_at=None, status="paid", item_id="cup")
    rows = []
    for place in range(len(faults)):
        row = {**good, "order_id": f"{place}"}
        for fault in list(faults.values())[place:]:
            row |= fault
        rows.append(row)
    cleaned = cx.clean_orders(
        with_rules([{**good, "order_id": "kept"}, *rows], tmp_path, rules),
        timezone="UTC",
        max_loss=1,
    )
    assert cleaned.losses["rule"].tolist() == list(faults)
    assert cleaned.losses["rows"].tolist() == [1] * len(faults)
    assert cx.waterfall(cleaned)["step"].tolist() == ["raw", *faults, "kept"]


def test_too_many_repeated_events_are_told_with_some_of_their_ids() -> None:
    events = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(6)],
            "event": "view",
            "occurred_at": [f"2024-05-0{n + 1}" for n in range(6)],
            "event_id": ["e1", "e1", "e2", "e2", "e3", "e4"],
        }
    )
    with pytest.raises(cx.DataError, match=r"earliest is kept; among them 'e1', 'e2'\); mend"):
        cx.clean_events(events, timezone="UTC", max_loss=0.2)


def test_small_losses_are_sent_to_a_page_without_money_and_as_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cleaned = clean(MESSY)
    monkeypatch.setenv("CX_MIN_GROUP", "10")
    (account,) = cleaned._repr_mimebundle_().values()
    assert json.loads(json.dumps(account, allow_nan=False)) == account
    assert {rule["revenue"] for rule in account["rules"]} == {None}
    assert {rule["rows"] for rule in account["rules"]} == {1}


def told_in_tables() -> str:
    parts = []
    for title, rules in (("What is lost", LOSSES), ("What is put right, or noted", NOTES)):
        lines = [
            f"## {title}",
            "",
            "| rule | what it means | what to do | switch |",
            "|---" * 4 + "|",
        ]
        for name, rule in rules.items():
            switch = f'`skip_rules=["{name}"]`' if rule.may_skip else ""
            lines.append(f"| `{name}` | {rule.meaning} | {rule.advice} | {switch} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def test_net_revenue_with_and_without_refunds_that_match_nothing() -> None:
    table = clean([order("1", refunded=4.0), order("2"), order("3", amount=-3.0)]).refunds
    assert table.set_index("what")["revenue"].to_dict() == {
        "gross revenue": 20, "refunds netted": -4, "net revenue": 16,
        "refunds that match no order": -3, "net revenue with those": 13,
    }  # fmt: skip


def test_examples_reach_no_page() -> None:
    cleaned = clean([order("1"), order("#secret", is_test="yes")])
    assert cleaned.examples == {"test_order": ["#secret"]}
    assert "#secret" not in cleaned._repr_html_() + str(cleaned._repr_mimebundle_())


def test_customers_who_are_left_out_by_name_pattern_or_test_address(tmp_path: Path) -> None:
    rows = [order("1"), order("2", "Bot.7"), order("3", "Eve@Shop.com"), order("4", "qa+1@x.io")]
    raw = with_rules(rows, tmp_path, 'test_emails = ["qa+*"]')
    cleaned = cx.clean_orders(raw, timezone="UTC", max_loss=1.0, exclude=["*@shop.com", "bot.7"])
    assert lost(cleaned) == {"test_order": (1, 10), "excluded": (2, 20)}
    assert net(cleaned) == {"1": 10}


def test_guests_are_known_by_their_email(tmp_path: Path) -> None:
    rows = [
        order("1", "17", email="Ann@X.io "),
        order("2", "0", email="ann@x.io"),  # a guest whose e-mail has an account
        order("3", "0", email="\u200ebob@x.io"),
        order("4", None, email="BOB@x.io"),
        order("5", "0", email=""),
    ]
    raw = with_rules(rows, tmp_path, 'guest_ids = ["0"]')
    cleaned = cx.clean_orders(raw, timezone="UTC", max_loss=1.0)
    found = dict(cleaned.table.select("order_id", "customer_id").execute().values.tolist())
    assert found == {"1": "17", "2": "17", "3": "bob@x.io", "4": "bob@x.io"}
    assert lost(cleaned) == {"no_customer": (1, 10)}
    assert noted(cleaned)["guest_by_email"] == (3, 30)


def test_words_that_stand_for_nobody_are_nobody() -> None:
    """A database that writes NULL must not make all guests one loyal customer."""
    words = ["NULL", "nan", "N/A", "None", "-", "\\N", "(not set)", " null "]
    orders = pd.DataFrame(
        {
            "order_id": [str(n) for n in range(len(words) + 2)],
            "customer_id": [*words, "ann", "Nana"],
            "ordered_at": "2024-05-01",
            "net_revenue": 1.0,
        }
    )
    cleaned = cx.clean_orders(orders, timezone="UTC", max_loss=1)
    losses = cleaned.losses.set_index("rule")["rows"]
    assert losses["no_customer"] == len(words)
    assert sorted(cleaned.table["customer_id"].execute()) == ["Nana", "ann"]
    events = orders.rename(columns={"customer_id": "user_id", "ordered_at": "occurred_at"})
    log = cx.clean_events(events.assign(event="view"), timezone="UTC", max_loss=1)
    assert log.losses.set_index("rule")["rows"]["no_user"] == len(words)


def test_marks_letters_of_two_keyboards_and_float_ids_are_one_and_said() -> None:
    rows = [
        order("1", "علي"), order("2", "علی"), order("3", "كاوه"), order("4", "کاوه"),
        order("5", "a\u200eb"), order("6", "ab"), order("7", "17850.0"), order("8", "17850"),
    ]  # fmt: skip
    cleaned = clean(rows)
    assert cleaned.table["customer_id"].nunique().execute() == 4
    assert noted(cleaned) == {"hidden_marks": (3, 30), "float_ids": (1, 10)}
    assert "leading zeros" in cleaned.advice["float_ids"]


def test_what_cleaning_puts_right_can_be_left_as_it_is() -> None:
    rows = [
        order("1", " a\u200eb "), order("2", "علي"), order("3", "7.0"),
        order("4", None, email="x@y.io"),
    ]  # fmt: skip
    cleaned = clean(rows, skip_rules=["hidden_marks", "float_ids", "guest_by_email"])
    assert set(cleaned.table["customer_id"].execute()) == {"a\u200eb", "علي", "7.0"}
    assert lost(cleaned) == {"no_customer": (1, 10)}
    assert noted(cleaned) == {}
    events = pd.DataFrame({"user_id": ["a\u200eb", "7.0"], "event": "view"})
    events = events.assign(occurred_at="2024-05-01 10:00:00")
    kept = cx.clean_events(events, timezone="UTC", skip_rules=["hidden_marks", "float_ids"])
    assert set(kept.table["user_id"].execute()) == {"a\u200eb", "7.0"}
    assert kept.notes.empty


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (["13/02/24 10:00", "01/01/24 11:00"], "give date_format= ('%d/%m/%y %H:%M' fits all)"),
        (["13-Feb-2024", "01-Jan-2024"], "give date_format= ('%d-%b-%Y' fits all)"),
        (["02/13/2024 09:00 AM", "01/01/2024 10:00 PM"], "('%m/%d/%Y %I:%M %p' fits all)"),
        (["1704067200", "1704200400"], "they look like seconds since 1970: write epoch = 's'"),
        (["1704067200000", "1704200400000"], "they look like milliseconds since 1970"),
        (["45292.0", "45293.5"], "they look like day numbers of Excel"),
        (["1. März 2024", "2. März 2024"], "give date_format= or fix them"),
    ],
)
def test_what_dates_look_like_that_cannot_be_read(days: list[str], said: str) -> None:
    rows = [order(str(n), ordered_at=day) for n, day in enumerate([*days, ""])]
    with pytest.raises(cx.DataError) as error:
        clean(rows)
    assert said in str(error.value)


def test_a_year_of_four_digits_is_not_read_from_two() -> None:
    rows = [order("1", ordered_at="01/05/24"), order("2", ordered_at="01/05/0024")]
    with pytest.raises(cx.DataError, match="1 value that does not fit date_format='%d/%m/%Y'"):
        clean(rows, date_format="%d/%m/%Y")


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"amount": ["1.234", "12", "999"]}, {},
         "'amount' may hold thousands or fractions, for every point in it is followed by three "
         r"digits \(first: '1.234', row 1\); say which with decimal='.' or decimal=','"),
        ({"order_id": ["1", "1.23457E+11", "3"]}, {},
         r"'order_id' holds 1 ids that a spreadsheet has shortened \(first: '1.23457E\+11', row 2\)"),
        ({"ordered_at": ["01/02/2024", "03/02/2024", "04/05/2024"]}, {},
         r"give date_format= \('%d/%m/%Y' and '%m/%d/%Y' fit all: the export does not say which\)"),
        ({"ordered_at": ["01/02/2024", "30/02/2024", "04/05/2024"]}, {}, "give date_format= or fix"),
        ({"ordered_at": ["13/02/2024 10:00", "03/02/2024 11:00", ""]}, {},
         r"give date_format= \('%d/%m/%Y %H:%M' fits all\)"),
    ],
    ids=["thousands", "digits lost", "day or month", "no such day", "one format"],
)  # fmt: skip
def test_what_reads_in_two_ways_is_refused(
    columns: dict[str, object], options: dict[str, object], said: str
) -> None:
    frame = pd.DataFrame([order(str(n)) for n in (1, 2, 3)]).assign(**columns)
    with pytest.raises(cx.DataError, match=said):
        cx.clean_orders(frame, timezone="UTC", **options)  # type: ignore[arg-type]


def test_thousands_are_read_once_the_caller_says_so() -> None:
    rows = [order("1", amount="1.234"), order("2", amount="0.125")]
    assert net(clean(rows[:1], decimal=",")) == {"1": 1234}
    assert net(clean(rows[:1], decimal=".")) == {"1": 1.234}
    assert net(clean([order("1", amount="0.125")])) == {"1": 0.125}
    assert net(clean([*rows, order("3", amount="12.5")])) == {"1": 1.234, "2": 0.125, "3": 12.5}


def line(
    file: str, number: str, item: str, quantity: int, at: str = "2024-05-01", note: str = ""
) -> dict[str, object]:
    return {"order_id": number, "customer_id": "ann", "ordered_at": at, "item_id": item,
            "quantity": quantity, "unit_price": 1.0, "source_file": file, "note": note}  # fmt: skip


def test_two_files_that_share_invoices_count_each_line_once() -> None:
    rows = [
        line("a", "1", "mug", 1),
        line("a", "2", "mug", 2), line("a", "2", "cup", 4), line("a", "2", "cup", 4, note="again"),
        line("b", "2", "mug", 2, note="renamed"), line("b", "2", "cup", 4), line("b", "2", "cup", 4),
        line("b", "2", "jar", 8),  # cut off in the other file
        line("b", "3", "mug", 16),
    ]  # fmt: skip
    cleaned = clean(rows)
    # in b, one cup repeats exactly; of the two cups of a one is not in b
    assert lost(cleaned) == {"duplicate_row": (1, 4), "overlapping_file": (2, 6)}
    assert net(cleaned) == {"1": 1, "2": 2 + 4 + 4 + 8, "3": 16}
    assert "source_file" not in cleaned.table.columns
    assert cleaned.examples["overlapping_file"] == ["2"]
    assert net(clean(rows, skip_rules=["overlapping_file"]))["2"] == 24


def test_totals_in_two_files() -> None:
    rows = [order("1", source_file="a"), order("1", source_file="b"),
            order("2", source_file="a"), order("2", refunded=4.0, source_file="b")]  # fmt: skip
    cleaned = clean(rows)
    assert net(cleaned) == {"1": 10, "2": 6}
    assert lost(cleaned) == {"duplicate_order": (1, 10), "overlapping_file": (1, 10)}


def test_days_that_stand_twice_in_one_file_are_suspected() -> None:
    days = pd.date_range("2024-05-01", "2024-05-04")
    rows = [order(f"{day:%d}-{k}", ordered_at=str(day.date())) for day in days for k in range(6)]
    overlap = [row for row in rows if row["ordered_at"] in ("2024-05-02", "2024-05-03")]
    cleaned = clean([*rows, *overlap, rows[0]])
    assert lost(cleaned) == {"duplicate_row": (13, 130)}
    assert noted(cleaned) == {"overlap_suspected": (12, 120)}
    assert cleaned.examples["overlap_suspected"] == ["2024-05-02", "2024-05-03"]


def test_events_have_switches_notes_and_examples_too() -> None:
    frame = pd.DataFrame(
        [("bot-1", "view", "e1"), ("Ann@x.io", "view", "e2"), ("ann@x.io", "cart", "e2"),
         ("u1", "view", "e3"), ("u1", "view", "e3"), ("u\u200f2", "view", "e4")],
        columns=["user_id", "event", "event_id"],
    ).assign(occurred_at="2024-05-01 10:00:00")  # fmt: skip
    cleaned = cx.clean_events(frame, timezone="UTC", max_loss=1.0, exclude=["bot-*"])
    assert cleaned.losses.set_index("rule")["rows"].to_dict() == {
        "duplicate_row": 1, "duplicate_event": 1, "excluded": 1,
    }  # fmt: skip
    assert cleaned.examples == {
        "duplicate_row": ["e3"], "duplicate_event": ["e2"], "excluded": ["e1"],
    }  # fmt: skip
    assert set(cleaned.table["user_id"].execute()) == {"ann@x.io", "u1", "u2"}
    assert cleaned.notes[["note", "rows"]].values.tolist() == [["hidden_marks", 1]]
    both = ["duplicate_row", "duplicate_event"]
    assert cx.clean_events(frame, timezone="UTC", skip_rules=both).kept_rows == len(frame)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_files_read_together_say_which_row_is_whose_so_that_overlaps_are_seen(
    tmp_path: Path, kind: str
) -> None:
    rows = [line("", number, "mug", 1, note=note) for number, note in
            (("1", "first"), ("2", "first"), ("2", "renamed"), ("3", "second"))]  # fmt: skip
    frame = pd.DataFrame(rows).drop(columns="source_file")
    for year, part in (("2023", frame[:2]), ("2024", frame[2:])):
        path = tmp_path / year / f"orders.{kind}"
        path.parent.mkdir()
        if kind == "csv":
            part.to_csv(path, index=False)
        elif kind == "jsonl":
            part.to_json(path, orient="records", lines=True)
        else:
            part.to_parquet(path)
    raw = cx.read(str(tmp_path / "*" / f"orders.{kind}"))
    files = raw.table["source_file"].value_counts(name="n").execute()
    assert dict(files.values.tolist()) == {f"2023/orders.{kind}": 2, f"2024/orders.{kind}": 2}
    cleaned = cx.clean_orders(raw, timezone="UTC", max_loss=1.0)
    assert lost(cleaned) == {"overlapping_file": (1, 1)}
    assert net(cleaned) == {"1": 1, "2": 1, "3": 1}
    assert "source_file" not in cleaned.table.columns
    alone = cx.read(str(tmp_path / "2023" / f"*.{kind}"))
    assert "source_file" not in alone.table.columns


def test_a_row_of_two_event_logs_is_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": ["a"], "event": "view", "occurred_at": "2024-05-01 10:00:00"})
    for name in ("one", "two"):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    cleaned = cx.clean_events(str(tmp_path / "*.csv"), timezone="UTC", max_loss=1.0)
    assert cleaned.losses[["rule", "rows"]].values.tolist() == [["duplicate_row", 1]]
    assert cleaned.table.columns == tuple(frame.columns)


def test_notes_have_examples_too() -> None:
    rows = [
        order("refunded", refunded=4.0),
        order("float", "7.0"),
        order("marked", "a\u200eb"),
        order("gap", ordered_at="2024-03-31 01:30:00"),
        order("fold", ordered_at="2024-10-27 01:30:00"),
        order("guest", None, email="x@y.io"),
        order("lost", "8.0", cancelled_at="2024-05-02"),
    ]
    assert clean(rows, timezone="Europe/London").examples == {
        "cancelled": ["lost"], "refund_netted": ["refunded"], "float_ids": ["float"],
        "hidden_marks": ["marked"], "clock_gap": ["gap"], "clock_fold": ["fold"],
        "guest_by_email": ["guest"],
    }  # fmt: skip


def test_numbers_with_the_other_decimal_sign_are_refused() -> None:
    with pytest.raises(cx.DataError, match=r"'amount' holds 1 value .* \(first: '12.50', row 2\)"):
        clean([order("1", amount="10,00"), order("2", amount="12.50")], decimal=",")
    with pytest.raises(cx.DataError, match=r"'amount' holds 1 value .* \(first: '12,50', row 2\)"):
        clean([order("1", amount="10.00"), order("2", amount="12,50")])


def test_a_preset_may_name_the_currency_so_that_a_plan_need_not(tmp_path: Path) -> None:
    preset = tmp_path / "shop.toml"
    names = ("order_id", "customer_id", "ordered_at", "amount")
    columns = "\n".join(f'{name} = "{name}"' for name in names)
    preset.write_text(
        f'title = "a shop with two"\ntable = "orders"\n[columns]\n{columns}\n[keep]\n'
        'currency = "currency"\n[rules]\ncurrency = "EUR"\n'
    )
    frame = pd.DataFrame(
        {"order_id": ["1", "2"], "customer_id": ["ann", "bob"], "amount": [20.0, 35.0],
         "ordered_at": "2024-05-01", "currency": ["EUR", "CHF"]}
    )  # fmt: skip
    orders = cx.clean_orders(cx.read(frame, preset=str(preset)), timezone="UTC")
    assert orders.table["order_id"].execute().tolist() == ["1"]
    assert orders.losses["rule"].tolist() == ["other_currency"]
