"""What a published page may show: nobody's id, and no group so small that it speaks of somebody.

The runner says through the environment that a kernel works for readers; in JupyterLab nothing
here hides anything.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

MIN_GROUP, SHOW_IDS = "CX_MIN_GROUP", "CX_SHOW_IDS"
"""Set by the runner: fewest people whose numbers are shown; and 1 where ids were asked for."""

ID = re.compile(
    r"(^|[_ ])(customer|user|client|person|member|visitor|session|device|contact|order|event"
    r"|invoice|transaction)[_ ]?(id|ids|no|number|key)$|^id$|e-?mail|(^|[_ ])phone",
    re.IGNORECASE,
)
OF_PERSONS = "cx_of_single_persons"
DOUBT = "cx_doubt"
FITTED = "cx_fitted"
"""Marks a table of texts that was made from a fitted one: it is shown as it is."""

PEOPLE = (
    "n",
    "n_control",
    "n_baseline",
    "n_units",
    "n_customers",
    "n_users",
    "n_people",
    "n_at_risk",
    "count",
)
"""Columns that say how many people a row speaks of."""

PAYERS = ("n_active", "n_repeat", "rows")
"""Columns that say how many of them its money came from."""

MONEY = re.compile(r"(^|_)(revenue|ltv|spend|amount)(_|$)|(cart|abandoned|order)_value(_|$)")
LOST = "n_dropped"
"""Users whom the next step of a funnel lost: tells how many it kept."""

PLACES = ("age", "step", "day", "days", "decile", "frequency", "recency", "low", "high", "within")
"""Numbers that say where a row stands, not what it counts."""

NOT_GROUPS = ("event", "metric", "kind", "role", "better", "method", "note", "variant_of")
"""Words that set rows apart without parting the people."""

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
TOKEN = re.compile(r"[^\s\"'<>]+")
"""A word; one with ``://`` is the address of a machine, which is masked whole where it is secret."""
HIDDEN_ADDRESS = "(address hidden)"


_standing = ""


def stand_in_doubt(why: str | None) -> None:
    """Let all that is shown from now on be no basis for a decision; None lifts it."""
    global _standing
    _standing = why or ""


def standing_doubt() -> str:
    """Return why nothing that is shown now is a basis for a decision; empty if nothing says so."""
    return _standing


def doubt_in_words(why: str) -> str:
    """Return what stands where numbers are withheld, or beside them in JupyterLab."""
    return f"{'Withheld' if is_published() else 'Not to be relied on'}: {why}"


def is_published() -> bool:
    """Say whether what is shown here goes to readers."""
    return MIN_GROUP in os.environ


def min_group() -> int:
    """Return the fewest people whose numbers may be shown; 0 where nothing is published."""
    return int(os.environ.get(MIN_GROUP) or 0)


def hides_ids() -> bool:
    """Say whether ids are to be left out."""
    return is_published() and os.environ.get(SHOW_IDS) != "1"


@dataclass(frozen=True, eq=False)
class Fit:
    """A table fit to be shown.

    Attributes
    ----------
    table : pandas.DataFrame
        The table; numbers that may not be shown are null.
    hidden : pandas.DataFrame of bool
        Which cells were emptied, by the place of their column.
    small, poor : pandas.Series of bool
        Rows of too few people, and rows whose money came from too few.
    persons : int
        Rows that were left out because each speaks of one person.
    joined : int
        Bins that were joined to their neighbours because they held too few people.
    doubt : str
        Why the numbers are no basis for a decision; readers are given none of them then.
    """

    table: pd.DataFrame
    hidden: pd.DataFrame
    small: pd.Series
    poor: pd.Series
    persons: int = 0
    joined: int = 0
    doubt: str = ""

    @property
    def note(self) -> str:
        """What was hidden and why, for the reader; empty where nothing was."""
        if self.persons:
            rows = "1 row" if self.persons == 1 else f"{self.persons:,} rows, each"
            return (
                f"Not shown here, to protect customers: {rows} of one customer or order. A "
                "notebook that declares show_ids: bool = True shows them."
            )
        if self.doubt:
            return doubt_in_words(self.doubt)
        told, least = [], min_group()
        if self.joined:
            bins = "1 bin" if self.joined == 1 else f"{self.joined} bins"
            told.append(f"{bins} of fewer than {least} people, joined to the next")
        if self.small.any():
            told.append(
                f"{int(self.small.sum()):,} of {len(self.small):,} rows, of fewer than {least} "
                "people or such that they would give those away by subtraction"
            )
        if (self.poor & ~self.small).any():
            money = int((self.poor & ~self.small).sum())
            rows = "1 row" if money == 1 else f"{money:,} rows"
            told.append(f"the money in {rows}, paid by fewer than {least} people")
        return f"* Hidden to protect customers: {'; '.join(told)}." if told else ""

    def cut(self, rows: int | None) -> Fit:
        """Return so many rows from the top; negative, from the bottom."""
        if rows is None:
            return self
        place = slice(rows) if rows >= 0 else slice(rows, None)
        return replace(
            self,
            table=self.table[place],
            hidden=self.hidden[place],
            small=self.small[place],
            poor=self.poor[place],
        )


