"""The pages of all design choices and of other trainers, from what both say of themselves.

python -m ablatekit_rft.document > docs/rft-factors.md
python -m ablatekit_rft.document peers > docs/rft-peers.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ablatekit.design.describe import describe_factors, describe_rules
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.levels.stages import TRAITS
from ablatekit_rft.peers import KINDS, PEERS, Offer, Peer

_HEAD = """# The RFT backend's design choices

Every setting that a study can vary, generated from the backend's own metadata
(`ablatekit factor list --backend rft` prints the same): default, bounds, meaning and source; for
settings with levels the formula and source of each, and what other trainers call it, a column for
each of them with its version ([rft-peers.md](rft-peers.md) goes the other way: what they offer by
name, and what it is here). The defaults together are the minimalist reference of arXiv:2601.22532.
Beside the levels listed, a study may name a function of its own (`module:function` or
`path/file.py:function`), and packages may offer more under the entry-point group
`ablatekit.factors`.

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

_PEERS = """# What other trainers offer, and what it is here

Every loss, advantage estimator, clip, filter and schedule that six trainers offer by name: a level
of a setting here, an alias (several settings together, those not named at their defaults), or not
offered, with the reason. Values are examples where a trainer has no default. Losses and gradients
of all that TRL lists are equal to 1e-5 by test (`backends/rft/tests/learning/test_against_trl.py`).
The others do not install beside this backend: policy losses, advantages and KL estimators of verl
and losses with corrections of OpenRLHF were compared by hand with their source, which no test
repeats; prime-rl, NeMo-RL and slime were read, not run. What compares the
rollouts of a query wants `rollouts: 2` or more; `ratio_level`, `clip` and what else corrects old
rollouts matters with more than one update per round.

| trainer | version | read in | levels and aliases | not offered |
|---|---|---|---|---|
"""
_COLUMNS = ("level", "formula", "meaning", "source", "needs", "traits")


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
        columns = (*_COLUMNS, *(peer.title for peer in PEERS))
        levels = row["levels"].items()
        yield _table(columns, (_level(row["name"], name, told) for name, told in levels))


def _level(setting: str, name: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    others = (_elsewhere(peer, setting, name, told.get("peers", {})) for peer in PEERS)
    traits = ", ".join(told.get("traits", ()))
    says = (told["formula"], told["doc"], told["source"], _needs(told), traits)
    return (f"`{name}`", *says, *others)


def _elsewhere(peer: Peer, setting: str, name: str, told: Mapping[str, str]) -> str:
    """What a level is called in another trainer: as it says itself, else by its offers."""
    named = "; ".join(offer.name for offer in peer.offering(setting, name))
    return told.get(peer.name, named or "none")


def peers_page() -> str:
    """The page of other trainers as Markdown."""
    parts = [_PEERS + "\n".join(_summary(peer) for peer in PEERS) + "\n"]
    for peer in PEERS:
        parts.append(f"## {peer.title}\n")
        columns = ("what", "name", "here", "difference, or why not")
        parts.append(_table(columns, (_offer(offer) for offer in _by_kind(peer))))
    return "\n".join(parts)


def _summary(peer: Peer) -> str:
    offered = sum(offer.ours is not None for offer in peer.offers)
    cells = (peer.name, peer.version, peer.read, offered, len(peer.offers) - offered)
    return "| " + " | ".join(map(str, cells)) + " |"


def _by_kind(peer: Peer) -> Iterator[Offer]:
    for kind in KINDS:
        yield from (offer for offer in peer.offers if offer.kind == kind)


def _offer(offer: Offer) -> tuple[str, ...]:
    if offer.ours is None:
        return offer.kind, f"`{offer.name}`", "not offered", offer.note
    ours = ", ".join(f"`{name}: {_value(value)}`" for name, value in offer.ours.items())
    return offer.kind, f"`{offer.name}`", ours or "as it is", offer.note


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
    sys.stdout.write(peers_page() if sys.argv[1:] == ["peers"] else factors_page())
