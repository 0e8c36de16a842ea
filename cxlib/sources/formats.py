"""Export formats: one TOML file each says its column names in ours, and what its rows mean."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from cxlib._checks import ParameterError, fault_in_words, listed, suggest

Names = dict[str, str | list[str]]
"""Our name to the export's, or to several of which the first that is there is taken."""


class Rules(BaseModel):
    """What the rows of an export format mean, where formats differ; see ``presets/``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    encoding: str | None = None
    currency: str | None = None
    timestamps: Literal["local", "utc", "offset"] = "local"
    epoch: Literal["s", "ms", "us"] | None = None
    date_format: str | None = None
    decimal: Literal[".", ","] = "."
    customer_is_email: bool = False
    unpaid: list[str] = []
    test_tags: list[str] = []
    test_payments: list[str] = []
    test_emails: list[str] = []
    guest_ids: list[str] = []
    skip_rules: list[str] = []
    cancellation_prefix: str | None = None
    adjustment_prefix: str | None = None
    non_products: list[str] = []


class Layout(BaseModel):
    """Lines without a header: the pattern of each, a name for each group in it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    pattern: str
    names: list[str]
    row_number: str = "row"

    @model_validator(mode="after")
    def _has_a_name_for_each_group(self) -> Layout:
        groups = re.compile(self.pattern).groups
        if groups != len(self.names):
            raise ValueError(f"pattern has {groups} groups, but there are {len(self.names)} names")
        return self

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern


class Preset(BaseModel):
    """One export format: its column names in ours, and the rules its rows need.

    A name with a dot goes into a nested column: ``ecommerce.transaction_id``; in a list of keys
    and values it takes the value of that key: ``event_params.ga_session_id``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str
    title: str = ""
    note: str = ""
    table: Literal["orders", "events", "exposures", "responses"] = "orders"
    recognise: bool = True
    columns: Names
    keep: Names = {}
    lacks: dict[str, str] = {}
    only: dict[str, list[str]] = {}
    refunds: dict[str, list[str]] = {}
    paid_back: dict[str, list[str]] = {}
    cancels: dict[str, list[str]] = {}
    blank: dict[str, list[str]] = {}
    layout: Layout | None = None
    rules: Rules = Rules()


def presets() -> list[str]:
    """Name the presets that `read` knows.

    Returns
    -------
    list of str
        Sorted names, each of an export format.

    Examples
    --------
    >>> import cxlib as cx
    >>> "shopify" in cx.presets()
    True
    """
    folder = files("cxlib") / "presets"
    return sorted(
        item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")
    )


def load_preset(name: str) -> Preset:
    """Return the preset of that name, or of a TOML file of one's own."""
    return _preset(Path(str(name)).stem, preset_text(name), str(name))


def preset_text(name: str) -> str:
    """Return the TOML of a known preset, or of a file of one's own."""
    own = Path(str(name))
    if own.suffix == ".toml":
        try:
            return own.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise ParameterError(
                f"preset={name!r}: no such file (looked from {Path.cwd().name}/)"
            ) from None
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise ParameterError(f"preset={name!r} cannot be read as UTF-8: {said}") from None
    if name not in presets():
        raise ParameterError(
            f"preset={name!r} is not known; known are {listed(presets(), 30)}, or the path of a TOML "
            f"file of your own.{suggest(name, presets())}"
        )
    return (files("cxlib") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


NEW = """\
# Your own export format, begun from {origin}. Use it as preset="{name}" in cx.read and in plans;
# cx check my_export.csv --preset {name}   says what comes of it.
#
# [columns], [keep]: our name = your column (or a list, of which the first that is there is taken;
#     a dot goes into a nested column). All of [columns] must be there, [keep] where they are.
#     Orders need order_id, customer_id, ordered_at and the money: net_revenue, or amount (with
#     refunded), or quantity and unit_price with item_id. Events need user_id, event, occurred_at.
# [only], [refunds], [paid_back], [cancels]: rows by the word in a column: those that are meant at
#     all, those that give their amount back, orders that were paid back in full, those that undo
#     their order. [blank]: words that mean nothing.
# [rules]:
#     encoding = "cp1252"              of a text file that is not UTF-8
#     timestamps = "local"             what a stamp without offset means: local, utc, or offset
#     epoch = "us"                     stamps are numbers since 1970: s, ms or us
#     date_format = "%d/%m/%Y %H:%M"   of dates that are not ISO 8601
#     decimal = ","                    of numbers such as 1.234,56
#     customer_is_email = true         customers are compared without case
#     unpaid = ["pending"]             words of [keep] status that mean: never paid
#     test_tags, test_payments         words of [keep] tags, payment_method that mean: a test
#     test_emails                      addresses, or ends such as *@myshop.com, that mean: a test
#     guest_ids = ["0"]                customer ids that every guest bears
#     skip_rules = ["unpaid"]          rules of cleaning that are left out
#     cancellation_prefix = "C"        order numbers that begin so give back what they list
#     adjustment_prefix = "A"          order numbers that begin so correct the books
#     non_products = ["POST"]          item codes that are no product; gift_* for all that begin so

"""


def new_preset(path: Path, origin: str) -> Path:
    """Write a commented copy of a preset for a user to edit.

    Raises
    ------
    ParameterError
        The preset is unknown, or ``path`` is taken, is no ``.toml`` or cannot be written.
    """
    text = preset_text(origin)
    if path.suffix != ".toml":
        raise ParameterError(f"{str(path)!r} is no name for a preset; write one that ends in .toml")
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(NEW.format(origin=origin, name=path) + text)
    except FileExistsError:
        raise ParameterError(f"{str(path)!r} is there already; give another name") from None
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ParameterError(f"{str(path)!r} cannot be written: {said}") from None
    return path


def _preset(stem: str, text: str, shown: str) -> Preset:
    try:
        written = tomllib.loads(text)
        if "name" in written:
            raise ParameterError(f"preset={shown!r} is not a preset: name: it is the file's own")
        return Preset.model_validate({**written, "name": stem})
    except ValidationError as error:
        faults = "; ".join(map(_in_words, error.errors()))
        raise ParameterError(f"preset={shown!r} is not a preset: {faults}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ParameterError(f"preset={shown!r} is not a preset: {error}") from None


OF_CLEANING = ("exclude", "max_loss", "timezone")
"""What each cleaning is told anew, whatever the format."""


def _in_words(mistake: Mapping[str, Any]) -> str:
    """Return what is wrong with a preset, and where a name stands that stood elsewhere."""
    *above, name = mistake["loc"]
    if mistake["type"] == "extra_forbidden" and name in OF_CLEANING:
        return f"{name}: says nothing of a format; the notebook gives it to cx.clean_orders"
    if mistake["type"] == "extra_forbidden" and not above and name in Rules.model_fields:
        return f"{name}: stands under [rules]"
    return fault_in_words(mistake, _known(mistake["loc"]))


def _known(place: tuple[int | str, ...]) -> list[str]:
    """Name what may stand where an unknown key was found."""
    models: dict[object, type[BaseModel]] = {"rules": Rules, "layout": Layout}
    fields = models.get(place[0], Preset).model_fields
    return [name for name in fields if name != "name"]


@cache
def known_presets() -> dict[str, Preset]:
    """Return every preset that the workbench brings, by name."""
    return {name: load_preset(name) for name in presets()}


def layouts() -> dict[str, Layout]:
    """Return the layouts of presets whose exports have no header."""
    found = {name: preset.layout for name, preset in known_presets().items() if preset.recognise}
    return {name: layout for name, layout in found.items() if layout is not None}
