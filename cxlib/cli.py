"""The ``cx`` command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxlib._checks import CxError, ParameterError

if TYPE_CHECKING:
    from cxlib.report.jobs import ReadyPlan
    from cxlib.report.publish import Runner

FAILED, REFUSED, BUSY, FAULT, INTERRUPTED = 1, 2, 3, 70, 130
"""Exit codes: a report failed; the plan or its input cannot be used; another run holds the
plan; the workbench is at fault; the run was interrupted."""


QUERY_INTERRUPTED = "Query interrupted"
"""What DuckDB makes of Ctrl-C, as a RuntimeError, while it works."""
DEBUG = "cxlib.debug"


class _Told(click.Group):
    """Tells every error in words and ends with its exit code; no traceback unless asked."""

    def main(self, *given: Any, **more: Any) -> Any:
        _open_streams()
        return super().main(*given, **more)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except CxError as error:
            if ctx.meta.get(DEBUG):
                raise
            click.echo(f"cx: {error}", err=True)
            ctx.exit(BUSY if type(error).__name__ == "BusyError" else REFUSED)
        except (KeyboardInterrupt, Exception) as error:
            if isinstance(error, KeyboardInterrupt) or str(error) == QUERY_INTERRUPTED:
                click.echo("cx: interrupted; nothing was published", err=True)
                ctx.exit(INTERRUPTED)
            if ctx.meta.get(DEBUG):
                raise
            reason = (str(error).strip().splitlines() or ["no message"])[0]
            click.echo(
                f"cx: {type(error).__name__}: {reason}\nThis is a fault of the workbench, not of "
                "your plan; run again with --debug to see where.",
                err=True,
            )
            ctx.exit(FAULT)


def _open_streams() -> None:
    """Put nothing in the place of a stream that a scheduler closed: all three are counted on.

    A file that took the number of one would be written to by whoever prints.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


