"""What a comparison says first: the biggest disagreement, then what agrees, then what is open."""

from __future__ import annotations

import copy

import pytest

from ablatekit.report.comparison.headline import comparison_sentences
from ablatekit.report.comparison.studies import studies_of
from ablatekit.report.language.numbers import MINUS


def said(first, second):
    headline, settled = comparison_sentences(studies_of(first, second))
    return " ".join(headline), settled


def minus(text):
    return text.replace("-", MINUS)


def judged(analysis, response, level, verdict):
    for row in analysis["responses"][response]["effects"]:
        if row["level"] == level and row["inference"] == "narrow":
            row["verdict"] = verdict


def test_equal_rounds_and_equal_samples_give_opposite_answers(committed):
    headline, settled = comparison_sentences(committed)
    assert headline == [
        (
            "Rollouts 4: +3.4 points generalization at equal rounds (full_factorial, 4 times the"
            f" samples), {MINUS}5.7 at equal samples (equal_samples, no extra cost): the sign"
            f" flips; difference {MINUS}9.1 [{MINUS}9.8, {MINUS}8.4]."
        ),
        f"Learning: +4.9 becomes {MINUS}7.8, difference {MINUS}12.7 [{MINUS}13.5, {MINUS}11.8].",
    ]
    assert settled == [
        (
            f"Agree within what matters: advantage batch_norm on generalization, {MINUS}4.8 and"
            f" {MINUS}5.0; advantage batch_norm on learning, {MINUS}5.6 and {MINUS}6.1."
        ),
        "Held equal: rounds (60) in full_factorial, samples (7,680) in equal_samples.",
    ]


def test_the_largest_difference_on_what_matters_most_comes_first(pair):
    first, second = pair({
        ("learning", "k3"): 0.3,
        ("generalization", "batch_norm"): 0.06,
        ("generalization", "q64"): -0.09,
    })  # fmt: skip
    headline, settled = said(first, second)
    assert headline.startswith(minus("Queries q64: -0.1 points generalization in here, -9.1 in"))
    assert settled[0].startswith("Also different: advantage batch_norm on generalization by +6.0")
    assert "KL penalty k3 on learning by +30.0" in settled[0]


def test_without_a_disagreement_the_headline_says_what_agrees_or_what_is_undecided(pair):
    first, second = pair({("generalization", "q64"): 0.012})
    headline, settled = said(first, second)
    assert headline.startswith("The studies agree within what matters: ")
    assert " points and " in headline
    assert settled[0].startswith("Undecided: queries q64 on generalization (+1.2 [")
    for part in (first, second):
        for response in part["responses"].values():
            response["smallest_effect"] = None
    headline, settled = said(first, second)
    assert headline.startswith("Whether the studies agree is undecided: ")
    assert "differ" not in headline.replace("difference", "")
    assert [text.split(":")[0] for text in settled] == ["Not compared"]


@pytest.mark.parametrize(
    ("verdicts", "shift", "words"),
    [
        (("helps", "hurts"), -0.2, ": the sign flips; "),
        (("helps", "helps"), 0.2, ": the same sign, larger; "),
        (("hurts", "hurts"), 0.2, ": the same sign, larger; "),
        (("helps", "inconclusive"), 0.2, ": helps against inconclusive; "),
        (("inconclusive", "equivalent"), 0.2, " in there; "),
    ],
)
def test_a_sign_flips_only_where_both_verdicts_carry_it(pair, verdicts, shift, words):
    first, second = pair({("generalization", "4"): shift})
    for analysis, verdict in zip((first, second), verdicts, strict=True):
        judged(analysis, "generalization", "4", verdict)
    assert words in said(first, second)[0]


def test_one_differing_setting_is_where_each_effect_holds(pair):
    shift = {("generalization", "4"): 0.2}
    first, second = pair(shift)
    first["design"]["held_equal"] = {"budget": {"unit": "rounds", "amount": 60}, "clip": 0.1}
    second["design"]["held_equal"] = {"budget": {"unit": "rounds", "amount": 1200}, "clip": 0.1}
    assert "at 60 rounds (here), +24.9 at 1,200 rounds (there)" in said(first, second)[0]
    second["design"]["held_equal"] = {"budget": {"unit": "rounds", "amount": 60}, "clip": 0.2}
    assert "with clip 0.1 (here), +24.9 with clip 0.2 (there)" in said(first, second)[0]
    second["design"]["held_equal"] = {"budget": {"unit": "tokens", "amount": 9}, "clip": 0.2}
    headline, settled = said(first, second)
    assert "generalization in here, +24.9 in there" in headline
    assert not any(text.startswith("Held equal") for text in settled)


def test_a_price_is_said_where_the_studies_pay_differently(pair):
    first, second = pair({("generalization", "4"): 0.2})
    assert "times" not in said(first, second)[0]
    for row in second["responses"]["generalization"]["effects"]:
        row["price"] = 1.0
    assert "in here (4 times the samples), +24.9 in there (no extra cost)" in said(first, second)[0]


def test_lower_is_better_is_said(pair):
    first, second = pair({("generalization", "4"): 0.2})
    for part in (first, second):
        part["responses"]["generalization"]["direction"] = "lower"
    assert "generalization (lower is better) in here" in said(first, second)[0]


def test_a_study_and_itself_have_one_sentence(pair):
    first, _ = pair()
    sentence = (
        "Both are one study, here: the same plan and the same runs, so there is nothing to compare."
    )
    assert said(first, copy.deepcopy(first)) == (sentence, [])


def test_units_and_names_that_differ_are_said_and_nothing_else(pair, renamed):
    first, second = pair()
    for response in second["responses"].values():
        response["unit"] = "nats"
    headline, settled = said(first, second)
    assert headline == (
        "No effect could be compared: the studies differ in the unit of generalization:"
        " 'proportion' and 'nats'."
    )
    assert settled == []
    for name in ("batch_norm", "group_norm", "rollouts", "queries", "kl"):
        second = renamed(second, name, f"other {name}")
    headline, _ = said(first, second)
    assert (
        headline == "Nothing can be compared: here and there have no level of a factor in common."
    )
    second["responses"] = {f"other {name}": part for name, part in second["responses"].items()}
    second["comparisons"] = {}
    assert said(first, second)[0].endswith("have no response in common.")
