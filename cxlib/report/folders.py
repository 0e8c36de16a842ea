"""A finished folder takes its place in one move, and is on the disk before it does."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

LATEST = "latest"
STAGING = re.compile(r"^\.\d{4}-\d\d-\d\d-new(-former)?$")
DAY = re.compile(r"^\d{4}-\d\d-\d\d$")


@contextlib.contextmanager
def staging(target: Path) -> Iterator[Path]:
    """Make a folder beside the target to work in; it is gone afterwards, whatever happens.

    Must be called under the plan's lock: what a killed run left there is taken away first.
    """
    clear(target.parent)
    made = target.with_name(f".{target.name}-new")
    try:
        made.mkdir(parents=True)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def clear(folder: Path) -> None:
    """Take away what killed runs left half made.

    A published folder that a killed run had only moved aside is put back.
    """
    for left in [path for path in folder.glob(".*") if STAGING.match(path.name)]:
        former = left.name.endswith("-former")
        target = left.with_name(left.name[1:11])
        if former and not target.exists():
            os.rename(left, target)
        else:
            shutil.rmtree(left, ignore_errors=True)


def put(file: Path, folder: Path, name: str | None = None) -> None:
    """Put a file that will not change any more into a folder, without copying it if possible."""
    there = folder / (name or file.name)
    there.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, there)
    except OSError:
        shutil.copy2(file, there)


def replace_text(file: Path, text: str) -> None:
    """Write a file that is never seen half written, and is on the disk when this returns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}-new")
    new.write_text(text, encoding="utf-8")
    flush(new)
    os.replace(new, file)


def publish(made: Path, target: Path) -> None:
    """Put a finished folder in its place, on the disk first, and move ``latest`` last.

    ``latest`` names the folder of the last day, also when an earlier day is run again.
    """
    for folder, _, names in os.walk(made):
        for name in names:
            flush(Path(folder) / name)
        flush(Path(folder))
    swap(made, target)
    flush(target.parent)
    days = [path.name for path in target.parent.iterdir() if DAY.match(path.name)]
    new = target.with_name(f".{LATEST}-new")
    new.unlink(missing_ok=True)
    new.symlink_to(max(days))
    os.replace(new, target.parent / LATEST)
    flush(target.parent)


def flush(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def swap(new: Path, target: Path) -> None:
    """Put a finished folder in the place of another, which a reader never finds missing."""
    if not target.exists():
        os.rename(new, target)
    elif not _exchange(new, target):
        aside = new.with_name(f"{new.name}-former")
        os.rename(target, aside)
        os.rename(new, target)
        os.rename(aside, new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, where the system can (Linux: renameat2)."""
    here, exchange = -100, 2
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    return rename is not None and rename(here, bytes(one), here, bytes(other), exchange) == 0