@click.group(cls=_Told, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cxlib", prog_name="cx")
def main() -> None:
    """Analyses of customer behaviour, run as reports.

    Begin with: cx check my_orders.csv, then cx run reports/plans/sample.yml.
    """


def _remember(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = value


DEBUGGING = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_remember,
    help="Show the traceback of an error.",
)


@main.command(short_help="Run the notebooks of a plan and publish their pages.")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--set", "sets", metavar="NAME=VALUE", multiple=True, help="Override a parameter.")
@click.option("--as-of", metavar="DATE", help="The last observed day; short for --set as_of=DATE.")
@click.option("--only", metavar="REPORT", multiple=True, help="Run this report alone; repeatable.")
@click.option("--jobs", type=click.IntRange(1), help="Reports at once; else one for each core.")
@click.option("--force", is_flag=True, help="Run also what did not change since its last run.")
@click.option(
    "--cell-timeout", metavar="TIME", help="For one cell, such as '10 minutes'; else 1 hour."
)
@click.option(
    "--report-timeout", metavar="TIME", help="For one report, such as '2 hours'; else 4 hours."
)
@click.option("--retries", metavar="N", help="Times to run again what can pass; else none.")
@click.option("--memory-limit", metavar="SIZE", help="For one kernel, such as '4 GB' (Linux).")
@click.option("--executor", metavar="ADDRESS", help="A cluster to run on: dask://host:port.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder of runs; else reports/runs."
)
@click.option("--code", is_flag=True, help="Show the notebooks' code on the pages.")
@click.option("--pdf", is_flag=True, help="Print each page as PDF too; needs Chromium or Chrome.")
@click.option("--dry-run", is_flag=True, help="Check the plan and say what would run.")
@DEBUGGING
def run(
    plan: Path,
    sets: Sequence[str],
    as_of: str | None,
    only: Sequence[str],
    jobs: int | None,
    force: bool,
    executor: str | None,
    output: Path | None,
    code: bool,
    pdf: bool,
    dry_run: bool,
    **limits: str | None,
) -> None:
    """Run the notebooks of PLAN and publish their pages.

    Exit code 0: all are published. 1: a report failed, the others are published.
    2: the plan, a parameter or the input cannot be used, and nothing was published.
    3: another run of the plan is under way. 130: interrupted; what was done is kept.
    """
    from cxlib.report import forked

    if executor is None and not dry_run:
        forked.warm_up()

    from cxlib.report import printed
    from cxlib.report.check import prepare
    from cxlib.report.jobs import Limits
    from cxlib.report.limits import fair_share, of_command
    from cxlib.report.lock import locked
    from cxlib.report.plan import find_root
    from cxlib.report.pool import cores
    from cxlib.report.work import cleaned

    if pdf:
        printed.browser()  # says so now where there is none
    given = dict(_pair(text) for text in sets) | ({} if as_of is None else {"as_of": as_of})
    asked = of_command({name: text for name, text in limits.items() if text is not None})
    if dry_run:
        ready = prepare(plan, given, only, asked=asked)
        _describe(ready)
        _warn(ready)
        return
    workers = jobs or cores()
    usual = Limits(memory_bytes=fair_share(workers))
    make = _runner(executor, workers)
    output = output or find_root(plan) / "reports" / "runs"
    with _terminable(), locked(output / plan.stem), cleaned(output / plan.stem) as keep:
        ready = prepare(plan, given, only, asked=asked, limits=usual, keep=keep)
        _warn(ready)
        _publish(replace(ready, code=code, pdf=pdf), output, make, force)


def _runner(executor: str | None, workers: int) -> Runner:
    """Return what makes the reports: processes of this machine, or a cluster."""
    from functools import partial

    if executor is None:
        from cxlib.report import pool

        return partial(pool.run, workers=workers)
    from cxlib.report.cluster import run

    return partial(run, address=executor)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM interrupt a run as Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@main.command(short_help="Write a notebook of your own.")
@click.argument("notebook", type=click.Path(path_type=Path))
def new(notebook: Path) -> None:
    """Write a NOTEBOOK of your own, such as notebooks/05_mine.ipynb.

    It runs on the sample as it is and can go into a plan at once: change its question, its
    parameters and its findings.
    """
    from cxlib.notebook import new as write

    click.echo(write(notebook))


def _pair(text: str, option: str = "--set", example: str = "period=week") -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise ParameterError(f"{option} {text!r}: write a name, = and a value: {option} {example}")
    return name, value


def _say(lines: Sequence[str]) -> None:
    """Print lines for as long as somebody reads them: `cx check … | head -1` is no fault."""
    from cxlib.report.progress import telling

    with telling(sys.stdout):
        click.echo("\n".join(lines))


def _describe(ready: ReadyPlan) -> None:
    said = [
        f"{ready.title}, as of {ready.as_of}: would run {len(ready.jobs)} of {len(ready.names)} reports "
        "(those that did not change are skipped)"
    ]
    for job in ready.jobs:
        values = ", ".join(f"{name}={value!r}" for name, value in job.parameters.items())
        said.append(f"  {job.name}: {job.notebook.name}({values})")
    _say(said)


def _warn(ready: ReadyPlan) -> None:
    from cxlib.report.progress import telling

    with telling(sys.stderr):
        for line in ready.unanswered:
            click.echo(f"cx: no answer yet, so its reports will ask again: {line}", err=True)


def _publish(ready: ReadyPlan, output: Path, make: Runner, force: bool) -> None:
    from cxlib.report.page import OLDER, outdated
    from cxlib.report.progress import Progress, telling
    from cxlib.report.publish import publish

    with Progress(len(ready.jobs)) as progress:
        index, record = publish(ready, output, make, progress, force)
    here = os.path.relpath(index)
    with telling(sys.stdout):
        click.echo(index if here.startswith("..") else here)
    with telling(sys.stderr):
        if record["left_out"]:
            names = ", ".join(record["left_out"])
            click.echo(
                f"cx: not among the pages: {names}; only other reports were run, and no page of "
                "the same parameters stood (without --only all are made)",
                err=True,
            )
        for report in record["reports"]:
            if outdated(report):
                click.echo(f"cx: {report['name']}: {OLDER}", err=True)
        if record["status"] == "interrupted":
            click.echo("cx: interrupted; what was done is published", err=True)
    if record["status"] == "interrupted":
        click.get_current_context().exit(INTERRUPTED)
    if record["status"] != "succeeded":
        click.get_current_context().exit(FAILED)


@main.command(short_help="Print the headlines of a plan's last runs.")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--last", metavar="N", type=click.IntRange(1), default=10, show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder of runs; else reports/runs."
)
@DEBUGGING
def history(plan: Path, last: int, output: Path | None) -> None:
    """Print the last runs of PLAN and their headlines, each beside the run before.

    A number that left its control limits is marked with an exclamation mark.
    """
    from cxlib.report.plan import find_root
    from cxlib.report.told import lines

    _say(list(lines(output or find_root(plan) / "reports" / "runs", plan.stem, last)))


