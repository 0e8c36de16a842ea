"""The house holds: floors, walls, and what `cx.<TAB>` shows."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cxlib as cx

PACKAGE = Path(cx.__file__).parent
FLOORS = [
    {"_checks", "_published", "_csv", "_watched"},
    {"show", "_guard"},
    {"tables"},
    {"sources", "clean"},
    {"_intervals", "_survival", "_calendar", "_events", "_bgnbd"},
    {"retention", "funnel", "journeys", "segments", "experiment", "ltv"},
    {"report", "notebook"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
BESIDE = {
    "plot": {"_checks", "_published", "tables"},
    "headline": {"_checks", "_published"},
    "simulate": {"_checks", "tables", "sources", "clean"},
    "explore": {
        "_checks",
        "_watched",
        "tables",
        "sources",
        "retention",
        "funnel",
        "journeys",
        "segments",
        "experiment",
        "ltv",
        "plot",
    },
}
ALLOWED = {
    "lifetimes": {"ltv", "_bgnbd"},
    "statsmodels": {"_intervals", "_survival", "experiment"},
    "matplotlib": {"plot"},
    "seaborn": {"plot"},
    "papermill": {"report"},
    "click": {"cli"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    inner = path.relative_to(PACKAGE)
    return inner.parts[0] if len(inner.parts) > 1 else inner.stem


def imports_of(path: Path) -> set[str]:
    """Every imported module, dotted, wherever in the file it is imported."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if node.module == "cxlib" else {node.module}
    return found


def rooms_used(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("cxlib.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_imports_only_from_lower_floors(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    used = rooms_used(path) - {room}
    if room in BESIDE:
        assert used <= BESIDE[room]
        return
    assert room in FLOOR, f"{room} stands on no floor; give it one in ARCHITECTURE.md and here"
    same_floor_wall = {"sources", "clean"}
    for other in used:
        lower = FLOOR.get(other, 99) < FLOOR[room]
        beside = other == "headline" and room == "report"
        neighbours = {room, other} == same_floor_wall and room == "clean"
        assert lower or beside or neighbours, f"{room} must not import {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_walls_around_other_libraries(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports_of(path)}
    for library, rooms in ALLOWED.items():
        assert library not in tops or room_of(path) in rooms, f"{library} in {path.name}"
    if "papermill" in tops:
        assert path.name == "engine.py"


def test_the_import_reader_sees_imports_inside_functions(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("def f():\n    import papermill.execute\n    from cxlib import retention\n")
    assert imports_of(file) == {"papermill.execute", "cxlib.retention"}


def test_there_is_no_utils() -> None:
    assert not [path for path in FILES if "util" in path.stem or "helper" in path.stem]


def test_files_hold_one_idea() -> None:
    long = {
        path.name: lines for path in FILES if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_dir_shows_our_names_only_and_each_is_there() -> None:
    assert dir(cx) == sorted(cx.__all__)
    for name in cx.__all__:
        assert getattr(cx, name) is not None


def test_a_function_is_not_shadowed_by_the_module_of_its_name() -> None:
    import cxlib.retention  # noqa: F401

    assert callable(cx.retention)
    assert callable(cx.retention), "also when asked a second time"


@pytest.mark.parametrize("name", sorted(cx.__all__))
def test_public_names_are_documented_with_an_example(name: str) -> None:
    thing = getattr(cx, name)
    members = (
        {f"{name}.{inner}": getattr(thing, inner) for inner in thing.__all__}
        if inspect.ismodule(thing)
        else {name: thing}
    )
    for label, member in members.items():
        doc = inspect.getdoc(member) or ""
        assert doc, f"{label} has no docstring"
        if inspect.isfunction(member):
            assert ">>>" in doc, f"{label} shows no example"
            assert "Returns" in doc, f"{label} does not say what comes back"
            rest = list(inspect.signature(member).parameters.values())[1:]
            loose = [p.name for p in rest if p.kind is p.POSITIONAL_OR_KEYWORD]
            assert not loose or name in (
                "read",
                "headline",
                "simulate",
                "plan_experiment",
                "orphans",
            ), f"{label}: {loose} must be keyword-only"


def see_also(thing: object) -> set[str]:
    _, *parts = (inspect.getdoc(thing) or "").split("See Also\n--------\n")
    assert len(parts) < 2, "said once"
    return set(parts[0].split("\n\n")[0].split()) if parts else set()


@pytest.mark.parametrize("name", sorted(cx.plot.__all__))
def test_each_picture_names_its_analysis_and_the_analysis_its_picture(name: str) -> None:
    analyses = see_also(getattr(cx.plot, name))
    assert analyses, f"cx.plot.{name} says not what makes its table: See Also, cxlib.…"
    for analysis in analyses:
        function = getattr(cx, analysis.removeprefix("cxlib."))
        assert f"cxlib.plot.{name}" in see_also(function), f"{analysis} names no cxlib.plot.{name}"


def test_every_result_shows_itself_in_jupyter() -> None:
    functions = [thing for name in cx.__all__ if inspect.isfunction(thing := getattr(cx, name))]
    homes = {(function.__module__, function.__annotations__["return"]) for function in functions}
    found = [vars(sys.modules[home]).get(name) for home, name in homes]
    ours = {kind for kind in found if inspect.isclass(kind)}
    assert {"Cleaned", "Raw", "LtvFit", "ExperimentResult"} <= {kind.__name__ for kind in ours}
    assert not [kind for kind in ours if not hasattr(kind, "_repr_html_")]


def test_a_name_that_is_not_there_gets_the_nearest() -> None:
    with pytest.raises(AttributeError, match="no attribute 'retentoin'. Did you mean 'retention'"):
        _ = cx.retentoin


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, cxlib as cx; sorted(cx.__all__); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'pandas','numpy','ibis','duckdb','scipy','statsmodels','matplotlib','seaborn','lifetimes','papermill','pandera','pydantic','click'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("collects", [True, False])
def test_the_garbage_collector_goes_on_as_it_was_after_an_import(collects: bool) -> None:
    code = (
        f"import gc; gc.enable() if {collects} else gc.disable(); import cxlib as cx; cx.CxError; "
        "print(gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(collects), "True"]
