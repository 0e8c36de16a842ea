"""Is the fit to be believed? A status, and the reason in a sentence."""

from __future__ import annotations

from cxlib._bgnbd import Fit

ENOUGH_REPEAT_CUSTOMERS = 30
NO_DROPOUT = "so values are an upper bound"


def judge(orders: Fit, spend: Fit, n_customers: int, n_repeat: int, days: float) -> tuple[str, str]:
    """Return status and verdict; ``days`` is the longest time that a customer was watched."""
    came_again = f"{n_repeat:,} of {n_customers:,} customers came again"
    edges = [*_dropout_edge(orders, days), *_rate_edge(orders), *_spend_edge(spend)]
    loose = [
        name
        for fit in (orders, spend)
        for name, error in fit.standard_errors.items()
        if name not in fit.at_edge and not error <= 3 * fit.values[name]
    ]
    if n_repeat < ENOUGH_REPEAT_CUSTOMERS:
        reasons = [f"only {came_again}", *edges]
        return "too little data", f"too little data: {'; '.join(reasons)}."
    if edges:
        return "boundary", f"boundary: {'; '.join(edges)}."
    if loose:
        return (
            "too little data",
            f"too little data: {came_again}, which does not pin down {', '.join(loose)}.",
        )
    return "converged", f"converged: {came_again}."


def _dropout_edge(fit: Fit, days: float) -> list[str]:
    if "s" in fit.values:
        return _leaving_rate_edge(fit, days)
    a, b = fit.values["a"], fit.values["b"]
    if a / (a + b) < 1e-3:
        return [f"no dropout seen (a/(a+b) near 0), {NO_DROPOUT}"]
    if a / (a + b) > 0.99:
        return ["nearly everyone leaves after one repeat purchase (a/(a+b) near 1)"]
    if not {"a", "b"} & set(fit.at_edge):
        return []
    if a + b < 0.1:
        return ["customers leave at their first repeat purchase or never (a and b near 0)"]
    return ["customers do not differ in their chance to leave (a and b run to infinity)"]


def _leaving_rate_edge(fit: Fit, days: float) -> list[str]:
    """The same of Pareto/NBD, where customers leave at any time, at rates s / beta a day."""
    s, beta = fit.values["s"], fit.values["beta"]
    left = 1 - (beta / (beta + days)) ** s
    if left < 1e-3:
        return [f"no dropout seen (s/beta near 0), {NO_DROPOUT}"]
    if not {"s", "beta"} & set(fit.at_edge):
        return []
    if "high" in (fit.at_edge.get("s"), fit.at_edge.get("beta")):
        return ["customers do not differ in how soon they leave (s and beta run to infinity)"]
    return ["customers leave at once or never (s or beta near 0)"]


def _rate_edge(fit: Fit) -> list[str]:
    if not {"r", "alpha"} & set(fit.at_edge):
        return []
    if "high" in (fit.at_edge.get("r"), fit.at_edge.get("alpha")):
        return ["customers do not differ in how often they buy (r and alpha run to infinity)"]
    return ["purchase rates spread without limit (r or alpha near 0)"]


def _spend_edge(fit: Fit) -> list[str]:
    if not fit.at_edge:
        return []
    if fit.at_edge.get("q") == "low":
        return ["spend is so unequal that its mean is hardly finite (q near 1)"]
    if "high" in fit.at_edge.values():
        return ["customers or their purchases do not differ in spend (p or q runs to infinity)"]
    return ["spend per purchase spreads without limit (p or v near 0)"]
