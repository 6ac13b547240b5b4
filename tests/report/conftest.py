"""A whole analysis as a fixture: every verdict, every section, numbers with many digits."""

from __future__ import annotations

import copy
import io
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from rich.console import Console, RenderableType

from ablatekit.analysis.core.schema.analysis import SCHEMA_VERSION, Analysis
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.report.comparison.page import comparison_document
from ablatekit.report.comparison.studies import studies_of
from ablatekit.report.figures.panel import PIXELS_PER_INCH
from ablatekit.report.figures.style import house_style
from ablatekit.report.formats import html
from ablatekit.report.formats.html import render_html, render_page

REPORTS = Path(__file__).parents[2] / "reports"
COMPARED = {
    "equal_rounds_or_samples": ("full_factorial", "equal_samples"),
    "trl_or_rft": ("recipes_rft", "recipes_trl"),
}
"""Committed pages of two studies, and which they are."""
PRECISE = 288
"""Dots per inch at which rounded glyphs do not matter."""
FACTORS: dict[str, tuple[str, list[str], str | None]] = {
    "advantage": ("none", ["none", "batch_norm", "group_norm"], None),
    "rollouts": ("1", ["1", "4"], "rollouts per query"),
    "queries": ("q32", ["q32", "q64"], None),
    "kl": ("none", ["none", "k3", "k3_alias"], "KL penalty"),
}
CONTEXTS = [
    {"model": model, "dataset": dataset}
    for model in ("tiny-llama", "tiny-qwen3", "tiny-neox")
    for dataset in ("letter-sort", "digit-chain")
]
LEVELS = [
    (factor, level)
    for factor, (baseline, levels, _) in FACTORS.items()
    for level in levels
    if level != baseline
]
IDENTICAL = ("kl", "k3_alias")
# (estimate, narrow verdict, broad verdict) by response, and the verdict on the gap
PLANTED: dict[tuple[str, str], dict[str, tuple[float, str, str]]] = {
    ("advantage", "batch_norm"): {
        "learning": (0.06134271, "helps", "helps"),
        "generalization": (0.02871904, "helps", "inconclusive"),
        "gap": (0.03262367, "widens", ""),
    },
    ("advantage", "group_norm"): {
        "learning": (0.01163318, "inconclusive", "inconclusive"),
        "generalization": (-0.03412377, "hurts", "hurts"),
        "gap": (0.04575695, "widens", ""),
    },
    ("rollouts", "4"): {
        "learning": (0.02417716, "helps", "inconclusive"),
        "generalization": (0.04911132, "helps", "helps"),
        "gap": (-0.02493416, "narrows", ""),
    },
    ("queries", "q64"): {
        "learning": (0.00213377, "equivalent", "equivalent"),
        "generalization": (-0.00087113, "equivalent", "inconclusive"),
        "gap": (0.0030049, "equivalent", ""),
    },
    ("kl", "k3"): {
        "learning": (-0.03877192, "hurts", "hurts"),
        "generalization": (-0.00911177, "inconclusive", "not_estimated"),
        "gap": (-0.02966015, "inconclusive", ""),
    },
}
WITHHELD = statement("too_few_levels", variable="model", levels=2, fewest=3, of_levels=2)
METHODS = {"narrow": statement("cell_means_t"), "broad": statement("levels_t")}
OVER_MODELS = statement(
    "over_scope",
    scope=["model"],
    levels=[3],
    fixed=[{"variable": "dataset", "levels": ["letter-sort", "digit-chain"]}],
)
DIRECTIONS = ("helps", "hurts", "widens", "narrows")
SIZES = {0.06134271: "by_more", 0.02871904: "open", 0.04911132: "by_more", 0.02417716: "open"}
"""The size of a narrow effect that has a direction, by its estimate; of others "less"."""


