"""A PostgreSQL server of the tests' own: a new cluster in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECRET = "s3cr3t-w4rehouse"
"""The password of the one user: no message, page or record may ever show it."""


def programs() -> Path | None:
    """Return the folder of ``initdb`` and ``pg_ctl``, where a server is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else (Path(on_path).resolve().parent if on_path else None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def server() -> Iterator[str]:
    """Run a server on a free loopback port; yield the address of its database ``shop``."""
    programs_in = programs()
    assert programs_in is not None, "PostgreSQL is not installed (Debian: postgresql)"
    # the server refuses to run as root
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="cx-pg-") as folder:
        shutil.chown(folder, owner.pw_uid, owner.pw_gid)
        data, password = Path(folder) / "data", Path(folder) / "password"
        password.write_text(SECRET)
        shutil.chown(password, owner.pw_uid, owner.pw_gid)
        port = _free_port()

        def run(program: str, *arguments: str) -> None:
            user = {"user": owner.pw_uid, "group": owner.pw_gid} if os.geteuid() == 0 else {}
            subprocess.run(
                [programs_in / program, *arguments],
                check=True,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **user,
            )

        run("initdb", "-D", str(data), "-U", "shop", f"--pwfile={password}", "-A", "scram-sha-256",
            "--no-sync", "-E", "UTF8", "--locale=C")  # fmt: skip
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
        run("pg_ctl", "-D", str(data), "-w", "-o", options, "start")
        try:
            run_as = {**os.environ, "PGPASSWORD": SECRET}
            subprocess.run(
                [
                    programs_in / "createdb",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(port),
                    "-U",
                    "shop",
                    "shop",
                ],
                check=True,
                env=run_as,
            )
            yield f"postgresql://shop:{SECRET}@127.0.0.1:{port}/shop"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
