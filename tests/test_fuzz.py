"""A small run of the fuzzing in bench/fuzz.py: only errors of ours come out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "bench"))
import fuzz

SMALL = {"csv heads": 800, "tables": 25, "presets": 200, "plans": 200, "values": 400}


def test_the_bench_tries_a_hundred_thousand_inputs() -> None:
    assert sum(fuzz.INPUTS.values()) >= 100_000
    assert set(SMALL) == set(fuzz.INPUTS) == set(fuzz.FAMILIES)


@pytest.mark.parametrize("family", SMALL)
def test_only_our_errors_come_out(family: str) -> None:
    found = list(fuzz.fuzz(family, SMALL[family], seed=11))
    assert not found, f"{found[0][0]!r}: {found[0][1]!r}"


@pytest.mark.parametrize("family", ["csv heads", "presets", "plans", "values"])
def test_hypothesis_finds_no_other_error(family: str) -> None:
    assert fuzz.hypothesise(family, 60) >= 60


def test_a_fault_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> tuple[list[bytes], fuzz.Try]:
        return [b"abc"], lambda data, folder: (_ for _ in ()).throw(KeyError("x"))

    monkeypatch.setitem(fuzz.FAMILIES, "broken", broken)
    assert len(list(fuzz.fuzz("broken", 5))) == 5
    with pytest.raises(KeyError):
        fuzz.hypothesise("broken", 5)
