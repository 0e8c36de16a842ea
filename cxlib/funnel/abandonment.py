"""Carts and checkouts that are left behind, and the value in them."""

from __future__ import annotations

import datetime as dt
from itertools import combinations_with_replacement

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib._calendar import interval
from cxlib._checks import ColumnError, ParameterError, check_columns, check_number
from cxlib._intervals import wilson
from cxlib.funnel.moments import AT
from cxlib.funnel.ratios import Sums, ratio_interval, share_interval
from cxlib.funnel.rule import Rule, check_rule
from cxlib.funnel.seen import seen_events
from cxlib.sources import Source
from cxlib.tables import EVENTS, NO_GROUP, group_label, is_empty

COUNTS = (
    "n",
    "n_abandoned",
    "abandonment_rate",
    "ci_low",
    "ci_high",
    "n_open",
    "n_carts",
    "n_carts_abandoned",
    "cart_abandonment_rate",
    "cart_ci_low",
    "cart_ci_high",
    "n_carts_open",
)
VALUES = (
    "cart_value",
    "abandoned_value",
    "abandoned_value_share",
    "abandoned_value_share_low",
    "abandoned_value_share_high",
    "mean_abandoned_value",
    "mean_abandoned_value_low",
    "mean_abandoned_value_high",
    "n_without_value",
)
LEFT_OUT = ("n_ignored", "n_duplicates")
CART, REMOVE, CHECKOUT, PURCHASE = range(4)  # in this order within a moment


