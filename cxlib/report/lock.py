"""One run of a plan at a time: who holds it is said, and the dead hold nothing."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cxlib._checks import CxError

NAME = ".lock"


class BusyError(CxError):
    """Another run of the same plan is under way."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a plan's folder of runs; the system frees it when its holder ends, however it ends.

    Raises
    ------
    BusyError
        Another run holds it; the message says which, and since when.
    CxError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _held(folder / NAME)
    except OSError as error:
        raise cannot_write(folder, error) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / NAME).unlink()  # while it is held: the next run makes its own
        os.close(file)
        for empty in (folder, folder.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()


def _held(path: Path) -> int:
    """Open and lock the file; again if its last holder took it away meanwhile."""
    import fcntl

    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise BusyError(_who(path)) from None
        if _is(file, path):
            break
        os.close(file)
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": _user(),
        "since": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    }
    os.ftruncate(file, 0)
    os.write(file, json.dumps(holder).encode())
    return file


def _is(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _who(path: Path) -> str:
    plan = path.parent.name
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        holder = "{user} on {host}, process {pid}, since {since}".format(**known)
    except (OSError, ValueError, KeyError):
        holder = "another run, which has only begun"
    return f"plan {plan!r} is being run by {holder}; wait for it, or end that process"


def cannot_write(folder: Path, error: OSError) -> CxError:
    """Return the error of a folder in which nothing can be made."""
    reason = error.strerror or str(error)
    return CxError(f"cannot write to {str(folder)!r}: {reason}; name another folder with --output")
