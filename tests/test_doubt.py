"""Numbers that are no basis for a decision: withheld from readers, told to who works on them."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import pandas as pd
import pytest

import cxlib as cx
from cxlib._published import doubted, fit_to_show
from cxlib.ltv import LtvFit

mpl.use("Agg")

ANSWERS: dict[str, Callable[[LtvFit], pd.DataFrame]] = {
    "total": lambda fit: fit.total(intervals=False),
    "segments": lambda fit: fit.segments(),
    "deciles": lambda fit: fit.deciles(),
    "grid": lambda fit: fit.grid(),
    "new_customer": lambda fit: fit.new_customer(intervals=False),
}


@pytest.fixture
def for_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CX_MIN_GROUP", "10")


def shop(**truth: float) -> pd.DataFrame:
    orders = cx.simulate.orders(600, start="2022-01-01", as_of="2023-12-31", seed=3, **truth)
    return orders.assign(country="DE")


@pytest.fixture(scope="module")
def doubtful() -> LtvFit:
    orders = shop(b=1e9)  # nobody ever leaves
    return cx.fit_ltv(orders, as_of="2023-12-31", by="country", n_boot=40)


@pytest.fixture(scope="module")
def sound() -> LtvFit:
    return cx.fit_ltv(shop(), as_of="2023-12-31", by="country", n_boot=40)


def test_a_fit_that_did_not_settle_says_why_it_is_no_basis_for_money(
    doubtful: LtvFit, sound: LtvFit
) -> None:
    assert doubtful.status == "boundary"
    assert doubtful.doubt == doubtful.verdict
    assert (sound.status, sound.doubt) == ("converged", None)


@pytest.mark.parametrize("ask", ANSWERS.values(), ids=list(ANSWERS))
def test_every_answer_of_such_a_fit_is_withheld_from_readers(
    doubtful: LtvFit, sound: LtvFit, for_readers: None, ask: Callable[[LtvFit], pd.DataFrame]
) -> None:
    shown = cx.show(ask(doubtful), name="taken-along")
    assert repr(shown) == f"Withheld: {doubtful.verdict}"
    assert list(shown._repr_mimebundle_()) == ["text/plain", "text/html"]  # no CSV is carried
    assert "Withheld" not in repr(cx.show(ask(sound)))


def test_its_checks_are_shown_all_the_same(doubtful: LtvFit, for_readers: None) -> None:
    assert "the fit converged" in repr(cx.show(doubtful.checks))


def test_its_pictures_are_withheld_too(doubtful: LtvFit, sound: LtvFit, for_readers: None) -> None:
    def draw(fit: LtvFit) -> list[str]:
        axes = [
            cx.plot.ltv(fit.deciles()),
            cx.plot.ltv_segments(fit.segments()),
            cx.plot.ltv_grid(fit.grid(), value="p_alive"),
        ]
        return [f"{ax.figure.reading} {ax.figure.alt}" for ax in axes]  # type: ignore[union-attr]

    assert draw(doubtful) == [f"Withheld: {doubtful.verdict} Withheld: {doubtful.verdict}"] * 3
    assert not [words for words in draw(sound) if "Withheld" in words]


def test_who_works_on_it_sees_the_numbers_and_the_reason(doubtful: LtvFit) -> None:
    deciles = doubtful.deciles()
    assert len(deciles) == 10
    says = f"Not to be relied on: {doubtful.verdict}"
    text = repr(cx.show(deciles))
    assert text.endswith(says)
    assert len(text.splitlines()) == 12
    reading: str = cx.plot.ltv(deciles).figure.reading  # type: ignore[union-attr]
    assert reading.startswith(f"{says} The best tenth of customers holds")


def test_a_saved_fit_keeps_its_doubt(doubtful: LtvFit, tmp_path: object, for_readers: None) -> None:
    doubtful.save(f"{tmp_path}/fit.json")
    loaded = cx.load_ltv(f"{tmp_path}/fit.json")
    assert loaded.doubt == doubtful.verdict
    assert repr(cx.show(loaded.deciles())) == f"Withheld: {doubtful.verdict}"


def test_a_part_of_a_doubtful_table_is_as_doubtful(for_readers: None) -> None:
    table = doubted(pd.DataFrame({"n": [100, 200, 300], "ltv": [1.0, 2.0, 3.0]}), "x.")
    for part in (table[table["n"] > 100], table.drop(columns="n"), table.head(2), table.copy()):
        assert fit_to_show(part).note == "Withheld: x."
        assert not len(fit_to_show(part).table)
    assert doubted(pd.DataFrame({"n": [100]}), None).attrs == {}


@pytest.fixture
def curve() -> pd.DataFrame:
    return cx.retention_curve(cx.retention(shop(), as_of="2023-12-31"))


def test_from_a_doubt_on_nothing_is_told_to_readers(
    sound: LtvFit, curve: pd.DataFrame, for_readers: None
) -> None:
    said = cx.withhold("the data end early")
    assert repr(said) == "All numbers below are withheld: the data end early"
    assert repr(cx.show(curve, name="curve")) == "Withheld: the data end early"
    assert cx.plot.retention_curve(curve).figure.reading == "Withheld: the data end early"  # type: ignore[union-attr]
    card = cx.headline("kept", 0.5, unit="share")
    assert (card.value, card.withheld) == (None, "the data end early")
    assert sound._repr_html_() == "<p>Withheld: the data end early</p>"
    assert cx.withhold(None) is None
    assert "Withheld" not in repr(cx.show(curve))
    assert cx.headline("kept", 0.5, unit="share").value == 0.5


def test_who_works_on_doubtful_data_sees_them_with_the_reason(curve: pd.DataFrame) -> None:
    said = cx.withhold("the data end early")
    assert repr(said) == "No number below is to be relied on: the data end early"
    told = repr(cx.show(curve))
    assert told.endswith("\nNot to be relied on: the data end early")
    assert len(told.splitlines()) == len(curve) + 2
    with pytest.raises(cx.ParameterError, match="is no text"):
        cx.withhold(True)  # type: ignore[arg-type]


# Experiments


def tried(n: int, as_of: str, **options: object) -> cx.ExperimentResult:
    """An experiment of one in two, whose orders end on 2024-05-20; half of blue buy, 1 in 10 else."""
    who = [f"u{place}" for place in range(n)]
    exposures = pd.DataFrame(
        {"user_id": who, "variant": ["control", "blue"] * (n // 2),
         "exposed_at": pd.Timestamp("2024-05-01")}
    )  # fmt: skip
    buyers = [*who[1::4], *who[::20], who[2]]
    orders = pd.DataFrame(
        {"order_id": range(len(buyers)), "customer_id": buyers, "net_revenue": 20.0,
         "ordered_at": pd.Timestamp("2024-05-03")}
    )  # fmt: skip
    orders.loc[len(buyers) - 1, "ordered_at"] = pd.Timestamp("2024-05-20")
    metrics = [
        cx.Conversion("order", within="7 days"),
        cx.Mean("net_revenue", within="7 days", before="90 days", role="secondary"),
    ]
    return cx.experiment(
        exposures, orders=orders, metrics=metrics, control="control", as_of=as_of, **options
    )  # type: ignore[arg-type]


def test_effects_of_an_experiment_that_cannot_be_trusted_are_withheld(for_readers: None) -> None:
    late = tried(800, "2024-09-30")
    assert late.verdict.startswith("Cannot be trusted: logs reach as_of")
    assert late.doubt == "the check 'logs reach as_of' failed: see the verdict."
    html = late._repr_html_()
    assert "Withheld: the check" in html
    assert "logs reach as_of" in html
    assert "lift" not in html
    for table in (
        late.table,
        late.over_time(n_dates=3),
        late.novelty(n_days=2),
        late.distribution("order"),
    ):
        assert repr(cx.show(table)) == f"Withheld: {late.doubt}"
    assert cx.plot.experiment(late.table).figure.alt == f"Withheld: {late.doubt}"  # type: ignore[union-attr]


def test_who_works_on_it_sees_its_table_and_the_warning() -> None:
    html = tried(800, "2024-09-30")._repr_html_()
    assert "Not to be relied on: the check" in html
    assert "lift (95% interval)" in html


def test_a_table_of_effects_keeps_each_number_with_its_interval_and_notes_below() -> None:
    result = tried(800, "2024-05-20")
    row = result.table.set_index("metric").loc["order"]
    low, high = (f"{100 * row[end]:+.3g}" for end in ("ci_low", "ci_high"))
    html = result._repr_html_()
    points = f"{100 * row['difference']:+.3g}\u00a0points ({low}\u00a0to\u00a0{high})"
    assert f"<td>{points}</td>" in html
    assert "<th>note</th>" not in html
    assert "<th>variant</th>" not in html, "the verdict names the one there is"


def test_a_sound_experiment_says_what_was_adjusted_and_that_it_is_one_look() -> None:
    once = tried(800, "2024-05-20")
    assert once.doubt is None
    assert once.verdict.startswith("Ship blue: order rises")
    assert once.verdict.endswith(" This holds if it is the one look that was planned.")
    html = once._repr_html_()
    assert html.count("adjusted (CUPED) for the same in the 90 days before exposure") == 1
    assert "one look" not in tried(800, "2024-05-20", planned_units=800).verdict


def test_exposures_after_as_of_are_told_with_their_days() -> None:
    message = (
        r"exposures: all 800 lie after as_of=2024-04-30: the experiment had not begun \(the first is "
        r"of 2024-05-01, the last of 2024-05-01\); give a later as_of"
    )
    with pytest.raises(cx.DataError, match=message):
        tried(800, "2024-04-30")
    days = pd.date_range("2024-05-01", periods=100)
    exposures = pd.DataFrame(
        {"user_id": range(100), "variant": ["control", "blue"] * 50, "exposed_at": days}
    )
    orders = pd.DataFrame(
        {"order_id": [1], "customer_id": [1], "net_revenue": 2.0, "ordered_at": days[:1]}
    )
    message = (
        r"exposures: 70 lie after as_of=2024-05-30, of 100 \(the first is of 2024-05-01, the last of "
        r"2024-08-08\); give a later as_of, or filter them"
    )
    with pytest.raises(cx.DataError, match=message):
        cx.experiment(
            exposures, orders=orders, metrics=[cx.Mean("net_revenue")], control="control",
            as_of="2024-05-30",
        )  # fmt: skip
