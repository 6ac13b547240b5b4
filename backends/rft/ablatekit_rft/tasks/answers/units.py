"""Units behind an answer: which words are units, and which of them are the same unit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_SPELLINGS = (
    "mm millimeter millimetre",
    "cm centimeter centimetre",
    "dm decimeter decimetre",
    "m meter metre",
    "km kilometer kilometre",
    "in inch",
    "ft foot feet",
    "yd yard",
    "mi mile",
    "mg milligram milligramme",
    "g gram gramme",
    "kg kilogram kilogramme kilo",
    "lb pound",
    "oz ounce",
    "ml mL milliliter millilitre",
    "L l liter litre",
    "gal gallon",
    "s sec second",
    "min minute",
    "h hr hour",
    "d day",
    "wk week",
    "yr year",
    "mph",
    "kph",
    "Hz hertz",
    "N newton",
    "J joule",
    "W watt",
    "V volt",
    "A ampere amp",
    "K kelvin",
    "Pa pascal",
    "mol mole",
    "rad radian",
    "° degree deg",
    "% percent pct percentage",
    "$ dollar usd USD buck",
    "cent ¢",
    "euro eur EUR",
    "yen JPY",
    "rupee Rs INR",
    "quid GBP",
    "unit",
    "th st nd rd",
    "ha hectare",
    "acre",
    "month",
    "point",
    "person people",
    "child children",
    "man men",
    "woman women",
)
_CANONICAL: Mapping[str, str] = MappingProxyType(
    {word: line.split()[0] for line in _SPELLINGS for word in line.split()}
)
_POWERS: Mapping[str, str] = MappingProxyType(
    {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cu": "3", "cubed": "3"}
)
_BARE_WORDS = """
mm cm dm km ft yd mg kg lb oz ml mL gal sec min hr mph kph Hz mol cent cents inch inches
meter meters metre metres feet mile miles dollar dollars degree degrees percent second seconds
minute minutes hour hours day days year years unit units pounds grams liters
"""
_BARE = frozenset(_BARE_WORDS.split())
_WORDS_OF_VALUE = """
hundred thousand million billion trillion dozen hundreds thousands millions billions trillions
dozens score half quarter third not no nor less more than least most at base mod modulo if for where
when with without plus minus times divided over is are was the answer only undefined infinity pi
even odd true false negative positive to from any all halves quarters thirds fourth fourths fifth
fifths sixth sixths seventh sevenths eighth eighths ninth ninths tenth tenths hundredth hundredths
thousandth thousandths millionth millionths factorial root below above under fewer greater smaller
infinite none unless except excluding including mod double twice
"""
_NO_UNITS = frozenset(_WORDS_OF_VALUE.split())
"""Words that change the value in front of them, or say something of their own."""


_CURRENCIES = frozenset(("$", "euro", "yen", "rupee", "quid", "lb"))


def currency(word: str) -> str:
    """The one name of a currency that may stand in front of a number; empty for another word."""
    name = _CANONICAL.get(word, "")
    return name if name in _CURRENCIES and word not in ("lb", "pounds") else ""


def is_unit_word(word: str) -> bool:
    """Whether a word without a font is a unit where it stands behind a number."""
    return word in _BARE


def is_unit_text(word: str) -> bool:
    """Whether a word in a text font can be a unit: any but a letter or one that says a value."""
    return word in _CANONICAL or (len(word) > 1 and word.lower() not in _NO_UNITS)


def canonical_unit(words: tuple[str, ...]) -> str:
    """One name for the spellings of a unit given by its words and signs; empty if it is none."""
    out: list[str] = []
    power = ""
    if words[0] in ("squared", "cubed"):
        return ""
    for word in words:
        if word in ("square", "sq", "cubic", "cu"):
            power = _POWERS[word]
        elif word in ("squared", "cubed"):
            out.append(f"^{_POWERS[word]}")
        elif word not in (".", "of", "each"):
            out.append("/" if word == "per" else _canonical(word) + (power and f"^{power}"))
            power = ""
    unit = " ".join(out).replace(" ^", "^")
    return {"mi / h": "mph", "km / h": "kph"}.get(unit, unit)


def _canonical(word: str) -> str:
    for spelling in (word, word.lower(), _singular(word.lower())):
        if spelling in _CANONICAL:
            return _CANONICAL[spelling]
    return _singular(word.lower())


def _singular(word: str) -> str:
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and len(word) > 2 else word
