"""The shop's books as a Shopify orders export, with the faults of real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib.simulate import _words as words
from cxlib.simulate._draws import generator, pick
from cxlib.simulate._shop import LOST, ZONE, Shop

HEADER = (
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,"
    "Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem compare at price,Lineitem sku,"
    "Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status,Billing Name,"
    "Billing Street,Billing Address1,Billing Address2,Billing Company,Billing City,Billing Zip,"
    "Billing Province,Billing Country,Billing Phone,Shipping Name,Shipping Street,Shipping Address1,"
    "Shipping Address2,Shipping Company,Shipping City,Shipping Zip,Shipping Province,Shipping Country,"
    "Shipping Phone,Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,"
    "Refunded Amount,Vendor,Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,Source,"
    "Lineitem discount,Tax 1 Name,Tax 1 Value,Tax 2 Name,Tax 2 Value,Tax 3 Name,Tax 3 Value,"
    "Tax 4 Name,Tax 4 Value,Tax 5 Name,Tax 5 Value,Phone,Receipt Number,Duties"
)
ON_EVERY_ROW = ("Name", "Email", "Created at")
SHIPPING_PENCE = 395
DUPLICATE_ROWS = 90
ODD_EMAILS = {"upper": 220, "title": 220, "padded": 160}
MARKED_EMAILS = 10
CONTESTS = 25
SUMMER_IN_UTC = {"the day moves": 40, "the hour moves": 40}


def written(utc: pd.Series, form: str = "%Y-%m-%d %H:%M:%S %z", zone: str = ZONE) -> pd.Series:
    """Return moments as text, on the clock of a zone."""
    return utc.dt.tz_localize("UTC").dt.tz_convert(zone).dt.strftime(form)


def shop_clock(utc: pd.Series) -> pd.Series:
    """Return moments as the naive stamps that the shop's own clock shows."""
    return utc.dt.tz_localize("UTC").dt.tz_convert(ZONE).dt.tz_localize(None)