def fit_to_show(table: pd.DataFrame) -> Fit:
    """Return a table as readers may see it: as it is, unless a run for readers is under way."""
    import pandas as pd

    if table.attrs.get(FITTED):
        none = pd.Series(False, index=table.index)
        cells = pd.DataFrame(False, index=table.index, columns=range(table.shape[1]))
        return Fit(table, cells, none, none)
    if hides_ids():
        if _speaks_of_persons(table):
            return _without_persons(table)
        table = _without_addresses(table)
    least = min_group()
    if doubt := str(table.attrs.get(DOUBT, "") or standing_doubt()):
        return _doubtful(table, doubt, least)
    table, joined = _coarser(table, least)
    small, poor = _small(table, least), _poor(table, least)
    hidden = _hidden(table, small, poor, least)
    fit = Fit(table, hidden, small, poor, joined=joined)
    if not hidden.any(axis=None):
        return fit
    integers = {
        name: "Int64"
        for place, name in enumerate(table.columns)
        if hidden[place].any() and pd.api.types.is_integer_dtype(table[name])
    }
    emptied = table.astype(integers).mask(hidden.set_axis(table.columns, axis=1))
    return replace(fit, table=emptied)


def _without_persons(table: pd.DataFrame) -> Fit:
    import pandas as pd

    known = [name for name in table.columns if not ID.search(str(name))]
    none = pd.Series([], dtype=bool)
    return Fit(
        table.iloc[:0][known], pd.DataFrame(columns=range(len(known))), none, none, len(table)
    )


def _doubtful(table: pd.DataFrame, doubt: str, least: int) -> Fit:
    """Return a table marked by `doubted`: whole for who works on it, without a row for readers."""
    import pandas as pd

    shown = table.iloc[:0] if is_published() else table
    cells = pd.DataFrame(False, index=shown.index, columns=range(shown.shape[1]))
    small = _small(table, least)
    return Fit(shown, cells, small, pd.Series(False, index=table.index), doubt=doubt)


def _hidden(table: pd.DataFrame, small: pd.Series, poor: pd.Series, least: int) -> pd.DataFrame:
    """Say which cells may not be shown, by the place of their column."""
    import pandas as pd

    found = {}
    for place, name in enumerate(table.columns):
        out = small | poor if MONEY.search(str(name)) else small
        if name == LOST and "n" in table.columns:
            kept = table["n"] - table[name]
            out = out | ((kept > 0) & (kept < least)).fillna(False).astype(bool)
        counts = _counts_something(table.iloc[:, place]) and name not in PLACES
        found[place] = out & counts
    return pd.DataFrame(found, index=table.index)


def _coarser(table: pd.DataFrame, least: int) -> tuple[pd.DataFrame, int]:
    """Join neighbouring bins of a histogram until none holds too few people."""
    if least < 2 or not {"low", "high", "n_units", "share"} <= set(table.columns):
        return table, 0
    joined, groups, held = 0, {}, None
    for low, rows in table.groupby("low"):
        held = rows["n_units"].to_numpy() + (0 if held is None else held)
        groups[low] = joined
        if not ((held > 0) & (held < least)).any():
            joined, held = joined + 1, None
    last = max(joined - 1, 0)  # what is left over goes to the last whole bin
    bins = table["low"].map(groups).clip(upper=last)
    names = [name for name in table.columns if name not in ("low", "high", "n_units", "share")]
    sums = {"low": "min", "high": "max", "n_units": "sum", "share": "sum"}
    coarse = table.groupby([*names, bins.rename("_bin")], sort=False, as_index=False).agg(sums)
    return coarse[[*table.columns]], len(groups) - (last + 1)


