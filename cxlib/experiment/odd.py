"""What to say of values that no metric can have: counted only once they are known to be there."""

from __future__ import annotations

from collections.abc import Sequence

import ibis.expr.types as ir

from cxlib.experiment.metrics import Metric


def not_finite(table: ir.Table, metric: Metric, names: Sequence[str]) -> str:
    """Return the message about values that are not finite numbers, counted."""
    odd = [(table[name].isnan() | table[name].isinf()).cast("int64").sum() for name in names]
    found = table.aggregate(**dict(zip(names, odd, strict=True))).to_pyarrow().to_pylist()[0]
    count = sum(value or 0 for value in found.values())
    if not count:
        return f"metric {metric.label!r}: values are too large to be squared; use a larger unit"
    return (
        f"metric {metric.label!r}: {count:,} values are not finite numbers; mend them, or leave "
        "them empty"
    )


def not_rate(table: ir.Table, metric: Metric, value: ir.Value) -> str:
    """Return the message about conversions other than 0 and 1, counted; "" if there are none."""
    odd = value.notin([0.0, 1.0]).cast("int64").sum().name("odd")
    count = table.aggregate(odd).to_pyarrow().to_pylist()[0]["odd"] or 0
    if not count:
        return ""
    return (
        f"metric {metric.label!r}: {count:,} values are other than 0 and 1; a conversion is one or "
        "the other (for amounts use cx.Mean)"
    )
