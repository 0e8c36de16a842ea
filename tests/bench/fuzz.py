"""Fuzz the readers, the presets and the plans: whatever comes in, only a `CxError` may come out.

Each family mutates real inputs (bytes flipped, cut, doubled, spliced with one another) from a
seed, so that what is found can be found again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxlib._checks import CxError

sys.path.insert(0, str(Path(__file__).parents[1]))
import corpus
import exports

INPUTS = {
    "csv heads": 50_000,
    "tables": 2_000,
    "presets": 14_000,
    "plans": 18_000,
    "values": 16_000,
}
"""How many inputs `main` tries of each family: 100,000 in all."""
BY_HYPOTHESIS = 2_500
"""How many more of each family hypothesis thinks up."""
NAMES = ("title", "reports", "notebook", "parameters", "for_each", "defaults", "columns", "rules")
Try = Callable[[bytes, Path], None]
BITS = (
    b'"',
    b",",
    b";",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xfe",
    b"\xef\xbb\xbf",
    b"'",
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b"=",
    b"- ",
    b"&a",
    b"*a",
    b"!!python",
    b"\t",
    "\u202e".encode(),
    "٣".encode(),
    b"0001-01-01",
    b"9999-12-31",
    b"-",
    b"1e999",
)


def mutated(seeds: list[bytes], chance: random.Random) -> bytes:
    """Return a seed with a few of its bytes changed, cut, doubled or taken from another."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 6)):
        at, length = chance.randint(0, len(data)), chance.randint(0, 12)
        match chance.randrange(6):
            case 0:
                data[at:at] = chance.choice(BITS)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[max(0, at - length) : at] * chance.randint(1, 4)
            case 3:
                other = chance.choice(seeds)
                data[at : at + length] = other[at : at + 3 * length]
            case 4 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case _:
                data = data[:at] if chance.random() < 0.3 else data
    return bytes(data)


def csv_heads() -> tuple[list[bytes], Try]:
    """The Python part of reading text: kind, encoding, signs, header."""
    from cxlib.sources.sheet import sheet
    from cxlib.sources.text import examine

    def attempt(data: bytes, folder: Path) -> None:
        path = folder / "x.csv"
        path.write_bytes(data)
        sheet(examine(path, "x.csv"), "x.csv")

    cities = corpus.named("Москва", "Köln", "תל אביב")
    seeds = [corpus.GOOD.encode(), cities.encode(), cities.encode("utf-16"), corpus.GOOD.replace(",", ";").encode("utf-8-sig"), exports.SHOPIFY.encode(), exports.CDNOW.encode()]  # fmt: skip
    return seeds, attempt


def tables() -> tuple[list[bytes], Try]:
    """Reading and cleaning as a whole, in the engine."""
    import cxlib as cx

    def attempt(data: bytes, folder: Path) -> None:
        kind = {b"{": "jsonl", b"P": "parquet"}.get(data[:1], "csv")
        path = folder / f"x.{kind}"
        path.write_bytes(data)
        cleaned = cx.clean_orders(cx.read(path), timezone="UTC", max_loss=1.0)
        assert cleaned.kept_rows + cleaned.losses["rows"].sum() == cleaned.raw_rows

    with tempfile.TemporaryDirectory() as name:
        parquet = corpus._parquet(Path(name) / "x.parquet")
        lines = exports.ga4_json(Path(name) / "x.jsonl").read_bytes()
    seeds = [corpus.GOOD.encode(), exports.SHOPIFY.encode(), exports.CDNOW.encode(), exports.WOOCOMMERCE.encode(), parquet, lines, b'{"order_id": "1", "customer_id": "a", "ordered_at": "2024-05-01", "net_revenue": 5}\n']  # fmt: skip
    return seeds, attempt


def presets() -> tuple[list[bytes], Try]:
    """Presets of one's own."""
    from cxlib.sources import load_preset, preset_text
    from cxlib.sources import presets as known

    def attempt(data: bytes, folder: Path) -> None:
        path = folder / "own.toml"
        path.write_bytes(data)
        load_preset(str(path))

    return [preset_text(name).encode() for name in known()], attempt


PLAN = """\
title: Weekly
defaults: {source: data/orders.csv, as_of: 2024-12-31, timezone: Europe/London}
reports:
  - notebook: 01_cohort_retention
  - notebook: 04_funnel
    parameters: {source: data/events.parquet, steps: [view, cart]}
    for_each: {country: [GB, DE, "012"]}
"""


