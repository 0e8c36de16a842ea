"""The kernels that reports run in: new for each report, and ready at once.

On Linux a kernel is forked from a process that has imported everything and run nothing, so a
report meets a fresh namespace without waiting for imports. Elsewhere it starts as Jupyter
starts it.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from queue import Empty
from typing import Any

from ipykernel.iostream import OutStream
from ipykernel.kernelapp import IPKernelApp
from jupyter_client import AsyncKernelClient, AsyncKernelManager
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning import LocalProvisioner
from nbformat import NotebookNode
from traitlets import default

from cxlib._guard import guard
from cxlib._published import is_published

MOST_PRINTED = 1_000_000
"""Characters that are kept of what one cell prints."""
CUT = f"[cut: only the first {MOST_PRINTED:,} characters that a cell prints are kept]"

LOOK_SECONDS = 0.01
"""How often to look whether a kernel has ended; Jupyter would ten times a second."""

FORKS = sys.platform == "linux"
DIE_WITH_PARENT, ADOPT_ORPHANS = 1, 36
"""prctl: PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER."""


class CappedStream(OutStream):
    """What a kernel prints, up to `MOST_PRINTED` characters of each cell."""

    _cell: str | None = None
    _printed = 0
    _counting = threading.RLock()

    def write(self, string: str) -> int:
        """Pass on what there is room for; once it is full, say so and keep no more."""
        with self._counting:
            cell = self.parent_header.get("msg_id")
            if cell != self._cell:
                self._cell, self._printed = cell, 0
            room = MOST_PRINTED - self._printed
            self._printed += len(string)
        if len(string) <= room:
            super().write(string)
        elif room >= 0:  # once: from here on there is less than no room
            super().write(f"{string[:room]}\n{CUT}\n")
        return len(string)


PRINTING = f"--IPKernelApp.outstream_class={__name__}.CappedStream"


def is_run(cell: NotebookNode) -> bool:
    """Say whether a kernel runs a cell, which then has a number in brackets."""
    return cell.cell_type == "code" and bool(cell.source.strip())


class PromptClient(AsyncKernelClient):
    """Is ready when the kernel answers on both channels; Jupyter's own then listens for silence."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers, and until what it publishes is heard too."""
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while not await self._answers():
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")

    async def _answers(self) -> bool:
        self.kernel_info()
        try:
            while (await self.get_shell_msg(timeout=1))["msg_type"] != "kernel_info_reply":
                pass
            await self.get_iopub_msg(timeout=0.2)
        except Empty:
            return False
        return True


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels of this very interpreter, whatever ``python3`` means elsewhere here."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        if os.name == "posix":  # no ports to collide, or to listen on
            self.connection_file = os.path.join(tempfile.mkdtemp(prefix="cx-"), "kernel.json")
            self.transport = "ipc"
        if READY:
            self.provisioner = ForkedProvisioner(
                kernel_id="cx", kernel_spec=self.kernel_spec, parent=self
            )

    @default("client_factory")
    def _prompt_client(self) -> type[AsyncKernelClient]:
        return PromptClient

    @default("kernel_spec_manager")
    def _own_kernels_only(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)

    async def _async_wait(self, pollinterval: float = 0.1) -> None:
        await super()._async_wait(min(pollinterval, LOOK_SECONDS))

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """Return the command of a kernel, its output capped."""
        return super().format_kernel_cmd([*(extra_arguments or []), PRINTING])


class ForkedKernel:
    """A child that waits to be a kernel; looks like the `subprocess.Popen` that Jupyter expects."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, orders: Connection) -> None:
        self.pid, self._orders = pid, orders
        self.returncode: int | None = None

    def begin(self, file: str, folder: str, environment: dict[str, str]) -> None:
        """Let the kernel serve the connection file."""
        self._orders.send((file, folder, environment))
        self._orders.close()

    def poll(self) -> int | None:
        """Return the exit code, or None while the kernel lives."""
        return self._waited(os.WNOHANG)

    def wait(self) -> int | None:
        """Return the exit code when the kernel has ended."""
        return self._waited(0)

    def _waited(self, how: int) -> int | None:
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, how)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send the kernel a signal."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the kernel to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the kernel."""
        self.send_signal(signal.SIGKILL)


class ForkedProvisioner(LocalProvisioner):
    """Gives Jupyter the kernel that was forked beforehand."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Let the waiting kernel begin."""
        kernel: Any = READY.pop()
        manager: Any = self.parent
        self.process, self.pid = kernel, kernel.pid
        self.cwd = kwargs.get("cwd") or os.getcwd()
        kernel.begin(manager.connection_file, str(self.cwd), dict(kwargs["env"]))
        return self.connection_info


READY: list[ForkedKernel] = []
"""The kernel that waits in this process, if one does."""


def fork_ahead(memory_bytes: int | None, *unneeded: Connection) -> None:
    """Fork the kernel that this process will use; must come before any thread is started.

    Parameters
    ----------
    memory_bytes : int or None
        What the kernel may allocate.
    *unneeded : Connection
        What the kernel has no use for, and must not hold open.
    """
    if not FORKS:
        return
    orders, giving = Pipe(duplex=False)
    adopt_orphans()
    pid = os.fork()
    if pid:
        orders.close()
        READY.append(ForkedKernel(pid, giving))
        return
    code = 1
    try:
        for connection in (giving, *unneeded):
            connection.close()
        code = _serve(orders, memory_bytes)
    finally:
        os._exit(code)


def _serve(orders: Connection, memory_bytes: int | None) -> int:
    """Be a kernel, as ``python -m ipykernel_launcher`` is one."""
    _prctl(DIE_WITH_PARENT, signal.SIGKILL)
    file, folder, environment = orders.recv()
    orders.close()
    os.environ.clear()
    os.environ.update(environment)
    if is_published():
        guard()  # as `import cxlib` does where a kernel starts afresh
    os.chdir(folder)
    limit_memory(memory_bytes)
    _reseed()
    app: Any = IPKernelApp.instance()
    app.initialize(["-f", file, PRINTING])
    app.shell.enable_matplotlib("inline")
    app.start()
    return 0


def _reseed() -> None:
    """Give numpy's own generator a new state: forks of one process would share theirs."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def limit_memory(memory_bytes: int | None) -> None:
    """Bound what this process may allocate (Linux: its private memory, not what it maps)."""
    if memory_bytes is not None:
        import resource

        kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
        resource.setrlimit(kind, (memory_bytes, memory_bytes))


def adopt_orphans() -> None:
    """Become the parent of what a report's processes leave behind, so that it can be ended."""
    _prctl(ADOPT_ORPHANS, 1)


def _prctl(option: int, value: int) -> None:
    if FORKS:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def end_family(pid: int) -> None:
    """End a process, all that stem from it, and its group."""
    for one in reversed([pid, *_descendants(pid)]):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _descendants(pid: int) -> Iterator[int]:
    """Yield what stems from a process, held still so that nothing is born while it is counted.

    The process itself goes on: if its run is killed at this moment, it must end the others.
    """
    import psutil

    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            with contextlib.suppress(psutil.Error):
                child.suspend()
                yield child.pid
                yield from _descendants(child.pid)