def cart_abandonment(
    events: Source,
    *,
    cart: str = "add_to_cart",
    checkout: str | None = None,
    purchase: str = "purchase",
    remove: str | None = None,
    value: str | None = None,
    window: str | dt.timedelta = "1 day",
    as_of: str | dt.date,
    by: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return the share of users, and of carts, that did not buy in time, and the value left in carts.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        ``user_id``, ``event``, ``occurred_at``; one row per event.
    cart, purchase : str
        Names of the events that fill a cart and that buy.
    checkout : str, optional
        Name of the event that begins the checkout; adds a row on checkouts left behind.
    remove : str, optional
        Name of the event that takes something out of the cart; its value is subtracted.
    value : str, optional
        The column that holds what a ``cart`` event puts in, or a ``remove`` event takes out, in the
        shop's money; without it only users and carts are counted.
    window : str or timedelta, default "1 day"
        How long a cart may lie untouched and still be bought, included.
    as_of : date or "YYYY-MM-DD"
        The last observed day, included; later events are ignored.
    by : str, optional
        A column of ``events``. A cart belongs to the value at its first event that has one, and a
        user to that of the first cart that they bought, or else of their first cart. Carts
        without a value form the group ``(none)``.
    alpha : float, default 0.05
        One minus the confidence of the intervals.

    Returns
    -------
    pandas.DataFrame
        Grain: one row per stage (and group): all carts, then, with ``checkout``, those among them
        that came that far.

        - ``by`` (text; its own name, first column), where asked for
        - ``stage`` (text): the name of the event, ``cart`` or ``checkout``
        - ``n`` (int): users with a finished cart at that stage; ``n_abandoned`` (int): of those,
          users who bought none of them; ``abandonment_rate``, ``ci_low``, ``ci_high`` (fractions;
          Wilson); ``n_open`` (int): users left out, because none of their carts is finished
        - ``n_carts``, ``n_carts_abandoned`` (int), ``cart_abandonment_rate``, ``cart_ci_low``,
          ``cart_ci_high`` (fractions), ``n_carts_open`` (int): the same of carts
        - with ``value``: ``cart_value``, ``abandoned_value`` (float, money): of the finished carts,
          and of those not bought; ``abandoned_value_share`` and ``…_low``, ``…_high`` (fractions),
          ``mean_abandoned_value`` (money, per abandoned cart), ``…_low``, ``…_high``;
          ``n_without_value`` (int): finished carts that hold an event without a value (counted
          as 0), or no ``cart`` event
        - ``n_ignored``, ``n_duplicates`` (int): as in `funnel`

    Raises
    ------
    ColumnError
        A required column, ``by`` or ``value`` is missing, or ``value`` holds no numbers.
    DataError, ParameterError
        As in `funnel`.

    See Also
    --------
    cxlib.plot.cart_abandonment

    Notes
    -----
    A cart is what a user fills until they buy, or leave it alone for longer than the window: each
    cart, remove or checkout event after that silence, or after a purchase, opens a new one. It is
    bought if a purchase comes within the window of the last such event; events of one moment
    count as cart, remove, checkout, purchase. So a user bought if, and only if, a `funnel` of cart
    and purchase says so. A cart that was touched so late that its window is not over at the end
    of ``as_of`` is excluded, bought or not, and counted. A cart from which more was taken than
    was seen to be put in is worth 0.

    Users are counted beside carts because shops that count sessions or carts report higher
    numbers: who leaves one cart and buys the next has bought. Shares of carts and of value are
    ratios of sums over users, who may have several carts: R = sum(x) / sum(y), with variance
    n / (n - 1) sum((x - R y)^2) / sum(y)^2 (the delta method: Cochran 1977, Sampling Techniques,
    3rd ed., section 6.4). Shares take Wilson's interval at the effective n, R (1 - R) over that
    variance (Korn and Graubard 1998, Survey Methodology 24, 193-201), the mean Student's. Money left behind is not money to be won: much of it was never
    going to be spent.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"],
    ...     "event": ["add_to_cart", "purchase", "add_to_cart"], "price": [20.0, None, 60.0],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-02 09:00"])})
    >>> table = cx.cart_abandonment(events, value="price", as_of="2024-01-31")
    >>> table[["n", "n_abandoned", "abandonment_rate", "abandoned_value", "abandoned_value_share"]]
       n  n_abandoned  abandonment_rate  abandoned_value  abandoned_value_share
    0  2            1               0.5             60.0                   0.75
    """
    check_number("alpha", alpha, 0, 1, open_low=True)
    kinds = {CART: cart, REMOVE: remove, CHECKOUT: checkout, PURCHASE: purchase}
    known = {kind: name for kind, name in kinds.items() if name is not None}
    if len(set(known.values())) < len(known):
        raise ParameterError(
            f"cart, remove, checkout and purchase must differ: {list(known.values())}"
        )
    rule = check_rule(steps=list(known.values()), window=window, as_of=as_of)
    seen, account = seen_events(events, rule)
    rows = _rows(seen, known, value, by)
    carts = _carts(rows, rule)
    stages = [stage for stage in (CART, CHECKOUT) if stage in known]
    parts = [_stage(carts, known[stage], stage, alpha) for stage in stages]
    table = pd.concat(parts).sort_values("label", kind="stable", ignore_index=True)
    table = table.assign(n_ignored=account.n_ignored, n_duplicates=account.n_duplicates)
    table = table.rename(columns={"label": by}) if by is not None else table
    columns = [by, "stage", *COUNTS, *(VALUES if value is not None else ()), *LEFT_OUT]
    return table[[name for name in columns if name is not None]]


def _rows(seen: ir.Table, known: dict[int, str], value: str | None, by: str | None) -> ir.Table:
    """Return the events that matter: whose, when, of which kind, of what value and group."""
    answer = ("stage", *COUNTS, *VALUES, *LEFT_OUT)
    label = ibis.literal("") if by is None else group_label(seen, by, EVENTS, answer)
    worth = ibis.null("float64") if value is None else _number(seen, value)
    kind = ibis.cases(*((seen["event"] == name, number) for number, name in known.items()))
    rows = seen.select(
        "user_id", at=seen["occurred_at"].cast(AT), kind=kind, worth=worth, label=label
    )
    return rows.filter(rows["kind"].notnull())


def _number(seen: ir.Table, value: str) -> ir.Value:
    """Return the column as numbers, null where it has none."""
    check_columns(EVENTS.name, seen.columns, [value], optional="value")
    column = seen[value]
    if not column.type().is_numeric():
        raise ColumnError(
            f"events: {value!r} holds {column.type()}, not numbers; give one in money"
        )
    return ibis.ifelse(is_empty(column), ibis.null("float64"), column.cast("float64"))


def _carts(rows: ir.Table, rule: Rule) -> ir.Table:
    """Return one row per cart, with what is in it, and whether it is over and bought."""
    order = {"group_by": "user_id", "order_by": ["at", "kind", "label"]}
    rows = rows.mutate(
        before=rows["at"].lag().over(**order), kind_before=rows["kind"].lag().over(**order)
    )
    opens = (
        rows["before"].isnull()
        | (rows["kind_before"] == PURCHASE)
        | (rows["at"] > rows["before"] + interval(rule.window))
    )
    so_far = ibis.window(**order, preceding=None, following=0)
    rows = rows.mutate(cart=opens.cast("int64").sum().over(so_far))
    of_cart = ibis.window(group_by=["user_id", "cart"])
    rows = rows.mutate(named=rows["at"].min(where=rows["label"].notnull()).over(of_cart))
    kind, worth = rows["kind"], rows["worth"]
    put_in, taken = (worth.sum(where=kind == one).fill_null(0) for one in (CART, REMOVE))
    changes = kind.isin([CART, REMOVE])
    carts = rows.group_by(["user_id", "cart"]).aggregate(
        label=rows["label"].min(where=rows["at"] == rows["named"]).fill_null(NO_GROUP),
        touched=rows["at"].max(where=kind != PURCHASE),
        bought=(kind == PURCHASE).any(),
        **{f"n_{one}": (kind == one).sum() for one in (CART, CHECKOUT)},
        value=ibis.greatest(put_in - taken, 0.0),
        is_known=~(changes & worth.isnull()).any(),
    )
    return carts.mutate(over=rule.is_over(carts["touched"]))


def _stage(carts: ir.Table, name: str, stage: int, alpha: float) -> pd.DataFrame:
    """Count the users and carts of a stage, and add up what is left in the carts, by group."""
    carts = carts.filter(carts[f"n_{stage}"] > 0)
    best = [ibis.desc("over"), ibis.desc("bought"), "cart"]
    home = ibis.row_number().over(ibis.window(group_by="user_id", order_by=best)) == 0
    carts = carts.mutate(home=home, left=carts["over"] & ~carts["bought"])
    home, over, left = carts["home"], carts["over"], carts["left"]
    users = carts.group_by(["user_id", "label"]).aggregate(
        n=(home & over).sum(),
        n_abandoned=(home & left).sum(),
        n_open=(home & ~over).sum(),
        carts=over.sum().cast("float64"),
        left=left.sum().cast("float64"),
        n_carts_open=(~over).sum(),
        value=carts["value"].sum(where=over).fill_null(0),
        lost=carts["value"].sum(where=left).fill_null(0),
        n_without_value=(over & ~(carts["is_known"] & (carts[f"n_{CART}"] > 0))).sum(),
    )
    sums = ["n", "n_abandoned", "n_open", "n_carts_open", "n_without_value"]
    numbers = ["carts", "left", "value", "lost"]
    found = users.group_by("label").aggregate(
        n_units=(users["carts"] > 0).sum(),
        **{one: users[one].sum() for one in [*sums, *numbers]},
        **{
            f"{one}_by_{other}": (users[one] * users[other]).sum()
            for one, other in combinations_with_replacement(numbers, 2)
        },
    )
    table = found.execute().astype(dict.fromkeys([*sums, "n_units"], "int64"))
    table = table.assign(
        stage=name,
        n_carts=table["carts"].astype("int64"),
        n_carts_abandoned=table["left"].astype("int64"),
        cart_value=table["value"],
        abandoned_value=table["lost"],
    )
    return _rates(table, alpha)


def _rates(table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Add the rates and means, with their intervals."""
    rate, low, high = wilson(table["n_abandoned"], table["n"], alpha)
    table = table.assign(abandonment_rate=rate, ci_low=low, ci_high=high)
    carts, shares, means = (
        [Sums(*map(float, row)) for row in table[["n_units", top, bottom, *products]].to_numpy()]
        for top, bottom, *products in (
            ("left", "carts", "left_by_left", "carts_by_carts", "carts_by_left"),
            ("lost", "value", "lost_by_lost", "value_by_value", "value_by_lost"),
            ("lost", "left", "lost_by_lost", "left_by_left", "left_by_lost"),
        )
    )
    table["cart_abandonment_rate"] = [one.ratio for one in carts]
    table[["cart_ci_low", "cart_ci_high"]] = [share_interval(one, alpha) for one in carts]
    table[["abandoned_value_share", "mean_abandoned_value"]] = [
        (share.ratio, mean.ratio) for share, mean in zip(shares, means, strict=True)
    ]
    table[list(VALUES[3:5])] = [share_interval(one, alpha) for one in shares]
    ends = pd.DataFrame([ratio_interval(one, alpha) for one in means]).clip(0)
    table[list(VALUES[6:8])] = ends.to_numpy()
    return table