def effect_row(
    factor: str, level: str, baseline: str, estimate: float, inference: str, verdict: str
) -> dict[str, Any]:
    se = 0.0061734 if inference == "narrow" else 0.0090112
    df = 96.0 if inference == "narrow" else 5.0
    half = (1.98498 if inference == "narrow" else 2.570582) * se
    return {
        "factor": factor,
        "level": level,
        "baseline": baseline,
        "estimand": "average",
        "inference": inference,
        "scope": ["model"] if inference == "broad" else [],
        "method": METHODS[inference],
        "family": effect_family("average", inference),
        "averaged_over": OVER_MODELS
        if inference == "broad"
        else statement("over_combinations", combinations=8, contexts=6, grid=False),
        "contexts": 6,
        "of_contexts": 6,
        "pairs": 48 if level != "group_norm" else 40,
        "of_pairs": 48,
        "estimate": estimate,
        "se": se,
        "df": df,
        "low": estimate - half,
        "high": estimate + half,
        "low_simultaneous": estimate - 1.3 * half,
        "high_simultaneous": estimate + 1.3 * half,
        "low_equivalence": estimate - 0.84 * half,
        "high_equivalence": estimate + 0.84 * half,
        "p": float(np.exp(-abs(estimate) / se)),
        "p_adjusted": min(1.0, 3 * float(np.exp(-abs(estimate) / se))),
        "p_margin_adjusted": 0.01 if SIZES.get(estimate) == "by_more" else 0.5,
        "parts": [],
        "verdict": verdict,
        "size": SIZES.get(estimate, "less") if verdict in DIRECTIONS else None,
        "price": 4.0 if level == "4" else 1.0,
        "replicates_needed": 5 if (inference, verdict) == ("narrow", "inconclusive") else None,
        "contexts_needed": 11 if (inference, verdict) == ("broad", "inconclusive") else None,
        "reason": None,
        "notes": [],
    }


def effect_family(estimand: str, inference: str) -> Statement:
    scope = ["model"] if inference == "broad" else []
    return statement(
        "effect_family", response="learning", estimand=estimand, inference=inference, scope=scope
    )


def without_numbers(row: dict[str, Any], verdict: str, reason: Statement) -> dict[str, Any]:
    kept = {name for name in row if isinstance(row[name], (str, dict, list))}
    return {name: row[name] if name in kept else None for name in row} | {
        "verdict": verdict,
        "reason": reason,
    }


def effect_rows(response: str) -> list[dict[str, Any]]:
    rows = []
    inferences = ("narrow",) if response == "gap" else ("narrow", "broad")
    for (factor, level), inference in itertools.product(LEVELS, inferences):
        planted = PLANTED.get((factor, level), {}).get(response, (0.0, "identical", "identical"))
        verdict = planted[1 if inference == "narrow" else 2]
        row = effect_row(factor, level, FACTORS[factor][0], planted[0], inference, verdict)
        if verdict == "identical":
            row = without_numbers(row, verdict, statement("identical_runs"))
        if verdict == "not_estimated":
            row = without_numbers(row, verdict, WITHHELD)
        rows.append(row)
        if response != "gap" and inference == "narrow" and row["estimate"] is not None:
            rows.append(
                row
                | {
                    "estimand": "baseline",
                    "estimate": row["estimate"] * 1.1713,
                    "low": row["low"] * 1.2 - 0.01,
                    "high": row["high"] * 1.2 + 0.01,
                    "family": effect_family("baseline", "narrow"),
                    "averaged_over": statement("at_baseline", contexts=6),
                }
            )
    return rows


def interaction_rows(response: str) -> list[dict[str, Any]]:
    generator = np.random.default_rng(len(response))
    rows = []
    for (first, x), (second, y) in itertools.combinations(LEVELS, 2):
        if first == second or IDENTICAL in ((first, x), (second, y)):
            continue
        estimate = float(generator.normal(0, 0.008))
        if ((first, x), (second, y)) == (("advantage", "group_norm"), ("rollouts", "4")):
            estimate = 0.0411733
        verdict = "helps" if estimate > 0.03 else "inconclusive"
        row = effect_row(f"{first}:{second}", f"{x}:{y}", "", estimate, "narrow", verdict)
        row |= {
            "estimand": "interaction",
            "family": effect_family("interaction", "narrow"),
            "p_adjusted": 0.0007 if verdict == "helps" else 0.8,
        }
        rows.append(row)
    return rows


