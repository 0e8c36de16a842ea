"""A panel for each analysis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cxlib._checks import ParameterError
from cxlib.explore.choices import events_in, last_day, segments_in
from cxlib.explore.panel import Panel, View, name_of
from cxlib.funnel import funnel as _funnel
from cxlib.retention import retention as _retention
from cxlib.retention import retention_curve
from cxlib.sources import Source, as_table
from cxlib.tables import EVENTS, ORDERS, check_types

if TYPE_CHECKING:
    from cxlib.experiment import ExperimentResult
    from cxlib.ltv import LtvFit

FEWEST_STEPS, MOST_STEPS = 2, 4


def retention(orders: Source, **start: Any) -> Panel:
    """Try periods, segments and kinds of retention beside the cohort map and the average curve.

    Parameters
    ----------
    orders : Cleaned, or any table that holds orders
        As `cxlib.retention` takes it.
    **start
        Options of `cxlib.retention` to start with: ``period="week"``. Without ``as_of`` the last
        day of the orders.

    Returns
    -------
    Panel
        Controls in JupyterLab, nothing on a published page; what was chosen stands in ``.table``
        and ``.call``.

    Raises
    ------
    ColumnError, ParameterError
        There are no orders in the table; an option is unknown.

    Examples
    --------
    >>> import cxlib as cx
    >>> orders = cx.simulate.orders(200, start="2024-01-01", as_of="2024-06-30", seed=1)
    >>> print(cx.explore.retention(orders, period="quarter", as_of="2024-06-30").call)
    table = cx.retention(orders, period='quarter', as_of='2024-06-30')
    cx.plot.retention(table);
    """
    table = check_types(as_table(orders), ORDERS)
    start = {"as_of": str(last_day(table, ORDERS))} | start
    name, make = name_of(orders, "orders"), partial(_retention, orders)
    call = f"cx.retention({name}, {{}})"
    views = [
        View("cohorts", _retention, make, call, "retention", {}, groups=False),
        View(
            "average curve",
            _retention,
            lambda **options: retention_curve(make(**options)),
            f"cx.retention_curve({call})",
            "retention_curve",
            {},
        ),
    ]
    known = {"by": segments_in(table, ORDERS)}
    return Panel(views, start, known, ["period", "as_of", "by", "kind", "cohorts"])


def funnel(events: Source, **start: Any) -> Panel:
    """Try steps, windows, orders of steps and segments beside the picture of a funnel.

    Parameters
    ----------
    events : Cleaned, or any table that holds events
        As `cxlib.funnel` takes it.
    **start
        Options of `cxlib.funnel` to start with. Without ``steps`` the events that most users did,
        without ``window`` 7 days, without ``as_of`` the last day of the events.

    Returns
    -------
    Panel
        Controls in JupyterLab, nothing on a published page; what was chosen stands in ``.table``
        and ``.call``.

    Raises
    ------
    ColumnError, ParameterError
        There are no events in the table, or fewer than two kinds; an option is unknown.

    Examples
    --------
    >>> import cxlib as cx, pandas as pd
    >>> events = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "event": ["view", "cart", "view"],
    ...     "occurred_at": pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-30 08:00"])})
    >>> print(cx.explore.funnel(events).call)
    table = cx.funnel(events, steps=['view', 'cart'], window='7 days', as_of='2024-01-30')
    cx.plot.funnel(table);
    """
    table = check_types(as_table(events), EVENTS)
    names = events_in(table)
    if len(names) < FEWEST_STEPS:
        raise ParameterError(
            f"events: {names[0]!r} is the only event; a funnel takes two or more"
            if names
            else "events: no rows; there is nothing to explore"
        )
    usual = {"steps": names[:MOST_STEPS], "window": "7 days"}
    start = usual | {"as_of": str(last_day(table, EVENTS))} | start
    call = f"cx.funnel({name_of(events, 'events')}, {{}})"
    view = View("funnel", _funnel, partial(_funnel, events), call, "funnel", {})
    held = [name for name in table.columns if name.endswith("_id") and name != "user_id"]
    known = {
        "by": segments_in(table, EVENTS),
        "steps": names,
        "exclude": names,
        "hold": [name for name in held if name != "event_id"],
    }
    return Panel([view], start, known, ["steps", "window", "as_of", "by", "order"])


def ltv(fit: LtvFit, **start: Any) -> Panel:
    """Try horizons, rates and margins beside the pictures of a fit; nothing is fitted again.

    Parameters
    ----------
    fit : LtvFit
        What `cxlib.fit_ltv` returned.
    **start
        Options of `LtvFit.at` to start with: ``horizon_days=90``.

    Returns
    -------
    Panel
        Controls in JupyterLab, nothing on a published page; what was chosen stands in ``.table``
        and ``.call``.

    Raises
    ------
    ParameterError
        An option is unknown.

    Examples
    --------
    >>> import cxlib as cx
    >>> orders = cx.simulate.orders(800, start="2023-01-01", as_of="2023-12-31", seed=1)
    >>> fit = cx.fit_ltv(orders, as_of="2023-12-31")
    >>> print(cx.explore.ltv(fit, horizon_days=90).call)
    table = fit.at(horizon_days=90).deciles()
    cx.plot.ltv(table);
    """
    call = f"{name_of(fit, 'fit')}.at({{}})"

    def grid(**options: Any) -> Any:
        return fit.at(**options).grid()

    views = [
        View("value", fit.at, lambda **to: fit.at(**to).deciles(), f"{call}.deciles()", "ltv", {}),
        View(
            "orders to come",
            fit.at,
            grid,
            f"{call}.grid()",
            "ltv_grid",
            {"value": "expected_orders"},
        ),
        View(
            "chance to be there", fit.at, grid, f"{call}.grid()", "ltv_grid", {"value": "p_alive"}
        ),
    ]
    if fit.by is not None:
        written = f"{call}.segments()"
        views.append(
            View(
                "segments",
                fit.at,
                lambda **to: fit.at(**to).segments(),
                written,
                "ltv_segments",
                {},
            )
        )
    own = {name: getattr(fit, name) for name in ("horizon_days", "discount_rate", "margin")}
    return Panel(views, start, {}, list(own), own)


def experiment(result: ExperimentResult, **start: Any) -> Panel:
    """Look at an experiment from all sides: effects, split, days, novelty, distribution.

    Parameters
    ----------
    result : ExperimentResult
        What `cxlib.experiment` returned.
    **start
        Options of its methods to start with: ``n_days=7``.

    Returns
    -------
    Panel
        Controls in JupyterLab, nothing on a published page; what was chosen stands in ``.table``
        and ``.call``.

    Raises
    ------
    ParameterError
        An option is unknown.

    Examples
    --------
    >>> import cxlib as cx
    >>> trial = cx.simulate.experiment(400, start="2024-03-01", as_of="2024-04-30", seed=1)
    >>> result = cx.experiment(trial.exposures, orders=trial.orders, control="control",
    ...     as_of="2024-04-30", metrics=[cx.Conversion("order", within="14 days")])
    >>> print(cx.explore.experiment(result).call)
    table = result.table
    cx.plot.experiment(table);
    """
    name = name_of(result, "result")
    metrics = list(dict.fromkeys(result.table.loc[result.table["kind"] != "ratio", "metric"]))

    def no_options() -> None: ...

    views = [
        View("effects", no_options, lambda: result.table, f"{name}.table", "experiment", {}),
        View("split", no_options, lambda: result.split, f"{name}.split", "sample_ratio", {}),
    ]
    for title in ("over_time", "novelty", "distribution"):
        method = getattr(result, title)
        views.append(
            View(
                title.replace("_", " "),
                method,
                method,
                f"{name}.{title}({{}})",
                f"experiment_{title}",
                {},
            )
        )
    return Panel(views, start, {"metric": metrics}, ["n_dates", "n_days", "metric", "n_bins"])
