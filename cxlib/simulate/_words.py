"""The words of the sample shop: who buys what, in six scripts and with every awkward sign."""

from __future__ import annotations

from typing import NamedTuple


class Country(NamedTuple):
    """Where customers live, and what they are called."""

    share: float
    city: str
    zips: tuple[str, ...]
    people: tuple[tuple[str, str], ...]
    """Each as the e-mail spells it, and as the parcel does."""


COUNTRIES = {
    "GB": Country(
        0.52,
        "London",
        ("N1 9GU", "SE1 7PB", "EC1A 1BB"),
        (("amy", "Amy O'Hara"), ("oliver", "Oliver Grant"), ("priya", "Priya Shah")),
    ),
    "DE": Country(
        0.14,
        "Köln",
        ("50667", "04109", "80331"),
        (("juergen", "Jürgen Weiß"), ("anja", "Anja Groß"), ("lukas", "Lukas Löwe")),
    ),
    "IL": Country(
        0.10,
        "חיפה",
        ("3100001", "0610000", "9100000"),
        (("noa", "נועה לוי"), ("yossi", "יוסי כהן"), ("maya", "מאיה פרץ")),
    ),
    "FR": Country(
        0.08,
        "Paris",
        ("'75008", "'69001", "'06000"),  # a spreadsheet's apostrophe keeps the zero
        (("zoe", "Zoé Lefèvre"), ("hugo", "Hugo Noël"), ("chloe", 'Chloé "Clo" Petit')),
    ),
    "US": Country(
        0.06,
        "Portland, OR",
        ("97201", "02134"),
        (("emma", "Emma Reed"), ("james", "James Reed, Jr.")),
    ),
    "EG": Country(
        0.04,
        "القاهرة",
        ("11511",),
        (("layla", "ليلى حسن"), ("omar", "عمر علي")),
    ),
    "IR": Country(
        0.03,
        "تهران",
        ("1111111111",),
        (("parisa", "پریسا کریمی"), ("kian", "كيان يوسفي")),  # the second in Arabic letters
    ),
    "RU": Country(
        0.03,
        "Москва",
        ("101000",),
        (("olga", "Ольга Белова"), ("ilya", "Илья Жуков")),
    ),
}
DOMAINS = ("example.com", "example.org", "example.net", "mail.example")

PRODUCTS = (
    "Ceramic mug, 350 ml",
    'Candle "Evening", 12 cm',
    "Linen apron",
    "Oak chopping board",
    "Wool blanket",
    "Tea towels, set of 3",
    "Glass carafe",
    "Brotkorb aus Weide",
    "Salière en bois d’olivier",
    "Льняная скатерть",
    "Кружка «Зима»",
    "ספל קרמיקה, 350 מ״ל",
    "נר ריחני",
    "كوب سيراميك",
    "شمعة معطرة",
    "لیوان سرامیکی",
    "رومیزی کتان",
)
NOTES = (
    "Please leave it with no. 12, not in the porch",
    'Engrave "Für Oma" on the lid',
    "Gift wrap, please.\nNo invoice in the box.",
    "נא להתקשר לפני המשלוח",
    "يرجى الاتصال قبل التسليم",
    "لطفاً پیش از تحویل تماس بگیرید",
    "Позвоните, пожалуйста, перед доставкой",
)
COUPONS = ("WELCOME10", "SPRING", "חורף10")
GATEWAYS = {"Shopify Payments": 0.7, "PayPal Express Checkout": 0.22, "Klarna": 0.08}
CHANNELS = {"web": 0.86, "pos": 0.09, "shopify_draft_order": 0.05}
