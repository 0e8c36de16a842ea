"""How far users get through steps, and the carts that they leave."""

from cxlib.funnel.answers import cart_abandonment, funnel
from cxlib.funnel.steps import Exclude, Step

__all__ = ["Exclude", "Step", "cart_abandonment", "funnel"]