@main.command(short_help="Say how an export would be read, and what would be lost.")
@click.argument("path")
@click.option("--preset", help="The export's format; else its columns tell.")
@click.option("--timezone", default="UTC", show_default=True, help="The shop's own clock.")
@click.option("--columns", metavar="OURS=THEIRS", multiple=True, help="Name a column; repeatable.")
@click.option("--encoding", help="Of a text file that is not UTF-8, such as cp1252.")
@click.option("--date-format", help="Of dates that are not ISO 8601, such as %d/%m/%Y.")
@click.option("--decimal", help="The decimal sign of numbers, a point or a comma.")
@click.option("--naive", help="What a stamp without offset means: local or utc.")
@click.option("--currency", help="The one to keep, where the export mixes several.")
@click.option(
    "--table",
    type=click.Choice(["orders", "events", "exposures", "responses"]),
    help="What the rows are; else their columns tell.",
)
@click.option(
    "--max-loss",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Share of rows or revenue that may be lost.",
)
@DEBUGGING
def check(
    path: str,
    preset: str | None,
    columns: Sequence[str],
    encoding: str | None,
    table: str | None,
    max_loss: float,
    **cleaning: str | None,
) -> None:
    """Say how PATH would be read, what cleaning would lose, and what to fix.

    PATH is a file, a pattern, or an address such as duckdb://shop.db::orders. Exit code 0: it
    can be used. 2: it cannot, and the last lines say why.
    """
    from cxlib.report.export import check_export

    named = dict(_pair(text, "--columns", "order_id=Name") for text in columns)
    told = check_export(
        path,
        preset=preset,
        columns=named,
        encoding=encoding,
        table=table,
        max_loss=max_loss,
        cleaning=cleaning,
    )
    _say(told.lines)
    if not told.is_usable:
        click.get_current_context().exit(REFUSED)


@main.group(short_help="List, show and copy formats of exports.")
def preset() -> None:
    """Formats of exports: list them, show one, copy one for your own shop."""


@preset.command("list")
def list_presets() -> None:
    """Name the known formats."""
    from cxlib.sources import load_preset, presets

    _say([f"{name:<17} {load_preset(name).title}" for name in presets()])


@preset.command("show")
@click.argument("name")
def show_preset(name: str) -> None:
    """Print the format NAME."""
    from cxlib.sources import preset_text

    _say(preset_text(name).splitlines())


@preset.command("new")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--from", "origin", default="shopify", show_default=True, help="What to start from.")
def new_preset(path: Path, origin: str) -> None:
    """Write a format to PATH, a .toml file, for you to edit.

    Use it as preset="PATH" in cx.read and in plans, or as cx check --preset PATH.
    """
    from cxlib.sources import new_preset

    click.echo(new_preset(path, origin))


if __name__ == "__main__":
    main()
