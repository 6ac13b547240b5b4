"""A source without stated roles: what is recognised, proposed and left out, in words."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablatekit.analysis.core.layout import NOT_SET
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.analysis.proposal.base import Proposal, Stated
from ablatekit.analysis.proposal.propose import in_words_of, propose
from ablatekit.analysis.proposal.refusals import refuse_baselines, refuse_unknown
from ablatekit.analysis.tables.checks import spelling_variants
from ablatekit.analysis.tables.read import read_table, recognised
from ablatekit.analysis.tables.readers.base import MESSAGES
from ablatekit.analysis.tables.values import rows_where
from ablatekit.errors import Location, Problem, TableError
from ablatekit.legible import has_invisible
from ablatekit.report.language.sentences import say
from ablatekit.report.language.statements import proposals as words
from ablatekit.report.language.statements.phrases import first_few

if TYPE_CHECKING:
    import pandas as pd

MOST_SAID = 6
"""Columns that a refusal tells of."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A source as it was read, and what is proposed for it.

    `options` are further options of the command, as they were given; `stated` the factors whose
    baseline was stated.
    """

    source: Path
    reader: str
    proposal: Proposal
    told: tuple[Statement, ...]
    options: tuple[str, ...] = ()
    stated: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The command line that states the proposal, as a list of arguments."""
        source = str(self.source)
        path = f"./{source}" if source.startswith("-") else source
        return ["ablatekit", "analyze", path, *self._roles, *self.options]

    @property
    def spellings(self) -> list[Statement]:
        """Levels that may be one, which an analysis tells of itself."""
        labels = (*self.proposal.factors, *self.proposal.contexts)
        return spelling_variants({name: self.proposal.levels[name] for name in labels})

    @property
    def _roles(self) -> Iterator[str]:
        proposal = self.proposal
        yield from ("--response", ",".join(proposal.responses))
        yield from ("--factors", ",".join(proposal.factors))
        if proposal.contexts:
            yield from ("--contexts", ",".join(proposal.contexts))
        for factor, level in proposal.baselines.items():
            yield from ("--baseline", f"{factor}={level}")
        for column, level in proposal.where.items():
            yield from ("--where", f"{column}={level}")
        if proposal.interactions != words.USUAL_ORDER:
            yield from ("--interactions", str(proposal.interactions))


def recognise(
    source: Path, reader: str | None, stated: Stated, options: Iterable[str] = ()
) -> Recognised:
    """Reads a source and proposes what is not stated of it.

    Raises TableError where it cannot be read, a stated column is missing, or nothing sensible can
    be proposed.
    """
    proposed = recognise_table(source, lambda labels: read_table(source, labels, reader), stated)
    return replace(proposed, reader=recognised(source, reader), options=tuple(options))


def recognise_table(
    source: Path, read: Callable[[Sequence[str]], pd.DataFrame], stated: Stated
) -> Recognised:
    """`recognise` for a table that `read` gives, the columns that it is told as text."""
    labels = [*stated.factors, *stated.contexts, *stated.where]
    frame = read(labels)
    refuse_unknown(frame, stated)
    rows_where(frame, stated.where)
    proposal = propose(frame, stated)
    if proposal.lacking:
        raise _nothing_proposed(source, proposal)
    refuse_baselines(stated.baselines, proposal.factors)
    chosen = [*proposal.factors, *proposal.contexts, *proposal.where]
    if set(chosen) - set(labels):
        proposal = in_words_of(proposal, read(chosen), stated)
    told = tuple(frame.attrs.get(MESSAGES, ()))
    return Recognised(source, "", proposal, told, stated=tuple(stated.baselines))


def _nothing_proposed(source: Path, proposal: Proposal) -> TableError:
    """What is lacking, the columns that come nearest, and what to do."""
    near = [f"{left.column}: {say(left.reason)}" for left in proposal.left_out]
    more = f"; and {len(near) - MOST_SAID} more" if len(near) > MOST_SAID else ""
    received = ["; ".join(near[:MOST_SAID]) + more] + [""] * len(proposal.lacking)
    return TableError(
        *(
            Problem(say(lack), told, words.REMEDIES[lack["code"]], Location(str(source)))
            for lack, told in zip(proposal.lacking, received, strict=False)
        )
    )


