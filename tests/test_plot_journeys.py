"""Pictures of journeys, carts and channels: what they draw, what they say, and the worst tables."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
import pytest
from test_journeys import AS_OF, random_events, table_of

import cxlib as cx

mpl.use("Agg")


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return table_of(random_events(31))


def test_bars_and_bands_of_the_flow_are_as_high_as_visits_are_many(events: pd.DataFrame) -> None:
    table = cx.flow(events, as_of=AS_OF, n_steps=4)
    ax = cx.plot.flow(table)
    bars = {
        (round(patch.get_x() + patch.get_width() / 2), round(patch.get_height(), 9))
        for patch in ax.patches
        if isinstance(patch, mpl.patches.Rectangle)
    }
    total = table["n_visits"].iloc[0]
    for step in (1, 2, 3):
        for n in table[table["step"] == step].groupby("event")["n"].sum():
            assert (step, round(n / total, 9)) in bars
    bands = [patch for patch in ax.patches if isinstance(patch, mpl.patches.PathPatch)]
    assert len(bands) == len(table)
    widths = [band.get_path().vertices[0][1] - band.get_path().vertices[7][1] for band in bands]
    assert sorted(widths) == pytest.approx(sorted(table["n"] / total))
    assert ax.figure.reading in ax.figure.alt


def test_the_heat_maps_write_percentages_and_sizes(events: pd.DataFrame) -> None:
    table = cx.transitions(events, as_of=AS_OF)
    ax = cx.plot.transitions(table)
    sizes = dict(zip(table["from_event"], table["n_from"], strict=True))
    told = [label.get_text().split() for label in ax.get_yticklabels()]
    assert {name: int(n.replace(",", "")) for name, n in told} == sizes
    move = table[(table["from_event"] == "a") & (table["to_event"] == "b")].iloc[0]
    assert f"{100 * move['share']:.0f}" in [text.get_text() for text in ax.texts]
    steps = cx.step_matrix(events, as_of=AS_OF, n_steps=3)
    over = steps[(steps["step"] == 3) & (steps["event"] == "(ended)")].iloc[0]
    reading = cx.plot.step_matrix(steps).figure.reading
    assert f"{over['share']:.0%} are over before their event 3" in reading


def test_rows_that_a_page_may_not_show_do_not_disturb(events: pd.DataFrame) -> None:
    table = cx.transitions(events, as_of=AS_OF)
    shown = table.drop(index=table.index[[0, 5, 9]])
    names = [label.get_text() for label in cx.plot.transitions(shown).get_xticklabels()]
    assert names == [label.get_text() for label in cx.plot.transitions(table).get_xticklabels()]


def test_paths_say_who_did_not_get_there_and_draw_the_others(events: pd.DataFrame) -> None:
    table = cx.top_paths(events, start="a", end="P", as_of=AS_OF, most=4)
    ax = cx.plot.top_paths(table)
    missed = table.iloc[-1]
    assert f"{missed['share']:.0%} did not get to the end" in ax.figure.reading
    assert len(ax.get_yticklabels()) == len(table) - 1
    only_missed = cx.plot.top_paths(table.tail(1))
    assert only_missed.figure.reading.startswith("No visit got from the start to the end")


def test_what_is_left_in_carts_with_and_without_value_and_groups(events: pd.DataFrame) -> None:
    ask = {"cart": "a", "purchase": "P", "window": "30 minutes", "as_of": AS_OF}
    plain = cx.plot.cart_abandonment(cx.cart_abandonment(events, **ask))
    assert [text.get_text() for text in plain.get_legend().get_texts()] == ["users", "carts"]
    table = cx.cart_abandonment(
        events.assign(worth=2.0), **ask, checkout="b", value="worth", by="channel"
    )
    ax = cx.plot.cart_abandonment(table)
    assert len(ax.get_yticklabels()) == 6
    assert "channel (none): of" in ax.figure.reading
    assert "of the money in" in ax.figure.reading


GROUPED = {
    "transitions": cx.transitions, "step_matrix": cx.step_matrix, "flow": cx.flow, "top_paths": cx.top_paths,
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPED)
def test_several_groups_and_nothing_at_all_are_refused(name: str, events: pd.DataFrame) -> None:
    table = GROUPED[name](events, as_of=AS_OF, by="channel")
    draw = getattr(cx.plot, name)
    with pytest.raises(cx.ParameterError, match="holds several groups; draw one with"):
        draw(table)
    one = table[table["channel"] == "email"].drop(columns="channel")
    assert draw(one).figure.alt
    with pytest.raises(cx.DataError, match="there is nothing to draw"):
        draw(one.assign(n=0))
    with pytest.raises(cx.ColumnError, match="no columns? '(share|n_visits)'"):
        draw(one.drop(columns=["share", "n_visits"], errors="ignore"))
