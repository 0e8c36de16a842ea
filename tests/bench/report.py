"""Reports: `cx run` against papermill and nbconvert by hand, a sweep of forty, memory of the runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SAMPLE = ROOT / "reports" / "plans" / "sample.yml"
MOST_OF_HAND, MOST_OF_CELLS, MOST_SECONDS, MOST_GROWTH = 0.4, 1.25, 3.0, 1.2
WORKERS = 2


def timed(*command: object, cwd: Path = ROOT) -> float:
    """Return the wall seconds of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run([str(word) for word in command], cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - start


def cx_run(plan: Path, output: Path) -> float:
    return timed(BIN / "cx", "run", plan, "--output", output, "--jobs", WORKERS, "--force")


def by_hand(output: Path) -> float:
    """The sample plan's notebooks by the papermill command and nbconvert, one after the other."""
    plan = yaml.load(SAMPLE.read_text(encoding="utf-8"), yaml.BaseLoader)
    seconds = 0.0
    for report in plan["reports"]:
        notebook = ROOT / "notebooks" / f"{report['notebook']}.ipynb"
        source = "\n".join(cell.source for cell in nbformat.read(notebook, 4).cells)
        given = {**plan["defaults"], **report.get("parameters", {})}
        words = [
            word
            for name, value in given.items()
            if f"\n{name}: " in f"\n{source}"
            for word in ("-r", name, value)
        ]
        made = output / notebook.name
        seconds += timed(BIN / "papermill", notebook, made, "--cwd", ROOT, "-k", "python3", *words)
        seconds += timed(BIN / "jupyter", "nbconvert", "--to", "html", "--no-input", made)
    return seconds


def sample_plan(output: Path) -> None:
    """The sample plan against the same by hand."""
    ours, theirs = cx_run(SAMPLE, output), by_hand(output)
    print(
        f"sample plan: cx run {ours:.1f} s, papermill and nbconvert {theirs:.1f} s: "
        f"ratio {ours / theirs:.2f} (at most {MOST_OF_HAND})"
    )


def sweep(output: Path, n_reports: int = 40) -> None:
    """Forty reports of one export on two cores, against the time that their cells take."""
    plan = ROOT / "reports" / "plans" / ".bench_sweep.yml"
    days = ", ".join(f"{number} days" for number in range(30, 30 + n_reports))
    defaults = yaml.load(SAMPLE.read_text(encoding="utf-8"), yaml.BaseLoader)["defaults"]
    entry = f"  - notebook: 01_cohort_retention\n    for_each: {{within: [{days}]}}\n"
    plan.write_text(f"defaults: {json.dumps(defaults)}\nreports:\n{entry}", encoding="utf-8")
    try:
        wall = cx_run(plan, output)
    finally:
        plan.unlink()
    books = sorted((output / plan.stem / "latest" / "notebooks").glob("*.ipynb"))
    cells = [cell for book in books for cell in nbformat.read(book, 4).cells]
    total = sum(cell.metadata.get("papermill", {}).get("duration") or 0.0 for cell in cells)
    least = total / WORKERS
    print(
        f"sweep of {len(books)}: {wall:.1f} s, cells {total:.1f} s on {WORKERS} cores: "
        f"ratio {wall / least:.2f} (at most {MOST_OF_CELLS})"
    )


def one_report() -> None:
    """Importing cxlib and running the cohort report's cells, warm, as where no peers are installed."""
    book = nbformat.read(ROOT / "notebooks" / "01_cohort_retention.ipynb", 4)
    cells = [cell.source for cell in book.cells if cell.cell_type == "code"]
    # statsmodels would import polars, which only this bench installs
    code = "import sys; sys.modules['polars'] = None; import matplotlib; matplotlib.use('agg')\n"
    code += "\n".join(["display = print", *cells])
    seconds = min(timed(sys.executable, "-c", code, cwd=ROOT / "notebooks") for _ in range(3))
    print(f"import cxlib and the cohort report's cells: {seconds:.1f} s (under {MOST_SECONDS:.0f})")


PEAK = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from memory import peak_megabytes
from cxlib.cli import main
main(sys.argv[1:], standalone_mode=False)
print(peak_megabytes())
"""


def runner_memory(folder: Path) -> None:
    """The runner's own peak for twenty and for two hundred empty reports."""
    (folder / "notebooks").mkdir()
    cell = nbformat.v4.new_code_cell(
        'as_of: str = "2024-12-31"\nn: int = 0', metadata={"tags": ["parameters"]}
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Empty?"), cell])
    nbformat.write(book, folder / "notebooks" / "empty.ipynb")
    peaks = {}
    for n_reports in (20, 200):
        plan = folder / f"of_{n_reports}.yml"
        plan.write_text(
            f"reports: [{{notebook: empty, for_each: {{n: {list(range(n_reports))}}}}}]"
        )
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(Path(__file__).parent), "run", str(plan)]
            + ["--jobs", str(WORKERS)],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        peaks[n_reports] = float(done.stdout.split()[-1])
    print(
        f"peak of the runner: {peaks[20]:.0f} MB for 20 reports, {peaks[200]:.0f} MB for 200: "
        f"ratio {peaks[200] / peaks[20]:.2f} (at most {MOST_GROWTH})"
    )


def main() -> None:
    """Print every figure."""
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample_plan(folder)
        sweep(folder)
        one_report()
        runner_memory(folder)


if __name__ == "__main__":
    main()