def context_name(context: dict[str, str]) -> str:
    return " / ".join(context.values())


def context_rows(response: str) -> list[dict[str, Any]]:
    generator = np.random.default_rng(7 + len(response))
    rows = []
    for (factor, level), context in itertools.product(PLANTED, CONTEXTS):
        estimate = PLANTED[factor, level][response][0] + float(generator.normal(0, 0.02))
        rows.append(
            {
                "factor": factor, "level": level, "context": context_name(context), "pairs": 8,
                "estimate": estimate, "se": 0.0151, "low": estimate - 0.0301,
                "high": estimate + 0.0301, "reason": None,
            }
        )  # fmt: skip
    return rows


def heterogeneity_rows(response: str) -> list[dict[str, Any]]:
    rows = []
    for factor, level in LEVELS:
        estimate = PLANTED.get((factor, level), {}).get(response, (None,))[0]
        known = estimate is not None
        rows.append(
            {
                "factor": factor, "level": level, "scope": ["model"],
                "tau": 0.0171231 if known else None,
                "i2": 0.61337 if known else None,
                "prediction_low": estimate - 0.0561 if known else None,
                "prediction_high": estimate + 0.0561 if known else None,
                "reason": None if known else statement("identical_runs"),
            }
        )  # fmt: skip
    return rows


def cells() -> list[dict[str, Any]]:
    names = list(FACTORS)
    combinations = itertools.product(*(FACTORS[name][1] for name in names))
    return [
        {
            "levels": dict(zip(names, levels, strict=True)),
            "unit": "-".join(levels).replace("k3_alias", "k3"),
        }
        for levels in combinations
        if levels[:2] != ("group_norm", "1")
    ]


def residual_columns(response: str) -> dict[str, list[Any]]:
    generator = np.random.default_rng(11 + len(response))
    columns: dict[str, list[Any]] = {
        name: [] for name in ("fitted", "residual", "quantile", "unit", "context", "run")
    }
    units = {cell["unit"]: cell["levels"] for cell in cells()}
    for (unit, levels), context in itertools.product(units.items(), CONTEXTS):
        fitted = 0.4 + 0.15 * (context["dataset"] == "letter-sort")
        fitted += sum(
            PLANTED.get(pair, {}).get(response, (0.0,))[0] for pair in levels.items()
        ) + float(generator.normal(0, 0.01))
        spread = float(generator.normal(0, 0.02))
        for replicate, residual in enumerate((spread, -spread)):
            columns["fitted"].append(fitted)
            columns["residual"].append(residual)
            columns["unit"].append(unit)
            columns["context"].append(context_name(context))
            columns["run"].append(f"{unit}/{replicate}")
    ranks = np.argsort(np.argsort(columns["residual"]))
    share = (ranks + 0.5) / len(ranks)
    columns["quantile"] = list(np.log(share / (1 - share)) / 1.702)
    return columns


def curves(response: str) -> list[dict[str, Any]]:
    steps = list(range(0, 61, 5))
    rows = []
    for factor, (_, levels, _) in FACTORS.items():
        for level in levels:
            gain = PLANTED.get((factor, level), {}).get(response, (0.0,))[0]
            mean = [0.31 + (0.12 + gain) * (1 - np.exp(-step / 20)) for step in steps]
            rows.append(
                {
                    "factor": factor, "level": level, "metric": f"{response}/pass@1",
                    "step": steps, "n": [96] * len(steps), "mean": [float(m) for m in mean],
                    "low": [float(value) - 0.01 for value in mean],
                    "high": [float(value) + 0.01 for value in mean],
                }
            )  # fmt: skip
    return rows


