"""A fit as a JSON file: what it knows without its customers, and enough to forecast others."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cxlib._bgnbd import MODELS
from cxlib._checks import DataError, ParameterError, check_date
from cxlib.ltv.base import Seen
from cxlib.ltv.forecasts import LtvFit
from cxlib.ltv.replicates import SPEND, Replicates
from cxlib.ltv.silence import Silence
from cxlib.sources import Source

FACTS = (
    *("as_of", "model", "horizon_days", "discount_rate", "margin", "by", "n_customers"),
    *("n_repeat_customers", "n_without_purchase", "log_likelihood", "spend_log_likelihood"),
    *("status", "verdict", "seed", "n_boot", "currency"),
)
ANSWERS = ("total", "deciles", "grid")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Column(_Part):
    dtype: Literal["float64", "int64", "boolean", "str"]
    values: list[float | bool | str | None]


class _Saved(_Part):
    """The file: ``version`` rises whenever its meaning changes."""

    kind: Literal["cxlib.ltv"]
    version: Literal[1]
    as_of: dt.date
    model: Literal["bgnbd", "mbgnbd", "paretonbd"]
    horizon_days: float
    discount_rate: float
    margin: float
    by: str | None
    n_customers: int
    n_repeat_customers: int
    n_without_purchase: int
    log_likelihood: float
    spend_log_likelihood: float
    status: Literal["converged", "boundary", "too little data"]
    verdict: str
    seed: int
    n_boot: int
    guest_share: float | None
    currency: str | None
    parameters: dict[str, float]
    spend_parameters: dict[str, float]
    refits: list[list[float]]
    spend_refits: list[list[float]]
    table: dict[str, _Column]
    answers: dict[str, dict[str, _Column]]

    @model_validator(mode="after")
    def _hangs_together(self) -> _Saved:
        names = MODELS[self.model].meanings
        if set(self.parameters) != set(names) or set(self.spend_parameters) != set(SPEND):
            raise ValueError(f"its parameters are not those of {self.model}")
        if not len(self.refits) == len(self.spend_refits) == self.n_boot or any(
            (len(one), len(other)) != (len(names), len(SPEND))
            for one, other in zip(self.refits, self.spend_refits, strict=True)
        ):
            raise ValueError(f"it does not hold {self.n_boot} refits of {self.model}")
        wanted = {*ANSWERS, "checks", *(["segments"] if self.by is not None else [])}
        if set(self.answers) != wanted:
            raise ValueError(f"its answers are not {', '.join(sorted(wanted))}")
        return self


def save(fit: LtvFit, path: str | Path) -> None:
    """Write the file of `LtvFit.save`."""
    answers = {name: getattr(fit, name)() for name in ANSWERS} | {"checks": fit.checks}
    if fit.by is not None:
        answers["segments"] = fit.segments()
    saved = _Saved(
        kind="cxlib.ltv",
        version=1,
        **{name: getattr(fit, name) for name in FACTS},
        guest_share=None if math.isnan(fit.guest_share) else fit.guest_share,
        parameters=fit._values,
        spend_parameters=fit._spend,
        refits=fit.replicates.model.tolist(),
        spend_refits=fit.replicates.spend.tolist(),
        table=_columns(fit.table),
        answers={name: _columns(table) for name, table in answers.items()},
    )
    try:
        Path(path).write_text(saved.model_dump_json(), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from None


def load_ltv(
    path: str | Path, *, orders: Source | None = None, as_of: str | dt.date | None = None
) -> LtvFit:
    """Read a fit that `LtvFit.save` wrote, and apply it to orders again.

    Parameters
    ----------
    path : str or Path
        The JSON file.
    orders : Cleaned, or anything that holds orders, optional
        Whose customers to forecast with the saved parameters; nothing is fitted.
    as_of : str or date, optional
        The last observed day of these orders, included; the saved one if not given.

    Returns
    -------
    LtvFit
        Without orders it answers ``total``, ``segments``, ``deciles``, ``grid``, ``checks`` as
        they were saved, and ``new_customer``. With orders everything is computed for them;
        parameters, status, verdict and log-likelihoods stay those of the fit; where these orders
        end before ``as_of``, the verdict says that too.

    Raises
    ------
    ParameterError
        There is an ``as_of`` without orders.
    DataError
        The file cannot be read or is no saved fit; nobody in the orders has a purchase, or they
        are in another currency than those of the fit.

    Examples
    --------
    >>> import cxlib as cx, pathlib, tempfile
    >>> orders = cx.simulate.orders(300, start="2023-01-01", as_of="2023-12-31", seed=1)
    >>> fit = cx.fit_ltv(orders, as_of="2023-12-31", n_boot=40)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "fit.json")
    ...     fit.save(path)
    ...     again = cx.load_ltv(path)
    >>> bool((again.total() == fit.total()).all(axis=None))
    True
    """
    saved = _read(path)
    fit = LtvFit(
        **{name: getattr(saved, name) for name in FACTS},
        guest_share=math.nan if saved.guest_share is None else saved.guest_share,
        table=_frame(saved.table),
        _values=_in_order(saved.parameters, tuple(MODELS[saved.model].meanings)),
        _spend=_in_order(saved.spend_parameters, SPEND),
        _histories=None,
        _base=None,
        _refits=Replicates(
            tuple(MODELS[saved.model].meanings),
            np.array(saved.refits),
            np.array(saved.spend_refits),
        ),
        _kept={name: _frame(columns) for name, columns in saved.answers.items()},
    )
    if orders is None and as_of is not None:
        raise ParameterError(
            f"as_of={as_of!r} needs orders=: without them a saved fit answers as of {fit.as_of}"
        )
    if orders is None:
        return fit
    return _applied(fit, orders, fit.as_of if as_of is None else check_date("as_of", as_of))


def _read(path: str | Path) -> _Saved:
    try:
        return _Saved.model_validate_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no text; give a file that fit.save() wrote") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{path}: is no fit that fit.save() of this version wrote ({error.error_count()} faults; "
            f"first: {where + ': ' if where else ''}{first['msg']}); save the fit again"
        ) from None


def _applied(fit: LtvFit, orders: Source, as_of: dt.date) -> LtvFit:
    seen = Seen.of(orders, as_of, fit.by)
    base, currency = seen.base, seen.currency
    if fit.currency and currency and fit.currency != currency:
        raise DataError(
            f"orders: 'currency' is {currency}, but the fit was made of orders in {fit.currency}, and "
            "so are its parameters of spend; fit these orders by themselves"
        )
    return dataclasses.replace(
        fit,
        as_of=as_of,
        verdict=Silence.of(base).before(fit.verdict, as_of),
        n_customers=int(base.n.sum()),
        n_repeat_customers=int(base.n[base.frequency > 0].sum()),
        n_without_purchase=base.n_without_purchase,
        _histories=seen.customers,
        _base=base,
        _rows=seen.rows,
    )


def _in_order(values: dict[str, float], names: tuple[str, ...]) -> dict[str, float]:
    return {name: values[name] for name in names}


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    """Return a frame as columns of plain values, nulls for what is not known."""
    return {
        str(name): {
            "dtype": str(column.dtype),
            "values": column.astype(object).where(column.notna(), None).tolist(),
        }
        for name, column in table.items()
    }


def _frame(columns: dict[str, _Column]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series(column.values, dtype=column.dtype) for name, column in columns.items()}
    )
