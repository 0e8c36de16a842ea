"""How long a report may take, how much memory, and how often it is tried, as a person writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cxlib._checks import CxError, check_duration, fault_in_words
from cxlib.report.jobs import Limits

SIZES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
SIZES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
SMALLEST_BYTES = 10**9
"""A kernel that has imported what reports use holds half of this."""
SHARE, ROOM_BYTES = 0.8, 4 * 2**30


def _seconds(text: Any) -> Any:
    if str(text).isdigit():
        return int(text)
    try:
        return max(1, round(check_duration("", text).total_seconds()))
    except CxError:
        raise ValueError(
            f"{text!r} is no time; write a number and a unit, such as '10 minutes'"
        ) from None


def _bytes(text: Any) -> Any:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]i?b)", str(text).strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no size; write a number and a unit, such as '4 GB'")
    size = int(float(found[1]) * SIZES[found[2]])
    if size < SMALLEST_BYTES:
        raise ValueError(f"{text!r} is too little for a kernel; give at least 1 GB, such as '4 GB'")
    return size


Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=1)]
Bytes = Annotated[int, BeforeValidator(_bytes)]


class Asked(BaseModel):
    """Limits as a plan, a report of it or the command line gives them; what is None is not given."""

    model_config = ConfigDict(extra="forbid")
    cell_timeout: Seconds | None = None
    report_timeout: Seconds | None = None
    memory_limit: Bytes | None = None
    retries: Annotated[int, Field(ge=0, le=10)] | None = None

    def over(self, limits: Limits) -> Limits:
        """Return the limits with what is given here in the place of what was."""
        given = {
            "cell_seconds": self.cell_timeout,
            "report_seconds": self.report_timeout,
            "memory_bytes": self.memory_limit,
            "retries": self.retries,
        }
        return replace(limits, **{name: one for name, one in given.items() if one is not None})


def of_command(given: Mapping[str, str]) -> Asked:
    """Read the limits of the command line; a `ValidationError`'s words become a `CxError`'s."""
    try:
        return Asked.model_validate(dict(given))
    except ValidationError as error:
        lines = [
            f"--{str(one['loc'][0]).replace('_', '-')}: {fault_in_words({**one, 'loc': ()})}"
            for one in error.errors()
        ]
        raise CxError("; ".join(lines)) from None


def fair_share(workers: int) -> int:
    """Return the memory that one kernel of several may take so that the machine survives them.

    Four fifths of what there is, shared; but four gigabytes where there is as much.
    """
    import psutil

    room = int(SHARE * psutil.virtual_memory().total)
    return max(room // workers, min(room, ROOM_BYTES))
