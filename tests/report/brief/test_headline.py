"""The headline: which levels and configurations are named, in which words."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest

from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.report.brief.headline import (
    headline_of,
    headline_sentences,
    parts_of,
    settled_of,
    subjects_of,
)
from ablatekit.report.language.brief.headline import (
    HEADLINE,
    SETTLED,
    Gain,
    Subjects,
    spoken_headline,
)
from ablatekit.report.language.numbers import Scale

SUBJECTS = Subjects("generalization", "learning", Scale(100.0, "pp", 1), "samples", "")
MINUS = "\N{MINUS SIGN}"

AVERAGE = "on average over the other choices"


def gain(name: str, estimate: float | None, verdict: Any = "helps", **changes: Any) -> Gain:
    low, high = (None, None) if estimate is None else (estimate - 0.01, estimate + 0.01)
    size = "by_more" if verdict in ("helps", "hurts") else None
    plain = Gain(name, estimate, low, high, verdict, size, None, second_open=False, price=None)
    return replace(plain, **changes)


def spoken(gains: list[Gain], subjects: Subjects = SUBJECTS, reason: str = "") -> list[str]:
    """The sentences; as in an analysis, nothing is priced where no level is."""
    priced = any(gain.price is not None for gain in gains)
    subjects = subjects if priced else replace(subjects, metric="")
    return spoken_headline(parts_of(gains, reason), subjects)


def test_what_helps_comes_first_by_size_and_with_its_price() -> None:
    said = spoken([
        gain("queries 64", 0.021, second=0.03, price=1.0),
        gain("rollouts 4", 0.034, second=0.049, price=4.0),
        gain("advantage norm", -0.048, "hurts", second=-0.056, price=1.0),
    ])  # fmt: skip
    assert said == [
        (
            "What helps generalization on average: rollouts 4, +3.4 points (learning +4.9) at 4"
            " times the samples; queries 64, +2.1 (+3.0) at no extra samples."
        ),
        f"What hurts: advantage norm, {MINUS}4.8 ({MINUS}5.6).",
    ]


def test_what_helps_at_a_price_that_nobody_knows_does_not_look_free() -> None:
    said = spoken([gain("queries 2048", 0.095), gain("rollouts 4", 0.034, price=4.0)])
    assert "queries 2048, +9.5 points, price not known; rollouts 4, +3.4 at 4 times" in said[0]


def test_what_moves_the_other_response_alone_says_so() -> None:
    said = spoken([
        gain("choice a", 0.002, "equivalent", second=0.071, second_moved=True),
        gain("choice b", 0.001, "equivalent", second=0.002),
    ])  # fmt: skip
    assert said == [
        (
            "Too small to matter on generalization: choice a, +0.2 points (learning +7.1);"
            " choice b, +0.1."
        )
    ]


def test_the_metric_of_a_price_is_named_once_a_sentence() -> None:
    gains = [gain("a", 0.04, price=8.0), gain("b", 0.03, price=0.125), gain("c", 0.02)]
    assert spoken(gains) == [
        (
            "What helps generalization on average: a, +4.0 points at 8 times the samples; b, +3.0"
            " at 0.125 times; c, +2.0, price not known."
        )
    ]


@pytest.mark.parametrize(
    ("size", "said"),
    [("by_more", "a, +4.0 points."), ("less", "a, +4.0 points, less than matters."),
     ("open", "a, +4.0 points, anywhere from +3.0 to +5.0."), (None, "a, +4.0 points.")],
)  # fmt: skip
def test_the_size_of_an_effect_is_said_where_it_may_not_matter(size: Any, said: str) -> None:
    assert spoken([gain("a", 0.04, size=size)])[0].endswith(said)


def test_an_unsettled_second_response_is_marked() -> None:
    said = spoken([gain("a", 0.04, second=0.01, second_open=True), gain("b", -0.03, "hurts")])
    assert "(learning +1.0, open)" in said[0]
    assert said[1] == f"What hurts: b, {MINUS}3.0."


def test_of_many_levels_the_largest_are_named_and_the_rest_is_counted() -> None:
    gains = [gain(f"up {n}", 0.01 * n) for n in range(1, 5)]
    gains += [gain(f"down {n}", -0.01 * n, "hurts") for n in range(1, 4)]
    gains += [gain(f"open {n}", 0.001 * n, "inconclusive") for n in range(1, 4)]
    gains += [gain("none", None, "not_estimated"), gain("same", 0.001, "equivalent")]
    assert spoken(gains) == [
        "What helps generalization on average: up 4, +4.0 points; up 3, +3.0; and 2 more.",
        f"What hurts: down 3, {MINUS}3.0; and 2 more.",
        "Too small to matter: same, +0.1.",
        "Open: 3 of 12 levels, with effects up to \N{PLUS-MINUS SIGN}1.3 points still possible.",
    ]


def test_what_is_open_is_named_with_its_interval() -> None:
    said = spoken([gain("a", 0.04), gain("b", 0.005, "inconclusive")])
    assert said[1] == f"Open: b, +0.5 ({MINUS}0.5 to +1.5)."


def test_where_nothing_is_conclusive_the_precision_is_said() -> None:
    gains = [gain("a", 0.003, "inconclusive"), gain("b", -0.02, "inconclusive")]
    assert spoken(gains) == [
        (
            "Nothing is settled on generalization: effects up to \N{PLUS-MINUS SIGN}3.0 points"
            f" remain possible. Largest estimate: b, {MINUS}2.0 points ({MINUS}3.0 to {MINUS}1.0)."
        )
    ]


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([gain("a", 0.02, "not_estimated", low=None, high=None)],
         ("Nothing could be tested on generalization: one row per cell. Largest estimate: a, +2.0"
         " points.")),
        ([gain("a", None, "not_estimated")],
         "No effect on generalization could be estimated: one row per cell."),
        ([gain("a", None, "identical")],
         "No level changes generalization: all levels are one and the same."),
    ],
)  # fmt: skip
def test_without_a_test_nothing_sounds_like_a_gain(gains: list[Gain], said: str) -> None:
    assert spoken(gains, reason="one row per cell") == [said]


def test_the_response_that_matters_most_is_generalization(analysis: Any) -> None:
    levels, settled = headline_sentences(analysis)
    assert levels == [
        (
            f"What helps Generalization {AVERAGE}: rollouts per query 4, +4.9 points (Learning"
            " +2.4) at 4 times the samples; advantage batch_norm, +2.9 (+6.1) at no extra samples,"
            " anywhere from +1.6 to +4.1."
        ),
        f"What hurts: advantage group_norm, {MINUS}3.4 (+1.2, open), less than matters.",
        f"Too small to matter: queries q64, {MINUS}0.1.",
        f"Open: KL penalty k3, {MINUS}0.9 ({MINUS}2.1 to +0.3).",
    ]
    assert settled == []


def test_without_a_comparison_it_is_the_first_response(analysis: Any) -> None:
    del analysis["comparisons"]["gap"]
    levels, _ = headline_sentences(analysis)
    assert levels[0].startswith(
        f"What helps Learning {AVERAGE}: advantage batch_norm, +6.1 points at no"
    )
    assert not any("Generalization" in text for text in levels)


def test_lower_is_better_is_said(analysis: Any) -> None:
    analysis["comparisons"] = {}
    analysis["responses"] = {"loss": analysis["responses"]["learning"]}
    analysis["responses"]["loss"].update(
        label="test loss", direction="lower", unit="nats", smallest_effect=None
    )
    for effect in analysis["responses"]["loss"]["effects"]:
        if effect["estimate"] is not None:
            effect.update(estimate=-effect["estimate"], size=None)
    levels, _ = headline_sentences(analysis)
    assert levels[0].startswith(
        "What helps test loss (lower is better) on average over the other choices: advantage"
    )
    assert f"batch_norm, {MINUS}0.061 nats" in levels[0]
    assert "matter" not in levels[0]


def test_equal_prices_are_said_once(analysis: Any) -> None:
    analysis["design"]["cost"] = []
    for response in analysis["responses"].values():
        for effect in response["effects"]:
            effect["price"] = 1.004
    levels, _ = headline_sentences(analysis)
    assert levels[0].startswith(
        "What helps Generalization on average over the other choices, at equal samples: "
    )
    assert "extra" not in " ".join(levels)
    assert "times" not in " ".join(levels)


def test_what_is_equal_is_named_before_what_nearly_is(analysis: Any) -> None:
    for response in analysis["responses"].values():
        for effect in response["effects"]:
            effect["price"] = 1.004
    analysis["design"]["cost"] = [
        {"factor": "a", "level": level, "metric": metric, "mean": mean}
        for level, tokens in (("x", 100.0), ("y", 100.4))
        for metric, mean in (("cost/tokens", tokens), ("cost/rows", 7680.0))
    ]
    assert ", at equal rows: " in headline_sentences(analysis)[0][0]


def test_without_any_price_none_is_said(analysis: Any) -> None:
    for response in analysis["responses"].values():
        for effect in response["effects"]:
            effect["price"] = None
    assert "samples" not in " ".join(headline_sentences(analysis)[0])


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (1, "on average over the other choices, if choices add up: "),
        (2, "on average over the other choices, if no three choices interact: "),
    ],
)
def test_what_a_truncated_model_assumes_is_said_first(analysis: Any, order: int, said: str) -> None:
    method = statement("truncated_least_squares", order=order)
    analysis["responses"]["generalization"]["model"]["method"] = method
    assert said in headline_sentences(analysis)[0][0]


def test_where_only_a_scope_was_judged_the_scope_is_named(analysis: Any) -> None:
    for response in analysis["responses"].values():
        for effect in response["effects"]:
            if effect["inference"] == "narrow" and effect["verdict"] != "identical":
                effect.update(verdict="not_estimated", size=None)
                effect["reason"] = statement("no_replicates")
    levels, _ = headline_sentences(analysis)
    assert levels[0].startswith(
        "What helps Generalization on average over the other choices, over models: rollouts per"
    )


def test_hostile_names_are_words_of_one_line(renamed: Any, analysis: Any) -> None:
    name = "{frame} <script>\n" + "x" * 300
    levels, _ = headline_sentences(renamed(analysis, "batch_norm", name))
    text = " ".join(levels)
    assert "advantage {frame} <script> xxx" in text
    assert "\n" not in text
    assert max(map(len, text.split())) < 60


CELLS: list[Any] = [
    ({"rollouts": "4"}, 0.02, 0.04, {"price": 4.0, "may_be_best": False}),
    ({"queries": "q64"}, 0.07, 0.08, {"price": 2.0, "may_be_best": False}),
    ({"rollouts": "4", "queries": "q64"}, 0.088, 0.134, {"price": 8.0, "may_be_best": True}),
]


def test_the_best_configuration_stands_beside_what_gains_as_much_for_less(
    with_configurations: Any,
) -> None:
    assert headline_sentences(with_configurations(CELLS))[1] == [
        (
            "Best configuration: rollouts per query 4 + queries q64, +8.8 points on Generalization"
            " (Learning +13.4) at 8 times the samples; queries q64 alone reaches +7.0 (+8.0) at 2"
            " times."
        ),
        "The baseline does not suffice.",
    ]


def test_what_may_be_as_good_is_counted(with_configurations: Any) -> None:
    cells = [(*cell[:3], {**cell[3], "may_be_best": place > 0}) for place, cell in enumerate(CELLS)]
    first = headline_sentences(with_configurations(cells))[1][0]
    assert first.startswith("Best configuration, one of 2 that may be best: rollouts per query 4 +")


def test_without_hsus_comparison_nothing_is_called_the_best(with_configurations: Any) -> None:
    unknown = {"may_be_best": None, "size": "open"}
    cells = [(*cell[:3], {**cell[3], **unknown}) for cell in CELLS]
    cells[1][3].update(verdict="inconclusive", size=None)
    assert headline_sentences(with_configurations(cells))[1][0] == (
        "Largest gain that is settled: rollouts per query 4 + queries q64, +8.8 points on"
        " Generalization (Learning +13.4) at 8 times the samples, anywhere from +7.6 to"
        " +10.0; queries q64 alone reaches +7.0 (+8.0, open) at 2 times, not settled."
    )


def test_a_small_settled_gain_is_not_the_largest(with_configurations: Any) -> None:
    cells = [
        ({"rollouts": "4"}, 0.011, 0.02, {"size": "less"}),
        ({"kl": "k3"}, 0.05, 0.02, {"verdict": "inconclusive", "size": None}),
    ]
    first = headline_sentences(with_configurations(cells))[1][0]
    assert first.startswith("Largest gain that is settled: rollouts per query 4 alone, +1.1 points")
    assert "less than matters" in first


def test_configurations_of_several_scopes_name_their_own(with_configurations: Any) -> None:
    analysis = with_configurations(CELLS[:2])
    rows = analysis["responses"]["generalization"]["configurations"]["rows"]
    for row, scope in zip(rows, (["model"], ["dataset"]), strict=True):
        row.update(inference="broad", scope=scope)
    first = headline_sentences(analysis)[1][0]
    assert "queries q64 alone (over data sets), +7.0 points" in first


def test_responses_with_one_answer_keep_their_own_bounds(with_configurations: Any) -> None:
    answers = [{"inference": "narrow", "scope": [], "answer": "open", "bound": bound,
                "configuration": None, "reason": None} for bound in (0.0713, 0.0944)]  # fmt: skip
    assert headline_sentences(with_configurations(CELLS, *answers))[1][1] == (
        "Whether the baseline suffices is open: gains up to 7.1 points (Learning 9.4) are not"
        " ruled out."
    )


def test_an_answer_that_leaves_a_response_out_names_those_it_is_about(
    with_configurations: Any,
) -> None:
    analysis = with_configurations(CELLS)
    third = copy.deepcopy(analysis["responses"]["generalization"])
    analysis["responses"]["third"] = {**third, "label": "Third"}
    said = "The baseline does not suffice on Generalization and Learning."
    assert headline_sentences(analysis)[1][1] == said


def test_what_is_compared_at_one_combination_is_no_average_over_others(
    table_analysis: Any,
) -> None:
    factors, models = {"a": ["0", "1"], "b": ["0", "1"]}, ["m", "n", "o"]
    analysis = table_analysis(factors, models, 3, lambda cell: 0.1 * (cell["a"] == "1"))
    assert subjects_of(analysis).others == " over the other choices"
    for row in analysis["responses"]["accuracy"]["effects"]:
        row["pairs"] = row["contexts"]
    assert subjects_of(analysis).others == ""


def test_levels_of_several_scopes_and_inside_another_level_say_so(analysis: Any) -> None:
    rows = analysis["responses"]["generalization"]["effects"]
    level = next(row for row in rows if row["inference"] == "narrow" and row["level"] == "4")
    level["notes"] = [statement("compared_inside", outer="kl", level="k3")]
    level["scope"] = ["dataset"]
    text = " ".join(headline_sentences(analysis)[0])
    assert "rollouts per query 4 (inside KL penalty k3, over data sets), " in text


def test_without_anything_comparable_the_best_for_less_is_named(with_configurations: Any) -> None:
    cells = [*CELLS[:1], ({"queries": "q64"}, 0.03, 0.08, {"price": 2.0}), CELLS[2]]
    settled = settled_of(with_configurations(cells))
    assert settled is not None
    assert settled.cheaper is not None
    assert settled.cheaper.name == "queries q64 alone"


def test_what_costs_nearly_as_much_is_not_cheaper(with_configurations: Any) -> None:
    cells = [({"queries": "q64"}, 0.08, 0.08, {"price": 7.0}), CELLS[2]]
    settled = settled_of(with_configurations(cells))
    assert settled is not None
    assert settled.cheaper is None


def test_a_helping_configuration_goes_before_a_larger_unsettled_one(
    with_configurations: Any,
) -> None:
    open_one = ({"kl": "k3"}, 0.2, 0.2, {"verdict": "inconclusive", "size": None})
    settled = settled_of(with_configurations([open_one, *CELLS]))
    assert settled is not None
    assert settled.kind == "best"
    assert settled.best is not None
    assert settled.best.name == "rollouts per query 4 + queries q64"


def refused(price: float) -> dict[str, Any]:
    return {
        "verdict": "not_estimated", "size": None, "low": None, "high": None, "price": price,
        "reason": statement("no_replicates"),
    }  # fmt: skip


def test_one_run_per_cell_gives_measured_gains_and_names_what_does_not_carry_over(
    with_configurations: Any,
) -> None:
    """The question of the paper: rollouts with a group advantage against queries."""
    cells = [
        ({"advantage": "group_norm", "rollouts": "4"}, -0.0003, 0.0404, refused(8.0)),
        ({"queries": "q64"}, 0.057, 0.0866, refused(8.0)),
        ({"rollouts": "4", "queries": "q64"}, 0.0638, 0.103, refused(64.0)),
    ]
    open_row = {
        "inference": "narrow", "scope": [], "answer": "open", "bound": None,
        "configuration": None, "reason": statement("no_replicates"),
    }  # fmt: skip
    assert headline_sentences(with_configurations(cells, open_row))[1] == [
        (
            "Largest gain measured, not settled (one run per cell): rollouts per query 4 + queries"
            " q64, +6.4 points on Generalization (Learning +10.3) at 64 times the samples; queries"
            " q64 alone reaches +5.7 (+8.7) at 8 times."
        ),
        (
            "Also at 8 times the samples, advantage group_norm + rollouts per query 4 measured +4.0"
            " on Learning and 0.0 on Generalization."
        ),
        "Whether the baseline suffices is open.",
    ]


def test_where_no_configuration_gains_the_nearest_is_named(with_configurations: Any) -> None:
    cells = [
        (levels, -gain, -second, {**changes, "verdict": "hurts"})
        for levels, gain, second, changes in CELLS
    ]
    first = headline_sentences(with_configurations(cells, "yes"))[1]
    assert first == [
        (
            "None of 3 configurations shows a gain; the nearest: rollouts per query 4 alone,"
            f" {MINUS}2.0 points on Generalization (Learning {MINUS}4.0) at 4 times the samples."
        ),
        "The baseline suffices: gains above 2 points are ruled out.",
    ]


@pytest.mark.parametrize(
    ("verdict", "size", "begins"),
    [("equivalent", None, "Largest gain, too small to matter: "),
     ("helps", "less", "Largest gain, too small to matter: "),
     ("inconclusive", None, "Largest gain measured, not settled: ")],
)  # fmt: skip
def test_a_best_configuration_that_may_not_matter_is_not_called_best(
    with_configurations: Any, verdict: str, size: Any, begins: str
) -> None:
    changes = {"verdict": verdict, "size": size}
    analysis = with_configurations([({"rollouts": "4"}, 0.011, 0.02, changes)])
    assert headline_sentences(analysis)[1][0].startswith(begins)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("no", "no", ["The baseline does not suffice."]),
        ("yes", "open", [("The baseline suffices on Generalization: gains above 2 points are"
                         " ruled out."),
                         ("Whether the baseline suffices on Learning is open: gains up to 7.1"
                         " points are not ruled out.")]),
        ("not_judged", "not_judged", [("Whether the baseline suffices is not judged: no smallest"
                                      " effect is declared.")]),
    ],
)  # fmt: skip
def test_the_baseline_is_judged_on_both_responses(
    with_configurations: Any, first: str, second: str, said: list[str]
) -> None:
    assert headline_sentences(with_configurations(CELLS, first, second))[1][1:] == said


def test_of_one_factor_the_levels_are_the_configurations(table_analysis: Any) -> None:
    analysis = table_analysis(
        {"optimizer": ["adam", "sgd"]}, ["a", "b", "c"], 4, lambda cell: 0.1 * (cell != "adam")
    )
    settled = headline_of(analysis).settled
    assert settled is not None
    assert settled.best is None
    assert len(settled.answers) == 1


def test_tables_speak_of_rows(table_analysis: Any) -> None:
    analysis = table_analysis(
        {"optimizer": ["adam", "sgd"], "batch": ["small", "large"]}, [], 1,
        lambda cell: 0.5 + 0.1 * (cell["optimizer"] == "sgd"),
    )  # fmt: skip
    levels, settled = headline_sentences(analysis)
    text = " ".join([*levels, *settled])
    assert "one row per cell" in text
    assert "run" not in text
    assert "What helps" not in text


def test_every_template_names_its_places() -> None:
    for text in (*HEADLINE.values(), *SETTLED.values()):
        assert all(re.fullmatch(r"[a-z]+", place) for place in re.findall(r"\{(.*?)\}", text))
    assert len(dict(HEADLINE)) == len(HEADLINE)


def test_both_responses_have_the_digits_of_the_coarser_one(analysis: Any) -> None:
    for effect in analysis["responses"]["generalization"]["effects"]:
        if effect["se"]:
            effect["se"] /= 50
    assert subjects_of(analysis).scale.decimals == 1