def plans() -> tuple[list[bytes], Try]:
    """Plans as they are written."""
    from cxlib.report.plan import read_plan

    def attempt(data: bytes, folder: Path) -> None:
        path = folder / "plan.yml"
        path.write_bytes(data)
        for report in read_plan(path)[0].reports:
            for _, sweep in zip(range(100), report.sweeps(), strict=False):
                assert isinstance(sweep, dict)

    short = yaml.safe_dump({"reports": [{"notebook": "x", "parameters": {"a": "1"}}]})
    return [PLAN.encode(), short.encode()], attempt


CELLS = (
    "steps: list[str] = ['view']\nas_of: str = '2024-12-31'\nx: int = 3\ny: float | None = None\n"
    "z: Literal['a', 'b'] = 'a'\nflag: bool = True\ntimezone: str = 'UTC'\npreset: str | None = None",
)


def values() -> tuple[list[bytes], Try]:
    """Values of parameters, as text of a plan or of ``--set``."""
    import nbformat

    from cxlib.report.parameters import declared

    with tempfile.TemporaryDirectory() as name:
        cell = nbformat.v4.new_code_cell(CELLS[0], metadata={"tags": ["parameters"]})
        path = Path(name) / "x.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
        known = list(declared(path).parameters.values())

    def attempt(data: bytes, folder: Path) -> None:
        del folder
        known[len(data) % len(known)].convert(data.decode("utf-8", errors="surrogateescape"))

    seeds = [b"2024-12-31", b"[view, cart]", b"view, cart", b"3", b"1e3", b"true", b"null", b"a", b"Europe/London", b"shopify", b"../own.toml"]  # fmt: skip
    return seeds, attempt


FAMILIES: dict[str, Callable[[], tuple[list[bytes], Try]]] = {
    "csv heads": csv_heads,
    "tables": tables,
    "presets": presets,
    "plans": plans,
    "values": values,
}


def fuzz(family: str, inputs: int, seed: int = 7) -> Iterator[tuple[bytes, Exception]]:
    """Yield each input of a family that ended in anything but a result or a `CxError`."""
    seeds, attempt = FAMILIES[family]()
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        for _ in range(inputs):
            data = mutated(seeds, chance)
            start = time.perf_counter()
            try:
                attempt(data, Path(name))
            except CxError as error:
                if len(str(error)) > 4_000:
                    yield data, AssertionError("a message of more than 4,000 characters")
            except Exception as error:
                yield data, error
            if time.perf_counter() - start > 10:
                yield data, TimeoutError("more than ten seconds")


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
ANY = (
    st.binary(max_size=400)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | SHAPES.map(lambda shape: yaml.safe_dump(shape, allow_unicode=True).encode())
    | SHAPES.map(lambda shape: json.dumps(shape).encode())
)
"""Inputs that come from no seed: any bytes, any text, and any shape as YAML or JSON."""


def hypothesise(family: str, inputs: int) -> int:
    """Let hypothesis look for an input that ends in another error, and raise with the smallest.

    Return how many were tried.
    """
    _, attempt = FAMILIES[family]()
    n_tried = 0

    with tempfile.TemporaryDirectory() as name:

        @settings(
            max_examples=inputs, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(ANY)
        def tried(data: bytes) -> None:
            nonlocal n_tried
            n_tried += 1
            with contextlib.suppress(CxError):
                attempt(data, Path(name))

        tried()
    return n_tried


def main() -> None:
    """Try all families and print what was found."""
    logging.disable()
    total = 0
    for family, inputs in INPUTS.items():
        start = time.perf_counter()
        found = list(fuzz(family, inputs))
        total += inputs
        kinds = Counter(f"{type(error).__name__}: {str(error)[:80]}" for _, error in found)
        seconds = time.perf_counter() - start
        print(
            f"fuzz {family}: {inputs:,} inputs in {seconds:.0f} s, {len(found)} faults {dict(kinds)}",
            flush=True,
        )
        for data, error in found[:3]:
            print(f"  {data[:200]!r}: {type(error).__name__}: {str(error)[:200]}")
    for family in ("csv heads", "presets", "plans", "values"):
        hypothesise(family, BY_HYPOTHESIS)
        total += BY_HYPOTHESIS
        print(f"hypothesis {family}: {BY_HYPOTHESIS:,} inputs, no fault", flush=True)
    print(f"fuzz: {total:,} inputs in all")


if __name__ == "__main__":
    main()
