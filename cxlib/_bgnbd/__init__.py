"""The models behind `cxlib.ltv`: BG/NBD for buying and leaving, Gamma-Gamma for spend.

Histories are told in the words of their papers: ``frequency`` counts repeat purchases,
``recency`` is the time from first to last purchase, ``age`` (T) the time from first purchase
to now, and ``n`` how many customers share the history. Everything is summed over such unique
histories, never over customers, and works in any unit of time and money.

Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), "Counting Your Customers" the Easy Way,
Marketing Science 24 (2), 275-284. Fader, P. S. and Hardie, B. G. S. (2013), The Gamma-Gamma
Model of Monetary Value, brucehardie.com/notes/025.
"""

from cxlib._bgnbd.forecast import expected_spend, orders_if_alive, p_alive
from cxlib._bgnbd.likelihood import fit_bgnbd, fit_gamma_gamma
from cxlib._bgnbd.models import MODELS, SPEND_MEANINGS, Model
from cxlib._bgnbd.newton import Fit

__all__ = [
    "MODELS",
    "SPEND_MEANINGS",
    "Fit",
    "Model",
    "expected_spend",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "orders_if_alive",
    "p_alive",
]
