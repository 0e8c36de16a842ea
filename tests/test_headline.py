"""Headlines: written as people read them, refused when they make no sense."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import cxlib as cx
from cxlib.headline import HEADLINE_MIME, Headline


@pytest.mark.parametrize(
    ("value", "words", "shown"),
    [
        (0.312, {"unit": "share"}, "31.2%"),
        (0.0042, {"unit": "share"}, "0.42%"),
        (0, {"unit": "share"}, "0.0%"),
        (0.031, {"unit": "change"}, "+3.1%"),
        (-0.2, {"unit": "change"}, "-20.0%"),
        (12345, {"unit": "count"}, "12,345"),
        (12345.6, {"unit": "money", "currency": "GBP"}, "£12,346"),
        (128.4, {"unit": "money", "currency": "CHF"}, "CHF 128.40"),
        (-3, {"unit": "money", "currency": "EUR"}, "-€3.00"),
        (9.5, {"unit": "money"}, "9.50"),
        (34, {"unit": "days"}, "34 days"),
        (1, {"unit": "days"}, "1 day"),
        (3600.4, {"unit": "seconds"}, "3,600 seconds"),
        (2.3456, {}, "2.35"),
        (np.int64(7), {"unit": "count"}, "7"),
        (np.float64(0.5), {"unit": "share"}, "50.0%"),
    ],
)
def test_numbers_are_written_as_people_read_them(
    value: Any, words: dict[str, Any], shown: str
) -> None:
    assert cx.headline("x", value, **words).text == shown


def test_an_interval_names_its_unit_once() -> None:
    assert cx.headline("gap", 34, 31, 38, unit="days").interval == "31 to 38 days"
    assert repr(cx.headline("gap", 34, unit="days")) == "gap: 34 days"


def test_the_ends_of_an_interval_have_the_digits_of_the_number() -> None:
    assert repr(cx.headline("visits", 1.2213, 1.2, 1.238)) == "visits: 1.22 (1.20 to 1.24)"
    money = cx.headline("worth", 1005, 998.4, 1011.6, unit="money", currency="GBP")
    assert repr(money) == "worth: £1,005 (£998 to £1,012)"


def test_an_interval_may_miss_its_own_edge_by_rounding() -> None:
    # the Wilson interval of 0 of 10 starts at 1.7e-17 as statsmodels computes it
    assert cx.headline("none of ten", 0.0, 1.7e-17, 0.278, unit="share").low == 1.7e-17


def test_jupyter_gets_a_card_and_a_record_that_makes_the_headline_again() -> None:
    shown = cx.headline("kept <b>", 0.5, 0.4, 0.6, unit="share")
    bundle = shown._repr_mimebundle_()
    assert "kept &lt;b&gt;" in bundle["text/html"]
    assert "95% interval 40.0% to 60.0%" in bundle["text/html"]
    assert "interval" not in cx.headline("n", 3)._repr_html_()
    assert Headline(**json.loads(json.dumps(bundle[HEADLINE_MIME]))) == shown


@pytest.mark.parametrize(
    ("arguments", "words", "message"),
    [
        (("x", float("nan")), {}, "not a finite number"),
        (("x", float("inf")), {}, "not a finite number"),
        (("x", True), {}, "not a finite number"),
        (("x", "12"), {}, "not a finite number"),
        (("x", 1, 0, float("nan")), {}, "high=nan"),
        (("x", 1, 2, 3), {}, "outside its interval"),
        (("x", 4, 2, 3), {}, "outside its interval"),
        (("x", 1, 0), {}, "both low and high"),
        (("x", 31.2), {"unit": "share"}, "fraction from 0 to 1"),
        (("x", 1), {"unit": "shares"}, "Did you mean 'share'"),
        (("", 1), {}, "needs words"),
        (("x", 1), {"unit": "money", "currency": "pounds"}, "ISO code"),
        (("x", 1), {"unit": "count", "currency": "GBP"}, "unit='money'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[Any, ...], words: dict[str, Any], message: str
) -> None:
    with pytest.raises(cx.ParameterError, match=message):
        cx.headline(*arguments, **words)


def test_a_withheld_number_is_nowhere() -> None:
    card = cx.headline("value", 8328944, 1, 9e6, unit="money", withheld="boundary: an upper bound")
    bundle = card._repr_mimebundle_()
    assert card.text == "withheld"
    assert "boundary: an upper bound" in bundle["text/html"]
    assert "8328944" not in repr(bundle).replace(",", "")
    assert bundle["application/vnd.cx.headline+json"]["value"] is None
