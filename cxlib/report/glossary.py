"""The words that a page uses, with their definitions and formulas."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Term:
    """A word of the reports; ``formula`` is empty where there is none."""

    name: str
    meaning: str
    formula: str
    seen: re.Pattern[str]


@cache
def terms() -> Sequence[Term]:
    """Return every term that has a definition, by its name."""
    text = (files("cxlib.report") / "glossary.toml").read_text(encoding="utf-8")
    known = [
        Term(
            entry["name"],
            entry["meaning"],
            entry.get("formula", ""),
            re.compile(rf"(?<!\w)({'|'.join(entry['words'])})(?!\w)", re.IGNORECASE),
        )
        for entry in tomllib.loads(text)["term"]
    ]
    return sorted(known, key=lambda term: term.name.lower())


def used(text: str) -> list[Term]:
    """Return the terms that occur in a page's text.

    Examples
    --------
    >>> [term.name for term in used("the step rate, as of Monday")]
    ['as of', 'funnel rate']
    """
    return [term for term in terms() if term.seen.search(text)]
