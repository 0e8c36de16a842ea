"""Unique values, and which of them each one is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MOST_PLACES = 4
"""For each value, places to count in that are fewer to look through than sorting costs."""


def told_apart(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Return the unique values in rising order, and the place of each value among them.

    Values that rise already are compared with the next; whole numbers from 0 on, such as days,
    are counted where they lie close; others are sorted.
    """
    if (values[1:] >= values[:-1]).all():
        is_new = np.append(True, values[1:] > values[:-1])
        return values[is_new], is_new.cumsum() - 1
    if values.min() >= 0 and values.max() < MOST_PLACES * len(values):
        whole = values.astype(np.intp)
        if (whole == values).all():
            seen = np.bincount(whole) > 0
            return np.flatnonzero(seen).astype(values.dtype), (seen.cumsum() - 1)[whole]
    found, place = np.unique(values, return_inverse=True)
    return found, place
