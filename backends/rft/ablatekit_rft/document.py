"""The page of all design choices, made from what settings, levels and rules say of themselves.

python -m ablatekit_rft.document > docs/rft-factors.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ablatekit.design.describe import describe_factors, describe_rules
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.levels.stages import TRAITS

_HEAD = """# The RFT backend's design choices

Every setting that a study can vary, generated from the backend's own metadata
(`ablatekit factor list --backend rft` prints the same): default, bounds, meaning and source; for
settings with levels the formula and source of each, and what TRL, verl and OpenRLHF do. The
defaults together are the minimalist reference of arXiv:2601.22532. Beside the levels listed, a
study may name a function of its own (`module:function` or `path/file.py:function`), and packages
may offer more under the entry-point group `ablatekit.factors`.

A level that needs groups compares rollouts of one query; "at least" is the number of rollouts below
which it does not exist. Traits say what a level does whatever the rollouts; they are listed at the
end, measured on every level by the backend's tests, and many rules follow from them.
"""

_RULES = """## Rules

Combinations of settings that are refused (invalid), have no effect (inert), are other names of one
run (alias: run once), or run with a warning. Each is verified numerically by the backend's tests.
"""

_TRAITS = """## Traits

What a level may say of itself under `traits=`.
"""

_PEERS = ("TRL", "verl", "OpenRLHF")
_COLUMNS = ("level", "formula", "meaning", "source", "needs", "traits", *_PEERS)


def factors_page() -> str:
    """The page as Markdown."""
    backend = RftBackend()
    parts = [_HEAD]
    for row in describe_factors(backend):
        parts += _factor(row)
    parts += [_RULES, _table(("rule", "kind", "when", "then", "why"), _rules(backend))]
    parts += [_TRAITS, _table(("trait", "levels of", "what it says"), _traits())]
    return "\n".join(parts)


def _factor(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"## `{row['name']}`\n"
    allowed = "" if row["levels"] else f" ({row['allowed']})"
    yield f"Default `{_value(row['default'])}`{allowed}. {row['meaning']}\n"
    if row["levels"]:
        yield _table(_COLUMNS, (_level(name, told) for name, told in row["levels"].items()))


def _level(name: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    peers = told.get("peers", {})
    others = (str(peers.get(peer, "")) for peer in _PEERS)
    traits = ", ".join(told.get("traits", ()))
    says = (told["formula"], told["doc"], told["source"], _needs(told), traits)
    return (f"`{name}`", *says, *others)


def _needs(told: Mapping[str, Any]) -> str:
    fewest = told.get("min_group", 1)
    parts = [*told.get("needs", ()), *([f"at least {fewest}"] if fewest > 1 else [])]
    parts += [f"{name} = {value}" for name, value in told.get("params", {}).items()]
    parts += ["remembers"] if told.get("stateful") else []
    return ", ".join(parts)


def _rules(backend: RftBackend) -> Iterator[tuple[str, ...]]:
    for rule in describe_rules(backend):
        when = "; ".join(f"{name} {test}" for name, test in rule["when"].items())
        then = "; ".join(f"{name} = {_value(value)}" for name, value in rule["then"].items())
        yield rule["name"], rule["kind"], when, then, rule["why"]


def _traits() -> Iterator[tuple[str, ...]]:
    for trait, meaning in TRAITS.items():
        yield f"`{trait}`", ", ".join(meaning.stages), meaning.says


def _table(columns: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(factors_page())
