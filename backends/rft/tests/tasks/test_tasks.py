"""The shipped tasks: splits that cannot leak, fixed items, verifiers that never raise."""

from __future__ import annotations

from collections import Counter

import pytest
from ablatekit_rft.tasks import (
    Judgement,
    Query,
    Task,
    UnknownTaskError,
    Verdict,
    get_task,
    task_names,
)
from ablatekit_rft.tasks.base import SplitName
from ablatekit_rft.tasks.streams import SPLIT_SHARES, Draws, split_of
from hypothesis import given, settings
from hypothesis import strategies as st

SPLITS: tuple[SplitName, ...] = ("pretrain", "train", "test")
HOSTILE = (
    "",
    " ",
    "\x00",
    "abcde ",
    " abcde",
    "ABCDE",
    "abcde\n",
    "abcde>",
    "édcba",
    "a" * 100_000,
    "\ud800",
    "a2b2c1*",
    "{}[]()\\%s%n",
)
FIRST = {
    "letter-sort": ["pnokrwxhht>", "ildgpmpyka>", "vnhbibmj>"],
    "letter-count": ["edefceaeca*", "cadabdff*", "bbcbbcdba*"],
}


@pytest.fixture(params=["letter-sort", "letter-count"])
def task(request: pytest.FixtureRequest) -> Task:
    return get_task(request.param)


def test_the_shipped_tasks() -> None:
    generated = ("arithmetic-1", "arithmetic-2", "number-stories")
    assert task_names() == ("letter-sort", "letter-count", *generated)


def test_an_unknown_name_gets_the_nearest_or_all_known_names() -> None:
    with pytest.raises(UnknownTaskError) as error:
        get_task("leter-sort")
    assert "Did you mean 'letter-sort'?" in str(error.value)
    with pytest.raises(UnknownTaskError, match=r"Known: .*letter-count"):
        get_task("unlike-any")


def test_splits_are_disjoint(task: Task) -> None:
    sets = [{query.item for query in task.items(split, 2048)} for split in SPLITS]
    assert all(len(items) == 2048 for items in sets)
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]


@pytest.mark.parametrize("split", SPLITS)
def test_items_are_prefix_stable(task: Task, split: SplitName) -> None:
    longer = task.items(split, 300)
    assert task.items(split, 0) == ()
    assert task.items(split, 1) == longer[:1]
    assert task.items(split, 256) == longer[:256]
    assert task.items(split, 300) == longer


def test_every_item_lies_where_its_hash_says(task: Task) -> None:
    for split in SPLITS:
        assert all(split_of(query.prompt) == split for query in task.items(split, 200))


def test_the_shares_of_the_splits_are_as_declared() -> None:
    prompts = [f"{number}>" for number in range(8000)]
    counts = Counter(map(split_of, prompts))
    for split in SPLITS:
        expected = SPLIT_SHARES.count(split) / len(SPLIT_SHARES)
        assert counts[split] / len(prompts) == pytest.approx(expected, abs=0.03)


def test_the_first_items_are_what_they_have_always_been() -> None:
    """A change here invalidates the stored base models and needs a new task version."""
    found = {name: get_task(name).items("train", 3) for name in FIRST}
    assert {name: [query.prompt for query in three] for name, three in found.items()} == FIRST


def test_the_gold_answer_is_correct_and_fits(task: Task) -> None:
    for split in SPLITS:
        for query in task.items(split, 300):
            assert task.judge([query], [query.gold]) == [Judgement(Verdict.CORRECT, True)]
            assert len(query.gold) + 1 <= task.max_new_tokens


@pytest.mark.parametrize(
    ("name", "prompt", "completion", "verdict"),
    [
        ("letter-sort", "cabde>", "abcde", Verdict.CORRECT),
        ("letter-sort", "cabde>", "abced", Verdict.WRONG),
        ("letter-sort", "cabde>", "abcd", Verdict.WRONG),
        ("letter-sort", "cabde>", "abcdee", Verdict.WRONG),
        ("letter-sort", "bbaab>", "aabbb", Verdict.CORRECT),
        ("letter-count", "bacab*", "a2b2c1", Verdict.CORRECT),
        ("letter-count", "bacab*", "b2a2c1", Verdict.WRONG),
        ("letter-count", "bacab*", "a2b2c2", Verdict.WRONG),
        ("letter-count", "aaaaaaaaaa*", "a10", Verdict.CORRECT),
    ],
)
def test_verdicts(name: str, prompt: str, completion: str, verdict: Verdict) -> None:
    assert judged(get_task(name), query_for(name, prompt), completion) is verdict


@pytest.mark.parametrize("completion", HOSTILE)
def test_hostile_completions_are_wrong_and_never_raise(task: Task, completion: str) -> None:
    query = task.items("train", 1)[0]
    assert judged(task, query, completion) is Verdict.WRONG


QUERIES = [(get_task(name), *get_task(name).items("train", 1)) for name in FIRST]


@settings(max_examples=50)
@given(st.text())
def test_no_text_but_the_answer_is_correct(completion: str) -> None:
    for task, query in QUERIES:
        verdict = judged(task, query, completion)
        assert verdict is (Verdict.CORRECT if completion == query.gold else Verdict.WRONG)


def test_draws_are_uniform() -> None:
    counts = Counter(Draws("uniform", index).between(5, 10) for index in range(6000))
    assert sorted(counts) == [5, 6, 7, 8, 9, 10]
    assert all(abs(count - 1000) < 150 for count in counts.values())


@pytest.mark.parametrize(
    ("name", "completion", "format_ok"),
    [
        ("letter-sort", "zzz", True),
        ("letter-sort", "ab1", False),
        ("letter-sort", "", False),
        ("letter-count", "a99b0", True),
        ("letter-count", "a9b", False),
        ("letter-count", "g1", False),
    ],
)
def test_the_form_of_an_answer_is_judged_apart_from_it(
    name: str, completion: str, format_ok: bool
) -> None:
    query = get_task(name).items("train", 1)[0]
    assert get_task(name).judge([query], [completion]) == [Judgement(Verdict.WRONG, format_ok)]


def judged(task: Task, query: Query, completion: str) -> Verdict:
    return task.judge([query], [completion])[0].verdict


def query_for(name: str, prompt: str) -> Query:
    """A hand-written query with its answer worked out independently of the task."""
    counts = Counter(prompt[:-1])
    answers = {
        "letter-sort": "".join(sorted(counts.elements())),
        "letter-count": "".join(f"{letter}{counts[letter]}" for letter in sorted(counts)),
    }
    return Query(item=prompt, prompt=prompt, gold=answers[name])
