"""How far users get through ordered steps, and the carts that they leave."""

from cxlib.funnel.answers import cart_abandonment, funnel

__all__ = ["cart_abandonment", "funnel"]