def pounds(pence: pd.Series) -> pd.Series:
    """Return pence as text, such as 12.50."""
    return (pence // 100).astype("str") + "." + (pence % 100).astype("str").str.zfill(2)


def export_orders(shop: Shop, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the export as text, newest order first, and its faults with their counts."""
    rng = generator(seed)
    orders, planted = _plant(rng, shop.books.assign(created=written(shop.books["utc"])))
    orders, lines = _lines(rng, orders)
    orders = _order_fields(rng, orders, shop.customers)
    rows = lines.join(orders, on="order")
    later = rows["line"] > 0
    rows.loc[later, [name for name in orders if name not in ON_EVERY_ROW]] = ""
    again = _duplicates(rng, rows, shop.books)
    counts = _counts(shop.books, rows, rows.loc[again], planted)
    rows = pd.concat([rows, rows.loc[again]]).sort_values(
        ["order", "line"], ascending=[False, True], kind="stable"
    )
    return rows.reindex(columns=HEADER.split(","), fill_value="").fillna(""), counts


def _plant(
    rng: np.random.Generator, orders: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return orders with faults that cleaning repairs, and where each was planted."""
    kept = np.flatnonzero(orders["rule"] == "")
    clock = shop_clock(orders["utc"])
    summer = kept[(orders["created"].str.endswith("+0100")).to_numpy()[kept]]
    midnight = summer[clock.dt.hour.to_numpy()[summer] == 0]
    evening = np.setdiff1d(summer, midnight)
    moved = {
        "the day moves": rng.permutation(midnight)[: SUMMER_IN_UTC["the day moves"]],
        "the hour moves": rng.permutation(evening)[: SUMMER_IN_UTC["the hour moves"]],
    }
    in_utc = np.concatenate(list(moved.values()))
    shuffled = rng.permutation(kept)
    sizes = [*ODD_EMAILS.values(), MARKED_EMAILS]
    *odd, marked = np.split(shuffled[: sum(sizes)], np.cumsum(sizes)[:-1])
    contests = rng.permutation(kept)[:CONTESTS]

    email = orders["customer_id"].to_numpy(object, copy=True)
    for place, change in zip(odd, (str.upper, str.title, "  {} ".format), strict=True):
        email[place] = [change(value) for value in email[place]]
    email[marked] = ["\u200f" + value for value in email[marked]]
    created, tags = orders["created"].copy(), orders["tags"].copy()
    created.iloc[in_utc] = written(orders["utc"].iloc[in_utc], zone="UTC")
    tags.iloc[contests] = "contest, VIP"
    planted = {
        "e-mail in capitals or padded with spaces": np.concatenate(odd),
        "e-mail with an invisible direction mark": marked,
        "summer order stamped +0000, on the shop's next day": moved["the day moves"],
        "summer order stamped +0000, on the same day": moved["the hour moves"],
        "summer order in the first hour of the shop's day, stamped +0100": np.setdiff1d(
            midnight, in_utc
        ),
        "tag that only looks like a test (contest)": contests,
        "refunded in part": kept[orders["refunded"].to_numpy()[kept] > 0],
    }
    return orders.assign(email=email, created=created, tags=tags), planted


def _lines(rng: np.random.Generator, orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return orders with their subtotals, and lines whose sums make them up to the penny."""
    n = len(orders)
    has_shipping = (rng.random(n) < 0.35) & (orders["total"] > 2 * SHIPPING_PENCE)
    shipping = has_shipping * SHIPPING_PENCE
    subtotal = orders["total"] - shipping
    coupon = np.where(rng.random(n) < 0.12, pick(rng, [6, 3, 1], n), -1)
    discount = ((coupon >= 0) * subtotal / 9).round().astype("int64")  # 10 % of the price
    n_lines = 1 + np.minimum(rng.poisson(0.55, n), 3)

    order = np.repeat(np.arange(n), n_lines)
    first = np.cumsum(n_lines) - n_lines
    line = np.arange(len(order)) - first[order]
    weight = 0.2 + rng.random(len(order))
    share = weight / np.add.reduceat(weight, first)[order]
    pence = np.floor(share * (subtotal + discount).to_numpy()[order]).astype(np.int64)
    pence[first] += (subtotal + discount).to_numpy() - np.add.reduceat(pence, first)
    pairs = (pence % 2 == 0) & (rng.random(len(order)) < 0.3)
    product = (rng.integers(len(words.PRODUCTS), size=n)[order] + 5 * line) % len(words.PRODUCTS)
    lines = pd.DataFrame(
        {
            "order": order,
            "line": line,
            "Lineitem quantity": np.where(pairs, "2", "1"),
            "Lineitem name": pd.Series(words.PRODUCTS, dtype="str").take(product).array,
            "Lineitem price": pounds(pd.Series(np.where(pairs, pence // 2, pence))),
            "Lineitem sku": pd.Series(product + 1).astype("str").str.zfill(5),
            "Lineitem requires shipping": "true",
            "Vendor": "Hearth",
        }
    )
    return orders.assign(
        shipping=shipping, subtotal=subtotal, coupon=coupon, discount=discount
    ), lines


def _order_fields(
    rng: np.random.Generator, orders: pd.DataFrame, customers: pd.DataFrame
) -> pd.DataFrame:
    """Return one row per order: what stands on its first row of the export."""
    n = len(orders)
    who = customers.set_index("email").reindex(orders["customer_id"]).reset_index(drop=True)
    stranger = customers.take(rng.integers(len(customers), size=n)).reset_index(drop=True)
    who = who.where(who["name"].notna(), stranger)
    paid = orders["status"].isin(["paid", "partially_refunded", "refunded"])
    note = np.where(rng.random(n) < 0.06, rng.integers(len(words.NOTES), size=n), len(words.NOTES))
    return pd.DataFrame(
        {
            "Name": orders["order_id"],
            "Email": orders["email"],
            "Financial Status": orders["status"],
            "Paid at": orders["created"].where(paid, ""),
            "Fulfillment Status": np.where(
                paid & ~orders["is_cancelled"], "fulfilled", "unfulfilled"
            ),
            "Accepts Marketing": np.where(rng.random(n) < 0.4, "yes", "no"),
            "Currency": "GBP",
            "Subtotal": pounds(orders["subtotal"]),
            "Shipping": pounds(orders["shipping"]),
            "Taxes": pounds((orders["total"] / 6).round().astype("int64")),  # 20 % VAT, included
            "Total": pounds(orders["total"]),
            "Discount Code": pd.Series([*words.COUPONS, ""])
            .take(orders["coupon"].to_numpy() % 4)
            .array,
            "Discount Amount": pounds(orders["discount"]),
            "Shipping Method": np.where(orders["shipping"] > 0, "Tracked", "Free"),
            "Created at": orders["created"],
            "Billing Country": who["country"],
            "Shipping Name": who["name"],
            "Shipping City": who["city"],
            "Shipping Zip": who["zip"],
            "Shipping Country": who["country"],
            "Notes": pd.Series([*words.NOTES, ""]).take(note).array,
            "Cancelled at": written(orders["utc"] + pd.Timedelta(hours=5)).where(
                orders["is_cancelled"], ""
            ),
            "Payment Method": orders["gateway"],
            "Refunded Amount": pounds(orders["refunded"]),
            "Outstanding Balance": pounds(orders["total"].where(~paid, 0)),
            "Id": (5_100_000_000_000 + 32_768 * np.arange(n)).astype(str),
            "Tags": orders["tags"],
            "Source": pd.Series(list(words.CHANNELS))
            .take(pick(rng, [*words.CHANNELS.values()], n))
            .array,
        }
    )


def _duplicates(rng: np.random.Generator, rows: pd.DataFrame, books: pd.DataFrame) -> np.ndarray:
    """Return the rows, all of orders that are kept, that the export holds twice."""
    kept = np.flatnonzero((books["rule"] == "").to_numpy()[rows["order"]])
    return rng.permutation(kept)[:DUPLICATE_ROWS]


def _counts(
    books: pd.DataFrame, rows: pd.DataFrame, again: pd.DataFrame, planted: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Return one row per fault: ``fault``, ``rule`` (empty where repaired), ``rows``, ``revenue``."""
    net = (books["total"] - books["refunded"]) / 100
    lines = rows.groupby("order").size()
    heads = again.loc[again["line"] == 0, "order"]
    found = [("row repeated exactly", "duplicate_row", len(again), net[heads].sum())]
    for rule, kinds in LOST.items():
        for kind in kinds:
            place = books.index[(books["rule"] == rule) & (books["kind"] == kind)]
            found.append((kind, rule, lines[place].sum(), net[place].sum()))
    found += [(fault, "", lines[place].sum(), np.nan) for fault, place in planted.items()]
    found.append(("further line of the same order", "", int((rows["line"] > 0).sum()), np.nan))
    for fault, column, sign in (
        ("zip with a spreadsheet's apostrophe", "Shipping Zip", "'"),
        ("note with a line break", "Notes", "\n"),
    ):
        found.append((fault, "", int(rows[column].str.contains(sign).sum()), np.nan))
    return pd.DataFrame(found, columns=["fault", "rule", "rows", "revenue"])
