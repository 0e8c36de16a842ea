"""The models behind `cxlib.ltv`: `MODELS` for buying and leaving, Gamma-Gamma for spend.

Histories are told in the words of their papers: ``frequency`` counts repeat purchases,
``recency`` is the time from first to last purchase, ``age`` (T) the time from first purchase
to now, and ``n`` how many customers share the history. Everything is summed over such unique
histories, never over customers, and works in any unit of time and money.
"""

from cxlib._bgnbd.gamma_gamma import fit_gamma_gamma, spend_line
from cxlib._bgnbd.models import MODELS, SPEND_MEANINGS, Model
from cxlib._bgnbd.newton import Fit
from cxlib._bgnbd.unique import told_apart

fit_bgnbd, p_alive = MODELS["bgnbd"].fit, MODELS["bgnbd"].p_alive
orders_if_alive = MODELS["bgnbd"].orders_if_alive

__all__ = [
    "MODELS",
    "SPEND_MEANINGS",
    "Fit",
    "Model",
    "spend_line",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "orders_if_alive",
    "p_alive",
    "told_apart",
]