def lines(
    recognised: Recognised, command: str | None = None, *, alone: bool = False
) -> Iterator[str]:
    """The proposal in words, first what states it: its command line, or another `command`.

    `alone`: no analysis follows it.
    """
    proposal = recognised.proposal
    yield words.recognised(str(recognised.source), recognised.reader, proposal.rows, proposal.runs)
    for message in recognised.told:
        yield f"  {say(message)}"
    yield words.PROPOSED
    yield f"  {command or ' '.join(map(typed, recognised.command))}"
    for name, direction in proposal.directions.items():
        yield words.response(name, direction, by_item=proposal.by_item)
    for name in proposal.factors:
        levels = [level for level in proposal.levels[name] if level != NOT_SET]
        yield words.factor(name, levels, proposal.baselines.get(name))
    if set(proposal.baselines) - set(recognised.stated):
        yield words.BASELINES
    for name in proposal.contexts:
        yield words.context(name, proposal.levels[name])
    yield words.replicates(proposal.replicates)
    yield from _left_out(proposal)
    warnings = [*proposal.warnings, *(recognised.spellings if alone else [])]
    yield from (f"  ! {say(warning)}" for warning in warnings)


def _left_out(proposal: Proposal) -> Iterator[str]:
    """Columns without a part, those of one reason together."""
    together: dict[str, list[str]] = {}
    for left in proposal.left_out:
        together.setdefault(say(left.reason), []).append(left.column)
    if together:
        yield words.LEFT_OUT
    for reason, names in together.items():
        yield f"  {first_few(names)}: {reason}"


def typed(word: str) -> str:
    """A word as one types it in a shell; what acts unseen is written out, as in $'a\\u200fb'."""
    if not has_invisible(word) and not re.search(r"[\n\t]", word):
        return shlex.quote(word)
    return f"$'{''.join(map(_typed_letter, word))}'"


def _typed_letter(letter: str) -> str:
    if letter in "\\'":
        return f"\\{letter}"
    if letter in "\n\t" or has_invisible(letter):
        return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
    return letter


def as_json(recognised: Recognised) -> str:
    """The proposal for programs."""
    proposal = recognised.proposal
    value: dict[str, Any] = {
        "source": str(recognised.source),
        "reader": recognised.reader,
        "rows": proposal.rows,
        "runs": proposal.runs,
        "by_item": proposal.by_item,
        "command": recognised.command,
        "responses": dict(proposal.directions),
        "factors": {name: list(proposal.levels[name]) for name in proposal.factors},
        "baselines": dict(proposal.baselines),
        "contexts": {name: list(proposal.levels[name]) for name in proposal.contexts},
        "replicates": list(proposal.replicates),
        "where": dict(proposal.where),
        "interactions": proposal.interactions,
        "left_out": [
            {"column": left.column, "reason": left.reason, "text": say(left.reason)}
            for left in proposal.left_out
        ],
        "warnings": [
            {**told, "text": say(told)}
            for told in (*recognised.told, *proposal.warnings, *recognised.spellings)
        ],
    }
    return json.dumps(value, indent=2, ensure_ascii=False)


def stated_of(
    roles: Mapping[str, Sequence[str]],
    baselines: Mapping[str, str],
    where: Mapping[str, str],
    rest: Mapping[str, Any],
) -> Stated:
    """What the options of the command state; `rest` holds direction and interactions."""
    stated = Stated(
        responses=tuple(roles["--response"]),
        factors=tuple(roles["--factors"]),
        contexts=tuple(roles["--contexts"]),
        exclude=tuple(roles["--exclude"]),
        baselines=baselines,
        where=where,
    )
    return replace(stated, **rest)
