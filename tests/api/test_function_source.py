"""What of a session goes to the file of its function, and what is refused by name."""

from __future__ import annotations

import linecache
import pickle
from pathlib import Path
from typing import Any

import pytest

from ablatekit import function_backend
from ablatekit.api.function_source import placed_function
from ablatekit.errors import UsageError
from ablatekit.functions import imported_function

BODY = "def train(settings, seed):\n    return {'accuracy': VALUE}\n"


def session(source: str, name: str = "train") -> Any:
    """What a notebook defines by a cell."""
    file = "<cell of a notebook>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    values: dict[str, Any] = {"__name__": "__main__", "function_backend": function_backend}
    exec(compile(source, file, "exec"), values)  # noqa: S102
    return values[name]


def taken(source: str, value: str = "1") -> str:
    text = placed_function(session(source + BODY.replace("VALUE", value))).text
    assert text is not None
    return text


def refused(source: str, value: str = "1") -> str:
    with pytest.raises(UsageError) as refusal:
        taken(source, value)
    return str(refusal.value)


def run_from(text: str, folder: Path) -> Any:
    """What the taken function returns, imported from its file."""
    name = f"taken_{abs(hash(text))}"
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return imported_function(folder / f"{name}.py", "train")({}, 0)


@pytest.mark.parametrize(
    ("cells", "value", "found"),
    [
        ("import math\n", "math.floor(2.5)", 2),
        ("import math as m\nLEVELS = {'a': (1, 2), 'b': [None]}\n", "m.pi * 0 + LEVELS['a'][1]", 2),
        ("from math import floor as down\n", "down(2.5)", 2),
        ("import xml.etree.ElementTree\n", "len(xml.etree.ElementTree.fromstring('<a/>'))", 0),
        ("import os.path as path\n", "len(path.basename('a/bc'))", 2),
        ("def helper(x):\n    return other(x)\ndef other(x): return 2 * x\n", "helper(1)", 2),
        ("class Model:\n    size = 3\n    def get(self): return self.size\n", "Model().get()", 3),
        ("BIG = float('inf')\nNAMES = {'b', 'a'}\n", "len(NAMES) if BIG > 1 else 0", 2),
        ("import functools\n@functools.cache\ndef helper(): return 4\n", "helper()", 4),
        ("import dataclasses as d\n@d.dataclass\nclass P:\n    a: int = 2\n", "P().a", 2),
        ("class A:\n    x = 5\nclass B(A): pass\n", "B.x", 5),
        ("import enum\nclass Kind(enum.Enum):\n    A = 6\n", "Kind.A.value", 6),
        ("import typing as t\nclass P(t.NamedTuple):\n    a: int = 7\n", "P().a", 7),
        ("def again(n): return n and again(n - 1)\n", "again(3)", 0),
    ],
)
def test_imports_helpers_and_constants_go_with_the_function(
    tmp_path: Path, cells: str, value: str, found: float
) -> None:
    text = taken(cells, value)
    assert run_from(text, tmp_path) == {"accuracy": found}
    assert taken(cells, value) == text


def test_the_text_is_the_functions_own_without_our_decorator() -> None:
    text = taken("import ablatekit\nimport math\nunused = 3\n@function_backend  # ours\n")
    assert text.endswith("\n\ndef train(settings, seed):\n    return {'accuracy': 1}\n")
    assert "import" not in text.replace("from __future__ import annotations", "")
    assert "unused" not in text


@pytest.mark.parametrize(
    ("cells", "value", "said"),
    [
        ("lr = 0.1\n", "lr", "train() uses what only this session has; received lr (a float)"),
        ("import pandas\nDATA = pandas.DataFrame()\n", "len(DATA)", "DATA (a DataFrame)"),
        ("DATA = [0.5] * 100_000\n", "len(DATA)", "DATA (a list of 500,000 characters)"),
        ("NAN = float('nan')\n", "NAN", "NAN (a float)"),
        ("", "nowhere + elsewhere", "elsewhere (not defined), nowhere (not defined)"),
        ("double = lambda x: 2 * x\n", "double(1)", "a lambda"),
        ("def helper(): return rate\nrate = 1\n", "helper()", "rate (an int)"),
        ("def one(): return 1\ntwo = one\n", "two()", "two (another name of one)"),
        ("Made = type('Made', (), {})\n", "Made()", "the source of Made is not known"),
    ],
)
def test_what_only_the_session_has_is_refused_by_name(cells: str, value: str, said: str) -> None:
    message = refused(cells, value)
    assert said in message


def test_the_remedy_says_what_to_do() -> None:
    message = refused("lr = 0.1\n", "lr")
    assert "Give it as a setting, make or import it inside the function, or define it" in message


def test_closures_lambdas_and_what_is_no_function_are_refused_at_once() -> None:
    rate = 0.1

    def closing(seed: int) -> dict[str, float]:
        return {"accuracy": rate + seed}

    async def later() -> dict[str, float]:
        return {}

    for thing, said in (
        (closing, "variables of the function around it.*received rate"),
        (lambda: {"a": 1}, "received a lambda"),
        (later, "no plain function; received async def"),
        (print, "a backend is a plain function; received a builtin"),
        ({}.get, "a backend is a plain function"),
        (Path, "a backend is a plain function"),
        (3, "received an int"),
    ):
        with pytest.raises(UsageError, match=said):
            function_backend(thing)  # type: ignore[type-var]


def test_a_function_without_a_source_is_refused() -> None:
    values: dict[str, Any] = {"__name__": "__main__"}
    exec(BODY.replace("VALUE", "1"), values)  # noqa: S102
    with pytest.raises(UsageError, match=r"the source of train is not known.*\.py file"):
        placed_function(values["train"])


def importable(settings: Any, seed: int) -> dict[str, float]:
    return {"accuracy": settings.lr + seed}


def test_a_function_of_a_module_is_used_by_its_file(tmp_path: Path) -> None:
    place = placed_function(function_backend(importable))
    assert (place.file, place.text) == (Path(__file__).resolve(), None)
    reference = place.written_in(Path(__file__).parent)
    assert reference == f"{Path(__file__).name}:importable"
    assert list(tmp_path.iterdir()) == []
    assert pickle.loads(pickle.dumps(function_backend(importable))) is importable


def test_modules_beside_the_session_change_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    texts = []
    for number in (1, 2):
        (tmp_path / "beside_session.py").write_text(f"A = {number}\n", encoding="utf-8")
        texts.append(taken("import beside_session\n", "beside_session.A"))
    assert texts[0] != texts[1]
    assert "# With beside_session: " in texts[0]
    assert "import math" in taken("import math\n", "math.pi")
    assert "With" not in taken("import math\n", "math.pi")
