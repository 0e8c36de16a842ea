"""What to run, as a person writes it: a YAML plan, every value still text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from cxlib._checks import PlanError, fault_in_words, suggest
from cxlib.report.limits import Asked
from cxlib.report.parameters import Text
from cxlib.report.secrets import refuse

Values = Annotated[list[str], Field(min_length=1)]
Mapped = BeforeValidator(lambda value: {} if value == "" else value)
"""An empty value in YAML (``defaults:`` and nothing more) is an empty mapping."""


class Report(Asked):
    """One entry of a plan: a notebook, its own parameters, what to sweep over, its limits."""

    notebook: Annotated[str, Field(min_length=1)]
    parameters: Annotated[dict[str, Text], Mapped] = {}
    for_each: Annotated[dict[str, Values], Mapped] = {}

    @model_validator(mode="after")
    def _given_once(self) -> Report:
        for name, value in (self.parameters | self.for_each).items():
            refuse(name, value)
        twice = sorted(set(self.parameters) & set(self.for_each))
        if twice:
            raise ValueError(f"{', '.join(twice)} stands in parameters and in for_each")
        return self

    def given(self, sets: Mapping[str, str]) -> Report:
        """Return the report with values of the command line in the place of its own."""
        own = {name: sets.get(name, text) for name, text in self.parameters.items()}
        swept = {
            name: [sets[name]] if name in sets else texts for name, texts in self.for_each.items()
        }
        return self.model_copy(update={"parameters": own, "for_each": swept})

    def sweeps(self) -> Iterator[dict[str, Text]]:
        """Yield the swept parameters of each report to make: the product of the lists."""
        for values in itertools.product(*self.for_each.values()):
            yield dict(zip(self.for_each, values, strict=True))


class Plan(Asked):
    """A plan as written; `cxlib.report.check` gives each value the type its notebook declares."""

    title: str = ""
    defaults: Annotated[dict[str, Text], Mapped] = {}
    min_group: int = Field(10, ge=1)
    reports: list[Report] = Field(min_length=1)

    @field_validator("defaults")
    @classmethod
    def _no_secrets(cls, defaults: dict[str, Text]) -> dict[str, Text]:
        for name, value in defaults.items():
            refuse(name, value)
        return defaults


UNREADABLE = Report.model_construct(notebook="")
"""Stands where a report stood of which nothing could be read, so that the others keep their place."""


class _Loader(yaml.BaseLoader):
    """YAML with every scalar as text (no ``no`` → False, no 012 → 10), and no key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {twice[0]!r} stands twice")
        return super().construct_mapping(node, deep)


def read_plan(path: Path) -> tuple[Plan, list[str]]:
    """Read a plan as far as it has the shape of one.

    Returns
    -------
    tuple of Plan and list of str
        The plan without what could not be read, and the mistakes that say what that is.

    Raises
    ------
    PlanError
        There is no such file, or it holds no table in YAML.
    """
    _check_is_file(path)
    try:
        written = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PlanError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(written, dict):
        raise plan_error(
            path, ["the plan: must be a table of names and values, its list called reports:"]
        )
    mistakes: list[str] = []
    while True:
        try:
            return Plan.model_validate(written), list(dict.fromkeys(mistakes))
        except ValidationError as error:
            every = error.errors()
            found = [mistake for mistake in every if "list[str]" not in mistake["loc"]] or every
            mistakes += [_in_words(mistake) for mistake in found]
            if not all(mistake["loc"] for mistake in found):  # such as a name that is no Unicode
                raise plan_error(path, mistakes) from None
            for holder, key in [_part(written, mistake["loc"]) for mistake in found]:
                _leave_out(written, holder, key)


def _part(written: dict[str, Any], place: Sequence[Any]) -> tuple[Any, Any]:
    """Return what holds the innermost part of a plan at the place of a mistake, and its key."""
    holder: Any = written
    key = place[0]
    for part in place[1:]:
        inner = holder[key]
        is_report = holder is written and key == "reports"
        if not is_report and not (isinstance(inner, dict) and part in inner):
            break
        if isinstance(holder, list) and part == "notebook":
            break  # without it nothing is left of a report
        holder, key = inner, part
    return holder, key


def _leave_out(written: dict[str, Any], holder: Any, key: Any) -> None:
    if holder is written and key == "reports":
        written["reports"] = [UNREADABLE]
    elif isinstance(holder, list):
        holder[key] = UNREADABLE
    else:
        holder.pop(key, None)


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise PlanError(f"{path} is a folder; name a .yml file")
    if not path.exists():
        hint = suggest(path.name, [file.name for file in path.parent.glob("*.yml")])
        raise PlanError(f"no plan {str(path)!r} (looked from {Path.cwd().name}/).{hint}")


def _in_words(mistake: Any) -> str:
    kind = Report if len(mistake["loc"]) > 1 else Plan
    known = sorted(kind.model_fields, key=lambda name: name in Asked.model_fields)
    place = "" if mistake["loc"] else "the plan: "
    either = " or a list of texts" if mistake["loc"][-1:] == ("str",) else ""  # of `Text`
    return place + fault_in_words(mistake, known) + either + _as_a_report(mistake)


def _as_a_report(mistake: Any) -> str:
    """Return how a report is written, where something else stood for one or for all."""
    place, kind = mistake["loc"], mistake["type"]
    if place[:1] != ("reports",) or len(place) > 2 or kind not in ("list_type", "model_type"):
        return ""
    name = mistake["input"] if isinstance(mistake["input"], str) else ""
    return f"; write a report as '- notebook: {name or '01_cohort_retention'}'"


def plan_error(path: Path, mistakes: Sequence[str]) -> PlanError:
    """Return the error that lists everything wrong with a plan."""
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return PlanError(f"{path}: {count}, nothing was run:\n  - " + "\n  - ".join(mistakes))


def find_root(path: Path) -> Path:
    """Return the folder that holds ``notebooks/``: the plan's own, or one above it."""
    _check_is_file(path)
    for folder in path.resolve().parents:
        if (folder / "notebooks").is_dir():
            return folder
    raise PlanError(f"{path}: no folder 'notebooks' lies beside the plan or in a folder above it")