def anova_rows() -> list[dict[str, Any]]:
    terms = [*FACTORS, *(":".join(pair) for pair in itertools.combinations(FACTORS, 2))]
    shares = [0.141337, 0.0911, 0.0007, 0.0402, 0.0533, 0.002, 0.001, 0.0005, 0.003, 0.001]
    rows = [
        {
            "term": term, "num_df": 1.0, "den_df": 96.0, "statistic": 400 * share,
            "p": float(np.exp(-60 * share)), "partial_eta2": share * 1.8,
            "partial_omega2": share * 1.7, "share": share, "reason": None, "notes": [],
        }
        for term, share in zip(terms, shares, strict=True)
    ]  # fmt: skip
    for term, share in (("context", 0.4312), ("context:cell", 0.0811), ("Residual", 0.1544)):
        plain = {"term": term, "num_df": 5.0, "share": share, "notes": []}
        rows.append(dict.fromkeys(rows[0]) | plain)
    return rows


def messages(response: str) -> list[Statement]:
    if response == "learning":
        return [statement("unequal_variances", p=0.0213, pooled=False)]
    return [statement("near_bounds", cells=1)]


def response_record(name: str) -> dict[str, Any]:
    return {
        "label": name.capitalize(),
        "metric": "train/pass@1" if name == "learning" else "test/pass@1",
        "summary": "final",
        "direction": "higher",
        "smallest_effect": 0.02,
        "unit": "proportion",
        "model": {
            "formula": f"{name} ~ cell * context", "method": statement("saturated_cell_means"),
            "n": 190,
            "criterion": None, "converged": True, "singular": False, "messages": [],
        },
        "residual_sd": 0.0203117,
        "fixed": [],
        "anova": anova_rows(),
        "anova_note": statement("cell_anova", order=2, pure=True),
        "effects": effect_rows(name) + interaction_rows(name),
        "contexts": context_rows(name),
        "heterogeneity": heterogeneity_rows(name),
        "dynamics": curves(name),
        "diagnostics": {
            "residuals": residual_columns(name),
            "brown_forsythe_p": 0.0213 if name == "learning" else 0.41,
            "largest_residual": {"run": "a1b2c3", "residual": 0.0711},
            "near_bounds": [{"cell": "none-1-q32-none", "context": "c", "mean": 0.9712}]
            if name == "generalization" else [],
            "step_zero": {
                "equal": True,
                "contexts": [{"context": context_name(c), "spread": 0.0} for c in CONTEXTS],
            },
            "messages": messages(name),
        },
        "missing": {
            "policy": statement("score_policy"),
            "runs": [
                {"run": "a1b2c3", "status": "diverged", "message": "loss is NaN at step 31"},
                {"run": "d4e5f6", "status": "failed", "message": "killed: out of memory"},
            ],
            "by_level": [
                {"factor": "kl", "level": "k3", "planned": 60, "finished": 58, "diverged": 1,
                 "failed": 1}
            ],
            "messages": [],
        },
        "footers": {},
    }  # fmt: skip


def cost_rows() -> list[dict[str, Any]]:
    return [
        {"factor": factor, "level": level, "metric": metric, "mean": mean}
        for factor, (_, levels, _) in FACTORS.items()
        for position, level in enumerate(levels)
        for metric, mean in (
            ("updates", 60.0),
            ("samples", 1920.0 * (1 + position)),
            ("generated_tokens", 30123.4567 * (1 + position)),
        )
    ]


