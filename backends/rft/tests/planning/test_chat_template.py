"""A chat template while planning: rendered from files as transformers does, refused with a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.planning import chat_template
from ablatekit_rft.planning.chat_template import FileTokenizer, tokenizer_folder
from ablatekit_rft.planning.examine import examine, untold
from ablatekit_rft.policy.chat import Chat, Message

from ablatekit.errors import UsageError

CHATML = (
    "{%- for m in messages %}\n    {{- '<|im_start|>' + m.role + '\\n' + m.content }}"
    "{%- generation %}<|im_end|>\n{% endgeneration %}{% endfor %}\n"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
WITH_TOOLS = "{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}{{ bos_token + '>' }}" + CHATML
DATED = "{{ strftime_now('%d %b %Y') }}|{{ date_string }}|" + CHATML
TEMPLATES = {"chatml": CHATML, "gemma": GEMMA, "tools": WITH_TOOLS, "dated": DATED}

SYSTEM: Message = {"role": "system", "content": "Be brief."}
QUESTION: Message = {"role": "user", "content": "1 < 2 & 'x'?"}
ANSWER: Message = {"role": "assistant", "content": "yes"}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Tokens are characters."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ("<pad>", "<s>", "</s>", *sorted({chr(code) for code in range(32, 127)} | {"\n"}))
    inner = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **named)


def model_folder(path: Path, template: Any, **configuration: Any) -> str:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    held = {"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": template}
    (path / "tokenizer_config.json").write_text(json.dumps({**held, **configuration}))
    return str(path)


def text_of(inner: Any, *messages: Message) -> str:
    ids = Chat(inner, ()).encode(messages)
    return "".join(map(chr, ids)) if isinstance(inner, FileTokenizer) else inner.decode(ids)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_it_is_rendered_as_transformers_does(name: str, tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.chat_template = TEMPLATES[name]
    tokenizer.save_pretrained(tmp_path)
    read = FileTokenizer.of(tmp_path)
    for messages in ((QUESTION,), (QUESTION, ANSWER, QUESTION), (SYSTEM, QUESTION)):
        if name == "gemma" and messages[0] is SYSTEM:
            continue
        assert text_of(read, *messages) == text_of(tokenizer, *messages)


def test_the_template_is_found_where_transformers_keeps_it(tmp_path: Path) -> None:
    several = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    assert FileTokenizer.of(Path(model_folder(tmp_path / "a", several))).chat_template == "D"
    folder = Path(model_folder(tmp_path / "b", "C"))
    assert FileTokenizer.of(folder).chat_template == "C"
    (folder / "chat_template.jinja").write_text("J")
    assert FileTokenizer.of(folder).chat_template == "J"
    assert FileTokenizer.of(Path(model_folder(tmp_path / "c", None))).chat_template == ""


def test_a_hub_model_is_looked_at_in_the_local_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert tokenizer_folder(f"o/n@{commit}") is tokenizer_folder("o/n") is None
    there = tmp_path / "models--o--n" / "snapshots" / commit
    model_folder(there, CHATML)
    assert tokenizer_folder(f"o/n@{commit}") == there
    (tmp_path / "models--o--n" / "refs").mkdir()
    (tmp_path / "models--o--n" / "refs" / "main").write_text(commit)
    assert tokenizer_folder("o/n") == there
    assert tokenizer_folder("tiny-llama") is None


@pytest.mark.parametrize("few_shot", [0, 2])
def test_a_template_that_shows_the_question_is_planned(
    tmp_path: Path, settings_for: Any, few_shot: int
) -> None:
    model = model_folder(tmp_path / "model", CHATML)
    chosen = {"model": model, "template": "chat", "system_prompt": "Be brief."}
    assert examine(settings_for("arithmetic-1", few_shot=few_shot, **chosen), untold) == ()


def test_what_a_template_refuses_is_refused_while_planning_with_the_setting(
    tmp_path: Path, settings_for: Any
) -> None:
    gemma = model_folder(tmp_path / "gemma", GEMMA)
    chosen = {"model": gemma, "template": "chat"}
    examine(settings_for("arithmetic-1", **chosen), untold)
    with pytest.raises(UsageError) as raised:
        examine(settings_for("arithmetic-1", system_prompt="Be brief.", **chosen), untold)
    said = str(raised.value)
    assert "refuses a system prompt; received system_prompt: 'Be brief.', template: 'chat'" in said
    assert f"model: {gemma}; System role not supported" in said
    plain = model_folder(tmp_path / "plain", None)
    with pytest.raises(UsageError, match=r"no chat template; received template: 'chat'"):
        examine(settings_for("arithmetic-1", model=plain, template="chat"), untold)
    # The rows of a data set on the hub are not at hand, but the template is.
    with pytest.raises(UsageError, match="refuses a system prompt"):
        examine(settings_for("gsm8k", system_prompt="Be brief.", **chosen), untold)


def test_transformers_has_the_last_word(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, settings_for: Any
) -> None:
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(chat_template, "_template", lambda *_: "{{ raise_exception('no') }}")
    settings = settings_for("arithmetic-1", model=str(tmp_path), template="chat")
    assert examine(settings, untold) == ()


@pytest.mark.parametrize(
    "template",
    [
        "{% for tool in tools %}{{ tool }}{% endfor %}" + CHATML,
        "{{ documents | length }}" + CHATML,
        "{{ eos_token + mask_token }}" + CHATML,
        CHATML.replace("{% if add_generation_prompt %}", "{% if false %}"),
        "{{ 1 % 0 }}" + CHATML,
    ],
)
def test_what_a_run_refuses_planning_refuses_in_the_same_words(
    template: str, tokenizer: Any, tmp_path: Path
) -> None:
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    said = []
    for inner in (tokenizer, FileTokenizer.of(tmp_path)):
        with pytest.raises(UsageError) as caught:
            Chat(inner, ()).encode([{"role": "user", "content": "What is 1+1?"}])
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_template_cannot_leave_the_sandbox(tmp_path: Path) -> None:
    escape = "{{ messages.__class__.__mro__[1].__subclasses__() }}" + CHATML
    read = FileTokenizer.of(Path(model_folder(tmp_path / "model", escape)))
    with pytest.raises(UsageError, match="cannot be rendered"):
        Chat(read, ()).encode((QUESTION,))


def test_rendering_needs_neither_torch_nor_transformers(tmp_path: Path) -> None:
    model = model_folder(tmp_path / "model", CHATML)
    script = (
        "import sys\nfrom ablatekit_rft.backend import RftBackend\n"
        f"flat = {{'model': {model!r}, 'dataset': 'arithmetic-1', 'template': 'chat'}}\n"
        "flat |= {'train_items': 8, 'few_shot': 2}\n"
        "RftBackend().examine(flat, lambda *_: None)\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