def of_single_persons(table: pd.DataFrame) -> pd.DataFrame:
    """Mark a table whose rows are single persons or orders: so they stay without their ids."""
    table.attrs[OF_PERSONS] = True
    return table


def doubted(table: pd.DataFrame, why: str | None) -> pd.DataFrame:
    """Mark a table whose numbers are no basis for a decision, if there is a reason why."""
    if why:
        table.attrs[DOUBT] = why
    return table


def _speaks_of_persons(table: pd.DataFrame) -> bool:
    if table.attrs.get(OF_PERSONS):
        return True
    names = [*table.columns, *(name for name in table.index.names if name is not None)]
    return any(ID.search(str(name)) for name in names)


def _without_addresses(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with e-mail addresses in its words taken out."""
    import pandas as pd

    changed = {}
    for place in range(table.shape[1]):
        column = table.iloc[:, place]
        if not pd.api.types.is_object_dtype(column) and not pd.api.types.is_string_dtype(column):
            continue
        masked = column.map(lambda value: masked_addresses(value), na_action="ignore")
        if not masked.equals(column):
            changed[place] = masked
    if not changed:
        return table
    columns = [changed.get(place, table.iloc[:, place]) for place in range(table.shape[1])]
    return pd.concat(columns, axis=1)


def masked_addresses(value: Any) -> Any:
    """Return text without e-mail addresses; anything else as it is."""
    if not isinstance(value, str) or "@" not in value:
        return value
    return TOKEN.sub(
        lambda word: word[0] if "://" in word[0] else ADDRESS.sub(HIDDEN_ADDRESS, word[0]), value
    )


def _counts_something(column: pd.Series) -> bool:
    import pandas as pd

    kind = pd.api.types.infer_dtype(column, skipna=True)
    return kind in ("integer", "floating", "mixed-integer-float", "decimal", "timedelta64")


def _small(table: pd.DataFrame, least: int) -> pd.Series:
    """Say which rows speak of too few people, or would give such rows away by subtraction."""
    import pandas as pd

    counts = [name for name in PEOPLE if name in table.columns]
    none = pd.Series(False, index=range(len(table)))
    if not counts or least < 2:
        return none.set_axis(table.index)
    rows = table.reset_index(drop=True)
    sizes = rows[counts].apply(pd.to_numeric, errors="coerce").astype(float)
    size = sizes.where(sizes > 0).min(axis=1)
    small = size < least
    groups = [name for name in rows if _parts_people(rows, name)]
    places = [name for name in rows if name in PLACES or name in NOT_GROUPS]
    for group in groups:
        others = [name for name in [*groups, *places] if name != group]
        slices = rows.groupby(others, dropna=False).indices.values() if others else [rows.index]
        for inside in slices:
            _hide_one_more(small, size, inside, least)
    return small.set_axis(table.index)


def _hide_one_more(small: pd.Series, size: pd.Series, inside: Any, least: int) -> None:
    """Hide the next smallest group too, where the total would tell what the hidden ones hold."""
    here, sizes = small.iloc[inside], size.iloc[inside]
    if 0 < sizes[here].sum() < least and (~here & sizes.notna()).any():
        small[sizes[~here].idxmin()] = True


def _parts_people(table: pd.DataFrame, name: Any) -> bool:
    """Say whether a column puts people into groups: words and dates do."""
    import pandas as pd

    kind = table[name].dtype
    return not pd.api.types.is_numeric_dtype(kind) and str(name) not in (*NOT_GROUPS, *PLACES)


def _poor(table: pd.DataFrame, least: int) -> pd.Series:
    """Say in which rows the money is that of too few payers."""
    import pandas as pd

    found = pd.Series(False, index=table.index)
    for name in PAYERS:
        if name in table.columns:
            payers = pd.to_numeric(table[name], errors="coerce").astype(float)
            found |= (payers > 0) & (payers < least)
    return found
