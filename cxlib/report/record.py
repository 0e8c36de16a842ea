"""What ``run.json`` says, field by field; ``docs/run.schema.json`` is made from this."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 2
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
Status = Literal["succeeded", "failed", "timed out", "kernel died", "interrupted", "skipped"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(_Part):
    """Why a report did not come to its end."""

    name: Annotated[str, Field(description="The exception's class, such as ValueError.")]
    message: str
    cell: Annotated[int | None, Field(description="The number in brackets beside the cell.")]
    last_lines: Annotated[list[str], Field(description="The end of the traceback.")]


class Headline(_Part):
    """One number that a report is remembered by; `cxlib.headline` tells the units."""

    name: str
    value: Annotated[float | None, Field(description="None where the number is withheld.")]
    low: float | None
    high: float | None
    unit: str
    currency: str | None
    withheld: Annotated[str | None, Field(description="Why the number is not shown.")]


class Point(_Part):
    """A headline on one as-of date."""

    as_of: Day
    started: Moment
    value: float
    low: float | None
    high: float | None


class Series(_Part):
    """A headline over the runs so far, and its control limits (individuals and moving range)."""

    name: str
    unit: str
    currency: str | None
    points: Annotated[list[Point], Field(description="Oldest first, this run's last.")]
    change: Annotated[float | None, Field(description="Against the point before, in the unit.")]
    change_share: Annotated[float | None, Field(description="The same, as a fraction of it.")]
    mean: float | None
    lower_limit: float | None
    upper_limit: float | None
    n_runs: Annotated[int, Field(description="Points before this run's, which give the limits.")]
    left: Annotated[
        Literal["above", "below"] | None, Field(description="Whether the number left the limits.")
    ]


class Input(_Part):
    """A source, and what identifies its contents."""

    parameter: str
    source: Annotated[str, Field(description="As written, secrets by their names.")]
    method: Literal["sha256", "path, size and time", "none"]
    value: str | None
    bytes: int | None


class Rule(BaseModel):
    """Rows that cleaning left out, and why; orders also tell their revenue."""

    rule: str
    meaning: str
    rows: int


class Losses(BaseModel):
    """The account of a cleaned table: raw rows are the kept ones and those of the rules."""

    table: str
    raw_rows: int
    kept_rows: int
    rules: list[Rule]


class Table(_Part):
    """A table beside the page, as CSV."""

    name: str
    rows: int
    file: str


class Report(_Part):
    """One report of the plan."""

    name: Annotated[str, Field(description="The page's file name without its ending.")]
    title: str
    notebook: str
    parameters: dict[str, Any]
    sweep: Annotated[dict[str, Any], Field(description="The parameters that for_each gave.")]
    status: Status
    attempts: Annotated[int, Field(ge=1)]
    duration_seconds: float
    error: Error | None
    notices: Annotated[list[str], Field(description="What else a reader should know.")]
    page: Annotated[str | None, Field(description="The page, also one kept from a run before.")]
    page_from: Annotated[
        Moment | None, Field(description="When the page was made, if not by this run.")
    ]
    executed_notebook: str | None
    tables: list[Table]
    pdf: str | None = None
    inputs: list[Input]
    losses: list[Losses]
    headlines: list[Headline]
    history: list[Series]
    key: Annotated[
        str, Field(description="Fingerprint of all that it is made from; empty if unknown.")
    ]


class Run(_Part):
    """One run of a plan: the record that lies beside its pages as run.json."""

    schema_: Annotated[Literal[2], Field(alias="schema")]
    plan: str
    title: str
    as_of: Day
    started: Moment
    finished: Moment
    status: Literal["succeeded", "failed", "interrupted"]
    min_group: Annotated[int, Field(description="Fewest people whose numbers the pages show.")]
    code: Annotated[bool, Field(description="Whether the pages show the notebooks' code.")]
    versions: dict[str, str]
    left_out: Annotated[
        list[str],
        Field(
            description="Reports that were not asked for and of which no page with their parameters stood."
        ),
    ]
    reports: list[Report]


def schema() -> str:
    """Return the JSON schema of ``run.json``."""
    known = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Run.model_json_schema()
    return json.dumps(known, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
