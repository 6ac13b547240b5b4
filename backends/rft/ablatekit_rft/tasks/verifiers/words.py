"""Words that stand around numbers: units, multipliers, and what makes a number another value.

English words, in lower case. A word that no list holds changes nothing: it is prose or a unit.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


MULTIPLIERS = {
    "dozen": 12,
    "dozens": 12,
    "gross": 144,
    "hundred": 100,
    "hundreds": 100,
    "thousand": 10**3,
    "thousands": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "millions": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "billions": 10**9,
    "trillion": 10**12,
}
"""Words behind a number that multiply it."""
UNIT_LETTERS = frozenset("mgshlLNJWVKCFΩ")
"""Single letters that are units where a space stands in front; others are variables."""
TIGHT_LETTERS = frozenset("gLWV")
"""Those that are units without the space, too: `5m` may be metres, millions and a product."""
SHORT_UNITS = _set(
    "cm mm km nm kg mg ml ft in yd mi lb lbs oz hr hrs min mins sec secs ms am pm mph kph kmh rpm"
    " gb mb tb kb hz khz mhz ghz cal kcal kj kw kwh mw px pt pts st nd rd th usd eur gbp gal qt tsp"
    " sq psi pc pcs yrs yr wk wks mol"
)
"""Units of two or three letters that may stand right behind a number, as in `5cm`."""

FUNCTIONS = _set(
    "log ln lg exp sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh sqrt mod max min"
    " gcd lcm floor ceil abs pi infinity permille"
)
BEHIND = FUNCTIONS - {"min", "sec", "max", "floor"} | _set(
    "squared cubed factorial modulo choose root roots half halves thirds fourths fifths sixths"
    " sevenths eighths ninths tenths hundredths thousandths millionths grand mil mio bn mn tn"
    " radical plus minus divided multiplied"
)
"""Words that make the number in front of them another value, or only a part of one."""
PARTS = _set("half halves third thirds quarter quarters fourth fourths fifth fifths")
NEGATIONS = _set(
    "not never cannot isn't aren't wasn't weren't can't couldn't won't wouldn't shouldn't mustn't"
    " doesn't don't"
)
BEFORE = NEGATIONS | FUNCTIONS - {"min", "sec"} | _set("than half twice double triple thrice")
"""Words in front of a number that make it another value."""
NUMERALS = _set(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
    " hundred thousand million billion"
)
"""Numbers in words, which are not read: one in front of a number makes it a part of another."""
BEFORE_OF = _set(
    "half third quarter fourth fifth sixth seventh eighth ninth tenth root square cube logarithm"
    " log power multiple multiples factor factors percent % divided multiplied"
)
"""The same with `of`, `by` or `of the` in between: `half of 6`, `divided by 3`."""
JOINERS = _set("or and to over of by plus minus times through versus vs per remainder x X &")
LEADING_TO = _set(
    "equal equivalent simplifies simplified simplify reduces reduced reduce comes come amounts"
    " amount evaluates evaluated evaluate up out rounds rounded round leads converts corresponds"
)
"""Words in front of `to` that state the value of what stands before: `3 + 1 is equal to 4`."""
TOTALS = _set(
    "total totals totaling totalling sum amount value cost price profit average mean median result"
    " answer product difference balance count score height length width area volume speed weight"
)
"""Words in front of `of` that name the number behind: `5 for a total of 20`."""
COMPOUND_UNITS = (
    _set(
        "years year yrs yr months month weeks week days day d hours hour hrs hr h minutes minute"
        " mins min m seconds second secs sec s"
    ),
    _set(
        "km kilometers metres meters m cm centimeters mm miles mile mi yards yard yd feet foot ft"
        " inches inch in"
    ),
    _set("tons ton kg kilograms g grams pounds pound lbs lb ounces ounce oz"),
    _set("gallons gallon gal quarts quart pints pint cups cup tablespoons tbsp teaspoons tsp"),
    _set("dollars dollar bucks euros pounds rupees quarters dimes nickels pennies cents cent"),
)
"""Units of one kind: two of them, as in `5 hours, 30 minutes`, make one quantity."""
PREPOSITIONS = _set("for in at on with from after before during until")
ARTICLES = _set("the a an these those his her their its every all each")
ABOUT = _set(
    "about approximately approx around roughly exactly only just nearly almost is are equals be"
    " equal to a an the total of minus negative"
)
COPULAS = _set("is are was were equals be equal of to gives get")