def build_analysis() -> Any:
    factors = [
        {"name": name, "levels": levels, "baseline": baseline, "label": label or name}
        for name, (baseline, levels, label) in FACTORS.items()
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "study": {
            "name": "full_factorial",
            "title": "Which choices matter around the minimalist baseline?",
            "question": "Which RFT design choices matter, and would that hold elsewhere?",
            "backend": "rft",
            "price": "cost/samples",
            "analysis": {"alpha": 0.05, "interactions": 2, "adjust": "holm", "diverged": "score"},
        },
        "design": {
            "kind": "full",
            "factors": factors,
            "contexts": CONTEXTS,
            "replicates": 2,
            "cells": cells(),
            "merged": [[{"kl": "k3"}, {"kl": "k3_alias"}]],
            "excluded": [{"advantage": "group_norm", "rollouts": "1"}],
            "held_equal": {"budget": {"unit": "rounds", "amount": 60}, "optimizer": "adamw"},
            "warnings": [],
            "cost": cost_rows(),
        },
        "counts": {
            "planned": 192, "started": 192, "finished": 190,
            "diverged": 1, "failed": 1, "analysed": 191,
        },
        "deviations": [],
        "provenance": {
            "versions": {"ablatekit": "0.1.0", "cpu": "avx2", "numpy": "2.0.0"},
            "plan_hash": "0123456789abcdef",
            "seconds_per_level": [
                {"factor": "rollouts", "level": level, "metric": "seconds", "mean": mean}
                for level, mean in (("1", 5.1234), ("4", 11.9876))
            ],
        },
        "responses": {name: response_record(name) for name in ("learning", "generalization")},
        "comparisons": {
            "gap": {
                "learning": "learning", "generalization": "generalization",
                "effects": effect_rows("gap"),
                "footer": [
                    statement("gap", direction="higher"), statement("gap_adjustment", adjust="holm")
                ],
                "messages": [],
            }
        },
    }  # fmt: skip


def boxes(figure: Any) -> list[tuple[str, Any]]:
    """Words of a figure with their corners in CSS pixels."""
    figure.set_dpi(PRECISE)
    renderer = FigureCanvasAgg(figure).get_renderer()
    scale = PIXELS_PER_INCH / PRECISE
    return [
        (text.get_text(), text.get_window_extent(renderer).extents * scale)
        for text in figure.texts
        if text.get_text().strip()
    ]


def _apart(first: Any, second: Any) -> bool:
    across = min(first[2], second[2]) - max(first[0], second[0])
    return bool(across < 1.5 or min(first[3], second[3]) - max(first[1], second[1]) < 2.5)


@pytest.fixture(scope="session")
def clashes() -> Callable[[Any], list[tuple[str, ...]]]:
    """Words of a figure that leave its canvas, and pairs of words that lie on each other."""

    def found(figure: Any) -> list[tuple[str, ...]]:
        width, height = figure.get_size_inches() * PIXELS_PER_INCH
        with house_style():
            words = boxes(figure)
        outside: list[tuple[str, ...]] = [
            (text,) for text, (left, bottom, right, top) in words
            if left < -1 or bottom < -2 or right > width + 1 or top > height + 2
        ]  # fmt: skip
        return outside + [
            (text, other)
            for number, (text, box) in enumerate(words)
            for other, beside in words[:number]
            if not _apart(box, beside)
        ]

    return found


HOSTILE = (
    "$x^2$ <script>alert('x')</script> & \"q\" | $x^2_\\frac$ `code` *b* [l](http://evil.example) "
    "\N{SNOWMAN}\u4e2d\u6587 " + "very_long_" * 30
)


