"""What the keys of JupyterLab bring, asked of a real kernel: Tab and Shift-Tab."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

import cxlib as cx

SECONDS = 240


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(startup_timeout=SECONDS)
    try:
        client.execute("import cxlib as cx", reply=True, timeout=SECONDS)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def completions(kernel: BlockingKernelClient, code: str) -> list[str]:
    found = kernel.complete(code, len(code), reply=True, timeout=SECONDS)["content"]["matches"]
    return sorted(match.removeprefix(code) for match in found)


def test_tab_shows_our_names_only(kernel: BlockingKernelClient) -> None:
    assert completions(kernel, "cx.") == sorted(cx.__all__)
    assert completions(kernel, "cx.explore.") == sorted(cx.explore.__all__)
    assert completions(kernel, "cx.plot.") == sorted(cx.plot.__all__)


def test_shift_tab_shows_what_it_does_an_example_and_its_picture(
    kernel: BlockingKernelClient,
) -> None:
    code = "cx.retention(orders"
    reply = kernel.inspect(code, len(code), reply=True, timeout=SECONDS)["content"]
    told = re.sub(r"\x1b\[[0-9;]*m", "", reply["data"]["text/plain"])
    for words in (
        "Return the cohort table",
        "period: 'Unit | str' = 'month'",
        "cxlib.plot.retention",
        ">>> table = cx.retention(orders",
    ):
        assert words in told
