"""The commands for exports: `cx check` and `cx preset`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import corpus
import exports
import pytest
from click.testing import CliRunner, Result

import cxlib as cx
from cxlib import cli
from cxlib.sources import Rules, load_preset


def check(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["check", *arguments])


def test_check_says_how_an_export_is_read_and_what_is_lost(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "orders.csv", exports.SHOPIFY)
    told = check(str(path), "--timezone", "Europe/Paris", "--max-loss", "0.9")
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        "orders.csv: taken for shopify: it has Name, Email, Created at, Total and 7 more of its columns",
        "  columns    order_id = Name, customer_id = Email, ordered_at = Created at, amount = Total, "
        "refunded = Refunded Amount, cancelled_at = Cancelled at, status = Financial Status, tags = Tags, "
        "currency = Currency, payment_method = Payment Method, channel = Source",
        "  others     Lineitem quantity, Lineitem name",
        "  rows       7, of which 3 are kept",
        "  orders     2",
        "  customers  2",
        "  period     2025-10-07 to 2025-10-08",
        "  revenue    45.00 (EUR)",
        "losses: 4 of 7 rows",
        "  rule         rows  rows_share  revenue  revenue_share  meaning",
        "  test_order      1       14.3%     1.00           0.9%  a test order, by flag, tag, e-mail or payment method",
        "  cancelled       1       14.3%    40.00          36.0%  cancelled by the shop or the customer",
        "  unpaid          1       14.3%    10.00           9.0%  never paid: pending, authorised, voided or expired",
        "  no_customer     1       14.3%    15.00          13.5%  a guest: no customer id or e-mail",
        "put right, or worth a look:",
        "  note           rows  rows_share  revenue  revenue_share  meaning",
        "  refund_netted     1       14.3%    -5.00          -4.5%  refunds, taken off the orders that they belong to",
        "worth mending: no_customer (14.3%): export e-mails or customer ids; guests cannot be followed",
    ]
    strict = check(str(path), "--timezone", "Europe/Paris")
    assert strict.exit_code == 2
    assert (
        "to fix: 59.5% is lost, most of it as cancelled, and cleaning stops above 30%; mend the "
        "export, or allow more with --max-loss" in strict.stdout
    )


def test_check_names_no_column_that_the_file_does_not_have(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "x.csv", exports.WOOCOMMERCE)
    told = check(str(path), "--max-loss", "1").stdout
    assert "  others     order_number, paid_date, customer_user, billing_first_name" in told


def test_check_of_one_refund_far_above_its_order_says_which_to_look_at(tmp_path: Path) -> None:
    head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    sold = [f"{n},A,mug,2,2011-01-0{n} 09:00:00,5.0,{n},UK" for n in range(1, 6)]
    back = "C9,A,mug,-2,2011-02-01 09:00:00,45.0,5,UK"
    path = exports.write(tmp_path / "x.csv", "\n".join([head, *sold, back, ""]))
    told = check(str(path), "--timezone", "Europe/London")
    assert told.exit_code == 2
    assert "-66.7%" in told.stdout, "80 too much refunded, of 4 x 10 kept and 80"
    assert told.stdout.splitlines()[-1] == (
        "worth mending: refunded_in_full (66.7%): look at these orders, if more is refunded than was "
        "paid (such as 5)"
    )


def test_check_of_what_cannot_be_used(tmp_path: Path) -> None:
    path = exports.write(tmp_path / "x.csv", corpus.GOOD.replace("10.00", "n/a"))
    told = check(str(path))
    assert told.exit_code == 2
    assert told.stdout.splitlines()[-1].startswith("to fix: orders: 'net_revenue' holds 1 value")
    assert check(str(tmp_path / "gone.csv")).stderr.startswith("cx: source '")
    assert check(str(path), "--columns", "x").exit_code == 2
    path.write_text("Nr,Mail,Date,Paid\n1,a@b.c,2024-05-01,9\n")
    options = ["order_id=Nr", "customer_id=Mail", "ordered_at=Date", "net_revenue=Paid"]
    said = check(str(path)).stdout
    assert " ".join(f"--columns {one}" for one in options) in said, "as it is typed, to be copied"
    assert "cx.read" not in said
    assert "cx preset new" in said
    given = [part for one in options for part in ("--columns", one)]
    assert check(str(path), *given).exit_code == 0
    path.write_text(corpus.GOOD.replace("10.00", "n/a"))
    assert check(str(path), "--columns", "net_revenue=order_id").exit_code == 0
    assert check(str(path), "--timezone", "Mars").exit_code == 2


GOOD = corpus.GOOD
TWO_CURRENCIES = GOOD.replace("city", "Currency").replace("Paris", "Rome")


@pytest.mark.parametrize(
    ("export", "given", "remedy"),
    [
        (GOOD.replace("London", "Orléans").encode("cp1252"), "", "so give --encoding cp1252"),
        (GOOD.encode("utf-16-le"), "", "give --encoding utf-16-le"),
        (GOOD.replace("2024-05-01", "31/05/2024").encode(), "", "give --date-format"),
        (re.sub(r"\d+\.\d+", '"1.234,5"', GOOD).encode(), "", "give --decimal , or fix"),
        (TWO_CURRENCIES.encode(), "", "with --currency ROME"),
        (GOOD.encode(), "--timezone Mars", "to fix: --timezone Mars is not a time zone"),
        (GOOD.encode(), "--preset shopfy", "cx: --preset shopfy is not known"),
        (
            GOOD.replace("customer_id", "Customer's {id}").encode(),
            "",
            shlex.join(["--columns", "customer_id=Customer's {id}"]),
        ),
    ],
)
def test_check_says_what_can_be_typed(
    tmp_path: Path, export: bytes, given: str, remedy: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(export)
    told = check(str(path), *given.split())
    assert told.exit_code == 2
    assert remedy in told.output


def test_check_says_what_was_put_right(tmp_path: Path) -> None:
    path = exports.write(
        tmp_path / "x.csv", exports.online_retail("InvoiceNo", "UnitPrice", "CustomerID")
    )
    told = check(str(path), "--timezone", "Europe/London", "--max-loss", "1")
    assert told.exit_code == 0
    _, notes = told.stdout.split("put right, or worth a look:\n")
    assert "refund_netted" in notes
    assert "-15.00" in notes, "four alarm clocks at 3.75"


def test_check_of_events_takes_what_events_need(tmp_path: Path) -> None:
    path = exports.ga4_json(tmp_path / "x.jsonl")
    told = check(str(path), "--currency", "EUR", "--decimal", ",")
    assert told.exit_code == 0
    assert "  mind: steps keep GA4's own names" in told.stdout
    assert "  users      4" in told.stdout
    assert "losses: none" in told.stdout
    assert check(str(path), "--preset", "ga4_orders", "--max-loss", "1").exit_code == 0


def test_a_preset_is_copied_edited_and_used(tmp_path: Path) -> None:
    own = tmp_path / "books.toml"
    command = ["preset", "new", str(own), "--from", "woocommerce"]
    done = CliRunner().invoke(cli.main, command)
    assert (done.exit_code, done.stdout) == (0, f"{own}\n")
    assert load_preset(str(own)).rules == load_preset("woocommerce").rules
    text = own.read_text()
    for name in [
        *Rules.model_fields,
        "columns",
        "keep",
        "only",
        "refunds",
        "paid_back",
        "cancels",
        "blank",
    ]:
        assert name in text, f"{name} is not explained"
    own.write_text(text.replace('"order_id"', '"nr"', 1))
    path = exports.write(tmp_path / "x.csv", exports.WOOCOMMERCE.replace("order_id", "nr", 1))
    assert check(str(path), "--preset", str(own), "--max-loss", "1").exit_code == 0
    assert CliRunner().invoke(cli.main, command).exit_code == 2, "nothing is overwritten"
    assert CliRunner().invoke(cli.main, ["preset", "new", str(tmp_path / "x.txt")]).exit_code == 2
    assert (
        CliRunner().invoke(cli.main, ["preset", "new", str(tmp_path / "no/x.toml")]).exit_code == 2
    )


def test_presets_are_listed_and_shown() -> None:
    listed = CliRunner().invoke(cli.main, ["preset", "list"]).stdout.splitlines()
    assert [line.split()[0] for line in listed] == cx.presets()
    shown = CliRunner().invoke(cli.main, ["preset", "show", "ga4"]).stdout
    assert 'epoch = "us"' in shown
    assert CliRunner().invoke(cli.main, ["preset", "show", "ga5"]).exit_code == 2
