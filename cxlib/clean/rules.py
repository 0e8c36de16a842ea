"""The rules of cleaning: what each means, what to do about it, and which may be switched off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cxlib._checks import ParameterError, listed, suggest
from cxlib.sources import Rules


@dataclass(frozen=True)
class Rule:
    """One reason to drop a row, or one thing that cleaning did to a row that it kept."""

    meaning: str
    advice: str
    may_skip: bool = False


LOSSES = {
    "duplicate_row": Rule(
        "the same row once more, in every column",
        "two exports of the same days were joined, or the export repeats rows; take them from one",
        True,
    ),
    "other_currency": Rule(
        "in another currency than the chosen one, or in none that is told; no sum holds its money",
        "analyse each currency by itself, with currency=",
    ),
    "no_order_id": Rule("no order number", "map order_id to the column that holds it"),
    "adjustment": Rule(
        "a correction of the books, not an order",
        "change adjustment_prefix in the preset if it is an order",
        True,
    ),
    "not_a_product": Rule(
        "postage, fees, samples and other lines that are no product",
        "change non_products in the preset if one of them is a product",
        True,
    ),
    "overlapping_file": Rule(
        "a row of an order that another of the files holds too",
        "export periods that do not overlap; each order is counted once",
        True,
    ),
    "duplicate_order": Rule(
        "the same order once more, with other contents; the one refunded most is kept",
        "export each order once, in its latest state",
        True,
    ),
    "test_order": Rule(
        "a test order, by flag, tag, e-mail or payment method",
        "look at the examples; change test_tags, test_emails or test_payments in the preset",
        True,
    ),
    "excluded": Rule(
        "of a customer or user that exclude= names: staff, a bot, a reseller",
        "change exclude= to count them",
    ),
    "cancelled": Rule(
        "cancelled by the shop or the customer", "a matter for the shop, not for the export", True
    ),
    "unpaid": Rule(
        "never paid: pending, authorised, voided or expired",
        "export again once payments are settled; change unpaid in the preset if they count",
        True,
    ),
    "no_customer": Rule(
        "a guest: no customer id or e-mail",
        "export the e-mail and map it as email: guests are then known by it",
    ),
    "refund_unmatched": Rule(
        "a refund of something that this export does not hold",
        "export a longer period, where the orders that these undo lie before it; or give refunds the order_id of their order",
        True,
    ),
    "no_amount": Rule("no amount of money", "map amount to the column that holds the total"),
    "no_user": Rule("no user id", "visitors who never signed in; map a device id to know them"),
    "no_event": Rule("no event name", "look at the tracker's schema"),
    "no_variant": Rule("no variant name", "look at the assignment log"),
    "no_time": Rule("no date", "map the time column to one that is filled"),
    "odd_time": Rule(
        "a date before 1970 or after 2100, which stands for none",
        "ask the system that wrote it for the real date",
    ),
    "no_score": Rule("no answer", "left blank by the customer; nothing to do"),
    "unknown_kind": Rule(
        "a kind of survey other than nps, csat and ces", "name the kinds nps, csat and ces"
    ),
    "out_of_range": Rule("a score off the scale of its kind", "map each survey to its own kind"),
    "refunded_in_full": Rule(
        "refunded to nothing, or to less", "a matter for the shop, not for the export", True
    ),
    "negative_total": Rule(
        "a negative total without a refund to explain it",
        "look at the examples: corrections of the books, or a wrong column mapped as amount",
        True,
    ),
    "duplicate_event": Rule(
        "the same event id once more; the earliest is kept",
        "retries of the tracker; nothing to do unless they are many",
        True,
    ),
}
"""In the order in which they act, a row's before an order's; a row is lost under the first that holds."""
BY_CHOICE = ("other_currency", "excluded")
"""Rules of what the caller chose to leave out: no loss that max_loss bounds."""
NOTES = {
    "hidden_marks": Rule(
        "ids or names with marks of writing direction, or letters of two keyboards (ي and ی, "
        "ك and ک); written alike, so that one person is one",
        "nothing to do; clean other tables with cx.clean_… too before joining them",
        True,
    ),
    "float_ids": Rule(
        "ids that were read as numbers somewhere (17850.0); the .0 is taken off",
        "export ids as text: leading zeros, if there were any, are gone",
        True,
    ),
    "guest_by_email": Rule(
        "guests, known by their e-mail", "nothing to do; each e-mail is one customer", True
    ),
    "refund_netted": Rule("refunds, taken off the orders that they belong to", "nothing to do"),
    "clock_gap": Rule(
        "local stamps in the hour that clocks skip in spring; kept as written",
        "such an hour never was: the export's clock may be UTC (naive='utc') or lack summer time",
    ),
    "clock_fold": Rule(
        "stamps in the hour that clocks show twice in autumn; up to one hour apart look alike",
        "nothing to do unless the order of events in that hour matters",
    ),
    "overlap_suspected": Rule(
        "rows of days on which nearly every row stands twice: two exports joined",
        "the copies are left out as duplicate_row; join exports that do not overlap",
    ),
}


def check_skipped(names: Iterable[str], rules: Rules) -> frozenset[str]:
    """Return the rules to switch off, by the caller or by the preset.

    Raises
    ------
    ParameterError
        A name is no rule, or its rows cannot be kept: the contract has no place for them; or it
        is a note on rows that stay as they are.
    """
    names = [names] if isinstance(names, str) else list(names)
    skipped = frozenset([*names, *rules.skip_rules])
    known = {**LOSSES, **NOTES}
    can = sorted(name for name, rule in known.items() if rule.may_skip)
    for name in sorted(skipped):
        if name not in known:
            raise ParameterError(
                f"skip_rules names {name!r}, which is no rule; known are {listed(can, 20)}."
                f"{suggest(name, can)}"
            )
        if name in can:
            continue
        if name in NOTES:
            raise ParameterError(
                f"skip_rules names {name!r}, which drops and changes no row of its own: "
                f"{NOTES[name].meaning}"
            )
        raise ParameterError(
            f"skip_rules names {name!r}: {LOSSES[name].meaning}; a table cannot hold such rows. "
            f"{LOSSES[name].advice[0].upper()}{LOSSES[name].advice[1:]}"
        )
    return skipped
