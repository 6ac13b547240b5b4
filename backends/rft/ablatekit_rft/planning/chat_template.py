"""A chat template before the first run: rendered from the files of a tokenizer that is at hand.

transformers takes seconds to import, so the template is rendered as it does, by jinja2's sandbox.
What is refused so is asked of transformers again, where it is installed: it has the last word.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ablatekit.canonical import bytes_hash
from ablatekit.errors import Problem, UsageError
from ablatekit_rft.planning.prompts import Prompts
from ablatekit_rft.policy.chat import Chat, Message, no_chat_template
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.sources.hub import snapshot
from ablatekit_rft.tasks.query import Query

TEMPLATE, CONFIGURATION, SPECIAL = (
    "chat_template.jinja",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token")
_DEFAULT = "default"


def refuse_chat(prompts: Prompts, query: Query) -> None:
    """Raise UsageError where the model's chat template cannot show a query as the run would.

    A model whose tokenizer is not at hand is asked when a run loads it.
    """
    settings = prompts.settings
    folder = tokenizer_folder(settings.model)
    if folder is None:
        return
    messages = prompts.messages(query)
    try:
        _rendered(folder, _stamp(folder), json.dumps(messages))
    except UsageError as error:
        raise _located(error, settings) from None


def tokenizer_folder(model: str) -> Path | None:
    """Where the files of a model's tokenizer lie on this machine: a folder, or the hub's cache."""
    folder = Path(model) if Path(model).is_dir() else snapshot(model)
    return folder if folder is not None and (folder / CONFIGURATION).is_file() else None


def _located(error: UsageError, settings: RftSettings) -> UsageError:
    """The same with the settings that it is about."""
    problems = [_of_settings(problem, settings) for problem in error.problems]
    return UsageError(*problems)


def _of_settings(problem: Problem, settings: RftSettings) -> Problem:
    names = ("system_prompt", "template") if "system prompt" in problem.rule else ("template",)
    told = ", ".join(f"{name}: {getattr(settings, name)!r}" for name in names)
    return replace(problem, received=f"{told}, model: {settings.model}; {problem.received}")


def _stamp(folder: Path) -> str:
    files = (folder / name for name in (TEMPLATE, CONFIGURATION, SPECIAL))
    return " ".join(bytes_hash(path) for path in files if path.is_file())


@functools.lru_cache(maxsize=64)
def _rendered(folder: Path, _stamp: str, messages: str) -> None:
    """Raise UsageError unless the conversation can be rendered; a stamp has one answer."""
    turns: list[Message] = json.loads(messages)
    try:
        _encode(FileTokenizer.of(folder), turns)
    except UsageError:
        inner = _of_transformers(folder)
        if inner is None:
            raise
        _encode(inner, turns)


def _of_transformers(folder: Path) -> Any | None:
    """The tokenizer as a run loads it; None where that cannot be done here."""
    if importlib.util.find_spec("transformers") is None:
        return None
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder))
    except (ImportError, OSError, ValueError):
        return None


def _encode(inner: Any, turns: Sequence[Message]) -> None:
    if not inner.chat_template:
        raise no_chat_template(str(inner.name_or_path))
    Chat(inner, ()).encode(turns)


@dataclass(frozen=True)
class FileTokenizer:
    """As much of a tokenizer of transformers as its chat template needs, read from its files."""

    name_or_path: str
    chat_template: str
    special: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> FileTokenizer:
        """The tokenizer in a folder."""
        configuration = {**_json(folder / CONFIGURATION), **_json(folder / SPECIAL)}
        tokens = {name: _token(configuration.get(name)) for name in _SPECIAL_TOKENS}
        written = {name: token for name, token in tokens.items() if token}
        return cls(str(folder), _template(folder, configuration), written)

    def get_chat_template(self) -> str:
        """The template, as transformers names it."""
        return self.chat_template

    def apply_chat_template(
        self, messages: Sequence[Message], *, chat_template: str, **variables: Any
    ) -> str:
        """The conversation as text."""
        text: str = _compiled(chat_template).render(
            messages=list(messages), tools=None, documents=None, **self.special, **variables
        )
        return text

    def __call__(self, text: str, **_: Any) -> Mapping[str, list[int]]:
        """Stands for token ids: what a template writes is looked at as text."""
        return {"input_ids": [ord(character) for character in text] or [0]}


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _token(value: Any) -> str:
    """A special token as it is written; nothing where there is none."""
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else ""


def _template(folder: Path, configuration: Mapping[str, Any]) -> str:
    """The file of its own, else what the configuration holds; of several the default one."""
    if (folder / TEMPLATE).is_file():
        return (folder / TEMPLATE).read_text(encoding="utf-8")
    held = configuration.get("chat_template")
    if isinstance(held, list):
        held = next((one["template"] for one in held if one.get("name") == _DEFAULT), "")
    return held if isinstance(held, str) else ""


@functools.lru_cache(maxsize=8)
def _compiled(template: str) -> Any:
    """The template in the environment that transformers renders it in (5.23)."""
    from jinja2 import TemplateError, ext, nodes
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(ext.Extension):
        """`{% generation %}` marks the assistant's words for training; here it marks nothing."""

        tags = {"generation"}  # noqa: RUF012  (as jinja2 declares it)

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=False, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(template)