def rename(value: Any, old: str, new: str) -> Any:
    """Every string and key that contains `old`, with `new` in its place."""
    if isinstance(value, dict):
        return {rename(key, old, new): rename(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [rename(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value


@pytest.fixture
def analysis() -> Analysis:
    built: Analysis = copy.deepcopy(build_analysis())
    return built


@pytest.fixture(scope="session")
def built_analysis() -> Any:
    """The fixture analysis for tests that do not change it."""
    return build_analysis()


@pytest.fixture(scope="session")
def page_text() -> str:
    """The rendered fixture analysis, for tests that only look at it."""
    return render_html(build_analysis())


@pytest.fixture(scope="session")
def terminal_text() -> Callable[..., str]:
    """What a terminal of some width shows of the parts it is given."""

    def shown(parts: Iterable[RenderableType], width: int = 200) -> str:
        stream = io.StringIO()
        plain = {"color_system": None, "markup": False, "highlight": False, "emoji": False}
        console = Console(file=stream, width=width, **plain)  # type: ignore[arg-type]
        for part in parts:
            console.print(part)
        return stream.getvalue()

    return shown


@pytest.fixture(scope="session")
def page_without_figures() -> Callable[[Any], str]:
    """Pages for tests that do not look at figures: each is an empty drawing."""

    def empty(picture: Any, *, narrow: bool = False) -> str:
        return f'<svg aria-label="{picture.title}" data-narrow="{narrow}"></svg>'

    def rendered(analysis: Any) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(html, "svg", empty)
            return render_html(analysis)

    return rendered


@pytest.fixture(scope="session")
def hostile_analysis() -> Any:
    """The fixture analysis with hostile names, for tests that do not change it."""
    return build_hostile()


@pytest.fixture(scope="session")
def hostile_page_text() -> str:
    """The rendered analysis with hostile names."""
    return render_html(build_hostile())


@pytest.fixture
def planted_verdicts() -> dict[tuple[str, str], dict[str, tuple[float, str, str]]]:
    return PLANTED


@pytest.fixture(scope="session")
def hostile_name() -> str:
    return HOSTILE


def build_hostile() -> Any:
    """The fixture analysis with hostile names of a level, a context, a factor and a response."""
    value = rename(build_analysis(), "batch_norm", HOSTILE)
    value = rename(value, "tiny-qwen3", HOSTILE)
    value["study"]["title"] = value["study"]["question"] = HOSTILE
    value["responses"]["learning"]["label"] = HOSTILE
    value["design"]["factors"][1]["label"] = HOSTILE
    value["provenance"][HOSTILE] = HOSTILE
    return value


@pytest.fixture(scope="session")
def renamed() -> Callable[[Any, str, str], Any]:
    return rename


@dataclass
class PageElement:
    tag: str
    attributes: dict[str, str]
    text: str = ""
    parents: tuple[PageElement, ...] = ()

    def inside(self, other: PageElement) -> bool:
        return any(parent is other for parent in self.parents)


class PageParser(HTMLParser):
    """The elements of a page in order, each with its own text and its ancestors."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input", "use", "path", "circle"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[PageElement] = []
        self._open: list[PageElement] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        element = PageElement(tag, attributes, parents=tuple(self._open))
        self.elements.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append(PageElement(tag, attributes, parents=tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[PageElement]:
        return [
            element
            for element in self.elements
            if element.tag == tag
            and all(element.attributes.get(name) == value for name, value in attributes.items())
        ]


@pytest.fixture(scope="session")
def parse() -> Callable[[str], PageParser]:
    def parsed(page: str) -> PageParser:
        parser = PageParser()
        parser.feed(page)
        parser.close()
        return parser

    return parsed


@dataclass(frozen=True)
class Opened:
    """A page in the browser with what it asked of the network and wrote to its console."""

    page: Any
    requests: list[str]
    messages: list[str]

    def probe(self, call: str) -> Any:
        """The answer of a function of page_probes.js."""
        return self.page.evaluate(f"probes.{call}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's browser under playwright; a test that asks for it is skipped where there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file at a size, in a theme, with or without scripts; the network is cut."""
    contexts = []

    def opening(
        path: Path, size: tuple[int, int] = (1280, 800), theme: str = "light",
        after: str = "", **options: Any,
    ) -> Opened:  # fmt: skip
        width, height = size
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, offline=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        requests: list[str] = []
        messages: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(path.as_uri() + after)
        page.evaluate((Path(__file__).parent / "page_probes.js").read_text())
        return Opened(page, requests, messages)

    yield opening
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def fixture_page(page_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the fixture analysis as a file."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page_text)
    return path


@pytest.fixture(scope="session")
def compared_reports() -> dict[str, tuple[str, str]]:
    """Committed pages of two studies, and which they are."""
    return COMPARED


@pytest.fixture(scope="session")
def committed_page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a committed study or comparison, rendered once a session."""
    folder = tmp_path_factory.mktemp("committed")

    def rendered(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            compared = COMPARED.get(name, (name,))
            sources = (REPORTS / study / "analysis.json" for study in compared)
            analyses = [json.loads(source.read_text()) for source in sources]
            path.write_text(
                render_page(comparison_document(studies_of(*analyses)))
                if name in COMPARED
                else render_html(*analyses)
            )
        return path

    return rendered
